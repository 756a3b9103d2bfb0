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
