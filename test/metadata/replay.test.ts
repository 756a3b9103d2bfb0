import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { recordsOfImage } from "../../src/metadata/image.ts";
import { decodeMetadataRecords, encodeMetadataRecords } from "../../src/metadata/record-codec.ts";
import type { MetadataRecord, PartitionRecord } from "../../src/metadata/records.ts";
import { MetadataState, stateHash } from "../../src/metadata/replay.ts";
import type { MetadataDelta } from "../../src/metadata/replay.ts";
import { NO_NODE } from "../../src/model/ids.ts";
import type { NodeId } from "../../src/model/ids.ts";
import { leaderEpoch } from "../../src/model/offsets.ts";
import {
  history,
  nodes,
  partitionOf,
  registrationOf,
  topicIdOf,
  unfencedBrokers,
} from "./arbitrary-history.ts";

const [NODE_1, NODE_2] = nodes(1, 2) as [NodeId, NodeId];

function topic(seed: number, name = `topic-${seed}`): MetadataRecord {
  return { type: "Topic", name, topicId: topicIdOf(seed) };
}

function partition(
  seed: number,
  number: number,
  leader = NODE_1,
  epoch = 0,
  partitionEpoch = 0,
): PartitionRecord {
  return partitionOf(seed, number, { leader, leaderEpoch: leaderEpoch(epoch), partitionEpoch });
}

const BROKERS = [registrationOf(1), registrationOf(2)];

function stateOf(...batches: (readonly MetadataRecord[])[]): MetadataState {
  const state = new MetadataState();
  for (const records of batches) state.replay(records);
  return state;
}

/** What the index says of the topics on each broker. */
function indexOf(state: MetadataState): string[] {
  return [1, 2, 3, 4].flatMap((id) =>
    Array.from(state.topicsOn(nodes(id)[0]!), ({ name }) => `${id} ${name}`).sort(),
  );
}

/** The same from a walk over everything. */
function walkOf(state: MetadataState): string[] {
  return [1, 2, 3, 4].flatMap((id) =>
    [...state.topics()]
      .filter(({ partitions }) => partitions.some(({ replicas }) => replicas.includes(nodes(id)[0]!)))
      .map(({ name }) => `${id} ${name}`)
      .sort(),
  );
}

describe("properties", () => {
  test("two replays of one history give one state, whether the records were stored in between or not", () => {
    fc.assert(
      fc.property(history, (batches) => {
        const first = stateOf(...batches);
        const second = stateOf(
          ...batches.map((records) => decodeMetadataRecords(encodeMetadataRecords(records))),
        );
        expect(stateHash(second)).toBe(stateHash(first));
        expect(recordsOfImage(second)).toEqual(recordsOfImage(first));
      }),
      { numRuns: 150 },
    );
  });

  test("the records of an image give that image again", () => {
    fc.assert(
      fc.property(history, (batches) => {
        const state = stateOf(...batches);
        const again = stateOf(recordsOfImage(state));
        expect(recordsOfImage(again)).toEqual(recordsOfImage(state));
        expect(again.partitionCount).toBe(state.partitionCount);
      }),
      { numRuns: 150 },
    );
  });

  test("how the records are cut into entries makes no difference", () => {
    fc.assert(
      fc.property(history, (batches) => {
        expect(stateHash(stateOf(batches.flat()))).toBe(stateHash(stateOf(...batches)));
      }),
      { numRuns: 100 },
    );
  });

  test("leader epochs and producer ids never go back while a topic lives", () => {
    fc.assert(
      fc.property(history, (batches) => {
        const state = new MetadataState();
        for (const records of batches) {
          const before = [...state.topics()];
          const idsBefore = state.nextProducerId;
          state.replay(records);
          expect(state.nextProducerId).toBeGreaterThanOrEqual(idsBefore);
          for (const old of before) {
            const now = state.topicById(old.topicId);
            if (now === undefined) continue;
            for (const [number, { leaderEpoch: epoch }] of old.partitions.entries()) {
              expect(now.partitions[number]?.leaderEpoch).toBeGreaterThanOrEqual(epoch);
            }
          }
        }
      }),
      { numRuns: 100 },
    );
  });

  test("a state restored from a snapshot midway goes on like one that saw everything", () => {
    fc.assert(
      fc.property(history, fc.nat(25), (batches, cut) => {
        const state = stateOf(...batches.slice(0, cut));
        const restored = stateOf(decodeMetadataRecords(encodeMetadataRecords(recordsOfImage(state))));
        for (const records of batches.slice(cut)) {
          state.replay(records);
          restored.replay(records);
          expect(stateHash(restored)).toBe(stateHash(state));
        }
      }),
      { numRuns: 100 },
    );
  });

  test("a clone goes its own way, and the state does not notice", () => {
    fc.assert(
      fc.property(history, fc.nat(25), (batches, cut) => {
        const state = stateOf(...batches.slice(0, cut));
        const before = stateHash(state);
        const records = recordsOfImage(state);
        const clone = state.clone();
        expect(stateHash(clone)).toBe(before);
        for (const batch of batches.slice(cut)) clone.replay(batch);
        expect(stateHash(clone)).toBe(stateHash(stateOf(...batches)));
        expect(recordsOfImage(state)).toEqual(records);
        expect(indexOf(state)).toEqual(indexOf(stateOf(records)));
        for (const batch of batches.slice(cut)) state.replay(batch);
        expect(stateHash(state)).toBe(stateHash(clone));
      }),
      { numRuns: 100 },
    );
  });

  test("replacing a state by a later one tells what the records in between would have told", () => {
    fc.assert(
      fc.property(history, fc.nat(25), (batches, cut) => {
        const state = stateOf(...batches.slice(0, cut));
        const topicsBefore = new Set(Array.from(state.topics(), ({ topicId }) => topicId));
        const brokersBefore = new Set(Array.from(state.brokers(), ({ nodeId }) => nodeId));
        const touched = stateOf(...batches.slice(0, cut)).replay(batches.slice(cut).flat());
        const next = stateOf(...batches);
        const delta = state.replaceWith(stateOf(recordsOfImage(next)));
        expect(recordsOfImage(state)).toEqual(recordsOfImage(next));
        expect(indexOf(state)).toEqual(indexOf(next));
        const idsOf = (topics: MetadataDelta["changed"]): string[] =>
          topics.map(({ topicId }) => topicId).sort();
        const wasThere = touched.removed.filter(({ topicId }) => topicsBefore.has(topicId));
        expect(idsOf(delta.removed)).toEqual(idsOf(wasThere));
        // Settings and brokers may have been changed and changed back.
        expect(idsOf(touched.changed)).toEqual(expect.arrayContaining(idsOf(delta.changed)));
        const moved = touched.changed.filter(({ topicId }) => !topicsBefore.has(topicId));
        expect(idsOf(delta.changed)).toEqual(expect.arrayContaining(idsOf(moved)));
        for (const { nodeId } of delta.removedBrokers) {
          expect(brokersBefore.has(nodeId) && next.broker(nodeId) === undefined).toBe(true);
        }
        expect(touched.brokers).toEqual(expect.arrayContaining([...delta.brokers]));
      }),
      { numRuns: 100 },
    );
  });

  test("counts agree with what can be walked", () => {
    fc.assert(
      fc.property(history, (batches) => {
        const state = stateOf(...batches);
        const topics = [...state.topics()];
        expect(state.topicCount).toBe(topics.length);
        expect(state.partitionCount).toBe(topics.reduce((sum, { partitions }) => sum + partitions.length, 0));
        expect(indexOf(state)).toEqual(walkOf(state));
        for (const one of topics) {
          expect(state.topic(one.name)).toBe(one);
          expect(state.topicById(one.topicId)).toBe(one);
        }
      }),
      { numRuns: 100 },
    );
  });
});

describe("brokers", () => {
  const change = { type: "BrokerChange", nodeId: NODE_1, brokerEpoch: 1 } as const;

  test("a registration starts fenced, whatever the broker was before", () => {
    const state = stateOf(unfencedBrokers(1));
    expect(state.broker(NODE_1)).toMatchObject({
      isFenced: false,
      isShuttingDown: false,
      isDrained: false,
      host: "host-1",
    });
    const delta = state.replay([registrationOf(1, { brokerEpoch: 2, clean: false })]);
    expect(state.broker(NODE_1)).toMatchObject({ isFenced: true, clean: false, brokerEpoch: 2 });
    expect(delta.brokers).toEqual([state.broker(NODE_1)]);
    expect(delta.changed).toEqual([]);
  });

  test("a drained broker is drained after it registered again, and until it is unregistered", () => {
    const state = stateOf(unfencedBrokers(1));
    state.replay([{ ...change, isFenced: false, isShuttingDown: false, isDrained: true }]);
    state.replay([registrationOf(1, { brokerEpoch: 2 })]);
    expect(state.broker(NODE_1)).toMatchObject({ isFenced: true, isDrained: true });
    expect(stateOf(recordsOfImage(state)).broker(NODE_1)).toEqual(state.broker(NODE_1));
    state.replay([{ type: "UnregisterBroker", nodeId: NODE_1 }]);
    state.replay([registrationOf(1, { brokerEpoch: 3 })]);
    expect(state.broker(NODE_1)).toMatchObject({ isDrained: false });
  });

  test("an unclean registration alone changes no partition: the controller's records do", () => {
    const state = stateOf(BROKERS, [topic(1), partition(1, 0)]);
    const before = state.topic("topic-1");
    state.replay([registrationOf(1, { brokerEpoch: 2, clean: false })]);
    expect(state.topic("topic-1")).toBe(before);
  });

  test("changes of its state are told with the broker as it is now", () => {
    const state = stateOf(BROKERS);
    const delta = state.replay([{ ...change, isFenced: false, isShuttingDown: true, isDrained: false }]);
    expect(delta.brokers).toMatchObject([
      { nodeId: 1, isFenced: false, isShuttingDown: true, isDrained: false, port: 9092 },
    ]);
  });

  test("an unregistered broker is gone and told as it was", () => {
    const state = stateOf(BROKERS);
    const delta = state.replay([{ type: "UnregisterBroker", nodeId: NODE_1 }]);
    expect(state.broker(NODE_1)).toBeUndefined();
    expect(delta).toMatchObject({ brokers: [], removedBrokers: [{ nodeId: 1, brokerEpoch: 1 }] });
    expect(state.replay([registrationOf(1, { brokerEpoch: 5 })]).brokers).toMatchObject([{ brokerEpoch: 5 }]);
  });

  test("a broker counts for nothing in the entry that unregisters it, and may still be named as a replica", () => {
    const state = stateOf(BROKERS, [topic(1), partition(1, 0)]);
    const left = partitionOf(1, 0, { isr: nodes(2), leaderEpoch: leaderEpoch(1), partitionEpoch: 1 });
    state.replay([left, { type: "UnregisterBroker", nodeId: NODE_1 }]);
    expect(state.topic("topic-1")!.partitions[0]!.replicas).toEqual([1, 2]);
    expect(stateHash(stateOf(recordsOfImage(state)))).toBe(stateHash(state));
  });

  test("the topics with replicas on a broker are known through creation, moves and removal", () => {
    const state = stateOf(BROKERS, [registrationOf(3)], [topic(1), partition(1, 0), topic(2)]);
    state.replay([partitionOf(2, 0, { replicas: nodes(2, 3) })]);
    const namesOn = (id: number): string[] => Array.from(state.topicsOn(nodes(id)[0]!), ({ name }) => name);
    expect([namesOn(1), namesOn(2), namesOn(3)]).toEqual([["topic-1"], ["topic-1", "topic-2"], ["topic-2"]]);
    state.replay([
      partitionOf(1, 0, { replicas: nodes(2, 3), leaderEpoch: leaderEpoch(1), partitionEpoch: 1 }),
    ]);
    expect([namesOn(1), namesOn(3)]).toEqual([[], ["topic-2", "topic-1"]]);
    state.replay([{ type: "RemoveTopic", topicId: topicIdOf(2) }]);
    expect([namesOn(2), namesOn(3)]).toEqual([["topic-1"], ["topic-1"]]);
  });
});

describe("features", () => {
  test("a level is set and told", () => {
    const state = new MetadataState();
    const delta = state.replay([{ type: "FeatureLevel", name: "metadata.version", level: 1 }]);
    expect(state.features).toEqual(new Map([["metadata.version", 1]]));
    expect(delta.features).toEqual(new Map([["metadata.version", 1]]));
  });
});

describe("topics", () => {
  test("a reader's topic stays as it was when the cluster moves on", () => {
    const state = stateOf(BROKERS, [topic(1), partition(1, 0)]);
    const seen = state.topic("topic-1")!;
    state.replay([
      partition(1, 1),
      { type: "TopicConfig", topicId: topicIdOf(1), key: "flush.ms", value: "5" },
    ]);
    expect([seen.partitions.length, seen.configs.size]).toEqual([1, 0]);
    expect([state.topic("topic-1")!.partitions.length, state.topic("topic-1")!.configs.size]).toEqual([2, 1]);
  });

  test("a name that is freed and taken again in one entry belongs to the new topic", () => {
    const state = stateOf(BROKERS, [topic(1, "orders"), partition(1, 0)]);
    const delta = state.replay([
      { type: "RemoveTopic", topicId: topicIdOf(1) },
      topic(2, "orders"),
      partition(2, 0),
    ]);
    expect(state.topic("orders")?.topicId).toBe(topicIdOf(2));
    expect(state.topicById(topicIdOf(1))).toBeUndefined();
    expect(delta.removed.map(({ topicId }) => topicId)).toEqual([topicIdOf(1)]);
    expect(state.partitionCount).toBe(1);
  });

  test("names that differ in '.' and '_' only are found, until the holder is gone", () => {
    const state = stateOf(BROKERS, [topic(1, "a.b"), partition(1, 0)]);
    expect(state.collidingName("a_b")).toBe("a.b");
    expect(state.collidingName("a.b")).toBeUndefined();
    state.replay([{ type: "RemoveTopic", topicId: topicIdOf(1) }]);
    expect(state.collidingName("a_b")).toBeUndefined();
  });

  test("a null value takes a setting away", () => {
    const set = { type: "TopicConfig", topicId: topicIdOf(1), key: "flush.ms", value: "5" } as const;
    const state = stateOf(BROKERS, [topic(1), partition(1, 0), set]);
    expect(state.topic("topic-1")!.configs.get("flush.ms")).toBe("5");
    state.replay([{ ...set, value: null }]);
    expect(state.topic("topic-1")!.configs.size).toBe(0);
  });

  test("fifty thousand partitions share their replica lists", () => {
    const records = [...BROKERS, topic(1)];
    for (let number = 0; number < 50_000; number++) records.push(partition(1, number));
    const state = stateOf(decodeMetadataRecords(encodeMetadataRecords(records)));
    const { partitions } = state.topic("topic-1")!;
    expect(new Set(partitions.flatMap(({ replicas, isr }) => [replicas, isr])).size).toBe(1);
  });
});

describe("records that cannot follow", () => {
  const changed = (fields: Partial<PartitionRecord>): PartitionRecord =>
    partitionOf(1, 0, { leaderEpoch: leaderEpoch(4), partitionEpoch: 4, ...fields });
  const base: readonly MetadataRecord[] = [
    ...BROKERS,
    registrationOf(3, { brokerEpoch: 7 }),
    topic(1),
    partition(1, 0, NODE_1, 3, 3),
    { type: "ProducerIds", nextProducerId: 10 },
  ];
  test.each<[string, MetadataRecord[]]>([
    ["a second topic of the same name", [topic(2, "topic-1")]],
    ["a second topic of the same id", [topic(1, "other")]],
    ["a partition of an unknown topic", [partition(9, 0)]],
    ["a setting of an unknown topic", [{ type: "TopicConfig", topicId: topicIdOf(9), key: "k", value: "v" }]],
    ["the removal of an unknown topic", [{ type: "RemoveTopic", topicId: topicIdOf(9) }]],
    ["a partition that leaves a hole", [partition(1, 2)]],
    ["an older leader epoch", [partition(1, 0, NODE_1, 2, 4)]],
    ["the same partition epoch", [partition(1, 0, NODE_1, 3, 3)]],
    ["producer ids that go back", [{ type: "ProducerIds", nextProducerId: 9 }]],
    ["another leader in the same epoch", [partition(1, 0, NODE_2, 3, 4)]],
    ["a leader outside the ISR", [changed({ isr: nodes(2), leader: NODE_1 })]],
    ["an ISR outside the replicas", [changed({ isr: nodes(1, 3) })]],
    ["a replica twice", [changed({ replicas: nodes(1, 2, 2) })]],
    ["a new replica that is none", [changed({ addingReplicas: nodes(3) })]],
    ["a replica that leaves and was none", [changed({ removingReplicas: nodes(3) })]],
    ["a replica that comes and leaves", [changed({ addingReplicas: nodes(2), removingReplicas: nodes(2) })]],
    ["a new replica twice", [changed({ addingReplicas: nodes(2, 2) })]],
    ["all replicas new", [changed({ addingReplicas: nodes(1, 2) })]],
    ["all replicas leaving", [changed({ removingReplicas: nodes(1, 2) })]],
    ["no replicas", [changed({ replicas: [], isr: [], leader: NO_NODE })]],
    ["a broker in ISR and ELR", [changed({ isr: nodes(1), elr: nodes(1) })]],
    ["a broker in ISR and last known ELR", [changed({ isr: nodes(1), lastKnownElr: nodes(1) })]],
    ["a broker in both ELRs", [changed({ isr: nodes(1), elr: nodes(2), lastKnownElr: nodes(2) })]],
    ["an ISR with an unknown broker", [changed({ replicas: nodes(1, 2, 9), isr: nodes(1, 9) })]],
    ["an ELR with an unknown broker", [changed({ replicas: nodes(1, 2, 9), isr: nodes(1), elr: nodes(9) })]],
    ["a registration with an older epoch", [registrationOf(3, { brokerEpoch: 6 })]],
    ["a registration with the same epoch", [registrationOf(3, { brokerEpoch: 7 })]],
    [
      "a change of an older registration",
      [
        {
          type: "BrokerChange",
          nodeId: nodes(3)[0]!,
          brokerEpoch: 6,
          isFenced: false,
          isShuttingDown: false,
          isDrained: false,
        },
      ],
    ],
    [
      "a change of an unknown broker",
      [
        {
          type: "BrokerChange",
          nodeId: nodes(9)[0]!,
          brokerEpoch: 6,
          isFenced: false,
          isShuttingDown: false,
          isDrained: false,
        },
      ],
    ],
    ["an unknown broker unregistered", [{ type: "UnregisterBroker", nodeId: nodes(9)[0]! }]],
    ["a broker unregistered that is in an ISR", [{ type: "UnregisterBroker", nodeId: NODE_1 }]],
    [
      "a broker unregistered that is in an ISR of this entry",
      [partitionOf(5, 1, { replicas: nodes(3) }), { type: "UnregisterBroker", nodeId: nodes(3)[0]! }],
    ],
    [
      "a partition of a topic that this entry removed",
      [{ type: "RemoveTopic", topicId: topicIdOf(1) }, partition(1, 1)],
    ],
  ])("%s is METADATA_CORRUPT and leaves the state as it was", (_what, records) => {
    const state = stateOf(base);
    const before = stateHash(state);
    expect(() => state.replay([topic(5), partition(5, 0), ...records])).toThrow(
      expect.objectContaining({ code: "METADATA_CORRUPT" }) as Error,
    );
    expect(stateHash(state)).toBe(before);
    expect(state.topic("topic-5")).toBeUndefined();
  });
});
