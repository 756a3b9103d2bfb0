import { beforeEach, describe, expect, test } from "vitest";
import type { Consumer, LograftError } from "../../src/client/index.ts";
import { FOLLOWER_PAUSE_MS } from "../../src/client/read-source.ts";
import { harness } from "./harness.ts";
import type { Harness } from "./harness.ts";

/** Broker 0 leads; broker 1 is a replica and near; broker 2 is far. */
let h: Harness;
let consumer: Consumer;
let errors: LograftError[];
let written: number;

beforeEach(async () => {
  h = harness({ topics: { t: 1 }, brokers: 3 }, { rack: "near", metadataMaxAgeMs: 10_000_000 });
  h.cluster.racks.set(0, "far").set(1, "near").set(2, "far");
  h.cluster.inSync.set("t-0", [0, 1, 2]);
  errors = [];
  written = 0;
  await write();
  consumer = h.client.consumer({ topics: ["t"], readFrom: "closest" });
  consumer.on("error", (error) => errors.push(error));
  expect(await next()).toBe("0");
  expect(h.cluster.carriers("t", 0)).toEqual([1]);
});

async function write(): Promise<void> {
  const producer = h.client.producer({ lingerMs: 0 });
  await h.settle(producer.send("t", { value: String(written++), partition: 0 }));
  await h.settle(producer.close());
}

async function next(): Promise<string | undefined> {
  const one = async (): Promise<string | undefined> => {
    for await (const { value } of consumer.messages()) return value?.toString();
    return undefined;
  };
  return h.settle(one());
}

async function expectNext(): Promise<void> {
  const value = String(written);
  await write();
  expect(await next()).toBe(value);
}

/** Metadata are asked for again, as after the age. */
async function refresh(): Promise<void> {
  const producer = h.client.producer({ lingerMs: 0 });
  h.cluster.addTopic(`other${h.scheduler.nowMs}`, 1);
  await h.settle(producer.send(`other${h.scheduler.nowMs}`, { value: "x" }));
  await h.settle(producer.close());
  await h.scheduler.advance(10);
}

test("all requests of a consumer that reads from the leader say so", async () => {
  h.cluster.fetchRequests.length = 0;
  const other = h.client.consumer({ topics: ["t"] });
  await h.settle(other.ready());
  await h.scheduler.advance(50);
  expect(h.cluster.fetchRequests.flatMap(({ options }) => options ?? [])).toMatchObject([
    { fromFollower: false },
  ]);
  expect(h.cluster.carriers("t", 0)).toEqual([1, 0]);
  await h.settle(other.close());
});

test("closest without a rack is refused", () => {
  const { client } = harness({ topics: { t: 1 } });
  expect(() => client.consumer({ topics: ["t"], readFrom: "closest" })).toThrow(/rack/);
});

describe("when the follower", () => {
  test.each([
    ["OFFSET_NOT_AVAILABLE", []],
    ["OFFSET_OUT_OF_RANGE", [{ code: "OFFSET_OUT_OF_RANGE" }]],
    ["NOT_LEADER_OR_FOLLOWER", []],
    ["TOPIC_AUTHORIZATION_FAILED", [{ code: "TOPIC_AUTHORIZATION_FAILED" }]],
  ] as const)("answers %s the leader takes over where it stood, for a while", async (error, told) => {
    h.cluster.inject("t", 0, { error });
    await h.scheduler.advance(50);
    expect(h.cluster.carriers("t", 0)).toEqual([0]);
    expect(errors).toMatchObject(told);
    expect(consumer.position({ topic: "t", partition: 0 })).toBe(1);
    await expectNext();
    await h.scheduler.advance(FOLLOWER_PAUSE_MS);
    expect(h.cluster.carriers("t", 0)).toEqual([1]);
    await expectNext();
  });

  test("is gone, the leader takes over, and stays until something has changed", async () => {
    h.cluster.down.add(1);
    for (const stream of h.cluster.streams) if (stream.peer === "b1:9092") stream.close();
    await h.scheduler.advance(2000);
    expect(h.cluster.carriers("t", 0)).toEqual([0]);
    await expectNext();
    h.cluster.down.delete(1);
    h.cluster.inSync.set("t-0", [0, 1]);
    await refresh();
    expect(h.cluster.carriers("t", 0)).toEqual([1]);
    await expectNext();
  });

  test("sends a damaged batch, the leader is asked, and the damage of one replica ends nothing", async () => {
    const damaged = Buffer.from(h.cluster.log("t", 0).batches[0] ?? Buffer.alloc(0));
    damaged.writeUInt8(damaged.readUInt8(damaged.length - 1) ^ 1, damaged.length - 1);
    damaged.writeBigInt64BE(1n, 0);
    h.cluster.inject("t", 0, { records: damaged });
    await h.scheduler.advance(10);
    const following = next();
    await write();
    expect(await following).toBe("1");
    expect(h.cluster.carriers("t", 0)).toEqual([0]);
    expect(errors).toMatchObject([{ code: "CORRUPT_MESSAGE" }]);
  });

  test("leaves the ISR, the next metadata move the reading to the leader, and back when it is in it again", async () => {
    h.cluster.inSync.set("t-0", [0, 2]);
    await refresh();
    expect(h.cluster.carriers("t", 0)).toEqual([0]);
    await expectNext();
    h.cluster.inSync.set("t-0", [0, 1, 2]);
    await refresh();
    expect(h.cluster.carriers("t", 0)).toEqual([1]);
    await expectNext();
    expect(errors).toEqual([]);
  });
});

test("an offset that the leader does not have either is reset on the leader's word", async () => {
  consumer.seek({ topic: "t", partition: 0 }, 100);
  await h.scheduler.advance(500);
  expect(errors.map(({ code }) => code)).toEqual(["OFFSET_OUT_OF_RANGE", "OFFSET_OUT_OF_RANGE"]);
  expect(await next()).toBe("0");
});

test("a consumer that is closed leaves no timer of a follower's pause", async () => {
  h.cluster.inject("t", 0, { error: "OFFSET_NOT_AVAILABLE" });
  await h.scheduler.advance(50);
  await h.settle(h.client.close());
  await h.scheduler.advance(10);
  expect(h.scheduler.pendingCount).toBe(0);
});
