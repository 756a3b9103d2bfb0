import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { OffsetCommitPartition } from "../../../src/coordinator/group/group-api.ts";
import type { GroupEffects, GroupRecord } from "../../../src/coordinator/group/group-records.ts";
import { refuse } from "../../../src/coordinator/group/group-rules.ts";
import { absentOffsets, GroupOffsets, type CommitRules } from "../../../src/coordinator/group/offsets.ts";
import { imageWith } from "./shard-bench.ts";

const RULES: CommitRules = { metadataMaxBytes: 4, refusalOf: () => undefined };
const CONTEXT = {
  nowMs: 0,
  wallMs: 1_000_000,
  image: imageWith({ orders: { seed: 1, partitions: 3 }, bills: { seed: 2, partitions: 1 } }),
};

function effectsOf(offsets: GroupOffsets): GroupEffects & { readonly records: GroupRecord[] } {
  const records: GroupRecord[] = [];
  return {
    records,
    record: (record) => {
      records.push(record);
      if (record.type === "offset") offsets.replay(record.topic, record.partition, record.value);
    },
    reply: () => {
      throw new Error("offsets answer nobody");
    },
  };
}

function wanted(fields: Partial<OffsetCommitPartition> = {}): OffsetCommitPartition {
  return { topic: "orders", partition: 0, offset: 7, leaderEpoch: 2, metadata: "", ...fields };
}

describe("commit", () => {
  test("an offset that passes is recorded with the time, and read back", () => {
    const offsets = new GroupOffsets("g");
    const effects = effectsOf(offsets);
    const outcome = offsets.commit([wanted({ metadata: "note" })], RULES, CONTEXT, effects);
    expect(outcome).toEqual([{ topic: "orders", partition: 0, error: "NONE", errorMessage: "" }]);
    const value = {
      offset: 7,
      leaderEpoch: 2,
      metadata: "note",
      commitTimestampMs: 1_000_000,
      topicId: CONTEXT.image.topic("orders")?.topicId,
    };
    expect(effects.records).toEqual([{ type: "offset", groupId: "g", topic: "orders", partition: 0, value }]);
    expect(offsets.fetch([{ topic: "orders", partition: 0 }])).toMatchObject([
      { offset: 7, leaderEpoch: 2, metadata: "note", error: "NONE" },
    ]);
  });

  test("what is wrong with one partition does not touch the others", () => {
    const offsets = new GroupOffsets("g");
    const effects = effectsOf(offsets);
    const rules: CommitRules = {
      ...RULES,
      refusalOf: ({ partition }) => (partition === 1 ? refuse("STALE_MEMBER_EPOCH", "not yours") : undefined),
    };
    const outcome = offsets.commit(
      [
        wanted({ metadata: "12345" }),
        wanted({ metadata: "ééé" }),
        wanted({ offset: -1 }),
        wanted({ offset: 2 ** 53 }),
        wanted({ leaderEpoch: -2 }),
        wanted({ topic: "unknown" }),
        wanted({ partition: 3 }),
        wanted({ partition: -1 }),
        wanted({ partition: 1 }),
        wanted({ partition: 2, offset: 0, leaderEpoch: -1 }),
      ],
      rules,
      CONTEXT,
      effects,
    );
    expect(outcome.map(({ error }) => error)).toEqual([
      "OFFSET_METADATA_TOO_LARGE",
      "OFFSET_METADATA_TOO_LARGE",
      "INVALID_REQUEST",
      "INVALID_REQUEST",
      "INVALID_REQUEST",
      "UNKNOWN_TOPIC_OR_PARTITION",
      "UNKNOWN_TOPIC_OR_PARTITION",
      "UNKNOWN_TOPIC_OR_PARTITION",
      "STALE_MEMBER_EPOCH",
      "NONE",
    ]);
    expect(outcome.filter(({ error, errorMessage }) => (error === "NONE") !== (errorMessage === ""))).toEqual(
      [],
    );
    expect(effects.records.length).toBe(1);
    expect(offsets.size).toBe(1);
  });
});

describe("fetch", () => {
  test("nothing committed is -1 without an error (H63), also of topics that do not exist", () => {
    const absent = { offset: -1, leaderEpoch: -1, metadata: "", error: "NONE", errorMessage: "" };
    const partitions = [
      { topic: "orders", partition: 1 },
      { topic: "unknown", partition: 9 },
    ];
    const expected = partitions.map((partition) => ({ ...partition, ...absent }));
    expect(new GroupOffsets("g").fetch(partitions)).toEqual(expected);
    expect(absentOffsets(partitions)).toEqual(expected);
    expect(absentOffsets(undefined)).toEqual([]);
  });

  test("all that were committed come in order", () => {
    const offsets = new GroupOffsets("g");
    const commits = [
      wanted({ partition: 2 }),
      wanted({ topic: "bills" }),
      wanted({ partition: 0, offset: 0 }),
    ];
    offsets.commit(commits, RULES, CONTEXT, effectsOf(offsets));
    const all = offsets.fetch(undefined).map(({ topic, partition, offset }) => [topic, partition, offset]);
    expect(all).toEqual([
      ["bills", 0, 7],
      ["orders", 0, 0],
      ["orders", 2, 7],
    ]);
  });
});

describe("forgetting", () => {
  test("offsets up to the cutoff expire, as many as the limit lets", () => {
    const offsets = new GroupOffsets("g");
    for (let i = 0; i < 10; i++) {
      const value = {
        offset: i,
        leaderEpoch: -1,
        metadata: "",
        commitTimestampMs: i * 100,
        topicId: undefined,
      };
      offsets.replay(i % 2 === 0 ? "orders" : "bills", i, value);
    }
    const effects = effectsOf(offsets);
    expect(offsets.expire(500, 4, effects)).toBe(4);
    expect(offsets.size).toBe(6);
    expect(offsets.expire(500, 4, effects)).toBe(2);
    expect(offsets.expire(500, 4, effects)).toBe(0);
    expect(offsets.fetch(undefined).map(({ offset }) => offset)).toEqual([7, 9, 6, 8]);
  });

  test("tombstones are recorded only for what is there", () => {
    const offsets = new GroupOffsets("g");
    const effects = effectsOf(offsets);
    offsets.commit([wanted(), wanted({ partition: 1 }), wanted({ topic: "bills" })], RULES, CONTEXT, effects);
    effects.records.length = 0;
    offsets.delete("orders", 2, effects);
    offsets.delete("unknown", 0, effects);
    expect(effects.records).toEqual([]);
    offsets.deleteTopic("orders", effects);
    expect(effects.records.map(({ type, value }) => [type, value])).toEqual([
      ["offset", null],
      ["offset", null],
    ]);
    offsets.deleteAll(effects);
    expect([offsets.size, offsets.fetch(undefined)]).toEqual([0, []]);
  });
});

test("replay says when a topic comes and goes, and counts what there is", () => {
  const record = fc.record({
    topic: fc.constantFrom("a", "b"),
    partition: fc.nat({ max: 3 }),
    isTombstone: fc.boolean(),
  });
  fc.assert(
    fc.property(fc.array(record, { maxLength: 60 }), (records) => {
      const offsets = new GroupOffsets("g");
      const model = new Set<string>();
      const hasTopic = (topic: string): boolean => [...model].some((key) => key.startsWith(topic));
      for (const [i, { topic, partition, isTombstone }] of records.entries()) {
        const before = hasTopic(topic);
        const value = { offset: i, leaderEpoch: -1, metadata: "", commitTimestampMs: i, topicId: undefined };
        const change = offsets.replay(topic, partition, isTombstone ? null : value);
        if (isTombstone) model.delete(topic + partition);
        else model.add(topic + partition);
        const after = hasTopic(topic);
        expect(change).toBe(before === after ? undefined : after ? "added" : "removed");
        expect(offsets.size).toBe(model.size);
        if (!isTombstone) expect(offsets.latestCommitMs(topic)).toBe(i);
      }
      const held = offsets.fetch(undefined).map(({ topic, partition }) => `${topic}${partition}`);
      expect(held).toEqual([...model].sort());
    }),
  );
});
