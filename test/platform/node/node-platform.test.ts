import * as fs from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { createNodePlatform } from "../../../src/platform/node/node-platform.ts";

test("the real platform has a clock, entropy, files and stores that work together", async () => {
  const platform = createNodePlatform();
  const { clock, random, disk } = platform;
  const root = await fs.mkdtemp(join(tmpdir(), "lograft-platform-"));
  const store = await platform.openKeyValue(join(root, "store"));
  const key = random.bytes(8);
  await store.batch([{ type: "put", key, value: Uint8Array.of(1) }], { sync: true });
  expect(await store.get(key)).toHaveLength(1);
  await store.close();
  expect(clock.wallMs()).toBeGreaterThan(0);
  expect(await disk.list(root)).toEqual([{ name: "store", isDirectory: true }]);
  await disk.removeDir(root);
});
