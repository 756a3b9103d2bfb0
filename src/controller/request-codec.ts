import { ByteReader, ByteWriter } from "../base/bytes.ts";
import {
  corrupt,
  expectVersion,
  readCount,
  readList,
  readNodeId,
  readOptional,
  readTextMap,
  writeList,
  writeOptional,
  writeTextMap,
} from "./codec-parts.ts";
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
};

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

function writeTexts(out: ByteWriter, texts: readonly string[]): void {
  writeList(out, texts, (text) => out.sizedUtf8(text));
}

function readTexts(reader: ByteReader): string[] {
  return readList(reader, () => reader.sizedUtf8());
}
