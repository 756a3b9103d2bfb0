import { expect, test } from "vitest";
import { nodeId } from "../../src/model/ids.ts";
import { SeededRandom } from "../../src/platform/random.ts";
import { createNodePlatform } from "../../src/platform/node/node-platform.ts";
import type { Platform } from "../../src/platform/platform.ts";
import { RaftStore } from "../../src/quorum/raft-store.ts";
import type { StoreContent } from "../../src/quorum/raft-store.ts";
import { replicaIdOf } from "../../src/quorum/replica-id.ts";
import type { Entry, EntryKind, HardState, LogWrite } from "../../src/raft/types.ts";
import { Scheduler } from "../../src/sim/scheduler.ts";
import { SimPlatform } from "../../src/sim/sim-platform.ts";
import { SimulatedCrash } from "../../src/sim/simulated-crash.ts";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

const PATH = "/data/quorum/store";
const identity = { nodeId: nodeId(1), directoryId: "d1", clusterId: undefined };

function machine(failAfterOperations = Number.POSITIVE_INFINITY, seed = 1): SimPlatform {
  return SimPlatform.create({ seed, failAfterOperations }, { scheduler: new Scheduler() });
}

async function load(
  platform: Platform,
  path = PATH,
): Promise<{ store: RaftStore; content: StoreContent | undefined }> {
  return RaftStore.load(path, await platform.openKeyValue(path));
}

const kinds: readonly EntryKind[] = ["noop", "data", "voters"];

function entry(index: number, term: number, text = `${index}.${term}`): Entry {
  return { index, term, kind: kinds[(index + term) % 3] ?? "data", data: Buffer.from(text) };
}

function entries(first: number, last: number, term: number): Entry[] {
  return Array.from({ length: last - first + 1 }, (_, at) => entry(first + at, term));
}

const hard = (term: number, commit: number, vote?: number): HardState => ({
  term,
  commit,
  vote: vote === undefined ? undefined : replicaIdOf(nodeId(vote), "x"),
});

type Step =
  | { readonly do: "write"; readonly write: LogWrite }
  | { readonly do: "snapshot"; readonly index: number; readonly term: number }
  | { readonly do: "join"; readonly clusterId: string };

const write = (hardState: HardState, first: readonly Entry[], truncateAfter?: number): Step => ({
  do: "write",
  write: { hardState, truncateAfter, entries: first },
});

/** What the store has to hold after some steps. */
class Model {
  content: StoreContent = { identity, hardState: hard(0, 0), snapshot: { index: 0, term: 0 }, entries: [] };

  take(step: Step): void {
    const { content } = this;
    switch (step.do) {
      case "join":
        this.content = { ...content, identity: { ...content.identity, clusterId: step.clusterId } };
        return;
      case "write": {
        const first = step.write.entries[0]?.index ?? Infinity;
        const end = Math.min(step.write.truncateAfter ?? Infinity, first - 1);
        const kept = content.entries.filter(({ index }) => index <= end);
        this.content = {
          ...content,
          hardState: step.write.hardState,
          entries: [...kept, ...step.write.entries],
        };
        return;
      }
      case "snapshot": {
        const { index, term } = step;
        const isSame = content.entries.some((own) => own.index === index && own.term === term);
        const left = isSame ? content.entries.filter((own) => own.index > index) : [];
        const commit = Math.max(content.hardState.commit, index);
        this.content = {
          ...content,
          snapshot: { index, term },
          entries: left,
          hardState: { ...content.hardState, commit },
        };
      }
    }
  }
}

async function run(store: RaftStore, step: Step): Promise<void> {
  if (step.do === "write") await store.write(step.write);
  else if (step.do === "join") await store.joinCluster(step.clusterId);
  else await store.recordSnapshot(step);
}

/** Appends, conflicts, an own snapshot, a received one that keeps the suffix and one that does not. */
const STEPS: readonly Step[] = [
  { do: "join", clusterId: "c1" },
  write(hard(1, 0, 1), entries(1, 5, 1)),
  write(hard(1, 4, 1), []),
  write(hard(2, 4), entries(6, 9, 2)),
  write(hard(3, 5, 3), [entry(7, 3)], 6),
  { do: "snapshot", index: 4, term: 1 },
  write(hard(3, 7), entries(8, 12, 3)),
  write(hard(3, 7), [], 10),
  { do: "snapshot", index: 8, term: 3 },
  { do: "snapshot", index: 20, term: 3 },
  write(hard(4, 20, 2), entries(21, 23, 4)),
];

const plain = (content: StoreContent | undefined): unknown =>
  content === undefined ? undefined : JSON.parse(JSON.stringify(content));

test("what was written is read back after every step", async () => {
  const platform = machine();
  let { store } = await load(platform);
  await store.create(identity);
  const model = new Model();
  for (const [at, step] of STEPS.entries()) {
    await run(store, step);
    model.take(step);
    await store.close();
    const again = await load(platform);
    store = again.store;
    expect(plain(again.content), `after step ${at}`).toEqual(plain(model.content));
    const last = model.content.entries.at(-1) ?? model.content.snapshot;
    expect(store.last).toMatchObject({ index: last.index, term: last.term });
    expect(store.termAt(last.index)).toBe(last.term);
    expect(store.termAt(last.index + 1)).toBeUndefined();
  }
});

test("the same on a real store", async () => {
  const root = await mkdtemp(join(tmpdir(), "lograft-raft-store-"));
  const platform = createNodePlatform();
  const path = join(root, "store");
  let { store } = await load(platform, path);
  await store.create(identity);
  const model = new Model();
  for (const step of STEPS) {
    await run(store, step);
    model.take(step);
  }
  await store.close();
  const again = await load(platform, path);
  store = again.store;
  expect(plain(again.content)).toEqual(plain(model.content));
  await store.close();
  await rm(root, { recursive: true });
});

test("a crash at any operation leaves what was acknowledged, or that and the step in progress (H11, H12)", async () => {
  let crashes = 0;
  for (let after = 0; ; after++) {
    const platform = machine(after, after);
    const acknowledged = new Model();
    const inProgress = new Model();
    let isDone = false;
    let isCreated = false;
    try {
      const { store } = await load(platform);
      await store.create(identity);
      isCreated = true;
      for (const step of STEPS) {
        inProgress.take(step);
        await run(store, step);
        acknowledged.take(step);
      }
      isDone = true;
    } catch (error: unknown) {
      if (!(error instanceof SimulatedCrash)) throw error;
    }
    const { content } = await load(platform.crash());
    const possible = [acknowledged, inProgress].map(({ content: one }) => plain(one));
    if (!isCreated) possible.push(undefined);
    expect(possible, `after ${after} operations`).toContainEqual(plain(content));
    crashes += isDone ? 0 : 1;
    if (isDone) break;
  }
  expect(crashes).toBeGreaterThan(STEPS.length);
});

test("random writes, truncations and snapshots are read back", async () => {
  for (let seed = 1; seed <= 25; seed++) {
    const random = new SeededRandom(seed);
    const platform = machine();
    let { store } = await load(platform);
    await store.create(identity);
    const model = new Model();
    let term = 1;
    for (let count = 0; count < 30; count++) {
      const { snapshot, entries: own, hardState } = model.content;
      const last = own.at(-1)?.index ?? snapshot.index;
      let step: Step;
      if (random.below(5) === 0 && last > snapshot.index) {
        const index = snapshot.index + 1 + random.below(last - snapshot.index);
        step = { do: "snapshot", index, term: own.find((one) => one.index === index)?.term ?? 0 };
      } else {
        if (random.below(3) === 0) term++;
        const cut = Math.max(hardState.commit, last - random.below(4));
        const commit = Math.max(hardState.commit, cut - random.below(3));
        step = write(hard(term, commit, random.below(3)), entries(cut + 1, cut + random.below(5), term), cut);
      }
      await run(store, step);
      model.take(step);
    }
    await store.close();
    const again = await load(platform);
    store = again.store;
    expect(plain(again.content), `seed ${seed}`).toEqual(plain(model.content));
  }
});

test("what lies above the last index of the header is no part of the log and is overwritten (H12)", async () => {
  const platform = machine();
  const first = await load(platform);
  await first.store.create(identity);
  await first.store.write({ hardState: hard(1, 0), truncateAfter: undefined, entries: entries(1, 6, 1) });
  await first.store.close();
  const raw = await platform.openKeyValue(PATH);
  const stale: [Uint8Array, Uint8Array][] = [];
  for await (const [key, value] of raw.scan({ from: Uint8Array.of(1) })) stale.push([key, value]);
  await raw.close();
  const second = await load(platform);
  await second.store.write({ hardState: hard(2, 0), truncateAfter: 2, entries: [entry(3, 2)] });
  await second.store.close();
  // A deletion that was not done: the entries 4 to 6 of the old history are back.
  const again = await platform.openKeyValue(PATH);
  await again.batch(
    stale.slice(3).map(([key, value]) => ({ type: "put" as const, key, value })),
    { sync: true },
  );
  await again.close();
  const third = await load(platform);
  expect(third.content?.entries.map(({ index, term }) => [index, term])).toEqual([
    [1, 1],
    [2, 1],
    [3, 2],
  ]);
  await third.store.write({ hardState: hard(2, 0), truncateAfter: undefined, entries: entries(4, 7, 2) });
  await third.store.close();
  const fourth = await load(platform);
  expect(fourth.content?.entries.map(({ term }) => term)).toEqual([1, 1, 2, 2, 2, 2, 2]);
});

/** A closed store with a snapshot and entries behind it, and its records. */
async function sample(): Promise<{ platform: SimPlatform; records: [Uint8Array, Uint8Array][] }> {
  const platform = machine();
  const { store } = await load(platform);
  await store.create({ ...identity, clusterId: "c1" });
  await store.write({ hardState: hard(2, 3, 1), truncateAfter: undefined, entries: entries(1, 6, 2) });
  await store.recordSnapshot({ index: 3, term: 2 });
  await store.close();
  const raw = await platform.openKeyValue(PATH);
  const records: [Uint8Array, Uint8Array][] = [];
  for await (const [key, value] of raw.scan({})) records.push([key, value]);
  await raw.close();
  return { platform, records };
}

/** The code that reading throws with this record in place of the one of its key; undefined value: it is gone. */
async function codeWith(
  platform: SimPlatform,
  key: Uint8Array,
  value: Uint8Array | undefined,
): Promise<unknown> {
  const raw = await platform.openKeyValue(PATH);
  await raw.batch([value === undefined ? { type: "delete", key } : { type: "put", key, value }], {
    sync: true,
  });
  await raw.close();
  const opened = await platform.openKeyValue(PATH);
  try {
    await RaftStore.load(PATH, opened);
    return undefined;
  } catch (error: unknown) {
    return (error as { code?: unknown }).code;
  } finally {
    await opened.close();
  }
}

test("every flipped byte, every cut and every missing record is found (H13)", async () => {
  const { platform, records } = await sample();
  expect(records).toHaveLength(4);
  let damages = 0;
  for (const [key, value] of records) {
    for (let at = 0; at < value.length; at++) {
      const flipped = Uint8Array.from(value);
      flipped[at] = (flipped[at] ?? 0) ^ (1 << (at % 8));
      expect(await codeWith(platform, key, flipped), `byte ${at} of ${key.join()}`).toBe("METADATA_CORRUPT");
      expect(await codeWith(platform, key, value.subarray(0, at)), `cut at ${at}`).toBe("METADATA_CORRUPT");
      damages += 2;
    }
    expect(await codeWith(platform, key, undefined), `without ${key.join()}`).toBe("METADATA_CORRUPT");
    expect(await codeWith(platform, key, value), "whole again").toBeUndefined();
  }
  expect(damages).toBeGreaterThan(200);
});

test("a whole entry of another history, or of another place, is found by the chain", async () => {
  const { platform, records } = await sample();
  const other = machine();
  const { store } = await load(other);
  await store.create(identity);
  await store.write({ hardState: hard(2, 0), truncateAfter: undefined, entries: entries(1, 4, 2) });
  await store.write({
    hardState: hard(2, 0),
    truncateAfter: undefined,
    entries: [entry(5, 2, "other"), entry(6, 2, "6.2")],
  });
  await store.close();
  const raw = await other.openKeyValue(PATH);
  for (const [key, value] of records.slice(2)) {
    const foreign = await raw.get(key);
    expect(await codeWith(platform, key, foreign), key.join()).toBe("METADATA_CORRUPT");
    expect(await codeWith(platform, key, records[1]?.[1])).toBe("METADATA_CORRUPT");
    await codeWith(platform, key, value);
  }
  expect(await codeWith(platform, Uint8Array.of(7), Uint8Array.of(1))).toBe("METADATA_CORRUPT");
});

test("after a failed write nothing is written any more (H15)", async () => {
  for (const isApplied of [false, true]) {
    const platform = machine();
    const { store } = await load(platform);
    await store.create(identity);
    platform.keyValues.failNextBatch(PATH, "EIO", isApplied);
    const failing = store.write({
      hardState: hard(1, 0),
      truncateAfter: undefined,
      entries: entries(1, 2, 1),
    });
    await expect(failing).rejects.toMatchObject({ code: "DISK_WRITE_FAILED" });
    await expect(store.joinCluster("c")).rejects.toMatchObject({ code: "DISK_WRITE_FAILED" });
    await store.close();
    const { content } = await load(platform);
    expect(content?.entries.length).toBe(isApplied ? 2 : 0);
  }
});

test("entries that a snapshot holds already are left out of a write", async () => {
  const platform = machine();
  const { store } = await load(platform);
  await store.create(identity);
  await store.recordSnapshot({ index: 10, term: 3 });
  await store.write({ hardState: hard(3, 12), truncateAfter: 4, entries: entries(5, 12, 3) });
  // A snapshot that is older than the one there changes nothing.
  await store.recordSnapshot({ index: 7, term: 3 });
  await store.close();
  const { content } = await load(platform);
  expect(content?.snapshot).toMatchObject({ index: 10, term: 3 });
  expect(content?.entries.map(({ index }) => index)).toEqual([11, 12]);
  expect(content?.hardState.commit).toBe(12);
});
