import { expect, test } from "vitest";
import { nodeId } from "../../src/model/ids.ts";
import { Scheduler } from "../../src/sim/scheduler.ts";
import {
  applied,
  ELECTION_TICKS,
  founded,
  foundersOf,
  leaderOf,
  Member,
  Network,
  outcome,
  propose,
  TICK_MS,
} from "./quorum-cluster.ts";

const never = new AbortController().signal;
const ELECTION_MS = TICK_MS * ELECTION_TICKS;

test("a node alone founds its cluster at once and leads before the first tick, and again after a restart", async () => {
  const scheduler = new Scheduler();
  const alone = new Member(new Network(scheduler), 1);
  const node = await alone.start();
  await scheduler.runUntil(() => node.role.isActive, TICK_MS - 1);
  expect(node.clusterId).toMatch(/^[\w-]{22}$/);
  expect(alone.clusterId).toBe(node.clusterId);
  expect(node.role.leader).toEqual({ nodeId: 1, directoryId: node.directoryId, endpoint: "h1:1" });
  await propose(scheduler, alone, "a", "b");
  alone.kill();
  const again = await alone.start();
  await scheduler.runUntil(() => again.role.isActive, TICK_MS - 1);
  expect(again.directoryId).toBe(node.directoryId);
  expect(again.role.epoch).toBeGreaterThan(node.role.epoch);
  expect(alone.journal.texts).toEqual(["a", "b"]);
});

test("the configured cluster id is the one that is founded", async () => {
  const scheduler = new Scheduler();
  const alone = new Member(new Network(scheduler), 1, { configuredClusterId: "the-cluster" });
  const node = await alone.start();
  await scheduler.runUntil(() => node.role.isActive, 100);
  expect([node.clusterId, alone.clusterId]).toEqual(["the-cluster", "the-cluster"]);
});

test("three founders found one cluster when all are there, elect a leader and apply the same log", async () => {
  const { scheduler, members } = foundersOf(3);
  const [one, two, three] = members as [Member, Member, Member];
  await two.start();
  await one.start();
  await scheduler.advance(20 * ELECTION_MS);
  expect([one.up.clusterId, two.up.clusterId]).toEqual([undefined, undefined]);
  expect(one.lines.count("waiting for the other founding voters")).toBe(1);
  await three.start();
  const startedMs = scheduler.nowMs;
  const leader = await leaderOf(scheduler, members);
  expect(scheduler.nowMs - startedMs).toBeLessThan(4 * ELECTION_MS);
  const offset = await propose(scheduler, leader, "a", "b", "c");
  await applied(scheduler, members, offset);
  for (const { journal, node, clusterId } of members) {
    expect(journal.entries).toEqual(leader.journal.entries);
    expect(journal.texts).toEqual(["a", "b", "c"]);
    expect([node?.clusterId, clusterId]).toEqual([leader.clusterId, leader.clusterId]);
    expect(node?.status.voters.map(({ endpoint }) => endpoint).sort()).toEqual(["h1:1", "h2:1", "h3:1"]);
    expect(node?.role.leader?.directoryId).toBe(leader.up.directoryId);
  }
});

test("founders whose lists of voters differ do not found; the error names both lists", async () => {
  const { scheduler, members } = foundersOf(3);
  const [one, two, three] = members as [Member, Member, Member];
  const other = [1, 2, 4].map((id) => ({ nodeId: nodeId(id), endpoint: `h${id}:1` }));
  await one.start();
  await two.start({ foundingVoters: other });
  await three.start();
  await scheduler.runUntil(() => one.failure !== undefined, 10_000);
  expect(one.failure).toMatchObject({ code: "CONFIG_INVALID" });
  expect(one.failure?.message).toContain("1@h1:1,2@h2:1,3@h3:1");
  expect(one.failure?.message).toContain("1@h1:1,2@h2:1,4@h4:1");
  expect([one, two, three].map(({ clusterId }) => clusterId)).toEqual([undefined, undefined, undefined]);
});

test("a node with another list, or of another cluster, does not disturb those who have founded", async () => {
  const { scheduler, network, leader } = await founded();
  const epoch = leader.up.role.epoch;
  const stranger = new Member(network, 9, {
    configuredClusterId: "another",
    foundingVoters: [1, 2, 9].map((id) => ({ nodeId: nodeId(id), endpoint: `h${id}:1` })),
  });
  await stranger.start();
  await scheduler.runUntil(() => stranger.failure !== undefined, 10_000);
  expect(stranger.failure).toMatchObject({ code: "CONFIG_INVALID" });
  expect(stranger.failure?.message).toContain(leader.clusterId ?? "none");
  await scheduler.advance(5 * ELECTION_MS);
  expect(leader.up.role).toMatchObject({ isActive: true, epoch });
  expect(leader.failure).toBeUndefined();
});

test("a burst of proposals shares one write of the store", async () => {
  const { scheduler, leader } = await founded();
  const before = leader.platform.mutationCount;
  await propose(scheduler, leader, ...Array.from({ length: 100 }, (_, at) => `p${at}`));
  expect(leader.platform.mutationCount - before).toBeLessThan(6);
  expect(leader.journal.texts).toHaveLength(100);
});

test("a follower refuses proposals, reads and changes of voters with NOT_CONTROLLER", async () => {
  const { scheduler, followers } = await founded();
  const [follower] = followers as [Member];
  expect(() => follower.up.propose(Buffer.from("x"))).toThrow(
    expect.objectContaining({ code: "NOT_CONTROLLER" }),
  );
  for (const refused of [
    outcome(follower.up.readBarrier(never)),
    outcome(follower.up.changeVoters({ type: "remove", nodeId: nodeId(1) }, never)),
    outcome(follower.up.transferLeadership(undefined, never)),
  ]) {
    expect(await scheduler.settle(refused, 1000)).toMatchObject({ code: "NOT_CONTROLLER" });
  }
});

test("a follower that restarts gets what it missed", async () => {
  const { scheduler, members, leader, followers } = await founded();
  const [follower] = followers as [Member];
  await propose(scheduler, leader, "a");
  follower.kill();
  await propose(scheduler, leader, "b", "c");
  await follower.start();
  const offset = await propose(scheduler, leader, "d");
  await applied(scheduler, members, offset);
  expect(follower.journal.texts).toEqual(["a", "b", "c", "d"]);
});

test("a killed leader is replaced long before an election timeout, because its refusal is noticed", async () => {
  const { scheduler, leader, followers } = await founded();
  await propose(scheduler, leader, "a");
  await scheduler.advance(ELECTION_MS);
  const epoch = leader.up.role.epoch;
  leader.kill();
  const killedMs = scheduler.nowMs;
  const next = await leaderOf(scheduler, followers);
  expect(scheduler.nowMs - killedMs).toBeLessThan(ELECTION_MS);
  expect(next.up.role.epoch).toBeGreaterThan(epoch);
  await leader.start();
  const offset = await propose(scheduler, next, "b");
  await applied(scheduler, [leader, ...followers], offset);
  expect(leader.journal.texts).toEqual(["a", "b"]);
});

test("a leader that loses its majority stops being active, and its open proposals are rejected as undecided", async () => {
  const { scheduler, network, leader, followers } = await founded();
  await propose(scheduler, leader, "a");
  network.isolate(
    leader.id,
    followers.map(({ id }) => id),
  );
  const { committed } = leader.up.propose(Buffer.from("lost"));
  const proposed = outcome(committed);
  const read = outcome(leader.up.readBarrier(never));
  expect(await scheduler.settle(proposed, 10_000)).toMatchObject({
    code: "NOT_CONTROLLER",
    context: { isIndefinite: true },
  });
  expect(await scheduler.settle(read, 1000)).toMatchObject({ code: "NOT_CONTROLLER" });
  expect(leader.up.role.isActive).toBe(false);
  const next = await leaderOf(scheduler, followers);
  const offset = await propose(scheduler, next, "b");
  network.cuts.clear();
  await applied(scheduler, [leader, ...followers], offset);
  expect(leader.journal.texts).toEqual(["a", "b"]);
});

test("a read barrier sees everything that was committed before it", async () => {
  const { scheduler, leader } = await founded();
  const offset = await propose(scheduler, leader, "a", "b");
  const barrier = await scheduler.settle(leader.up.readBarrier(never), 1000);
  expect(barrier).toBeGreaterThanOrEqual(offset);
  expect(leader.up.appliedOffset).toBeGreaterThanOrEqual(barrier);
});

test("waiting for an offset ends when it is applied, or with the signal", async () => {
  const { scheduler, leader, followers } = await founded();
  const [follower] = followers as [Member];
  const waiting = follower.up.waitApplied(leader.up.nextOffset, never);
  const gone = new AbortController();
  const aborted = outcome(follower.up.waitApplied(1_000_000, gone.signal));
  await propose(scheduler, leader, "a");
  await scheduler.settle(waiting, 1000);
  expect(follower.journal.texts).toEqual(["a"]);
  gone.abort(new Error("enough"));
  expect(await aborted).toMatchObject({ message: "enough" });
});

test("leadership goes where it is sent", async () => {
  const { scheduler, members, leader, followers } = await founded();
  const [target] = followers as [Member];
  expect(await scheduler.settle(leader.up.transferLeadership(nodeId(target.id), never), 5000)).toBe(true);
  await scheduler.runUntil(() => target.up.role.isActive, 1000);
  expect(await scheduler.settle(target.up.transferLeadership(undefined, never), 5000)).toBe(true);
  const next = await leaderOf(scheduler, members);
  expect(next).not.toBe(target);
  expect(await scheduler.settle(next.up.transferLeadership(nodeId(77), never), 5000)).toBe(false);
});

test("roles and offsets are told to listeners, in order, once for each change", async () => {
  const scheduler = new Scheduler();
  const alone = new Member(new Network(scheduler), 1);
  const node = await alone.open();
  const actives: boolean[] = [];
  const offsets: number[] = [];
  node.onRole((role) => actives.push(role.isActive));
  node.onApplied((offset) => offsets.push(offset));
  alone.node = node;
  node.start();
  await leaderOf(scheduler, [alone]);
  await propose(scheduler, alone, "a");
  await propose(scheduler, alone, "b");
  expect(actives.at(-1)).toBe(true);
  expect(actives.filter(Boolean)).toHaveLength(1);
  expect(offsets).toEqual([...new Set(offsets)].toSorted((a, b) => a - b));
  expect(offsets.at(-1)).toBe(node.appliedOffset);
});

test("messages that cannot be read or are for another replica are dropped, and logged once", async () => {
  const { scheduler, leader, followers } = await founded();
  const [follower] = followers as [Member];
  const warnings = (): number => follower.lines.count("a Raft message was dropped");
  for (let count = 0; count < 50; count++) follower.up.receive(Buffer.from([9, 9, 9]));
  expect(warnings()).toBe(1);
  await scheduler.advance(3000);
  expect(warnings()).toBe(2);
  expect(await propose(scheduler, leader, "still fine")).toBeGreaterThan(0);
});

test("a closed node is quiet, rejects who waits, and closes twice", async () => {
  const { leader } = await founded();
  const node = leader.up;
  const waiting = outcome(node.waitApplied(1_000_000, never));
  await leader.stop();
  expect(await waiting).toMatchObject({ code: "CLOSED" });
  expect(() => node.propose(Buffer.from("x"))).toThrow(expect.objectContaining({ code: "CLOSED" }));
  await node.close();
  expect(leader.failure).toBeUndefined();
});
