import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { LograftClient } from "../../src/client/index.ts";
import type { RunningBroker } from "../../src/testing.ts";
import { startBroker } from "../../src/testing.ts";

/* Settings reach the files of a running broker. What each setting means is tested with the log. */

const OLD_MS = 1_000_000_000_000;

let broker: RunningBroker;
let client: LograftClient;

beforeAll(async () => {
  broker = await startBroker({
    config: {
      "log.retention.check.interval.ms": "20",
      // A record of the year 2001 is no reason to delete anything before a test asks for it.
      "log.retention.ms": "-1",
      "log.index.interval.bytes": "0",
      "log.index.size.max.bytes": "80",
      "num.partitions": "3",
    },
  });
  client = new LograftClient({ brokers: [broker.address] });
});
afterAll(async () => {
  await client.close();
  await broker.close();
});

async function segmentsOf(topic: string): Promise<string[]> {
  const names = await readdir(join(broker.dataDirectory, `${topic}-0`));
  return names.filter((name) => name.endsWith(".log")).sort();
}

/** One batch for each record. */
async function write(topic: string, count: number, bytes = 400): Promise<void> {
  await using producer = client.producer({ lingerMs: 0, idempotent: false });
  for (let index = 0; index < count; index++) {
    await producer.send(topic, { value: Buffer.alloc(bytes), timestamp: OLD_MS });
  }
}

async function startOf(topic: string): Promise<number | undefined> {
  const [details] = await client.admin().describeTopics([topic]);
  return details?.partitions[0]?.logStartOffset;
}

describe("a setting that is altered holds for the log that is open", () => {
  async function open(topic: string): Promise<string> {
    await client.admin().createTopics([{ name: topic, partitions: 1 }]);
    await write(topic, 2);
    return topic;
  }

  test("flush.policy: what is promised", async () => {
    const topic = await open("policy");
    await using producer = client.producer({ lingerMs: 0 });
    expect(await producer.send(topic, { value: "a" })).toMatchObject({ durability: "synced" });
    await client.admin().alterTopicConfigs(topic, { set: { "flush.policy": "os" } });
    expect(await producer.send(topic, { value: "b" })).toMatchObject({ durability: "written" });
    await client.admin().alterTopicConfigs(topic, { unset: ["flush.policy"] });
    expect(await producer.send(topic, { value: "c" })).toMatchObject({ durability: "synced" });
  });

  test("segment.bytes: where segments end", async () => {
    const topic = await open("segments");
    expect(await segmentsOf(topic)).toHaveLength(1);
    await client.admin().alterTopicConfigs(topic, { set: { "segment.bytes": "1000" } });
    await write(topic, 4);
    // Two batches of some 470 bytes in each, the two from before in the first.
    expect(await segmentsOf(topic)).toEqual([0, 2, 4].map((base) => `${String(base).padStart(20, "0")}.log`));
  });

  test("retention.ms: which records go", async () => {
    const topic = await open("age");
    await client.admin().alterTopicConfigs(topic, { set: { "segment.bytes": "1000" } });
    await write(topic, 4);
    expect(await startOf(topic)).toBe(0);
    await client.admin().alterTopicConfigs(topic, { set: { "retention.ms": "1000" } });
    // All but the segment that is written to.
    await expect.poll(() => startOf(topic)).toBe(4);
  });

  test("retention.bytes: how much stays", async () => {
    const topic = await open("size");
    await client.admin().alterTopicConfigs(topic, { set: { "segment.bytes": "1000" } });
    await write(topic, 6);
    expect(await startOf(topic)).toBe(0);
    await client.admin().alterTopicConfigs(topic, { set: { "retention.bytes": "1500" } });
    await expect.poll(() => startOf(topic)).toBe(4);
  });

  test("message.timestamp.type: whose clock stamps", async () => {
    const topic = await open("stamps");
    await client.admin().alterTopicConfigs(topic, { set: { "message.timestamp.type": "LogAppendTime" } });
    await using producer = client.producer({ lingerMs: 0 });
    const { timestamp } = await producer.send(topic, { value: "a", timestamp: OLD_MS });
    expect(timestamp).toBeGreaterThan(OLD_MS);
  });

  test("message.timestamp.before.max.ms and max.message.bytes: what is refused", async () => {
    const topic = await open("bounds");
    await client.admin().alterTopicConfigs(topic, { set: { "message.timestamp.before.max.ms": "1h" } });
    await expect(write(topic, 1)).rejects.toMatchObject({ code: "INVALID_TIMESTAMP" });
    await client.admin().alterTopicConfigs(topic, {
      unset: ["message.timestamp.before.max.ms"],
      set: { "max.message.bytes": "300" },
    });
    await expect(write(topic, 1)).rejects.toMatchObject({ code: "MESSAGE_TOO_LARGE" });
    await write(topic, 1, 50);
  });
});

test("log.index.size.max.bytes ends a segment when its index is full", async () => {
  await client.admin().createTopics([{ name: "indexed", partitions: 1 }]);
  await write("indexed", 25, 10);
  expect((await segmentsOf("indexed")).length).toBeGreaterThan(1);
});

test("num.partitions is what a topic gets that is created without a count, also by being written to", async () => {
  await using producer = client.producer({ lingerMs: 0 });
  await producer.send("by-use", { value: "a" });
  expect((await client.admin().describeTopics(["by-use"]))[0]?.partitions).toHaveLength(3);
});
