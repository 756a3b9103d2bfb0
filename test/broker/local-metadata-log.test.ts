import * as fc from "fast-check";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { LograftError } from "../../src/base/errors.ts";
import { LocalMetadataLog } from "../../src/broker/local-metadata-log.ts";
import type { MetadataEntry } from "../../src/controller/metadata-log.ts";
import type { MetadataRecord } from "../../src/metadata/records.ts";
import type { KeyValueOperation } from "../../src/platform/key-value.ts";
import { createNodePlatform } from "../../src/platform/node/node-platform.ts";
import { dropAll } from "../../src/sim/crash-policy.ts";
import { Scheduler } from "../../src/sim/scheduler.ts";
import { SimPlatform } from "../../src/sim/sim-platform.ts";
import type { Platform } from "../../src/platform/platform.ts";
import { history } from "../metadata/arbitrary-history.ts";

const DIRECTORY = "data";
const STORE = "data/metadata";

const ids = (next: number): MetadataRecord[] => [{ type: "ProducerIds", nextProducerId: next }];

async function machine(): Promise<SimPlatform> {
  const platform = SimPlatform.create({ seed: 3 }, { scheduler: new Scheduler() });
  await platform.disk.makeDir(DIRECTORY);
  await platform.disk.syncDir(".");
  return platform;
}

async function opened(platform: Pick<Platform, "disk" | "openKeyValue">, directory = DIRECTORY) {
  const log = await LocalMetadataLog.open({ directory }, { platform });
  const entries: MetadataEntry[] = [];
  try {
    await log.replayAll((entry) => entries.push(entry));
  } catch (error: unknown) {
    await log.close();
    throw error;
  }
  return { log, entries };
}

/** Adds `count` entries and closes. */
async function filled(platform: SimPlatform, count: number): Promise<void> {
  const { log } = await opened(platform);
  for (let index = 1; index <= count; index++) await log.append(ids(index));
  await log.close();
}

async function corruptIndex(platform: SimPlatform): Promise<unknown> {
  try {
    const { log } = await opened(platform);
    await log.close();
  } catch (error: unknown) {
    if (!(error instanceof LograftError) || error.code !== "METADATA_CORRUPT") throw error;
    expect(error.context["directory"]).toBe(STORE);
    expect(error.message).toContain("backup");
    return error.context["index"];
  }
  return "opened";
}

const entryKey = (index: number): Uint8Array => Uint8Array.of(1, 0, 0, 0, 0, 0, 0, 0, index);

async function changeStore(platform: SimPlatform, operations: KeyValueOperation[]): Promise<void> {
  const store = await platform.openKeyValue(STORE);
  await store.batch(operations, { sync: true });
  await store.close();
}

async function valueAt(platform: SimPlatform, key: Uint8Array): Promise<Uint8Array> {
  const store = await platform.openKeyValue(STORE);
  const value = await store.get(key);
  await store.close();
  return Uint8Array.from(value!);
}

describe("appends", () => {
  test("entries come back in order with their indexes, after a close and after a power cut", async () => {
    let platform = await machine();
    const { log } = await opened(platform);
    expect(await log.append(ids(1))).toEqual({ index: 1 });
    expect(await log.append([...ids(2), ...ids(3)])).toEqual({ index: 2 });
    const expected = [
      { index: 1, records: ids(1) },
      { index: 2, records: [...ids(2), ...ids(3)] },
    ];
    platform = platform.crash(dropAll, () => 0);
    const again = await opened(platform);
    expect(again.entries).toEqual(expected);
    expect(await again.log.append(ids(4))).toEqual({ index: 3 });
    await again.log.close();
    expect((await opened(platform)).entries.length).toBe(3);
  });

  test("any history comes back as it was appended", async () => {
    await fc.assert(
      fc.asyncProperty(history, async (batches) => {
        const platform = await machine();
        const { log } = await opened(platform);
        await Promise.all(batches.map((records) => log.append(records)));
        await log.close();
        expect((await opened(platform)).entries.map(({ records }) => records)).toEqual(batches);
      }),
      { numRuns: 30 },
    );
  });

  test("what waits while one flush runs shares the next", async () => {
    const platform = await machine();
    const { log } = await opened(platform);
    await log.append(ids(1));
    const before = platform.mutationCount;
    const all = Array.from({ length: 50 }, (_, step) => log.append(ids(step + 2)));
    expect((await Promise.all(all)).map(({ index }) => index)).toEqual(all.map((_append, step) => step + 2));
    expect(platform.mutationCount - before).toBe(2);
  });

  test("appends past the bound are refused with BUFFER_EXHAUSTED", async () => {
    const platform = await machine();
    const log = await LocalMetadataLog.open({ directory: DIRECTORY, maxWaiting: 2 }, { platform });
    await log.replayAll(() => undefined);
    const taken = [log.append(ids(1)), log.append(ids(2)), log.append(ids(3))];
    await expect(log.append(ids(4))).rejects.toMatchObject({ code: "BUFFER_EXHAUSTED", retriable: true });
    await Promise.all(taken);
  });

  test("after a failed write nothing more is written until a restart, which finds what was acknowledged", async () => {
    for (const isApplied of [false, true]) {
      const platform = await machine();
      const { log } = await opened(platform);
      await log.append(ids(1));
      platform.keyValues.failNextBatch(STORE, "EIO", isApplied);
      const [first, second] = await Promise.allSettled([log.append(ids(2)), log.append(ids(3))]);
      expect([first!.status, second!.status]).toEqual(["rejected", "rejected"]);
      await expect(log.append(ids(4))).rejects.toMatchObject({ code: "DISK_WRITE_FAILED" });
      await log.close();
      const { entries } = await opened(platform);
      expect(entries.map(({ index }) => index)).toEqual(isApplied ? [1, 2] : [1]);
    }
  });

  test("a closed log refuses, and close waits for what was appended", async () => {
    const platform = await machine();
    const { log } = await opened(platform);
    const appended = log.append(ids(1));
    await Promise.all([log.close(), log.close()]);
    expect(await appended).toEqual({ index: 1 });
    await expect(log.append(ids(2))).rejects.toMatchObject({ code: "CLOSED" });
    expect((await opened(platform)).entries.length).toBe(1);
  });
});

describe("damage is METADATA_CORRUPT and names the directory and the entry", () => {
  test.each([1, 2, 3, 4, 5])("entry %d of five lost", async (index) => {
    const platform = await machine();
    await filled(platform, 5);
    platform.keyValues.loseRecord(STORE, entryKey(index));
    expect(await corruptIndex(platform)).toBe(index);
  });

  test("the header lost", async () => {
    const platform = await machine();
    await filled(platform, 3);
    platform.keyValues.loseRecord(STORE, Uint8Array.of(0));
    expect(await corruptIndex(platform)).toBe(1);
  });

  test("the last entries and their header lost together, as when LevelDB drops a damaged end", async () => {
    const platform = await machine();
    await filled(platform, 2);
    const older = await valueAt(platform, Uint8Array.of(0));
    const { log } = await opened(platform);
    await log.append(ids(3));
    await log.close();
    await changeStore(platform, [
      { type: "delete", key: entryKey(3) },
      { type: "put", key: Uint8Array.of(0), value: older },
    ]);
    expect(await corruptIndex(platform)).toBe(3);
  });

  test("the whole store lost", async () => {
    const platform = await machine();
    await filled(platform, 2);
    for (const key of [Uint8Array.of(0), entryKey(1), entryKey(2)]) platform.keyValues.loseRecord(STORE, key);
    expect(await corruptIndex(platform)).toBe(1);
  });

  test("every flipped bit of an entry and of the header", async () => {
    const platform = await machine();
    await filled(platform, 3);
    for (const key of [entryKey(2), Uint8Array.of(0)]) {
      const value = await valueAt(platform, key);
      for (let bit = 0; bit < value.length * 8; bit++) {
        const flipped = Uint8Array.from(value);
        flipped[bit >> 3] = (flipped[bit >> 3] ?? 0) ^ (1 << (bit & 7));
        await changeStore(platform, [{ type: "put", key, value: flipped }]);
        expect([bit, await corruptIndex(platform)]).not.toEqual([bit, "opened"]);
      }
      await changeStore(platform, [{ type: "put", key, value }]);
    }
    expect(await corruptIndex(platform)).toBe("opened");
  });

  test("an entry of another history at the right place", async () => {
    const [platform, other] = [await machine(), await machine()];
    await filled(platform, 3);
    const { log } = await opened(other);
    for (const next of [7, 8, 9]) await log.append(ids(next));
    await log.close();
    await changeStore(platform, [
      { type: "put", key: entryKey(2), value: await valueAt(other, entryKey(2)) },
    ]);
    expect(await corruptIndex(platform)).toBe(2);
  });

  test("a key that is not ours", async () => {
    const platform = await machine();
    await filled(platform, 1);
    await changeStore(platform, [{ type: "put", key: Uint8Array.of(9, 9), value: Uint8Array.of(1) }]);
    expect(await corruptIndex(platform)).toBe(2);
  });

  test("entries that cannot follow from each other, as the reader tells", async () => {
    const platform = await machine();
    await filled(platform, 2);
    const log = await LocalMetadataLog.open({ directory: DIRECTORY }, { platform });
    const visit = ({ index }: MetadataEntry): void => {
      if (index === 2) throw new LograftError("METADATA_CORRUPT", "does not follow");
    };
    await expect(log.replayAll(visit)).rejects.toMatchObject({
      code: "METADATA_CORRUPT",
      context: { directory: STORE, index: 2 },
    });
  });
});

describe("on a real disk", () => {
  let directory: string;
  beforeEach(async () => (directory = await mkdtemp(`${tmpdir()}/lograft-metadata-`)));
  afterEach(() => rm(directory, { recursive: true }));

  test("entries survive, and a second opener is DATA_DIR_LOCKED", async () => {
    const platform = createNodePlatform();
    const { log } = await opened(platform, directory);
    await Promise.all([log.append(ids(1)), log.append(ids(2))]);
    await expect(LocalMetadataLog.open({ directory }, { platform })).rejects.toMatchObject({
      code: "DATA_DIR_LOCKED",
    });
    await log.close();
    const again = await opened(platform, directory);
    expect(again.entries.map(({ records }) => records)).toEqual([ids(1), ids(2)]);
    await again.log.close();
  });
});
