import type {
  ProducePartition,
  ProducePartitionResult,
  ProduceRequest,
  ProduceResponse,
} from "./messages.ts";
import { ProtoReader } from "./proto-wire.ts";
import { ProtoWriter, type RecordBytes } from "./proto-writer.ts";
import { TopicNames } from "./topic-names.ts";

/*
 * ProduceRequest and ProduceResponse of client.proto, written by hand because they are the hot path: record bytes are
 * views on the way in and the caller's own buffers on the way out. Tags are (field number * 8 + wire type).
 */

/** A partition of a request to send; its records may be several buffers. */
export interface ProducePartitionInput extends Omit<ProducePartition, "records"> {
  readonly records: RecordBytes;
}

/** A request to send. */
export interface ProduceRequestInput extends Omit<ProduceRequest, "partitions"> {
  readonly partitions: readonly ProducePartitionInput[];
}

const writer = new ProtoWriter();
const names = new TopicNames(4096);

/** The message as chunks, to be sent before the record buffers change. */
export function encodeProduceRequest(request: ProduceRequestInput): Uint8Array[] {
  writer.begin();
  writer.uint(1, request.correlationId);
  writer.sint(2, request.acks);
  writer.uint(3, request.timeoutMs);
  for (const partition of request.partitions) {
    const mark = writer.open(4);
    writer.topic(1, partition.topic, names);
    writer.int32(2, partition.partition);
    writer.sint(3, partition.leaderEpoch);
    writer.recordsHeader(4, partition.records);
    writer.close(mark, partition.records);
  }
  return writer.finish();
}

/** `records` are views of `message`. @throws LograftError SERIALIZATION_FAILED. */
export function decodeProduceRequest(message: Buffer): ProduceRequest {
  const reader = new ProtoReader(message);
  const partitions: ProducePartition[] = [];
  const request = { correlationId: 0, acks: 0, timeoutMs: 0, partitions };
  for (let tag = reader.tag(); tag !== 0; tag = reader.tag()) {
    switch (tag) {
      case 8:
        request.correlationId = reader.uint64();
        break;
      case 16:
        request.acks = reader.sint32();
        break;
      case 24:
        request.timeoutMs = reader.uint32();
        break;
      case 34:
        partitions.push(readPartition(reader));
        break;
      default:
        reader.skip(tag);
    }
  }
  return request;
}

export function encodeProduceResponse(response: ProduceResponse): Uint8Array[] {
  writer.begin();
  writer.uint(1, response.correlationId);
  for (const result of response.results) writeResult(result);
  writer.uint(3, response.windowBytes);
  writer.uint(4, response.throttleTimeMs);
  return writer.finish();
}

/** @throws LograftError SERIALIZATION_FAILED. */
export function decodeProduceResponse(message: Buffer): ProduceResponse {
  const reader = new ProtoReader(message);
  const results: ProducePartitionResult[] = [];
  const response = { correlationId: 0, results, windowBytes: 0, throttleTimeMs: 0 };
  for (let tag = reader.tag(); tag !== 0; tag = reader.tag()) {
    switch (tag) {
      case 8:
        response.correlationId = reader.uint64();
        break;
      case 18:
        results.push(readResult(reader));
        break;
      case 24:
        response.windowBytes = reader.uint64();
        break;
      case 32:
        response.throttleTimeMs = reader.uint32();
        break;
      default:
        reader.skip(tag);
    }
  }
  return response;
}

const NO_BYTES: Buffer = Buffer.alloc(0);

function readPartition(reader: ProtoReader): ProducePartition {
  const partition = { topic: "", partition: 0, leaderEpoch: 0, records: NO_BYTES };
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
        partition.leaderEpoch = reader.sint32();
        break;
      case 34:
        partition.records = reader.bytes();
        break;
      default:
        reader.skip(tag);
    }
  }
  reader.leave(outerEnd);
  return partition;
}

function writeResult(result: ProducePartitionResult): void {
  const mark = writer.open(2);
  writer.topic(1, result.topic, names);
  writer.int32(2, result.partition);
  writer.int32(3, result.errorCode);
  writer.string(4, result.errorMessage);
  writer.sint(5, result.baseOffset);
  writer.sint(6, result.logAppendTimeMs);
  writer.uint(7, result.logStartOffset);
  writer.sint(8, result.leaderEpoch);
  writer.int32(9, result.durability);
  writer.uint(10, result.replicas);
  writer.bool(11, result.duplicate);
  writer.sint(12, result.leaderId);
  writer.close(mark);
}

function readResult(reader: ProtoReader): ProducePartitionResult {
  const result = {
    topic: "",
    partition: 0,
    errorCode: 0,
    errorMessage: "",
    baseOffset: 0,
    logAppendTimeMs: 0,
    logStartOffset: 0,
    leaderEpoch: 0,
    durability: 0,
    replicas: 0,
    duplicate: false,
    leaderId: 0,
  };
  const outerEnd = reader.enter();
  for (let tag = reader.tag(); tag !== 0; tag = reader.tag()) {
    switch (tag) {
      case 10:
        result.topic = reader.topic(names);
        break;
      case 16:
        result.partition = reader.int32();
        break;
      case 24:
        result.errorCode = reader.int32();
        break;
      case 34:
        result.errorMessage = reader.string();
        break;
      case 40:
        result.baseOffset = reader.sint64();
        break;
      case 48:
        result.logAppendTimeMs = reader.sint64();
        break;
      case 56:
        result.logStartOffset = reader.uint64();
        break;
      case 64:
        result.leaderEpoch = reader.sint32();
        break;
      case 72:
        result.durability = reader.int32();
        break;
      case 80:
        result.replicas = reader.uint32();
        break;
      case 88:
        result.duplicate = reader.bool();
        break;
      case 96:
        result.leaderId = reader.sint32();
        break;
      default:
        reader.skip(tag);
    }
  }
  reader.leave(outerEnd);
  return result;
}
