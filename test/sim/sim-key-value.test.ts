import { expect, test } from "vitest";
import type { KeyValueStore } from "../../src/platform/key-value.ts";
import { SeededRandom } from "../../src/platform/random.ts";
import { Scheduler } from "../../src/sim/scheduler.ts";
import { SimClock } from "../../src/sim/sim-clock.ts";
import { randomBatchCrash, SimKeyValueStorage } from "../../src/sim/sim-key-value.ts";
import { CrashPoint, SimulatedCrash } from "../../src/sim/simulated-crash.ts";
import { keyValueContract } from "../contract/key-value.ts";

keyValueContract("SimKeyValueStorage", async () => {
  const storage = new SimKeyValueStorage();
  return { open: () => storage.open("/store"), dispose: async () => undefined };
});

const put = (store: KeyValueStore, key: number, sync: boolean): Promise<void> =>
  store.batch([{ type: "put", key: Uint8Array.of(key), value: Uint8Array.of(key) }], { sync });

async function keysOf(storage: SimKeyValueStorage): Promise<number[]> {
  const store = await storage.open("/store");
  const keys: number[] = [];
  for await (const [key] of store.scan({})) keys.push(key[0] ?? -1);
  await store.close();
  return keys;
}

test("a power cut takes a suffix of the unsynced batches, never a synced one or one before it", async () => {
  const lengths = new Set<number>();
  for (let seed = 0; seed < 30; seed++) {
    const storage = new SimKeyValueStorage();
    const store = await storage.open("/store");
    for (let key = 0; key < 6; key++) await put(store, key, key === 2);
    expect(storage.unsyncedCount).toBe(3);
    const keys = await keysOf(storage.crash(randomBatchCrash(new SeededRandom(seed))));
    expect(keys).toEqual([0, 1, 2, 3, 4, 5].slice(0, keys.length));
    lengths.add(keys.length);
  }
  expect([...lengths].sort((a, b) => a - b)).toEqual([3, 4, 5, 6]);
});

test("a killed process loses nothing; its store is dead and the next one opens it", async () => {
  const storage = new SimKeyValueStorage();
  const store = await storage.open("/store");
  await put(store, 1, false);
  const next = storage.crashKeepingAll();
  await expect(put(store, 2, true)).rejects.toBeInstanceOf(SimulatedCrash);
  await expect(store.get(Uint8Array.of(1))).rejects.toBeInstanceOf(SimulatedCrash);
  await store.close();
  expect(await keysOf(next)).toEqual([1]);
  expect(await keysOf(next.crashDroppingAll())).toEqual([1]);
});

test("after a failed batch nothing is written until the store is opened again, and its own fate is open (H15)", async () => {
  for (const isApplied of [false, true]) {
    const storage = new SimKeyValueStorage();
    const store = await storage.open("/store");
    await put(store, 1, true);
    storage.failNextBatch("/store", "EIO", isApplied);
    await expect(put(store, 2, true)).rejects.toMatchObject({ code: "DISK_WRITE_FAILED" });
    await expect(put(store, 3, true)).rejects.toMatchObject({ code: "DISK_WRITE_FAILED" });
    await store.close();
    expect(await keysOf(storage)).toEqual(isApplied ? [1, 2] : [1]);
    expect(await keysOf(storage.crashDroppingAll())).toEqual([1]);
  }
});

test("a lost record is missing without an error (H13)", async () => {
  const storage = new SimKeyValueStorage();
  const store = await storage.open("/store");
  for (const key of [1, 2, 3]) await put(store, key, true);
  await store.close();
  storage.loseRecord("/store", Uint8Array.of(2));
  expect(await keysOf(storage)).toEqual([1, 3]);
  expect(await keysOf(storage.crashDroppingAll())).toEqual([1, 3]);
});

test("a crash point counts batches and kills at the chosen one", async () => {
  const crashPoint = new CrashPoint(2);
  const storage = new SimKeyValueStorage({ crashPoint });
  const store = await storage.open("/store");
  await put(store, 1, true);
  await put(store, 2, true);
  await expect(put(store, 3, true)).rejects.toBeInstanceOf(SimulatedCrash);
  expect(crashPoint.count).toBe(2);
  expect(await keysOf(storage.crashKeepingAll())).toEqual([1, 2]);
});

test("stores of different paths are apart, spellings of one path are one store", async () => {
  const storage = new SimKeyValueStorage();
  const a = await storage.open("/a");
  const b = await storage.open("/b");
  await put(a, 1, true);
  expect(await b.get(Uint8Array.of(1))).toBeUndefined();
  await expect(storage.open("//a/./")).rejects.toMatchObject({ code: "DATA_DIR_LOCKED" });
});

test("a batch that takes its time is unsynced until it is done, and a crash in between may keep it or not", async () => {
  for (const keptCount of [0, 1]) {
    const scheduler = new Scheduler();
    const clock = new SimClock({}, { scheduler });
    const durable: number[] = [];
    const storage = new SimKeyValueStorage({
      latency: { clock, nextMs: () => 5 },
      onDurable: (_path, operations) => durable.push(...operations.map(({ key }) => key[0] ?? -1)),
    });
    const store = await storage.open("/store");
    await scheduler.settle(put(store, 1, true), 100);
    expect(scheduler.nowMs).toBe(5);
    expect(durable).toEqual([1]);
    const writing = expect(put(store, 2, true)).rejects.toBeInstanceOf(SimulatedCrash);
    await scheduler.advance(4);
    expect(storage.unsyncedCount).toBe(1);
    const left = storage.crash(() => keptCount);
    await scheduler.advance(100);
    await writing;
    expect(await keysOf(left)).toEqual([1, 2].slice(0, 1 + keptCount));
    expect(durable).toEqual([1, 2].slice(0, 1 + keptCount));
  }
});

test("a sync does not cover what was written while it was under way", async () => {
  const scheduler = new Scheduler();
  const delays = [10, 30];
  const storage = new SimKeyValueStorage({
    latency: { clock: new SimClock({}, { scheduler }), nextMs: () => delays.shift() ?? 0 },
  });
  const store = await storage.open("/store");
  const first = put(store, 1, true);
  const second = expect(put(store, 2, true)).rejects.toBeInstanceOf(SimulatedCrash);
  await scheduler.settle(first, 20);
  const left = storage.crashDroppingAll();
  await scheduler.advance(100);
  await second;
  expect(await keysOf(left)).toEqual([1]);
});

test("a wiped directory takes the stores in it and below it, and no other", async () => {
  const storage = new SimKeyValueStorage();
  for (const path of ["/a", "/a/b", "/ab"]) await put(await storage.open(path), 1, true);
  storage.wipe("/a/");
  expect(["/a", "/a/b", "/ab"].map((path) => storage.has(path))).toEqual([false, false, true]);
});
