import { mkdtemp, readdir, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { DataVolumes } from "../../src/chaos/data-volumes.ts";

const MIB = 1024 * 1024;

let directory = "";

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), "lograft-volumes-"));
});

afterEach(async () => {
  await rm(directory, { recursive: true, force: true });
});

test("a volume is filled to the last block and emptied again, apart from the others, and is gone in the end", async () => {
  const volumes = await DataVolumes.mount({ directory, nodeIds: [1, 2], sizeBytes: 16 * MIB });
  if ("missing" in volumes) {
    process.stderr.write(
      `\n*** NOT SHOWN: a volume that is full; nothing can be mounted: ${volumes.missing}\n\n`,
    );
    return;
  }
  {
    await using _mounted = volumes;
    const [full, other] = [volumes.of(1), volumes.of(2)];
    if (full === undefined || other === undefined) throw new Error("a volume is missing");
    expect(await full.fill()).toBeLessThan(64 * 1024);
    const record = Buffer.alloc(MIB);
    await expect(writeFile(join(full.mountPoint, "file"), record)).rejects.toThrow(/ENOSPC/);
    await writeFile(join(other.mountPoint, "file"), record);
    await full.empty();
    await writeFile(join(full.mountPoint, "file"), record);
  }
  // What is left is what it was mounted on.
  expect(await readdir(join(directory, "disk-1"))).toEqual([]);
});

test("where nothing can be mounted it says why, and leaves nothing mounted", async () => {
  const tooSmall = await DataVolumes.mount({ directory, nodeIds: [1], sizeBytes: 1024 });
  expect("missing" in tooSmall && tooSmall.missing.length > 0).toBe(true);
  expect((await readdir(directory)).toSorted()).toEqual(["disk-1", "disk-1.ext4"]);
});
