import * as fs from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { openLevelKeyValue } from "../../../src/platform/node/level-key-value.ts";
import { findDamage } from "../../../src/platform/node/level-log-check.ts";

let root: string;
let path: string;

beforeEach(async () => {
  root = await fs.mkdtemp(join(tmpdir(), "lograft-level-log-"));
  path = join(root, "store");
});

afterEach(async () => {
  await fs.rm(root, { recursive: true, force: true });
});

/** A store with one batch for each size, closed; the path of its log. */
async function storeOf(sizes: readonly number[]): Promise<string> {
  const store = await openLevelKeyValue(path);
  for (const [index, size] of sizes.entries()) {
    const value = new Uint8Array(size).fill(index + 1);
    await store.batch([{ type: "put", key: Uint8Array.of(index), value }], { sync: true });
  }
  await store.close();
  const name = (await fs.readdir(path)).find((file) => file.endsWith(".log"));
  return join(path, name ?? "");
}

async function keysOf(): Promise<number[]> {
  const store = await openLevelKeyValue(path);
  const keys: number[] = [];
  for await (const [key] of store.scan({})) keys.push(key[0] ?? -1);
  await store.close();
  return keys;
}

test("logs as LevelDB writes them are sound: small records, parts over blocks, padded block ends", async () => {
  for (const sizes of [
    [1],
    [10, 20, 30],
    [100_000],
    [32_700, 5, 40_000, 32_722, 1],
    [...Array(400).keys()],
  ]) {
    const log = await storeOf(sizes.map((size) => size % 120_000));
    expect(findDamage(await fs.readFile(log)), `${sizes.length} records`).toBeUndefined();
    await fs.rm(path, { recursive: true });
  }
});

test("a log that ends anywhere is sound: that is what a crash leaves", async () => {
  const bytes = await fs.readFile(await storeOf([10, 50, 70_000, 20]));
  for (let end = 0; end <= bytes.length; end += end < 300 ? 1 : 997) {
    expect(findDamage(bytes.subarray(0, end)), `${end} bytes`).toBeUndefined();
  }
});

test("a flipped bit in any record but the last is damage, and the store stays as it is", async () => {
  const log = await storeOf([10, 50, 70_000, 20, 33_000]);
  const good = await fs.readFile(log);
  const last = good.lastIndexOf(Buffer.alloc(1000, 5)) - 30_000;
  for (let at = 0; at < last; at += at < 200 ? 3 : 4999) {
    const bytes = Buffer.from(good);
    bytes[at] = (bytes[at] ?? 0) ^ 0x40;
    expect(findDamage(bytes), `byte ${at}`).toBeDefined();
  }
  const bytes = Buffer.from(good);
  bytes[30] = (bytes[30] ?? 0) ^ 1;
  await fs.writeFile(log, bytes);
  const before = (await fs.readdir(path)).sort();
  await expect(openLevelKeyValue(path)).rejects.toMatchObject({
    code: "METADATA_CORRUPT",
    message: expect.stringContaining(log) as unknown,
  });
  expect((await fs.readdir(path)).sort()).toEqual(before);
  expect(await fs.readFile(log)).toEqual(bytes);
  await fs.writeFile(log, good);
  expect(await keysOf()).toEqual([0, 1, 2, 3, 4]);
});

test("the last record, half written in any of its blocks, is a torn end and not damage", async () => {
  const log = await storeOf([10, 100_000]);
  const bytes = await fs.readFile(log);
  // The second block of four was never written though the ones behind it were.
  bytes.fill(0, 32_768, 65_536);
  expect(findDamage(bytes)).toBeUndefined();
  await fs.writeFile(log, bytes);
  expect(await keysOf()).toEqual([0]);
});
