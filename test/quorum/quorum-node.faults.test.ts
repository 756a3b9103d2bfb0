import { expect, test } from "vitest";
import { operationError } from "../../src/base/errors.ts";
import { Scheduler } from "../../src/sim/scheduler.ts";
import { SimPlatform } from "../../src/sim/sim-platform.ts";
import { SimulatedCrash } from "../../src/sim/simulated-crash.ts";
import { applied, founded, leaderOf, Member, Network, outcome, propose } from "./quorum-cluster.ts";
import type { Cluster } from "./quorum-cluster.ts";

const MIB = 1024 * 1024;
const STORE = "/data/quorum/store";

/** Leaves `leftBytes` free. */
async function fill(platform: SimPlatform, leftBytes: number): Promise<void> {
  const file = await platform.disk.open("/filler", "create");
  const size = (await platform.disk.freeBytes("/")) - leftBytes;
  await file.write([new Uint8Array(size)], 0);
  await file.close();
}

test("a node alone that dies at any operation never loses what it acknowledged, through snapshots too (H9, H12)", async () => {
  let crashes = 0;
  for (let after = 0; ; after += 1) {
    const scheduler = new Scheduler();
    const alone = new Member(new Network(scheduler), 1, { snapshotAfterBytes: 60, keepEntries: 2 });
    alone.platform = SimPlatform.create({ seed: after, failAfterOperations: after + 2 }, { scheduler });
    const acknowledged: string[] = [];
    let isDone = false;
    try {
      await alone.start();
      await scheduler.runUntil(() => alone.up.role.isActive || alone.failure !== undefined, 1000);
      for (let at = 0; at < 12 && alone.failure === undefined; at++) {
        const text = `entry ${at} of twelve`;
        const { committed } = alone.up.propose(Buffer.from(text));
        if ((await scheduler.settle(outcome(committed), 1000)) === undefined) acknowledged.push(text);
      }
      await scheduler.advance(50);
      isDone = alone.failure === undefined;
    } catch (error: unknown) {
      if (!(error instanceof SimulatedCrash) && alone.failure === undefined) throw error;
    }
    crashes += isDone ? 0 : 1;
    alone.crash();
    const again = await alone.start();
    await scheduler.runUntil(() => again.role.isActive, 1000);
    expect(alone.journal.texts.slice(0, acknowledged.length), `after ${after} operations`).toEqual(
      acknowledged,
    );
    expect(alone.journal.texts.length).toBeLessThanOrEqual(acknowledged.length + 1);
    await propose(scheduler, alone, "later");
    expect(alone.lines.lines.filter(({ level }) => level === "error").length).toBeLessThan(2);
    if (isDone) break;
  }
  expect(crashes).toBeGreaterThan(30);
});

test("three nodes that lose their power again and again keep what was acknowledged", async () => {
  const { scheduler, members } = await founded(3, { snapshotAfterBytes: 200, keepEntries: 3 });
  const acknowledged: string[] = [];
  for (let round = 0; round < 12; round++) {
    const leader = await leaderOf(scheduler, members);
    for (let at = 0; at < 4; at++) {
      await propose(scheduler, leader, `round ${round} entry ${at}`);
      acknowledged.push(`round ${round} entry ${at}`);
    }
    const victims = round % 4 === 3 ? members : [members[round % 3] as Member];
    for (const victim of victims) victim.crash();
    for (const victim of victims) await victim.start();
  }
  const leader = await leaderOf(scheduler, members);
  await applied(scheduler, members, await propose(scheduler, leader, "end"));
  for (const { journal } of members) expect(journal.texts).toEqual([...acknowledged, "end"]);
});

/** Three founders with a log that begins behind a snapshot. */
async function withSnapshot(): Promise<Cluster & { texts: string[] }> {
  const cluster = await founded(3, { snapshotAfterBytes: 2000, keepEntries: 5 });
  const texts = Array.from({ length: 120 }, (_, at) => `entry ${at} ${"x".repeat(30)}`);
  for (let at = 0; at < texts.length; at += 20) {
    await propose(cluster.scheduler, cluster.leader, ...texts.slice(at, at + 20));
  }
  expect(cluster.leader.up.status.snapshotIndex).toBeGreaterThan(60);
  return { ...cluster, texts };
}

test("an observer that dies at any operation while it takes a snapshot in has the whole log in the end (H9)", async () => {
  const { scheduler, network, leader, texts } = await withSnapshot();
  let crashes = 0;
  for (let after = 4; ; after++) {
    const observer = new Member(network, 4, { bootstrapServers: ["h1:1", "h2:1", "h3:1"] });
    observer.platform = SimPlatform.create({ seed: after, failAfterOperations: after }, { scheduler });
    const offset = leader.up.appliedOffset;
    let isDone = false;
    try {
      await observer.start();
      await scheduler.runUntil(
        () => observer.failure !== undefined || observer.up.appliedOffset >= offset,
        5000,
      );
      isDone = observer.failure === undefined;
    } catch (error: unknown) {
      if (!(error instanceof SimulatedCrash)) throw error;
    }
    observer.crash();
    await observer.start();
    await applied(scheduler, [observer], offset);
    expect(observer.journal.texts, `after ${after} operations`).toEqual(texts);
    if (observer.journal.restoredAt.length > 0) crashes++;
    await observer.stop();
    if (isDone) break;
  }
  expect(crashes).toBeGreaterThan(8);
});

test("a snapshot that is damaged on its way is not installed but sent again (H9)", async () => {
  const { scheduler, network, texts, leader } = await withSnapshot();
  let damaged = 0;
  network.tamper = (bytes) => {
    if (bytes[1] !== 8 || damaged > 2) return bytes;
    damaged++;
    const other = Buffer.from(bytes);
    other[bytes.length - 1] = (bytes.at(-1) ?? 0) ^ 1;
    return other;
  };
  const observer = new Member(network, 4, { bootstrapServers: ["h1:1", "h2:1", "h3:1"] });
  await observer.start();
  await applied(scheduler, [observer], leader.up.appliedOffset);
  expect(damaged).toBe(3);
  expect(observer.lines.count("snapshot is damaged")).toBe(3);
  expect(observer.journal.texts).toEqual(texts);
});

test("a failed write stops the node: it neither leads nor votes, and tells its owner (H15)", async () => {
  const { scheduler, leader, followers } = await founded();
  await propose(scheduler, leader, "a");
  leader.platform.keyValues.failNextBatch(STORE);
  const { committed } = leader.up.propose(Buffer.from("b"));
  expect(await scheduler.settle(outcome(committed), 1000)).toMatchObject({ code: "DISK_WRITE_FAILED" });
  expect(leader.failure).toMatchObject({ code: "DISK_WRITE_FAILED" });
  expect(leader.up.role).toMatchObject({ isActive: false, leader: undefined });
  expect(() => leader.up.propose(Buffer.from("c"))).toThrow(expect.objectContaining({ code: "CLOSED" }));
  const next = await leaderOf(scheduler, followers);
  await propose(scheduler, next, "d");
  expect(next.journal.texts.at(-1)).toBe("d");
  await leader.stop();
  await leader.start();
  await applied(scheduler, [leader], next.up.appliedOffset);
  expect(leader.journal.texts).toEqual(next.journal.texts);
});

test("a state machine that cannot go on stops the node", async () => {
  const { scheduler, leader, followers } = await founded();
  const [follower] = followers as [Member];
  follower.journal.poison = operationError("METADATA_CORRUPT", "entry makes no sense");
  await propose(scheduler, leader, "a");
  await scheduler.runUntil(() => follower.failure !== undefined, 1000);
  expect(follower.failure).toMatchObject({ code: "METADATA_CORRUPT" });
  expect(leader.failure).toBeUndefined();
});

test("a damaged store is set aside, and the node comes back as an observer with the whole log (H16)", async () => {
  const { scheduler, members, leader, followers } = await founded();
  await propose(scheduler, leader, "a", "b");
  const [damaged] = followers as [Member];
  const old = damaged.up.directoryId;
  await damaged.stop();
  damaged.platform.keyValues.loseRecord(STORE, Uint8Array.of(1, 0, 0, 0, 0, 0, 0, 0, 2));
  damaged.platform = damaged.platform.kill();
  await damaged.start();
  await applied(scheduler, members, await propose(scheduler, leader, "c"));
  expect(damaged.journal.texts).toEqual(["a", "b", "c"]);
  expect(damaged.up.directoryId).not.toBe(old);
  expect(damaged.up.status.voters.map(({ id }) => id)).not.toContain(
    `${damaged.id}@${damaged.up.directoryId}`,
  );
  const error = damaged.lines.lines.find(({ level }) => level === "error");
  expect(String(error?.fields["err"])).toContain("entry 2 is missing");
});

test("on a full disk only what makes room is taken, and the log goes on when there is room (H53)", async () => {
  const scheduler = new Scheduler();
  const alone = new Member(new Network(scheduler), 1, { reserveBytes: MIB });
  alone.platform = SimPlatform.create({ seed: 3, disk: { capacityBytes: 10 * MIB } }, { scheduler });
  await alone.start();
  await leaderOf(scheduler, [alone]);
  await propose(scheduler, alone, "a");
  await scheduler.advance(10);
  const { disk } = alone.platform;
  expect(await disk.stat("/data/quorum/reserve")).toMatchObject({ sizeBytes: MIB });
  await fill(alone.platform, 1000);
  expect(await outcome(alone.up.ensureRoom())).toMatchObject({ code: "DISK_FULL", retriable: true });
  expect(() => alone.up.propose(Buffer.from("b"))).toThrow(
    expect.objectContaining({
      code: "DISK_FULL",
      message: expect.stringContaining("/data/quorum") as unknown,
    }),
  );
  const urgent = alone.up.propose(Buffer.from("urgent"), { isUrgent: true });
  await scheduler.settle(urgent.committed, 1000);
  expect(await disk.stat("/data/quorum/reserve")).toBeUndefined();
  await disk.remove("/filler");
  await fill(alone.platform, 1000);
  await alone.up.ensureRoom().catch(() => undefined);
  expect(() => alone.up.propose(Buffer.from("c"), { isUrgent: true })).toThrow(
    expect.objectContaining({ code: "DISK_FULL" }),
  );
  expect(alone.failure).toBeUndefined();
  await disk.remove("/filler");
  await scheduler.advance(2000);
  await propose(scheduler, alone, "d");
  expect(alone.journal.texts).toEqual(["a", "urgent", "d"]);
  await scheduler.advance(100);
  expect(await disk.stat("/data/quorum/reserve")).toMatchObject({ sizeBytes: MIB });
});

test("what was taken before the disk was full waits for room instead of ending the node", async () => {
  const scheduler = new Scheduler();
  const alone = new Member(new Network(scheduler), 1);
  alone.platform = SimPlatform.create({ seed: 3, disk: { capacityBytes: 10 * MIB } }, { scheduler });
  await alone.start();
  await leaderOf(scheduler, [alone]);
  await fill(alone.platform, 1000);
  const { committed } = alone.up.propose(Buffer.from("a"));
  const waiting = outcome(committed);
  await scheduler.advance(500);
  expect([alone.failure, alone.journal.texts]).toEqual([undefined, []]);
  expect(alone.lines.count("is full")).toBe(1);
  await alone.platform.disk.remove("/filler");
  expect(await scheduler.settle(waiting, 1000)).toBeUndefined();
  expect(alone.journal.texts).toEqual(["a"]);
});

test("thousands of entries are applied at a start in slices, before the node is open", async () => {
  const scheduler = new Scheduler();
  const alone = new Member(new Network(scheduler), 1);
  await alone.start();
  await leaderOf(scheduler, [alone]);
  await propose(scheduler, alone, ...Array.from({ length: 3000 }, (_, at) => `${at}`));
  await propose(scheduler, alone, "last");
  alone.kill();
  const before = scheduler.eventsRun;
  await alone.open();
  expect(scheduler.eventsRun - before).toBeGreaterThan(8);
  expect(alone.journal.texts.length).toBeGreaterThanOrEqual(3000);
});
