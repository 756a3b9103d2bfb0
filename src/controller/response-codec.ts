import { ByteReader, ByteWriter } from "../base/bytes.ts";
import type { PartitionImage } from "../metadata/image.ts";
import { ERROR_CODES, errorCodeOf, errorNameOf } from "../model/error-code.ts";
import { topicIdFromBytes, topicIdToBytes, UUID_BYTES } from "../model/ids.ts";
import type { NodeId } from "../model/ids.ts";
import { leaderEpoch } from "../model/offsets.ts";
import type { AlteredPartition } from "./alter-partitions.ts";
import {
  corrupt,
  expectVersion,
  readCount,
  readInt32Count,
  readList,
  readNodeId,
  readNodeIdOrNone,
  readOptional,
  readReplicaRef,
  writeList,
  writeOptional,
  writeReplicaRef,
} from "./codec-parts.ts";
import type { ElectionResult } from "./elections.ts";
import type { ReassignmentResult } from "./reassignments.ts";
import { readRequestType, REQUEST_IDS } from "./request-codec.ts";
import type { ControllerResponse, ControllerResults, RequestType, ResponseOf } from "./requests.ts";
import type { ItemOutcome } from "./result.ts";
import type { TopicResult } from "./topics.ts";
import type { QuorumReplica } from "./voter-control.ts";

/*
 * A controller's response: version u8, type u8 (of the request), offset i64, then the result of that type, written as in
 * `request-codec`; an outcome is an error code i16 and a text:
 *
 *   createTopics, deleteTopics   list of topic
 *   addPartitions, alterConfigs, createInternalTopic
 *                                topic: name, topicId 16, partitions i32, replicationFactor i32, outcome
 *   allocateProducerIds          first i64, end i64
 *   electLeaders                 list of (topic, partition i32, leaderId i32, outcome)
 *   updateFeature                name, level i32, min i32, max i32
 *   describeQuorum               leaderId i32, epoch i64, commitOffset i64, list of (nodeId i32, directoryId, endpoint,
 *                                isVoter u8, logEndOffset i64, isActive u8, isCaughtUp u8)
 *   alterPartitions              list of (topicId 16, partition i32, outcome, state?), where a state is: leader i32,
 *                                leaderEpoch i32, partitionEpoch i32, lists of nodeIds i32: replicas, isr, elr, lastKnownElr,
 *                                addingReplicas, removingReplicas
 *   reassignPartitions, cancelReassignments   list of (topic, partition i32, outcome)
 *   reportDamage                 list of (topicId 16, partition i32, outcome)
 *   drainBroker                  movedLeaders i64, ledPartitions i64
 *   the others                   nothing
 */
const VERSION = 1;

export function encodeControllerResponse(response: ControllerResponse): Buffer {
  const out = new ByteWriter(256);
  out.uint8(VERSION);
  out.uint8(REQUEST_IDS[response.type]);
  out.int64(response.offset);
  writeResult(out, response.type, response);
  return out.view();
}

/** @throws ProtocolError or LograftError CORRUPT_MESSAGE when the bytes are not a response. */
export function decodeControllerResponse(bytes: Uint8Array): ControllerResponse {
  const reader = new ByteReader(bytes);
  expectVersion(reader, VERSION, "response");
  const response = readResponse(reader, readRequestType(reader), readCount(reader));
  reader.expectEnd();
  return response;
}

type Codecs = {
  readonly [Type in RequestType]: {
    write(out: ByteWriter, result: ControllerResults[Type]): void;
    read(reader: ByteReader): ControllerResults[Type];
  };
};

function writeResult<Type extends RequestType>(
  out: ByteWriter,
  type: Type,
  { result }: { readonly result: ControllerResults[Type] },
): void {
  CODECS[type].write(out, result);
}

function readResponse<Type extends RequestType>(
  reader: ByteReader,
  type: Type,
  offset: number,
): ResponseOf<RequestType> {
  // One entry of the table reads and writes one type, which the compiler does not follow through the union.
  return { type, offset, result: CODECS[type].read(reader) } as ControllerResponse;
}

const NOTHING = { write: () => undefined, read: () => null };
const TOPIC = { write: writeTopic, read: readTopic };
const TOPICS = {
  write: (out: ByteWriter, topics: readonly TopicResult[]): void =>
    writeList(out, topics, (topic) => writeTopic(out, topic)),
  read: (reader: ByteReader): TopicResult[] => readList(reader, () => readTopic(reader)),
};

const REASSIGNMENTS = {
  write: (out: ByteWriter, results: readonly ReassignmentResult[]): void =>
    writeList(out, results, (result) => {
      out.sizedUtf8(result.topic);
      out.int32(result.partition);
      writeOutcome(out, result);
    }),
  read: (reader: ByteReader): ReassignmentResult[] =>
    readList(reader, () => ({
      topic: reader.sizedUtf8(),
      partition: readInt32Count(reader),
      ...readOutcome(reader),
    })),
};

const CODECS: Codecs = {
  createTopics: TOPICS,
  createInternalTopic: TOPIC,
  deleteTopics: TOPICS,
  addPartitions: TOPIC,
  alterConfigs: TOPIC,
  allocateProducerIds: {
    write: (out, { first, end }) => {
      out.int64(first);
      out.int64(end);
    },
    read: (reader) => ({ first: readCount(reader), end: readCount(reader) }),
  },
  electLeaders: {
    write: (out, results) => writeList(out, results, (result) => writeElection(out, result)),
    read: (reader) => readList(reader, () => readElection(reader)),
  },
  addVoter: NOTHING,
  removeVoter: NOTHING,
  unregisterBroker: NOTHING,
  updateFeature: {
    write: (out, { name, level, min, max }) => {
      out.sizedUtf8(name);
      for (const value of [level, min, max]) out.int32(value);
    },
    read: (reader) => ({
      name: reader.sizedUtf8(),
      level: reader.int32(),
      min: reader.int32(),
      max: reader.int32(),
    }),
  },
  describeQuorum: {
    write: (out, { leaderId, epoch, commitOffset, replicas }) => {
      out.int32(leaderId);
      out.int64(epoch);
      out.int64(commitOffset);
      writeList(out, replicas, (replica) => writeReplica(out, replica));
    },
    read: (reader) => ({
      leaderId: readNodeId(reader),
      epoch: readCount(reader),
      commitOffset: readCount(reader),
      replicas: readList(reader, () => readReplica(reader)),
    }),
  },
  alterPartitions: {
    write: (out, results) => writeList(out, results, (result) => writeAltered(out, result)),
    read: (reader) => readList(reader, () => readAltered(reader)),
  },
  reportDamage: {
    write: (out, results) =>
      writeList(out, results, (result) => {
        writeReplicaRef(out, result);
        writeOutcome(out, result);
      }),
    read: (reader) => readList(reader, () => ({ ...readReplicaRef(reader), ...readOutcome(reader) })),
  },
  reassignPartitions: REASSIGNMENTS,
  cancelReassignments: REASSIGNMENTS,
  drainBroker: {
    write: (out, { movedLeaders, ledPartitions }) => {
      out.int64(movedLeaders);
      out.int64(ledPartitions);
    },
    read: (reader) => ({ movedLeaders: readCount(reader), ledPartitions: readCount(reader) }),
  },
};

function writeTopic(out: ByteWriter, topic: TopicResult): void {
  out.sizedUtf8(topic.name);
  out.bytes(topicIdToBytes(topic.topicId));
  out.int32(topic.partitions);
  out.int32(topic.replicationFactor);
  writeOutcome(out, topic);
}

function readTopic(reader: ByteReader): TopicResult {
  return {
    name: reader.sizedUtf8(),
    topicId: topicIdFromBytes(reader.bytes(UUID_BYTES)),
    partitions: reader.int32(),
    replicationFactor: reader.int32(),
    ...readOutcome(reader),
  };
}

function writeElection(out: ByteWriter, result: ElectionResult): void {
  out.sizedUtf8(result.topic);
  out.int32(result.partition);
  out.int32(result.leaderId);
  writeOutcome(out, result);
}

function readElection(reader: ByteReader): ElectionResult {
  return {
    topic: reader.sizedUtf8(),
    partition: reader.int32(),
    leaderId: readNodeIdOrNone(reader),
    ...readOutcome(reader),
  };
}

function writeReplica(out: ByteWriter, replica: QuorumReplica): void {
  out.int32(replica.nodeId);
  out.sizedUtf8(replica.directoryId);
  out.sizedUtf8(replica.endpoint);
  out.bool(replica.isVoter);
  out.int64(replica.logEndOffset);
  out.bool(replica.isActive);
  out.bool(replica.isCaughtUp);
}

function readReplica(reader: ByteReader): QuorumReplica {
  return {
    nodeId: readNodeId(reader),
    directoryId: reader.sizedUtf8(),
    endpoint: reader.sizedUtf8(),
    isVoter: reader.bool(),
    logEndOffset: readCount(reader),
    isActive: reader.bool(),
    isCaughtUp: reader.bool(),
  };
}

function writeAltered(out: ByteWriter, result: AlteredPartition): void {
  writeReplicaRef(out, result);
  writeOutcome(out, result);
  writeOptional(out, result.state, (state) => writePartition(out, state));
}

function readAltered(reader: ByteReader): AlteredPartition {
  return {
    ...readReplicaRef(reader),
    ...readOutcome(reader),
    state: readOptional(reader, () => readPartition(reader)),
  };
}

function writePartition(out: ByteWriter, state: PartitionImage): void {
  out.int32(state.leader);
  out.int32(state.leaderEpoch);
  out.int32(state.partitionEpoch);
  const { replicas, isr, elr, lastKnownElr, addingReplicas, removingReplicas } = state;
  for (const nodes of [replicas, isr, elr, lastKnownElr, addingReplicas, removingReplicas]) {
    writeList(out, nodes, (node) => out.int32(node));
  }
}

function readPartition(reader: ByteReader): PartitionImage {
  const nodes = (): NodeId[] => readList(reader, () => readNodeId(reader));
  return {
    leader: readNodeIdOrNone(reader),
    leaderEpoch: leaderEpoch(readInt32Count(reader)),
    partitionEpoch: readInt32Count(reader),
    replicas: nodes(),
    isr: nodes(),
    elr: nodes(),
    lastKnownElr: nodes(),
    addingReplicas: nodes(),
    removingReplicas: nodes(),
  };
}

function writeOutcome(out: ByteWriter, { error, errorMessage }: ItemOutcome): void {
  out.int16(errorCodeOf(error));
  out.sizedUtf8(errorMessage);
}

function readOutcome(reader: ByteReader): ItemOutcome {
  const code = reader.int16();
  const error = errorNameOf(code);
  // `errorNameOf` names what it does not know; between two brokers of one release there is no such code.
  if (ERROR_CODES[error] !== code) throw corrupt(`${code} is no error code`, { code });
  return { error, errorMessage: reader.sizedUtf8() };
}
