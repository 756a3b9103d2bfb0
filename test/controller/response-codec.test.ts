import * as fc from "fast-check";
import { expect, test } from "vitest";
import { responseTo } from "../../src/controller/requests.ts";
import type { ControllerResponse, ControllerResults, RequestType } from "../../src/controller/requests.ts";
import { decodeControllerResponse, encodeControllerResponse } from "../../src/controller/response-codec.ts";
import { NO_NODE, nodeId } from "../../src/model/ids.ts";
import { leaderEpoch } from "../../src/model/offsets.ts";
import {
  checkCodec,
  counts,
  int32Counts,
  int32s,
  nodeIds,
  outcomes,
  texts,
  topicIds,
} from "./codec-bench.ts";

const topicResults = fc
  .tuple(
    fc.record({ name: texts, topicId: topicIds, partitions: int32s, replicationFactor: int32s }),
    outcomes,
  )
  .map(([shape, outcome]) => ({ ...shape, ...outcome }));

const electionResults = fc
  .tuple(
    fc.record({ topic: texts, partition: int32s, leaderId: fc.oneof(nodeIds, fc.constant(NO_NODE)) }),
    outcomes,
  )
  .map(([election, outcome]) => ({ ...election, ...outcome }));

const replicas = fc.record({
  nodeId: nodeIds,
  directoryId: texts,
  endpoint: texts,
  isVoter: fc.boolean(),
  logEndOffset: counts,
  isActive: fc.boolean(),
  isCaughtUp: fc.boolean(),
});

const nodeLists = fc.array(nodeIds, { maxLength: 3 });

const partitionStates = fc.record({
  leader: fc.oneof(nodeIds, fc.constant(NO_NODE)),
  leaderEpoch: int32Counts.map(leaderEpoch),
  partitionEpoch: int32Counts,
  replicas: nodeLists,
  isr: nodeLists,
  elr: nodeLists,
  lastKnownElr: nodeLists,
  addingReplicas: nodeLists,
  removingReplicas: nodeLists,
});

const alteredPartitions = fc
  .tuple(
    fc.record({
      topicId: topicIds,
      partition: int32Counts,
      state: fc.option(partitionStates, { nil: undefined }),
    }),
    outcomes,
  )
  .map(([altered, outcome]) => ({ ...altered, ...outcome }));

const damagedReplicas = fc
  .tuple(fc.record({ topicId: topicIds, partition: int32Counts }), outcomes)
  .map(([replica, outcome]) => ({ ...replica, ...outcome }));

const reassignmentResults = fc
  .tuple(fc.record({ topic: texts, partition: int32Counts }), outcomes)
  .map(([named, outcome]) => ({ ...named, ...outcome }));

/** One generator for each type, so that a new type without one does not compile. */
const RESULTS: { readonly [Type in RequestType]: fc.Arbitrary<ControllerResults[Type]> } = {
  createTopics: fc.array(topicResults, { maxLength: 4 }),
  deleteTopics: fc.array(topicResults, { maxLength: 4 }),
  addPartitions: topicResults,
  createInternalTopic: topicResults,
  alterConfigs: topicResults,
  allocateProducerIds: fc.record({ first: counts, end: counts }),
  electLeaders: fc.array(electionResults, { maxLength: 4 }),
  addVoter: fc.constant(null),
  removeVoter: fc.constant(null),
  unregisterBroker: fc.constant(null),
  updateFeature: fc.record({ name: texts, level: int32s, min: int32s, max: int32s }),
  describeQuorum: fc.record({
    leaderId: nodeIds,
    epoch: counts,
    commitOffset: counts,
    replicas: fc.array(replicas, { maxLength: 4 }),
  }),
  alterPartitions: fc.array(alteredPartitions, { maxLength: 4 }),
  reportDamage: fc.array(damagedReplicas, { maxLength: 4 }),
  reassignPartitions: fc.array(reassignmentResults, { maxLength: 4 }),
  cancelReassignments: fc.array(reassignmentResults, { maxLength: 4 }),
  drainBroker: fc.record({ movedLeaders: counts, ledPartitions: counts }),
};

const anyResponse: fc.Arbitrary<ControllerResponse> = fc
  .constantFrom(...(Object.keys(RESULTS) as RequestType[]))
  .chain((type) =>
    fc
      .tuple(counts, RESULTS[type] as fc.Arbitrary<unknown>)
      .map(([offset, result]) => ({ type, offset, result }) as ControllerResponse),
  );

test("responses come back as they were, and nothing but responses is taken", () => {
  checkCodec(anyResponse, encodeControllerResponse, decodeControllerResponse);
});

test("an error code that is not in the table is refused", () => {
  const bytes = Buffer.from(
    encodeControllerResponse({
      type: "electLeaders",
      offset: 1,
      result: [{ topic: "", partition: 0, leaderId: NO_NODE, error: "NONE", errorMessage: "" }],
    }),
  );
  bytes.writeInt16BE(9999, bytes.length - 3);
  expect(() => decodeControllerResponse(bytes)).toThrow("9999 is no error code");
});

test("a response is taken for an answer to its own request only", () => {
  const response = { type: "addVoter", offset: 4, result: null } as const;
  expect(responseTo({ type: "addVoter" }, response)).toBe(response);
  const other = { type: "unregisterBroker", nodeId: nodeId(1) } as const;
  expect(() => responseTo(other, response)).toThrow("asked for unregisterBroker and answered addVoter");
});
