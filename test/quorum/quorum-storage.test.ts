import { expect, test } from "vitest";
import { silentLogger } from "../../src/base/logger.ts";
import { nodeId } from "../../src/model/ids.ts";
import { openStorage } from "../../src/quorum/quorum-storage.ts";
import type { QuorumStorage } from "../../src/quorum/quorum-storage.ts";
import type { QuorumOptions } from "../../src/quorum/quorum-types.ts";
import { replicaIdOf } from "../../src/quorum/replica-id.ts";
import { encodeVoters } from "../../src/raft/voter-set.ts";
import { Scheduler } from "../../src/sim/scheduler.ts";
import { SimPlatform } from "../../src/sim/sim-platform.ts";
import { SimulatedCrash } from "../../src/sim/simulated-crash.ts";

const DIRECTORY = "/data/quorum";
const STORE = `${DIRECTORY}/store`;
const MIRROR = `${DIRECTORY}/replica`;
const CONTENT = Buffer.from("the state at offset four");

const alone: QuorumOptions = {
  nodeId: nodeId(1),
  directory: DIRECTORY,
  endpoint: "h1:1",
  clusterId: undefined,
  configuredClusterId: undefined,
  foundingVoters: [],
  bootstrapServers: [],
  tickMs: 10,
  electionTicks: 10,
  heartbeatTicks: 2,
};
const clustered: QuorumOptions = {
  ...alone,
  foundingVoters: [1, 2, 3].map((id) => ({ nodeId: nodeId(id), endpoint: `h${id}:1` })),
};

function machine(failAfterOperations = Number.POSITIVE_INFINITY, seed = 1): SimPlatform {
  return SimPlatform.create({ seed, failAfterOperations }, { scheduler: new Scheduler() });
}

const open = (platform: SimPlatform, options: QuorumOptions, hasTransport = true): Promise<QuorumStorage> =>
  openStorage(options, { platform, logger: silentLogger, hasTransport });

/** A replica with some history: a snapshot at 4, entries to 9, the mirror of that time. */
async function withHistory(platform: SimPlatform, options: QuorumOptions): Promise<string> {
  const { store, snapshots, mirror, identity } = await open(platform, options);
  const ids = options.foundingVoters.length === 0 ? [1] : [1, 2, 3];
  const voters = ids.map((id) => ({
    id: replicaIdOf(nodeId(id), id === 1 ? identity.directoryId : `d${id}`),
    endpoint: `h${id}:1`,
  }));
  await store.found({
    clusterId: "c1",
    entry: { index: 1, term: 1, kind: "voters", data: encodeVoters(voters) },
  });
  const entries = Array.from({ length: 8 }, (_, at) => ({
    index: at + 2,
    term: 2,
    kind: "data" as const,
    data: Buffer.from(`entry ${at + 2}`),
  }));
  await store.write({
    hardState: { term: 2, vote: voters[0]?.id, commit: 8 },
    truncateAfter: undefined,
    entries,
  });
  await snapshots.write({ index: 4, term: 2, voters }, CONTENT);
  await store.recordSnapshot({ index: 4, term: 2 });
  await mirror.write(() => ({ identity: store.identity, term: 2, index: 8, indexTerm: 2, voters }));
  await store.close();
  return identity.directoryId;
}

/** Everything on the machine, as text. */
async function imageOf(platform: SimPlatform): Promise<string> {
  const parts = [...platform.disk.snapshotFiles()].map(
    ([path, bytes]) => `${path} ${Buffer.from(bytes).toString("hex")}`,
  );
  if (await platform.hasKeyValue(STORE)) {
    const store = await platform.openKeyValue(STORE);
    for await (const [key, value] of store.scan({}))
      parts.push(`${key.join()} ${Buffer.from(value).toString("hex")}`);
    await store.close();
  }
  return parts.join("\n");
}

async function putRecord(
  platform: SimPlatform,
  key: Uint8Array,
  value: Uint8Array | undefined,
): Promise<void> {
  const store = await platform.openKeyValue(STORE);
  await store.batch([value === undefined ? { type: "delete", key } : { type: "put", key, value }], {
    sync: true,
  });
  await store.close();
}

async function recordsOf(platform: SimPlatform): Promise<[Uint8Array, Uint8Array][]> {
  const store = await platform.openKeyValue(STORE);
  const records: [Uint8Array, Uint8Array][] = [];
  for await (const record of store.scan({})) records.push([record[0], record[1]]);
  await store.close();
  return records;
}

async function writeFile(platform: SimPlatform, path: string, bytes: Uint8Array): Promise<void> {
  const file = await platform.disk.open(path, "create");
  await file.truncate(0);
  await file.write([bytes], 0);
  await file.close();
}

/** The ways to damage each part, with the undoing; run one after the other on one machine. */
async function* damages(platform: SimPlatform): AsyncGenerator<string> {
  for (const [key, value] of await recordsOf(platform)) {
    const flipped = Uint8Array.from(value);
    flipped[value.length - 1] = (flipped.at(-1) ?? 0) ^ 1;
    for (const [how, bad] of [
      ["flipped", flipped],
      ["cut", value.subarray(0, -1)],
      ["missing", undefined],
    ] as const) {
      await putRecord(platform, key, bad);
      yield `record ${key.join()} ${how}`;
      await putRecord(platform, key, value);
    }
  }
  for (const path of [MIRROR, `${DIRECTORY}/snapshots/4-2.snapshot`]) {
    const whole = platform.disk.snapshotFiles().get(path) ?? new Uint8Array();
    expect(whole.length, path).toBeGreaterThan(20);
    for (let at = 0; at < whole.length; at++) {
      platform.disk.flipBit(path, at * 8 + (at % 8));
      yield `${path}, byte ${at} flipped`;
      platform.disk.flipBit(path, at * 8 + (at % 8));
      await writeFile(platform, path, whole.subarray(0, at));
      yield `${path} cut at ${at}`;
      await writeFile(platform, path, whole);
    }
    await platform.disk.remove(path);
    yield `${path} missing`;
    await writeFile(platform, path, whole);
  }
}

test("an untouched replica is opened as it was, however often", async () => {
  const platform = machine();
  const directoryId = await withHistory(platform, clustered);
  for (let count = 0; count < 3; count++) {
    const opened = await open(platform, { ...clustered, clusterId: "c1" });
    expect(opened.identity).toEqual({ nodeId: 1, directoryId, clusterId: "c1" });
    expect(opened.snapshot?.content.equals(CONTENT)).toBe(true);
    expect(opened.state.entries.map(({ index }) => index)).toEqual([5, 6, 7, 8, 9]);
    expect(opened.state.snapshot.voters).toHaveLength(3);
    expect(opened.knownVoters).toHaveLength(3);
    await opened.store.close();
  }
});

test("the only voter with anything damaged or missing does not start, and nothing is changed (H13, H16, H28)", async () => {
  const platform = machine();
  await withHistory(platform, alone);
  let count = 0;
  for await (const damage of damages(platform)) {
    const before = await imageOf(platform);
    await expect(open(platform, { ...alone, clusterId: "c1" }), damage).rejects.toMatchObject({
      code: "METADATA_CORRUPT",
      message: expect.stringContaining("backup") as unknown,
    });
    expect(await imageOf(platform), damage).toBe(before);
    count++;
  }
  expect(count).toBeGreaterThan(300);
  await (await open(platform, alone)).store.close();
});

test("a replica of a quorum whose state is damaged sets it aside and begins anew as somebody else (H16)", async () => {
  for (const [part, path] of [
    ["entry", STORE],
    ["mirror", MIRROR],
    ["snapshot", `${DIRECTORY}/snapshots/4-2.snapshot`],
  ] as const) {
    const platform = machine();
    const old = await withHistory(platform, clustered);
    if (part === "entry")
      await putRecord(platform, (await recordsOf(platform))[2]?.[0] ?? new Uint8Array(), undefined);
    else platform.disk.flipBit(path, 88);
    const opened = await open(platform, { ...clustered, clusterId: "c1" });
    expect(opened.identity.directoryId, part).not.toBe(old);
    expect(opened.identity.clusterId, part).toBe("c1");
    expect(opened.state).toMatchObject({ entries: [], snapshot: { index: 0 }, hardState: { term: 0 } });
    expect(await platform.hasKeyValue(`${STORE}.damaged-1`)).toBe(true);
    expect(await platform.disk.stat(`${DIRECTORY}/snapshots.damaged-1/4-2.snapshot`)).toBeDefined();
    await opened.store.close();
    const again = await open(platform, { ...clustered, clusterId: "c1" });
    expect(again.identity, part).toEqual(opened.identity);
    await again.store.close();
  }
});

test("a crash while damaged state is set aside ends in one whole new replica, and nothing is deleted", async () => {
  let crashes = 0;
  for (let after = 0; ; after++) {
    const first = machine();
    await withHistory(first, clustered);
    await putRecord(first, (await recordsOf(first))[3]?.[0] ?? new Uint8Array(), undefined);
    const platform = limited(first, after);
    let isDone = false;
    try {
      await open(platform, { ...clustered, clusterId: "c1" });
      isDone = true;
    } catch (error: unknown) {
      if (!(error instanceof SimulatedCrash)) throw error;
      crashes++;
    }
    const next = platform.crash();
    const opened = await open(next, { ...clustered, clusterId: "c1" });
    expect(opened.identity.clusterId, `after ${after}`).toBe("c1");
    expect(opened.state.entries).toEqual([]);
    expect(await next.hasKeyValue(`${STORE}.damaged-1`)).toBe(true);
    if (isDone) break;
  }
  expect(crashes).toBeGreaterThan(5);
});

/** The same machine with a process that dies after so many operations. */
function limited(platform: SimPlatform, operations: number): SimPlatform {
  return platform.kill({ failAfterOperations: operations });
}

test("a store that is gone is noticed by the mirror, and both gone by what the data directory remembers", async () => {
  const gone = machine();
  await withHistory(gone, alone);
  await gone.moveKeyValue(STORE, "/elsewhere");
  await expect(open(gone, alone)).rejects.toMatchObject({ code: "METADATA_CORRUPT" });
  const wiped = machine();
  await expect(open(wiped, { ...alone, clusterId: "c1" })).rejects.toMatchObject({
    code: "METADATA_CORRUPT",
  });
  const opened = await open(wiped, { ...clustered, clusterId: "c1" });
  expect(opened.identity.clusterId).toBe("c1");
});

test("a store put back from an old copy is found by the mirror (H14)", async () => {
  const platform = machine();
  const { store, mirror } = await open(platform, alone);
  const entry = { index: 1, term: 1, kind: "voters" as const, data: encodeVoters([]) };
  await store.found({ clusterId: "c1", entry });
  await store.close();
  const old = await recordsOf(platform);
  const later = await openStore(platform);
  await later.write({
    hardState: { term: 2, vote: undefined, commit: 2 },
    truncateAfter: undefined,
    entries: [{ index: 2, term: 2, kind: "noop", data: Buffer.alloc(0) }],
  });
  await mirror.write(() => ({ identity: later.identity, term: 2, index: 2, indexTerm: 2, voters: [] }));
  await later.close();
  for (const [key, value] of old) await putRecord(platform, key, value);
  await expect(open(platform, alone)).rejects.toMatchObject({
    code: "METADATA_CORRUPT",
    message: expect.stringContaining("tells of entry 2") as unknown,
  });
});

async function openStore(platform: SimPlatform): Promise<QuorumStorage["store"]> {
  return (await open(platform, alone)).store;
}

test("a crash at any operation of the first start leaves a replica that starts", async () => {
  let crashes = 0;
  for (let after = 0; ; after++) {
    const platform = machine(after, after);
    let isDone = false;
    try {
      await open(platform, alone);
      isDone = true;
    } catch (error: unknown) {
      if (!(error instanceof SimulatedCrash)) throw error;
      crashes++;
    }
    const { store } = await open(platform.crash(), alone);
    await store.close();
    if (isDone) break;
  }
  expect(crashes).toBeGreaterThan(4);
});

test("a directory of another node or of another cluster is refused as a mistake of the configuration", async () => {
  const platform = machine();
  await withHistory(platform, clustered);
  for (const wrong of [
    { ...clustered, nodeId: nodeId(2) },
    { ...clustered, clusterId: "c2" },
  ]) {
    await expect(open(platform, wrong)).rejects.toMatchObject({ code: "CONFIG_INVALID" });
  }
});
