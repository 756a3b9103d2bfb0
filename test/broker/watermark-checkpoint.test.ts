import { beforeEach, expect, test } from "vitest";
import { silentLogger } from "../../src/base/logger.ts";
import { WatermarkCheckpoint } from "../../src/broker/watermark-checkpoint.ts";
import { offset } from "../../src/model/offsets.ts";
import type { Offset } from "../../src/model/offsets.ts";
import type { TopicPartition } from "../../src/model/topic-partition.ts";
import { readIfPresent, writeAtomically } from "../../src/platform/atomic-file.ts";
import { Scheduler } from "../../src/sim/scheduler.ts";
import { SimPlatform } from "../../src/sim/sim-platform.ts";

const FILE = "data/replication-offset-checkpoint";
const ORDERS: TopicPartition = { topic: "orders", partition: 3 };

let scheduler: Scheduler;
let platform: SimPlatform;
let current: (readonly [TopicPartition, Offset])[];

beforeEach(async () => {
  scheduler = new Scheduler();
  platform = SimPlatform.create({ seed: 1 }, { scheduler });
  current = [];
  await run(platform.disk.makeDir("data"));
});

function run<T>(promise: Promise<T>): Promise<T> {
  return scheduler.settle(promise, 60_000);
}

function open(): Promise<WatermarkCheckpoint> {
  const { disk, clock } = platform;
  const deps = { disk, clock, logger: silentLogger, current: () => current };
  return run(WatermarkCheckpoint.open({ directory: "data" }, deps));
}

test("what was noted is saved within seconds and known to the next process", async () => {
  const checkpoint = await open();
  current = [[ORDERS, offset(42)]];
  checkpoint.note();
  await scheduler.advance(5001);
  platform = platform.kill();
  const next = await open();
  expect(next.of(ORDERS)).toBe(42);
  expect(next.of({ topic: "orders", partition: 4 })).toBe(0);
});

test("it is saved at the close, also when nothing was noted since the last time", async () => {
  const checkpoint = await open();
  current = [[ORDERS, offset(7)]];
  await run(checkpoint.close());
  expect((await open()).of(ORDERS)).toBe(7);
});

test("partitions that nobody used since the start keep what was known", async () => {
  const checkpoint = await open();
  current = [[ORDERS, offset(7)]];
  await run(checkpoint.close());
  const second = await open();
  current = [[{ topic: "other", partition: 0 }, offset(1)]];
  await run(second.close());
  const third = await open();
  expect([third.of(ORDERS), third.of({ topic: "other", partition: 0 })]).toEqual([7, 1]);
});

test("a damaged file stops nothing: everything begins at 0", async () => {
  await run(writeAtomically(platform.disk, FILE, Buffer.from("0\n9\norders 3 42\n")));
  const checkpoint = await open();
  expect(checkpoint.of(ORDERS)).toBe(0);
});

test("a cluster without replicated partitions has no such file", async () => {
  await run((await open()).close());
  expect(await run(readIfPresent(platform.disk, FILE))).toBeUndefined();
});
