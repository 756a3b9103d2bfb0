import * as fs from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { openLevelKeyValue } from "../../../src/platform/node/level-key-value.ts";
import { keyValueContract } from "../../contract/key-value.ts";

const makeRoot = (): Promise<string> => fs.mkdtemp(join(tmpdir(), "lograft-level-"));

keyValueContract("LevelDB store", async () => {
  const root = await makeRoot();
  return {
    // The missing parent is made too.
    open: () => openLevelKeyValue(join(root, "some/store")),
    dispose: () => fs.rm(root, { recursive: true, force: true }),
  };
});

test("a store that cannot be opened is DISK_READ_FAILED with path and cause", async () => {
  const root = await makeRoot();
  const path = join(root, "store");
  await (await openLevelKeyValue(path)).close();
  await fs.writeFile(join(path, "CURRENT"), "MANIFEST-999999\n");
  await expect(openLevelKeyValue(path)).rejects.toMatchObject({
    code: "DISK_READ_FAILED",
    context: { path },
  });
  await fs.rm(root, { recursive: true });
});

test("a scan goes on past one fetch from LevelDB", async () => {
  const root = await makeRoot();
  const store = await openLevelKeyValue(join(root, "store"));
  const keys = Array.from({ length: 1_000 }, (_, i) => Uint8Array.of(i >> 8, i & 255));
  await store.batch(
    keys.map((key) => ({ type: "put" as const, key, value: key })),
    { sync: false },
  );
  let count = 0;
  for await (const [key] of store.scan({})) expect([...key]).toEqual([...(keys[count++] ?? [])]);
  expect(count).toBe(1_000);
  await store.close();
  await fs.rm(root, { recursive: true });
});

test("compaction gives the room of deleted keys back to the disk (H17)", async () => {
  const root = await makeRoot();
  const path = join(root, "store");
  const store = await openLevelKeyValue(path);
  const keys = Array.from({ length: 2_000 }, (_, i) => Uint8Array.of(1, i >> 8, i & 255));
  const value = new Uint8Array(4096).map((_, at) => (at * 7919) % 251);
  for (let at = 0; at < keys.length; at += 500) {
    const operations = keys.slice(at, at + 500).map((key) => ({ type: "put" as const, key, value }));
    await store.batch(operations, { sync: false });
  }
  await store.batch(
    keys.map((key) => ({ type: "delete" as const, key })),
    { sync: true },
  );
  await store.compactRange({ from: Uint8Array.of(1), to: Uint8Array.of(2) });
  await store.close();
  const sizes = await Promise.all(
    (await fs.readdir(path)).map(async (name) => (await fs.stat(join(path, name))).size),
  );
  expect(sizes.reduce((sum, size) => sum + size, 0)).toBeLessThan(2_000_000);
  await fs.rm(root, { recursive: true });
});
