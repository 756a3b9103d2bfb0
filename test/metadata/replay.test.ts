import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { recordsOfImage } from "../../src/metadata/image.ts";
import { decodeMetadataRecords, encodeMetadataRecords } from "../../src/metadata/record-codec.ts";
import type { MetadataRecord } from "../../src/metadata/records.ts";
import { MetadataState, stateHash } from "../../src/metadata/replay.ts";
import { leaderEpoch } from "../../src/model/offsets.ts";
import { history, nodes, topicIdOf } from "./arbitrary-history.ts";

const UUID = "AAECAwQFRgeICQoLDA0ODw";
const [NODE_1, NODE_2] = nodes(1, 2) as [ReturnType<typeof nodes>[number], ReturnType<typeof nodes>[number]];

function topic(seed: number, name = `topic-${seed}`): MetadataRecord {
  return { type: "Topic", name, topicId: topicIdOf(seed) };
}

function partition(
  seed: number,
  number: number,
  leader = NODE_1,
  epoch = 0,
  partitionEpoch = 0,
): MetadataRecord {
  return {
    type: "Partition",
    topicId: topicIdOf(seed),
    partition: number,
    replicas: nodes(1, 2),
    isr: nodes(1, 2),
    leader,
    leaderEpoch: leaderEpoch(epoch),
    partitionEpoch,
  };
}

function registration(clean: boolean, nodeId = NODE_1): MetadataRecord {
  return { type: "BrokerRegistration", nodeId, incarnationId: UUID, directoryId: UUID, clean };
}

function stateOf(...batches: (readonly MetadataRecord[])[]): MetadataState {
  const state = new MetadataState();
  for (const records of batches) state.replay(records);
  return state;
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

  test("counts agree with what can be walked", () => {
    fc.assert(
      fc.property(history, (batches) => {
        const state = stateOf(...batches);
        const topics = [...state.topics()];
        expect(state.topicCount).toBe(topics.length);
        expect(state.partitionCount).toBe(topics.reduce((sum, { partitions }) => sum + partitions.length, 0));
        for (const one of topics) {
          expect(state.topic(one.name)).toBe(one);
          expect(state.topicById(one.topicId)).toBe(one);
        }
      }),
      { numRuns: 100 },
    );
  });
});

describe("registration", () => {
  test("an unclean broker raises the epoch of what it leads, and of nothing else", () => {
    const state = stateOf([topic(1), partition(1, 0, NODE_1, 4, 6), partition(1, 1, NODE_2, 4, 6)]);
    const delta = state.replay([registration(false)]);
    const [led, other] = state.topic("topic-1")!.partitions;
    expect([led!.leaderEpoch, led!.partitionEpoch]).toEqual([5, 7]);
    expect([other!.leaderEpoch, other!.partitionEpoch]).toEqual([4, 6]);
    expect(delta.changed.map(({ name }) => name)).toEqual(["topic-1"]);
  });

  test("a clean broker changes no epoch", () => {
    const state = stateOf([topic(1), partition(1, 0)]);
    expect(state.replay([registration(true)]).changed).toEqual([]);
    expect(state.topic("topic-1")!.partitions[0]!.leaderEpoch).toBe(0);
    expect(state.broker(NODE_1)?.clean).toBe(true);
  });
});

describe("topics", () => {
  test("a reader's topic stays as it was when the cluster moves on", () => {
    const state = stateOf([topic(1), partition(1, 0)]);
    const seen = state.topic("topic-1")!;
    state.replay([
      partition(1, 1),
      { type: "TopicConfig", topicId: topicIdOf(1), key: "flush.ms", value: "5" },
    ]);
    expect([seen.partitions.length, seen.configs.size]).toEqual([1, 0]);
    expect([state.topic("topic-1")!.partitions.length, state.topic("topic-1")!.configs.size]).toEqual([2, 1]);
  });

  test("a name that is freed and taken again in one entry belongs to the new topic", () => {
    const state = stateOf([topic(1, "orders"), partition(1, 0)]);
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
    const state = stateOf([topic(1, "a.b"), partition(1, 0)]);
    expect(state.collidingName("a_b")).toBe("a.b");
    expect(state.collidingName("a.b")).toBeUndefined();
    state.replay([{ type: "RemoveTopic", topicId: topicIdOf(1) }]);
    expect(state.collidingName("a_b")).toBeUndefined();
  });

  test("a null value takes a setting away", () => {
    const set = { type: "TopicConfig", topicId: topicIdOf(1), key: "flush.ms", value: "5" } as const;
    const state = stateOf([topic(1), partition(1, 0), set]);
    expect(state.topic("topic-1")!.configs.get("flush.ms")).toBe("5");
    state.replay([{ ...set, value: null }]);
    expect(state.topic("topic-1")!.configs.size).toBe(0);
  });

  test("fifty thousand partitions cost little and share their replica lists", () => {
    const records = [topic(1)];
    for (let number = 0; number < 50_000; number++) records.push(partition(1, number));
    const startedMs = performance.now();
    const state = stateOf(decodeMetadataRecords(encodeMetadataRecords(records)));
    expect(performance.now() - startedMs).toBeLessThan(2000);
    const { partitions } = state.topic("topic-1")!;
    expect(new Set(partitions.flatMap(({ replicas, isr }) => [replicas, isr])).size).toBe(1);
  });
});

describe("records that cannot follow", () => {
  const base: readonly MetadataRecord[] = [
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
