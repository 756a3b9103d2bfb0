import { fileURLToPath } from "node:url";

import { Root, type Type } from "protobufjs";
import { expect, test } from "vitest";

import { loadProto, protoService, withPassThrough } from "../../src/rpc/load-proto.ts";
import * as client from "../../src/rpc/messages.ts";
import { ADMIN_MESSAGES, type Keys } from "./admin-message-keys.ts";
import { GROUP_MESSAGES } from "./group-message-keys.ts";

const protoRoot = new Root();
protoRoot.resolvePath = (_origin, target) => fileURLToPath(new URL(`../../proto/${target}`, import.meta.url));
const root = protoRoot.loadSync(["client", "admin", "group"].map((name) => `lograft/v1/${name}.proto`));

const errorInfo: Keys<client.ErrorInfo> = {
  errorCode: 1,
  errorName: 1,
  retriable: 1,
  leaderId: 1,
  context: 1,
};
const metadataRequest: Keys<client.MetadataRequest> = { topics: 1, allTopics: 1, allowAutoCreate: 1 };
const metadataResponse: Keys<client.MetadataResponse> = {
  clusterId: 1,
  controllerId: 1,
  brokers: 1,
  topics: 1,
  features: 1,
  maxBatchBytes: 1,
};
const brokerInfo: Keys<client.BrokerInfo> = { nodeId: 1, host: 1, port: 1, rack: 1 };
const topicMetadata: Keys<client.TopicMetadata> = {
  errorCode: 1,
  errorMessage: 1,
  name: 1,
  topicId: 1,
  isInternal: 1,
  partitions: 1,
  maxMessageBytes: 1,
};
const partitionMetadata: Keys<client.PartitionMetadata> = {
  errorCode: 1,
  partition: 1,
  leaderId: 1,
  leaderEpoch: 1,
  replicas: 1,
  isr: 1,
};
const produceRequest: Keys<client.ProduceRequest> = {
  correlationId: 1,
  acks: 1,
  timeoutMs: 1,
  partitions: 1,
};
const producePartition: Keys<client.ProducePartition> = {
  topic: 1,
  partition: 1,
  leaderEpoch: 1,
  records: 1,
};
const produceResponse: Keys<client.ProduceResponse> = {
  correlationId: 1,
  results: 1,
  windowBytes: 1,
  throttleTimeMs: 1,
};
const producePartitionResult: Keys<client.ProducePartitionResult> = {
  topic: 1,
  partition: 1,
  errorCode: 1,
  errorMessage: 1,
  baseOffset: 1,
  logAppendTimeMs: 1,
  logStartOffset: 1,
  leaderEpoch: 1,
  durability: 1,
  replicas: 1,
  duplicate: 1,
  leaderId: 1,
};
const initProducerResponse: Keys<client.InitProducerResponse> = { producerId: 1, producerEpoch: 1 };
const fetchStreamRequest: Keys<client.FetchStreamRequest> = { add: 1, remove: 1, creditBytes: 1, options: 1 };
const fetchOptions: Keys<client.FetchOptions> = {
  maxMessageBytes: 1,
  minBytes: 1,
  maxWaitMs: 1,
  readCommitted: 1,
  fromFollower: 1,
};
const fetchPartition: Keys<client.FetchPartition> = {
  topic: 1,
  partition: 1,
  offset: 1,
  leaderEpoch: 1,
  generation: 1,
};
const topicPartitionRef: Keys<client.TopicPartitionRef> = { topic: 1, partition: 1 };
const fetchStreamResponse: Keys<client.FetchStreamResponse> = { partitions: 1 };
const fetchPartitionData: Keys<client.FetchPartitionData> = {
  topic: 1,
  partition: 1,
  generation: 1,
  errorCode: 1,
  errorMessage: 1,
  highWatermark: 1,
  logStartOffset: 1,
  leaderEpoch: 1,
  records: 1,
  leaderId: 1,
};
const fetchRequest: Keys<client.FetchRequest> = {
  maxWaitMs: 1,
  minBytes: 1,
  maxBytes: 1,
  readCommitted: 1,
  partitions: 1,
  fromFollower: 1,
};
const fetchUnaryPartition: Keys<client.FetchUnaryPartition> = {
  topic: 1,
  partition: 1,
  offset: 1,
  leaderEpoch: 1,
  maxBytes: 1,
};
const fetchResponse: Keys<client.FetchResponse> = { partitions: 1, throttleTimeMs: 1 };
const listOffsetsRequest: Keys<client.ListOffsetsRequest> = { partitions: 1 };
const listOffsetsPartition: Keys<client.ListOffsetsPartition> = { topic: 1, partition: 1, timestampMs: 1 };
const listOffsetsResponse: Keys<client.ListOffsetsResponse> = { results: 1 };
const listOffsetsResult: Keys<client.ListOffsetsResult> = {
  topic: 1,
  partition: 1,
  errorCode: 1,
  errorMessage: 1,
  offset: 1,
  timestampMs: 1,
  leaderEpoch: 1,
};
const publishRequest: Keys<client.PublishRequest> = {
  correlationId: 1,
  topic: 1,
  partition: 1,
  records: 1,
  acks: 1,
  timeoutMs: 1,
};
const record: Keys<client.Record> = {
  key: 1,
  value: 1,
  headers: 1,
  timestampMs: 1,
  offset: 1,
  partition: 1,
  topic: 1,
};
const recordHeader: Keys<client.RecordHeader> = { key: 1, value: 1 };
const publishResponse: Keys<client.PublishResponse> = { correlationId: 1, results: 1 };
const publishResult: Keys<client.PublishResult> = {
  errorCode: 1,
  errorMessage: 1,
  partition: 1,
  offset: 1,
  leaderEpoch: 1,
  durability: 1,
  retriable: 1,
};
const subscribeRequest: Keys<client.SubscribeRequest> = {
  topic: 1,
  partitions: 1,
  offset: 1,
  timestampMs: 1,
  beginning: 1,
  end: 1,
  from: 1,
  maxRecords: 1,
  stopAtEnd: 1,
  maxMessageBytes: 1,
};
const subscribeResponse: Keys<client.SubscribeResponse> = { records: 1 };
const MESSAGES: Readonly<Record<string, object>> = {
  ErrorInfo: errorInfo,
  MetadataRequest: metadataRequest,
  MetadataResponse: metadataResponse,
  BrokerInfo: brokerInfo,
  TopicMetadata: topicMetadata,
  PartitionMetadata: partitionMetadata,
  ProduceRequest: produceRequest,
  ProducePartition: producePartition,
  ProduceResponse: produceResponse,
  ProducePartitionResult: producePartitionResult,
  InitProducerResponse: initProducerResponse,
  FetchStreamRequest: fetchStreamRequest,
  FetchOptions: fetchOptions,
  FetchPartition: fetchPartition,
  TopicPartitionRef: topicPartitionRef,
  FetchStreamResponse: fetchStreamResponse,
  FetchPartitionData: fetchPartitionData,
  FetchRequest: fetchRequest,
  FetchUnaryPartition: fetchUnaryPartition,
  FetchResponse: fetchResponse,
  ListOffsetsRequest: listOffsetsRequest,
  ListOffsetsPartition: listOffsetsPartition,
  ListOffsetsResponse: listOffsetsResponse,
  ListOffsetsResult: listOffsetsResult,
  PublishRequest: publishRequest,
  Record: record,
  RecordHeader: recordHeader,
  PublishResponse: publishResponse,
  PublishResult: publishResult,
  SubscribeRequest: subscribeRequest,
  SubscribeResponse: subscribeResponse,
  InitProducerRequest: {},
  ...ADMIN_MESSAGES,
  ...GROUP_MESSAGES,
};

/** Fields, and the names of real oneofs, as proto-loader gives them. */
function keysOf(type: Type): string[] {
  const oneofs = type.oneofsArray.filter((oneof) => !oneof.name.startsWith("_")).map((oneof) => oneof.name);
  return [...type.fieldsArray.map((field) => field.name), ...oneofs].sort();
}

test("the message types have the fields that proto/ declares, and no others", () => {
  const declared = root.lookup("lograft.v1");
  expect(declared).not.toBeNull();
  const types = Object.entries(MESSAGES);
  for (const [name, keys] of types) {
    expect(Object.keys(keys).sort(), name).toEqual(keysOf(root.lookupType(`lograft.v1.${name}`)));
  }
});

test("every message of proto/ has a type", () => {
  const declared = Object.keys(loadProto())
    .filter((name) => name.startsWith("lograft.v1."))
    .map((name) => name.slice("lograft.v1.".length))
    .filter((name) => !name.includes(".") && !name.endsWith("Service") && name !== "Durability");
  expect(declared.sort()).toEqual(Object.keys(MESSAGES).sort());
});

test("the durability levels are those of the enum", () => {
  const values = root.lookupEnum("lograft.v1.Durability").values;
  expect(
    Object.fromEntries(
      Object.entries(client.DURABILITY).map(([name, value]) => [`DURABILITY_${name}`, value]),
    ),
  ).toEqual(values);
});

test("services are found by name, and a missing one is named", () => {
  expect(Object.keys(protoService("lograft.v1.ClientService"))).toContain("Produce");
  expect(() => protoService("lograft.v1.Nothing")).toThrow(/lograft.v1.Nothing/);
});

test("pass-through methods hand bytes through, the others keep their codecs", () => {
  const service = protoService("lograft.v1.ClientService");
  const passing = withPassThrough(service, ["Produce", "ProduceUnary"]);
  const bytes = Buffer.from("x");
  expect(passing["Produce"]?.requestDeserialize(bytes)).toBe(bytes);
  expect(passing["ProduceUnary"]?.responseSerialize(bytes)).toBe(bytes);
  expect(passing["Metadata"]).toBe(service["Metadata"]);
  expect(() => withPassThrough(service, ["Nothing"])).toThrow(/Nothing/);
});

test("proto-loader gives numbers, buffers, defaults and absent optionals", () => {
  const method = protoService("lograft.v1.ClientService")["Publish"];
  const value = {
    correlationId: 2 ** 53 - 1,
    topic: "t",
    records: [{ value: Buffer.from("v"), headers: [] }],
  };
  const message = method?.requestDeserialize(
    method.requestSerialize(value),
  ) as unknown as client.PublishRequest;
  expect(message.correlationId).toBe(2 ** 53 - 1);
  expect(message.partition).toBeUndefined();
  expect(message.acks).toBeUndefined();
  expect(message.records[0]?.value).toEqual(Buffer.from("v"));
  expect(message.records[0]?.key).toBeUndefined();
  expect(message.timeoutMs).toBe(0);
});
