import { expect, test } from "vitest";
import { crc32c } from "../../src/base/crc32c.ts";
import { nodeId } from "../../src/model/ids.ts";
import { replicaIdOf } from "../../src/quorum/replica-id.ts";
import { SnapshotStore } from "../../src/quorum/snapshot-store.ts";
import type { SnapshotDescription, SnapshotRequest } from "../../src/raft/types.ts";
import { Scheduler } from "../../src/sim/scheduler.ts";
import { SimPlatform } from "../../src/sim/sim-platform.ts";
import { SimulatedCrash } from "../../src/sim/simulated-crash.ts";

const DIRECTORY = "/data/snapshots";
const NONE = { index: 0, term: 0 };
const voters = [{ id: replicaIdOf(nodeId(1), "d1"), endpoint: "h1:1" }];
const meta = { index: 10, term: 2, voters };
const content = Buffer.from(Array.from({ length: 300 }, (_, at) => at % 251));

function machine(failAfterOperations = Number.POSITIVE_INFINITY, seed = 1): SimPlatform {
  return SimPlatform.create({ seed, failAfterOperations }, { scheduler: new Scheduler() });
}

async function storeOn(platform: SimPlatform): Promise<SnapshotStore> {
  const store = new SnapshotStore({ directory: DIRECTORY }, { disk: platform.disk });
  await store.prepare(NONE);
  await platform.disk.syncDir("/data");
  await platform.disk.syncDir("/");
  return store;
}

function chunk(snapshot: SnapshotDescription, position: number, sizeBytes: number): SnapshotRequest {
  const ends = { from: replicaIdOf(nodeId(2), "d2"), to: replicaIdOf(nodeId(1), "d1"), term: 2 };
  const data = content.subarray(position, position + sizeBytes);
  return { type: "SnapshotRequest", ...ends, snapshot, position, data };
}

const described: SnapshotDescription = { ...meta, sizeBytes: content.length, checksum: crc32c(content) };

async function receiveAll(store: SnapshotStore, snapshot = described): Promise<void> {
  for (let at = 0; at < content.length; at += 100) await store.receive(chunk(snapshot, at, 100));
}

test("a snapshot is read back whole and in chunks", async () => {
  const store = await storeOn(machine());
  expect(await store.write(meta, content)).toEqual(described);
  const loaded = await store.load({ index: 10, term: 2 });
  expect(loaded.description).toEqual(described);
  expect(loaded.content.equals(content)).toBe(true);
  const chunks: Buffer[] = [];
  for (let at = 0; at < content.length; at += 128) {
    const part = await store.readChunk(described, at, 128);
    expect(part).toBeDefined();
    chunks.push(part ?? Buffer.alloc(0));
  }
  expect(Buffer.concat(chunks).equals(content)).toBe(true);
  expect(await store.readChunk({ ...described, index: 11 }, 0, 10)).toBeUndefined();
});

test("a received snapshot is installed when its checksum is right, and thrown away when not (H9)", async () => {
  const platform = machine();
  const store = await storeOn(platform);
  await receiveAll(store);
  expect((await store.install(described))?.content.equals(content)).toBe(true);
  expect((await store.load(meta)).description).toEqual(described);
  for (const bad of [
    { ...described, index: 11, checksum: (described.checksum ^ 1) >>> 0 },
    { ...described, index: 12, sizeBytes: described.sizeBytes + 1 },
  ]) {
    await receiveAll(store, bad);
    expect(await store.install(bad)).toBeUndefined();
    await expect(store.load(bad)).rejects.toMatchObject({ code: "METADATA_CORRUPT" });
  }
  expect(await store.install({ ...described, index: 13 })).toBeUndefined();
});

test("a crash at any step of writing or installing leaves no snapshot or a whole one, and no litter (H9)", async () => {
  for (const way of ["write", "install"] as const) {
    let crashes = 0;
    for (let after = 6; ; after++) {
      const platform = machine(after, after);
      let isDone = false;
      try {
        const store = await storeOn(platform);
        if (way === "write") await store.write(meta, content);
        else await receiveAll(store).then(() => store.install(described));
        isDone = true;
      } catch (error: unknown) {
        if (!(error instanceof SimulatedCrash)) throw error;
        crashes++;
      }
      const next = platform.crash();
      const store = new SnapshotStore({ directory: DIRECTORY }, { disk: next.disk });
      const isThere = (await next.disk.stat(`${DIRECTORY}/10-2.snapshot`)) !== undefined;
      if (isThere) expect((await store.load(meta)).content.equals(content), `${way} ${after}`).toBe(true);
      if (isDone) expect(isThere).toBe(true);
      await store.prepare(isThere ? meta : NONE);
      const names = (await next.disk.list(DIRECTORY)).map(({ name }) => name);
      expect(names).toEqual(isThere ? ["10-2.snapshot"] : []);
      if (isDone) break;
    }
    expect(crashes, way).toBeGreaterThan(3);
  }
});

test("every flipped byte and every cut of a snapshot is found, and so is another one under its name", async () => {
  const platform = machine();
  const store = await storeOn(platform);
  await store.write(meta, content);
  const path = `${DIRECTORY}/10-2.snapshot`;
  const size = (await platform.disk.stat(path))?.sizeBytes ?? 0;
  for (let at = 0; at < size; at++) {
    platform.disk.flipBit(path, at * 8 + (at % 8));
    await expect(store.load(meta), `byte ${at}`).rejects.toMatchObject({ code: "METADATA_CORRUPT" });
    platform.disk.flipBit(path, at * 8 + (at % 8));
  }
  expect((await store.load(meta)).content.equals(content)).toBe(true);
  const file = await platform.disk.open(path, "write");
  for (let cut = size - 1; cut >= 0; cut--) {
    await file.truncate(cut);
    await expect(store.load(meta), `cut at ${cut}`).rejects.toMatchObject({ code: "METADATA_CORRUPT" });
  }
  await file.close();
  await store.write({ ...meta, index: 9 }, content);
  await platform.disk.rename(`${DIRECTORY}/9-2.snapshot`, path);
  await expect(store.load(meta)).rejects.toMatchObject({ code: "METADATA_CORRUPT" });
});

test("older snapshots go when they are not needed any more", async () => {
  const platform = machine();
  const store = await storeOn(platform);
  for (const index of [5, 10, 100]) await store.write({ ...meta, index }, content);
  await store.removeBefore(10);
  const names = (await platform.disk.list(DIRECTORY)).map(({ name }) => name);
  expect(names).toEqual(["10-2.snapshot", "100-2.snapshot"]);
});
