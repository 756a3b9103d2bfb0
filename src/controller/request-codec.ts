import { ByteReader, ByteWriter } from "../base/bytes.ts";
import { leaderEpoch } from "../model/offsets.ts";
import type { ProposedIsr } from "./alter-partitions.ts";
import {
  corrupt,
  expectVersion,
  readCount,
  readCountOrNone,
  readInt32Count,
  readList,
  readNodeId,
  readOptional,
  readReplicaRef,
  readTextMap,
  writeList,
  writeOptional,
  writeReplicaRef,
  writeTextMap,
} from "./codec-parts.ts";
import type { NamedPartition } from "./reassignments.ts";
import type { ControllerRequest, RequestOf, RequestType } from "./requests.ts";
import type { NewTopic } from "./topics.ts";

/*
 * A request to the controller: version u8, type u8, then the fields of that type (integers big-endian; text, lists and
 * maps behind an unsigned varint that counts them; "?" behind a byte that tells whether it is there):
 *
 *    1 createTopics         topics list of (name, partitions i32, replicationFactor i32, configs map), validateOnly u8
 *    2 deleteTopics         names list
 *    3 addPartitions        name, totalPartitions i32, validateOnly u8
 *    4 alterConfigs         name, set map, unset list, validateOnly u8
 *    5 allocateProducerIds  nodeId i32, brokerEpoch i64
 *    6 electLeaders         topics? list
 *    7 addVoter             nodeId i32
 *    8 removeVoter          nodeId i32, directoryId?
 *    9 unregisterBroker     nodeId i32
 *   10 updateFeature        name, level i32, isDryRun u8
 *   11 describeQuorum
 *   12 alterPartitions      nodeId i32, brokerEpoch i64, list of (topicId 16, partition i32, leaderEpoch i32,
 *                           partitionEpoch i32, isr list of (nodeId i32, brokerEpoch i64))
 *   13 reassignPartitions   list of (topic, partition i32, replicas list of nodeId i32), validateOnly u8
 *   14 cancelReassignments  partitions? list of (topic, partition i32)
 *   15 drainBroker          nodeId i32, isDrained u8
 *   16 reportDamage         nodeId i32, brokerEpoch i64, list of (topicId 16, partition i32)
 *   17 createInternalTopic  as a topic of createTopics
 */
const VERSION = 1;

/** The type byte, in requests and in their responses. */
export const REQUEST_IDS = {
  createTopics: 1,
  deleteTopics: 2,
  addPartitions: 3,
  alterConfigs: 4,
  allocateProducerIds: 5,
  electLeaders: 6,
  addVoter: 7,
  removeVoter: 8,
  unregisterBroker: 9,
  updateFeature: 10,
  describeQuorum: 11,
  alterPartitions: 12,
  reassignPartitions: 13,
  cancelReassignments: 14,
  drainBroker: 15,
  reportDamage: 16,
  createInternalTopic: 17,
} as const satisfies Readonly<Record<RequestType, number>>;

const TYPES: ReadonlyMap<number, RequestType> = new Map(
  (Object.keys(REQUEST_IDS) as RequestType[]).map((type) => [REQUEST_IDS[type], type]),
);

/** The type of a type byte. @throws ProtocolError CORRUPT_MESSAGE for one that is not in the list. */
export function readRequestType(reader: ByteReader): RequestType {
  const id = reader.uint8();
  const type = TYPES.get(id);
  if (type === undefined) throw corrupt(`${id} is no request to a controller`, { id });
  return type;
}

export function encodeControllerRequest(request: ControllerRequest): Buffer {
  const out = new ByteWriter(256);
  out.uint8(VERSION);
  out.uint8(REQUEST_IDS[request.type]);
  writeFields(out, request.type, request);
  return out.view();
}

/** @throws ProtocolError or LograftError CORRUPT_MESSAGE when the bytes are not a request. */
export function decodeControllerRequest(bytes: Uint8Array): ControllerRequest {
  const reader = new ByteReader(bytes);
  expectVersion(reader, VERSION, "request");
  const request = CODECS[readRequestType(reader)].read(reader);
  reader.expectEnd();
  return request;
}

function writeFields<Type extends RequestType>(out: ByteWriter, type: Type, request: RequestOf<Type>): void {
  CODECS[type].write(out, request);
}

type Codecs = {
  readonly [Type in RequestType]: {
    write(out: ByteWriter, request: RequestOf<Type>): void;
    read(reader: ByteReader): RequestOf<Type>;
  };
};

const CODECS: Codecs = {
  createTopics: {
    write: (out, { topics, validateOnly }) => {
      writeList(out, topics, (topic) => writeNewTopic(out, topic));
      out.bool(validateOnly);
    },
    read: (reader) => ({
      type: "createTopics",
      topics: readList(reader, () => readNewTopic(reader)),
      validateOnly: reader.bool(),
    }),
  },
  createInternalTopic: {
    write: (out, topic) => writeNewTopic(out, topic),
    read: (reader) => ({ type: "createInternalTopic", ...readNewTopic(reader) }),
  },
  deleteTopics: {
    write: (out, { names }) => writeTexts(out, names),
    read: (reader) => ({ type: "deleteTopics", names: readTexts(reader) }),
  },
  addPartitions: {
    write: (out, { name, totalPartitions, validateOnly }) => {
      out.sizedUtf8(name);
      out.int32(totalPartitions);
      out.bool(validateOnly);
    },
    read: (reader) => ({
      type: "addPartitions",
      name: reader.sizedUtf8(),
      totalPartitions: reader.int32(),
      validateOnly: reader.bool(),
    }),
  },
  alterConfigs: {
    write: (out, { name, set, unset, validateOnly }) => {
      out.sizedUtf8(name);
      writeTextMap(out, set);
      writeTexts(out, unset);
      out.bool(validateOnly);
    },
    read: (reader) => ({
      type: "alterConfigs",
      name: reader.sizedUtf8(),
      set: readTextMap(reader),
      unset: readTexts(reader),
      validateOnly: reader.bool(),
    }),
  },
  allocateProducerIds: {
    write: (out, { nodeId, brokerEpoch }) => {
      out.int32(nodeId);
      out.int64(brokerEpoch);
    },
    read: (reader) => ({
      type: "allocateProducerIds",
      nodeId: readNodeId(reader),
      brokerEpoch: readCount(reader),
    }),
  },
  electLeaders: {
    write: (out, { topics }) => writeOptional(out, topics, (names) => writeTexts(out, names)),
    read: (reader) => ({ type: "electLeaders", topics: readOptional(reader, () => readTexts(reader)) }),
  },
  addVoter: {
    write: (out, { nodeId }) => out.int32(nodeId),
    read: (reader) => ({ type: "addVoter", nodeId: readNodeId(reader) }),
  },
  removeVoter: {
    write: (out, { nodeId, directoryId }) => {
      out.int32(nodeId);
      writeOptional(out, directoryId, (id) => out.sizedUtf8(id));
    },
    read: (reader) => ({
      type: "removeVoter",
      nodeId: readNodeId(reader),
      directoryId: readOptional(reader, () => reader.sizedUtf8()),
    }),
  },
  unregisterBroker: {
    write: (out, { nodeId }) => out.int32(nodeId),
    read: (reader) => ({ type: "unregisterBroker", nodeId: readNodeId(reader) }),
  },
  updateFeature: {
    write: (out, { name, level, isDryRun }) => {
      out.sizedUtf8(name);
      out.int32(level);
      out.bool(isDryRun);
    },
    read: (reader) => ({
      type: "updateFeature",
      name: reader.sizedUtf8(),
      level: reader.int32(),
      isDryRun: reader.bool(),
    }),
  },
  describeQuorum: {
    write: () => undefined,
    read: () => ({ type: "describeQuorum" }),
  },
  alterPartitions: {
    write: (out, { nodeId, brokerEpoch, partitions }) => {
      out.int32(nodeId);
      out.int64(brokerEpoch);
      writeList(out, partitions, (partition) => writeProposedIsr(out, partition));
    },
    read: (reader) => ({
      type: "alterPartitions",
      nodeId: readNodeId(reader),
      brokerEpoch: readCount(reader),
      partitions: readList(reader, () => readProposedIsr(reader)),
    }),
  },
  reassignPartitions: {
    write: (out, { partitions, validateOnly }) => {
      writeList(out, partitions, (wanted) => {
        writePartitionName(out, wanted);
        writeList(out, wanted.replicas, (node) => out.int32(node));
      });
      out.bool(validateOnly);
    },
    read: (reader) => ({
      type: "reassignPartitions",
      partitions: readList(reader, () => ({
        ...readPartitionName(reader),
        replicas: readList(reader, () => readNodeId(reader)),
      })),
      validateOnly: reader.bool(),
    }),
  },
  cancelReassignments: {
    write: (out, { partitions }) =>
      writeOptional(out, partitions, (names) =>
        writeList(out, names, (name) => writePartitionName(out, name)),
      ),
    read: (reader) => ({
      type: "cancelReassignments",
      partitions: readOptional(reader, () => readList(reader, () => readPartitionName(reader))),
    }),
  },
  drainBroker: {
    write: (out, { nodeId, isDrained }) => {
      out.int32(nodeId);
      out.bool(isDrained);
    },
    read: (reader) => ({ type: "drainBroker", nodeId: readNodeId(reader), isDrained: reader.bool() }),
  },
  reportDamage: {
    write: (out, { nodeId, brokerEpoch, partitions }) => {
      out.int32(nodeId);
      out.int64(brokerEpoch);
      writeList(out, partitions, (replica) => writeReplicaRef(out, replica));
    },
    read: (reader) => ({
      type: "reportDamage",
      nodeId: readNodeId(reader),
      brokerEpoch: readCount(reader),
      partitions: readList(reader, () => readReplicaRef(reader)),
    }),
  },
};

function writePartitionName(out: ByteWriter, { topic, partition }: NamedPartition): void {
  out.sizedUtf8(topic);
  out.int32(partition);
}

function readPartitionName(reader: ByteReader): NamedPartition {
  return { topic: reader.sizedUtf8(), partition: readInt32Count(reader) };
}

function writeNewTopic(out: ByteWriter, topic: NewTopic): void {
  out.sizedUtf8(topic.name);
  out.int32(topic.partitions);
  out.int32(topic.replicationFactor);
  writeTextMap(out, topic.configs);
}

function readNewTopic(reader: ByteReader): NewTopic {
  return {
    name: reader.sizedUtf8(),
    partitions: reader.int32(),
    replicationFactor: reader.int32(),
    configs: readTextMap(reader),
  };
}

function writeProposedIsr(out: ByteWriter, proposed: ProposedIsr): void {
  writeReplicaRef(out, proposed);
  out.int32(proposed.leaderEpoch);
  out.int32(proposed.partitionEpoch);
  writeList(out, proposed.isr, ({ nodeId, brokerEpoch }) => {
    out.int32(nodeId);
    out.int64(brokerEpoch);
  });
}

function readProposedIsr(reader: ByteReader): ProposedIsr {
  return {
    ...readReplicaRef(reader),
    leaderEpoch: leaderEpoch(readInt32Count(reader)),
    partitionEpoch: readInt32Count(reader),
    isr: readList(reader, () => ({ nodeId: readNodeId(reader), brokerEpoch: readCountOrNone(reader) })),
  };
}

function writeTexts(out: ByteWriter, texts: readonly string[]): void {
  writeList(out, texts, (text) => out.sizedUtf8(text));
}

function readTexts(reader: ByteReader): string[] {
  return readList(reader, () => reader.sizedUtf8());
}
