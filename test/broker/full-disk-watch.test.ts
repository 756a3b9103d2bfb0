import { beforeEach, expect, test } from "vitest";
import { FullDiskWatch } from "../../src/broker/full-disk-watch.ts";
import type { DiskFaults } from "../../src/sim/disk-faults.ts";
import { Scheduler } from "../../src/sim/scheduler.ts";
import { SimPlatform } from "../../src/sim/sim-platform.ts";
import { LinesLogger } from "../controller/controller-bench.ts";

const HOLD_MS = 2000;

let scheduler: Scheduler;
let platform: SimPlatform;
let faults: DiskFaults;
let logger: LinesLogger;
/** What was told, and when. */
let changes: { readonly atMs: number; readonly isFull: boolean }[];
let watch: FullDiskWatch;

beforeEach(async () => {
  scheduler = new Scheduler();
  platform = SimPlatform.create({ seed: 1 }, { scheduler });
  ({ faults } = platform.disk);
  await scheduler.settle(platform.disk.makeDir("data"), 1000);
  logger = new LinesLogger();
  changes = [];
  watch = makeWatch();
});

function makeWatch(): FullDiskWatch {
  const made = new FullDiskWatch(
    { directory: "data" },
    {
      disk: platform.disk,
      clock: platform.clock,
      logger,
      onChange: () => changes.push({ atMs: scheduler.nowMs, isFull: made.isFull }),
    },
  );
  return made;
}

function files(): Promise<string[]> {
  const listing = platform.disk.list("data").then((entries) => entries.map(({ name }) => name));
  return scheduler.settle(listing, 1000);
}

test("a disk is full from the first append that found it so, which is told once and at that moment", async () => {
  await scheduler.advance(100);
  expect(watch.isFull).toBe(false);
  const atMs = scheduler.nowMs;
  watch.noteFull();
  watch.noteFull();
  expect(watch.isFull).toBe(true);
  expect(changes).toEqual([{ atMs, isFull: true }]);
  expect(logger.lines).toEqual([expect.stringMatching(/^warn the data disk is full: .*free space there/)]);
});

test("a disk that has room again is found so by a look, and nothing is left of the look", async () => {
  watch.noteFull();
  await scheduler.advance(HOLD_MS - 1);
  expect(watch.isFull).toBe(true);
  await scheduler.advance(100);
  expect(watch.isFull).toBe(false);
  expect(changes.map(({ isFull }) => isFull)).toEqual([true, false]);
  expect(logger.lines.at(-1)).toMatch(/^info the data disk has room again/);
  expect(await files()).toEqual([]);
  expect(scheduler.pendingCount).toBe(0);
});

test("a disk stays full while a write fails although bytes are said to be free, as with a quota", async () => {
  const fault = faults.arm({ kind: "full", afterBytes: 0 });
  watch.noteFull();
  await scheduler.advance(60_000);
  expect(changes).toHaveLength(1);
  expect(fault.hits).toBeGreaterThan(30);
  expect(await files()).toEqual([]);
  fault.disarm();
  await scheduler.advance(1100);
  expect(watch.isFull).toBe(false);
});

test("a disk stays full while too little is free for the next large write", async () => {
  const room = 9 * 1024 * 1024;
  platform = SimPlatform.create({ seed: 1, disk: { capacityBytes: room } }, { scheduler });
  await scheduler.settle(platform.disk.makeDir("data"), 1000);
  const file = await scheduler.settle(platform.disk.open("data/ballast", "create"), 1000);
  await scheduler.settle(file.write([new Uint8Array(2 * 1024 * 1024)], 0), 1000);
  watch = makeWatch();
  watch.noteFull();
  await scheduler.advance(30_000);
  expect(watch.isFull).toBe(true);
  await scheduler.settle(file.truncate(0), 1000);
  await scheduler.advance(1100);
  expect(watch.isFull).toBe(false);
});

test("a disk that takes some appends and not others stays full until none has failed for a while", async () => {
  watch.noteFull();
  for (let second = 0; second < 10; second++) {
    await scheduler.advance(1000);
    watch.noteFull();
  }
  expect(changes).toHaveLength(1);
  await scheduler.advance(HOLD_MS - 1);
  expect(watch.isFull).toBe(true);
  await scheduler.advance(100);
  expect(watch.isFull).toBe(false);
});

test("an append that fails while room is looked for counts more than the look", async () => {
  faults.arm({ kind: "slow", operations: ["stat"], delayMs: 500 });
  watch.noteFull();
  await scheduler.advance(HOLD_MS + 100);
  watch.noteFull();
  await scheduler.advance(HOLD_MS - 1);
  expect(changes).toHaveLength(1);
  await scheduler.advance(3000);
  expect(watch.isFull).toBe(false);
});

test("a disk that fills again and again is given back its place ever later, and as soon as ever after a good time", async () => {
  const fullForMs = async (): Promise<number> => {
    const fromMs = scheduler.nowMs;
    watch.noteFull();
    while (watch.isFull) await scheduler.advance(100);
    return scheduler.nowMs - fromMs;
  };
  const lengths: number[] = [];
  for (let times = 0; times < 6; times++) {
    lengths.push(Math.floor((await fullForMs()) / 1000));
    await scheduler.advance(1000);
  }
  expect(lengths).toEqual([2, 4, 8, 16, 16, 16]);
  await scheduler.advance(60_000);
  expect(Math.floor((await fullForMs()) / 1000)).toBe(2);
});

test("a closed watch looks no more and tells nothing", async () => {
  watch.noteFull();
  await scheduler.settle(watch.close(), 1000);
  expect(scheduler.pendingCount).toBe(0);
  watch.noteFull();
  await scheduler.advance(10_000);
  expect(changes).toHaveLength(1);
});

test("a watch that is closed while it looks waits for the look and tells nothing", async () => {
  faults.arm({ kind: "slow", operations: ["stat"], delayMs: 500 });
  watch.noteFull();
  await scheduler.advance(HOLD_MS + 100);
  const closing = watch.close();
  await scheduler.settle(closing, 1000);
  expect(await files()).toEqual([]);
  await scheduler.advance(10_000);
  expect(changes).toHaveLength(1);
});
