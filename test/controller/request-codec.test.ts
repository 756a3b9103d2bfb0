import * as fc from "fast-check";
import { expect, test } from "vitest";
import {
  decodeControllerRequest,
  encodeControllerRequest,
  REQUEST_IDS,
} from "../../src/controller/request-codec.ts";
import type { ControllerRequest, RequestOf, RequestType } from "../../src/controller/requests.ts";
import { NO_BROKER_EPOCH, nodeId } from "../../src/model/ids.ts";
import { leaderEpoch } from "../../src/model/offsets.ts";
import { topicIdOf } from "../metadata/arbitrary-history.ts";
import {
  checkCodec,
  counts,
  decodesOrRefuses,
  int32Counts,
  int32s,
  nodeIds,
  textMaps,
  texts,
  topicIds,
} from "./codec-bench.ts";

const newTopics = fc.record({
  name: texts,
  partitions: int32s,
  replicationFactor: int32s,
  configs: textMaps,
});

/** One generator for each type, so that a new type without one does not compile. */
const REQUESTS: { readonly [Type in RequestType]: fc.Arbitrary<RequestOf<Type>> } = {
  createTopics: fc.record({
    type: fc.constant("createTopics"),
    topics: fc.array(newTopics, { maxLength: 4 }),
    validateOnly: fc.boolean(),
  }),
  createInternalTopic: newTopics.map((topic) => ({ type: "createInternalTopic" as const, ...topic })),
  deleteTopics: fc.record({ type: fc.constant("deleteTopics"), names: fc.array(texts, { maxLength: 4 }) }),
  addPartitions: fc.record({
    type: fc.constant("addPartitions"),
    name: texts,
    totalPartitions: int32s,
    validateOnly: fc.boolean(),
  }),
  alterConfigs: fc.record({
    type: fc.constant("alterConfigs"),
    name: texts,
    set: textMaps,
    unset: fc.array(texts, { maxLength: 4 }),
    validateOnly: fc.boolean(),
  }),
  allocateProducerIds: fc.record({
    type: fc.constant("allocateProducerIds"),
    nodeId: nodeIds,
    brokerEpoch: counts,
  }),
  electLeaders: fc.record({
    type: fc.constant("electLeaders"),
    topics: fc.option(fc.array(texts, { maxLength: 4 }), { nil: undefined }),
  }),
  addVoter: fc.record({ type: fc.constant("addVoter"), nodeId: nodeIds }),
  removeVoter: fc.record({
    type: fc.constant("removeVoter"),
    nodeId: nodeIds,
    directoryId: fc.option(texts, { nil: undefined }),
  }),
  unregisterBroker: fc.record({ type: fc.constant("unregisterBroker"), nodeId: nodeIds }),
  updateFeature: fc.record({
    type: fc.constant("updateFeature"),
    name: texts,
    level: int32s,
    isDryRun: fc.boolean(),
  }),
  describeQuorum: fc.constant({ type: "describeQuorum" }),
  alterPartitions: fc.record({
    type: fc.constant("alterPartitions"),
    nodeId: nodeIds,
    brokerEpoch: counts,
    partitions: fc.array(
      fc.record({
        topicId: topicIds,
        partition: int32Counts,
        leaderEpoch: int32Counts.map(leaderEpoch),
        partitionEpoch: int32Counts,
        isr: fc.array(
          fc.record({ nodeId: nodeIds, brokerEpoch: fc.oneof(counts, fc.constant(NO_BROKER_EPOCH)) }),
          { maxLength: 3 },
        ),
      }),
      { maxLength: 3 },
    ),
  }),
  reportDamage: fc.record({
    type: fc.constant("reportDamage"),
    nodeId: nodeIds,
    brokerEpoch: counts,
    partitions: fc.array(fc.record({ topicId: topicIds, partition: int32Counts }), { maxLength: 3 }),
  }),
  reassignPartitions: fc.record({
    type: fc.constant("reassignPartitions"),
    partitions: fc.array(
      fc.record({ topic: texts, partition: int32Counts, replicas: fc.array(nodeIds, { maxLength: 3 }) }),
      { maxLength: 3 },
    ),
    validateOnly: fc.boolean(),
  }),
  cancelReassignments: fc.record({
    type: fc.constant("cancelReassignments"),
    partitions: fc.option(fc.array(fc.record({ topic: texts, partition: int32Counts }), { maxLength: 3 }), {
      nil: undefined,
    }),
  }),
  drainBroker: fc.record({ type: fc.constant("drainBroker"), nodeId: nodeIds, isDrained: fc.boolean() }),
};

const anyRequest: fc.Arbitrary<ControllerRequest> = fc.oneof(...Object.values(REQUESTS));

test("requests come back as they were, and nothing but requests is taken", () => {
  checkCodec(anyRequest, encodeControllerRequest, decodeControllerRequest);
});

test("each type has a byte of its own", () => {
  expect(new Set(Object.values(REQUEST_IDS)).size).toBe(Object.keys(REQUESTS).length);
});

test("the bytes of a request stay what they are", () => {
  const request = { type: "removeVoter", nodeId: nodeId(3), directoryId: "ab" } as const;
  expect(encodeControllerRequest(request).toString("hex")).toBe("010800000003" + "01026162");
});

test("no epoch and no partition is negative", () => {
  const proposed = {
    topicId: topicIdOf(1),
    partition: 0,
    leaderEpoch: leaderEpoch(0),
    partitionEpoch: 0,
    isr: [{ nodeId: nodeId(1), brokerEpoch: 0 }],
  };
  const bytes = encodeControllerRequest({
    type: "alterPartitions",
    nodeId: nodeId(1),
    brokerEpoch: 0,
    partitions: [proposed],
  });
  const isTaken = (at: number, value: number): boolean => {
    const changed = Buffer.from(bytes);
    changed.writeInt32BE(value, at);
    return decodesOrRefuses(decodeControllerRequest, changed);
  };
  const [partition, leader, partitionEpoch] = [31, 35, 39];
  for (const at of [partition, leader, partitionEpoch]) {
    expect(isTaken(at, 7), `at ${at}`).toBe(true);
    expect(isTaken(at, -1), `at ${at}`).toBe(false);
  }
  const unknown = Buffer.from(bytes);
  unknown.writeBigInt64BE(-1n, bytes.length - 8);
  expect(decodesOrRefuses(decodeControllerRequest, unknown)).toBe(true);
  unknown.writeBigInt64BE(-2n, bytes.length - 8);
  expect(decodesOrRefuses(decodeControllerRequest, unknown)).toBe(false);
});

test("another version, an unknown type and a repeated key are refused", () => {
  expect(() => decodeControllerRequest(Buffer.from([2, 11]))).toThrow("version 2");
  expect(() => decodeControllerRequest(Buffer.from([1, 200]))).toThrow("200 is no request");
  const twice = Buffer.from([1, 4, 1, 0x61, 2, 1, 0x62, 0, 1, 0x62, 0, 0, 0]);
  expect(() => decodeControllerRequest(twice)).toThrow("twice");
});

test("a count far beyond the bytes is refused without room being made for it", () => {
  const names = Buffer.from([1, 2, 0xff, 0xff, 0xff, 0xff, 0x0f]);
  expect(decodesOrRefuses(decodeControllerRequest, names)).toBe(false);
});
