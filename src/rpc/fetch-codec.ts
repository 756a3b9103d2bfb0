import type {
  FetchOptions,
  FetchPartition,
  FetchPartitionData,
  FetchStreamRequest,
  FetchStreamResponse,
  TopicPartitionRef,
} from "./messages.ts";
import { ProtoReader } from "./proto-wire.ts";
import { ProtoWriter, type RecordBytes } from "./proto-writer.ts";
import { TopicNames } from "./topic-names.ts";

/*
 * FetchStreamRequest and FetchStreamResponse of client.proto, written by hand because they are the hot path: record
 * bytes are views on the way in and the caller's own buffers on the way out.
 */

/** Data to send; the records may be several buffers, such as one for each batch. */
export interface FetchPartitionDataInput extends Omit<FetchPartitionData, "records"> {
  readonly records: RecordBytes;
}

/** A message of the broker. */
export interface FetchStreamResponseInput {
  readonly partitions: readonly FetchPartitionDataInput[];
}

const writer = new ProtoWriter();
const names = new TopicNames(4096);

export function encodeFetchStreamRequest(request: FetchStreamRequest): Uint8Array[] {
  writer.begin();
  for (const partition of request.add) {
    const mark = writer.open(1);
    writer.topic(1, partition.topic, names);
    writer.int32(2, partition.partition);
    writer.uint(3, partition.offset);
    writer.sint(4, partition.leaderEpoch);
    writer.uint(5, partition.generation);
    writer.close(mark);
  }
  for (const partition of request.remove) {
    const mark = writer.open(2);
    writer.topic(1, partition.topic, names);
    writer.int32(2, partition.partition);
    writer.close(mark);
  }
  writer.uint(3, request.creditBytes);
  if (request.options !== undefined) {
    const mark = writer.open(4);
    writer.uint(1, request.options.maxMessageBytes);
    writer.uint(2, request.options.minBytes);
    writer.uint(3, request.options.maxWaitMs);
    writer.bool(4, request.options.readCommitted);
    writer.bool(5, request.options.fromFollower);
    writer.close(mark);
  }
  return writer.finish();
}

/** @throws LograftError SERIALIZATION_FAILED. */
export function decodeFetchStreamRequest(message: Buffer): FetchStreamRequest {
  const reader = new ProtoReader(message);
  const add: FetchPartition[] = [];
  const remove: TopicPartitionRef[] = [];
  let creditBytes = 0;
  let options: FetchOptions | undefined;
  for (let tag = reader.tag(); tag !== 0; tag = reader.tag()) {
    switch (tag) {
      case 10:
        add.push(readAdd(reader));
        break;
      case 18:
        remove.push(readRef(reader));
        break;
      case 24:
        creditBytes = reader.uint64();
        break;
      case 34:
        options = readOptions(reader, options);
        break;
      default:
        reader.skip(tag);
    }
  }
  return options === undefined ? { add, remove, creditBytes } : { add, remove, creditBytes, options };
}

/** The message as chunks, to be sent before the record buffers change. */
export function encodeFetchStreamResponse(response: FetchStreamResponseInput): Uint8Array[] {
  writer.begin();
  for (const data of response.partitions) {
    const mark = writer.open(1);
    writer.topic(1, data.topic, names);
    writer.int32(2, data.partition);
    writer.uint(3, data.generation);
    writer.int32(4, data.errorCode);
    writer.string(5, data.errorMessage);
    writer.uint(6, data.highWatermark);
    writer.uint(7, data.logStartOffset);
    writer.sint(8, data.leaderEpoch);
    // Field 10 before 9: the records come last, so that all before them is one chunk. Readers take any order.
    writer.sint(10, data.leaderId);
    writer.recordsHeader(9, data.records);
    writer.close(mark, data.records);
  }
  return writer.finish();
}

/** `records` are views of `message`. @throws LograftError SERIALIZATION_FAILED. */
export function decodeFetchStreamResponse(message: Buffer): FetchStreamResponse {
  const reader = new ProtoReader(message);
  const partitions: FetchPartitionData[] = [];
  for (let tag = reader.tag(); tag !== 0; tag = reader.tag()) {
    if (tag === 10) partitions.push(readData(reader));
    else reader.skip(tag);
  }
  return { partitions };
}

function readAdd(reader: ProtoReader): FetchPartition {
  const partition = { topic: "", partition: 0, offset: 0, leaderEpoch: 0, generation: 0 };
  const outerEnd = reader.enter();
  for (let tag = reader.tag(); tag !== 0; tag = reader.tag()) {
    switch (tag) {
      case 10:
        partition.topic = reader.topic(names);
        break;
      case 16:
        partition.partition = reader.int32();
        break;
      case 24:
        partition.offset = reader.uint64();
        break;
      case 32:
        partition.leaderEpoch = reader.sint32();
        break;
      case 40:
        partition.generation = reader.uint32();
        break;
      default:
        reader.skip(tag);
    }
  }
  reader.leave(outerEnd);
  return partition;
}

function readRef(reader: ProtoReader): TopicPartitionRef {
  const ref = { topic: "", partition: 0 };
  const outerEnd = reader.enter();
  for (let tag = reader.tag(); tag !== 0; tag = reader.tag()) {
    if (tag === 10) ref.topic = reader.topic(names);
    else if (tag === 16) ref.partition = reader.int32();
    else reader.skip(tag);
  }
  reader.leave(outerEnd);
  return ref;
}

const NO_OPTIONS: FetchOptions = {
  maxMessageBytes: 0,
  minBytes: 0,
  maxWaitMs: 0,
  readCommitted: false,
  fromFollower: false,
};

/** A message field that occurs twice is merged, by protobuf's rule, so the second begins with the first. */
function readOptions(reader: ProtoReader, before: FetchOptions | undefined): FetchOptions {
  const options = { ...NO_OPTIONS, ...before };
  const outerEnd = reader.enter();
  for (let tag = reader.tag(); tag !== 0; tag = reader.tag()) {
    switch (tag) {
      case 8:
        options.maxMessageBytes = reader.uint32();
        break;
      case 16:
        options.minBytes = reader.uint32();
        break;
      case 24:
        options.maxWaitMs = reader.uint32();
        break;
      case 32:
        options.readCommitted = reader.bool();
        break;
      case 40:
        options.fromFollower = reader.bool();
        break;
      default:
        reader.skip(tag);
    }
  }
  reader.leave(outerEnd);
  return options;
}

const NO_BYTES: Buffer = Buffer.alloc(0);

function readData(reader: ProtoReader): FetchPartitionData {
  const data = {
    topic: "",
    partition: 0,
    generation: 0,
    errorCode: 0,
    errorMessage: "",
    highWatermark: 0,
    logStartOffset: 0,
    leaderEpoch: 0,
    records: NO_BYTES,
    leaderId: 0,
  };
  const outerEnd = reader.enter();
  for (let tag = reader.tag(); tag !== 0; tag = reader.tag()) {
    switch (tag) {
      case 10:
        data.topic = reader.topic(names);
        break;
      case 16:
        data.partition = reader.int32();
        break;
      case 24:
        data.generation = reader.uint32();
        break;
      case 32:
        data.errorCode = reader.int32();
        break;
      case 42:
        data.errorMessage = reader.string();
        break;
      case 48:
        data.highWatermark = reader.uint64();
        break;
      case 56:
        data.logStartOffset = reader.uint64();
        break;
      case 64:
        data.leaderEpoch = reader.sint32();
        break;
      case 74:
        data.records = reader.bytes();
        break;
      case 80:
        data.leaderId = reader.sint32();
        break;
      default:
        reader.skip(tag);
    }
  }
  reader.leave(outerEnd);
  return data;
}
