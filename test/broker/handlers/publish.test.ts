import { describe, expect, test } from "vitest";
import { ProduceHandler } from "../../../src/broker/handlers/produce.ts";
import { PublishHandler } from "../../../src/broker/handlers/publish.ts";
import type { PublishCall, PublishRecord, PublishResult } from "../../../src/broker/handlers/publish.ts";
import { partitionOfKey } from "../../../src/model/murmur2.ts";
import { decodeRecords } from "../../../src/model/record-reader.ts";
import { HostedTopics, NODE } from "../hosted-topics.ts";

function record(
  key: string | null,
  value: string | null,
  fields: Partial<PublishRecord> = {},
): PublishRecord {
  const bytes = (text: string | null): Buffer | null => (text === null ? null : Buffer.from(text));
  return { key: bytes(key), value: bytes(value), headers: [], timestampMs: undefined, ...fields };
}

function setUp(partitions = 4) {
  const hosted = new HostedTopics();
  const topicId = hosted.create("a", partitions);
  const produce = new ProduceHandler(
    { nodeId: NODE },
    {
      table: hosted.table,
      clock: hosted.clock,
      isContactLost: () => false,
    },
  );
  const handler = new PublishHandler({ table: hosted.table, produce, clock: hosted.clock });
  const publish = (
    records: readonly PublishRecord[],
    fields: Partial<PublishCall> = {},
  ): Promise<readonly PublishResult[]> =>
    handler.publish({ topic: "a", partition: undefined, records, acks: -1, timeoutMs: 0, ...fields });
  const stored = (partition: number): string[] =>
    hosted.logs
      .at("a", partition)
      .batches.flatMap((batch) => decodeRecords(batch).map(({ value }) => String(value)));
  return { hosted, topicId, publish, stored };
}

describe("publish", () => {
  test("a keyed record goes where Kafka's clients send it, and its result says where that is", async () => {
    const { publish, stored } = setUp();
    const keys = ["a", "ab", "abc", "user-42", ""];
    const results = await publish(keys.map((key) => record(key, `v:${key}`)));
    expect(results.map(({ partition }) => partition)).toEqual(
      keys.map((key) => partitionOfKey(Buffer.from(key), 4)),
    );
    for (const [index, { partition, offset, error }] of results.entries()) {
      expect(error).toBe("NONE");
      expect(stored(partition)[offset]).toBe(`v:${keys[index]}`);
    }
  });

  test("records of one partition are one batch, in their order", async () => {
    const { hosted, publish, stored } = setUp();
    const results = await publish(
      ["1", "2", "3"].map((value) => record("k", value)),
      { partition: 2 },
    );
    expect(results.map(({ partition, offset, durability }) => [partition, offset, durability])).toEqual([
      [2, 0, "synced"],
      [2, 1, "synced"],
      [2, 2, "synced"],
    ]);
    expect(hosted.logs.at("a", 2).batches.length).toBe(1);
    expect(stored(2)).toEqual(["1", "2", "3"]);
  });

  test("records without a key go round robin, call by call", async () => {
    const { publish } = setUp();
    const partitions: number[] = [];
    for (let call = 0; call < 5; call++)
      partitions.push((await publish([record(null, "x"), record(null, "y")]))[1]!.partition);
    expect(partitions).toEqual([0, 1, 2, 3, 0]);
  });

  test("keys, headers, tombstones and times are kept; a missing time is the broker's", async () => {
    const { hosted, publish } = setUp(1);
    const headers = [
      { key: "h", value: Buffer.from("1") },
      { key: "n", value: null },
    ];
    await publish([record("k", null, { headers, timestampMs: 5 }), record(null, "v")]);
    const [first, second] = decodeRecords(hosted.logs.at("a", 0).batches[0]!);
    expect(first).toMatchObject({ timestamp: 5, value: null });
    expect(String(first!.key)).toBe("k");
    expect(first!.headers.map(({ key, value }) => [key, value === null ? null : String(value)])).toEqual([
      ["h", "1"],
      ["n", null],
    ]);
    expect(second).toMatchObject({ timestamp: hosted.clock.wallMs(), key: null });
  });

  test("a record over max.message.bytes fails alone; what does not fit one batch goes into the next", async () => {
    const { hosted, topicId, publish, stored } = setUp(1);
    hosted.setConfig(topicId, "max.message.bytes", "200");
    const values = ["a".repeat(60), "b".repeat(500), "c".repeat(60), "d".repeat(60)];
    const results = await publish(values.map((value) => record(null, value)));
    expect(results.map(({ error, offset }) => [error, offset])).toEqual([
      ["NONE", 0],
      ["MESSAGE_TOO_LARGE", -1],
      ["NONE", 1],
      ["NONE", 2],
    ]);
    expect(results[1]).toMatchObject({ retriable: false });
    expect(results[1]!.errorMessage).toContain("max.message.bytes=200");
    expect(stored(0).map((value) => value[0])).toEqual(["a", "c", "d"]);
    expect(hosted.logs.at("a", 0).batches.every(({ length }) => length <= 200)).toBe(true);
  });

  test("a time that is no whole number fails its record alone", async () => {
    const { publish } = setUp(1);
    const results = await publish([record(null, "x", { timestampMs: 1.5 }), record(null, "y")]);
    expect(results.map(({ error }) => error)).toEqual(["INVALID_TIMESTAMP", "NONE"]);
  });

  test("an unknown topic or partition refuses every record", async () => {
    const { publish } = setUp(2);
    for (const fields of [{ topic: "ghost" }, { partition: 2 }, { partition: -1 }]) {
      const results = await publish([record(null, "x"), record(null, "y")], fields);
      expect(results.map(({ error, retriable }) => [error, retriable])).toEqual([
        ["UNKNOWN_TOPIC_OR_PARTITION", true],
        ["UNKNOWN_TOPIC_OR_PARTITION", true],
      ]);
    }
    expect(await publish([])).toEqual([]);
  });
});
