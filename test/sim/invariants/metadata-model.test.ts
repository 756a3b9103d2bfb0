import { expect, test } from "vitest";
import { encodeMetadataRecords } from "../../../src/metadata/record-codec.ts";
import type { MetadataRecord } from "../../../src/metadata/records.ts";
import { nodeId } from "../../../src/model/ids.ts";
import { Acknowledged } from "../../../src/sim/invariants/acknowledged.ts";
import {
  configToken,
  MetadataModel,
  producerIdsToken,
  removalToken,
  topicToken,
} from "../../../src/sim/invariants/metadata-model.ts";
import { contentHash } from "../../../src/sim/invariants/durable-log.ts";
import { MarkerCounts } from "../../../src/sim/markers.ts";
import { topicIdOf } from "../../metadata/arbitrary-history.ts";

const TOPIC = topicIdOf(1);

function commit(model: MetadataModel, index: number, ...records: readonly MetadataRecord[]): void {
  const data = encodeMetadataRecords(records);
  const hash = contentHash("data", data);
  model.commit({ index, term: 1, kind: "data", data, hash, committedInTerm: 1 });
}

function makeModel(): { readonly model: MetadataModel; readonly fenced: number[] } {
  const fenced: number[] = [];
  return { fenced, model: new MetadataModel({ onFenced: (node) => fenced.push(node) }) };
}

const registration = (brokerEpoch: number): MetadataRecord => ({
  type: "BrokerRegistration",
  nodeId: nodeId(1),
  incarnationId: "AAAAAAAAQACAAAAAAAAAAQ",
  directoryId: "AAAAAAAAQACAAAAAAAAAAg",
  brokerEpoch,
  clean: true,
  host: "host",
  port: 9092,
  peerEndpoint: "host:9093",
  rack: null,
  brokerHost: null,
  features: new Map(),
  listeners: [],
});

const change = (brokerEpoch: number, isFenced: boolean): MetadataRecord => ({
  type: "BrokerChange",
  nodeId: nodeId(1),
  brokerEpoch,
  isFenced,
  isShuttingDown: false,
  isDrained: false,
});

test("changes are counted by their tokens, and none is applied twice", () => {
  const { model } = makeModel();
  commit(model, 1, { type: "Topic", name: "a", topicId: TOPIC });
  commit(model, 2, { type: "TopicConfig", topicId: TOPIC, key: "retention.ms", value: "17" });
  commit(model, 3, { type: "ProducerIds", nextProducerId: 1000 });
  commit(model, 4, { type: "RemoveTopic", topicId: TOPIC });
  const tokens = [topicToken("a"), configToken("17"), producerIdsToken(0), removalToken("a")];
  expect(tokens.map((token) => model.countOf(token))).toEqual([1, 1, 1, 1]);
  expect(() => commit(model, 5, { type: "Topic", name: "a", topicId: topicIdOf(2) })).toThrow(/AppliedOnce/);
  expect(() => commit(model, 6, { type: "ProducerIds", nextProducerId: 1000 })).toThrow(/ProducerIdsGrow/);
});

test("a broker epoch is the offset of its registration, and only the latest one changes", () => {
  const { model, fenced } = makeModel();
  expect(() => commit(model, 1, registration(7))).toThrow(/BrokerEpochIsOffset/);
  commit(model, 2, registration(2));
  commit(model, 3, change(2, false));
  commit(model, 4, change(2, true));
  expect(fenced).toEqual([1]);
  commit(model, 5, registration(5));
  expect(() => commit(model, 6, change(2, false))).toThrow(/OneRegistration/);
});

test("a broker's image is the state at what it has applied", () => {
  const { model } = makeModel();
  commit(model, 8, { type: "Topic", name: "a", topicId: TOPIC });
  const node = (stateHash: number, appliedOffset = 8): Parameters<MetadataModel["compare"]>[0] => ({
    nodeId: nodeId(1),
    stateHash,
    quorum: { appliedOffset },
  });
  expect(() => model.compare(node(1))).toThrow(/ImageIsPrefix/);
  expect(() => model.compareLatest(node(1))).toThrow(/ImageIsPrefix/);
  expect(() => model.compareLatest(node(1, 7))).toThrow(/AppliedEverything/);
});

test("what a client is told is committed at that moment, to one client, and for ever", () => {
  const { model } = makeModel();
  const acknowledged = new Acknowledged({ model, markers: new MarkerCounts() });
  commit(model, 1, { type: "Topic", name: "a", topicId: TOPIC });
  acknowledged.add(topicToken("a"));
  acknowledged.checkFresh();
  acknowledged.checkAll();
  expect(() => acknowledged.add(topicToken("a"))).toThrow(/two clients/);
  acknowledged.add(topicToken("b"));
  expect(() => acknowledged.checkFresh()).toThrow(/AcknowledgedIsCommitted/);
  expect(() => acknowledged.checkAll()).toThrow(/AcknowledgedIsKept/);
});
