import { expect, test } from "vitest";
import { nodeId } from "../../src/model/ids.ts";
import { parseReplicaId } from "../../src/quorum/replica-id.ts";
import { applied, founded, leaderOf, Member, outcome, propose } from "./quorum-cluster.ts";
import type { Cluster } from "./quorum-cluster.ts";

const never = new AbortController().signal;

function voterIds(member: Member): number[] {
  return member.up.status.voters.map(({ id }) => parseReplicaId(id)?.nodeId ?? -1).toSorted((a, b) => a - b);
}

/** A node that joins through the first two members. */
async function joined({ scheduler, network, leader }: Cluster, id = 4): Promise<Member> {
  const member = new Member(network, id, { bootstrapServers: ["h1:1", "h2:1"] });
  await member.start();
  const offset = leader.up.nextOffset - 1;
  await applied(scheduler, [member], offset);
  return member;
}

const add = (id: number): { type: "add"; nodeId: ReturnType<typeof nodeId> } => ({
  type: "add",
  nodeId: nodeId(id),
});
const remove = (id: number): { type: "remove"; nodeId: ReturnType<typeof nodeId> } => ({
  type: "remove",
  nodeId: nodeId(id),
});

test("an observer joins through bootstrap servers, follows the log and is no voter", async () => {
  const cluster = await founded();
  await propose(cluster.scheduler, cluster.leader, "a", "b");
  const observer = await joined(cluster);
  const offset = await propose(cluster.scheduler, cluster.leader, "c");
  await applied(cluster.scheduler, [observer], offset);
  expect(observer.journal.texts).toEqual(["a", "b", "c"]);
  expect(observer.clusterId).toBe(cluster.leader.clusterId);
  expect(voterIds(observer)).toEqual([1, 2, 3]);
  expect(cluster.leader.retained.map(({ nodeId: id }) => id)).toContain(4);
});

test("an observer finds the new leader when the old one dies, and its log after a restart", async () => {
  const cluster = await founded();
  const { scheduler, leader, followers } = cluster;
  const observer = await joined(cluster);
  await propose(scheduler, leader, "a");
  leader.kill();
  const next = await leaderOf(scheduler, followers);
  await applied(scheduler, [observer], await propose(scheduler, next, "b"));
  observer.kill();
  const offset = await propose(scheduler, next, "c");
  await observer.start();
  await applied(scheduler, [observer], offset);
  expect(observer.journal.texts).toEqual(["a", "b", "c"]);
});

test("an observer that is far behind gets a snapshot, and the log from there", async () => {
  const cluster = await founded(3, { snapshotAfterBytes: 2000, keepEntries: 5 });
  const { scheduler, leader } = cluster;
  const texts = Array.from({ length: 200 }, (_, at) => `entry ${at} ${"x".repeat(30)}`);
  for (let at = 0; at < texts.length; at += 20) await propose(scheduler, leader, ...texts.slice(at, at + 20));
  expect(leader.up.status.snapshotIndex).toBeGreaterThan(100);
  const observer = await joined(cluster);
  expect(observer.journal.restoredAt.length).toBeGreaterThan(0);
  await applied(scheduler, [observer], await propose(scheduler, leader, "after"));
  expect(observer.journal.texts).toEqual([...texts, "after"]);
  observer.kill();
  await observer.start();
  await applied(scheduler, [observer], await propose(scheduler, leader, "last"));
  expect(observer.journal.texts).toEqual([...texts, "after", "last"]);
});

test("an observer becomes a voter and a voter leaves; the quorum goes on without it", async () => {
  const cluster = await founded();
  const { scheduler, leader, members } = cluster;
  const observer = await joined(cluster);
  await scheduler.settle(leader.up.changeVoters(add(4), never), 5000);
  expect(voterIds(leader)).toEqual([1, 2, 3, 4]);
  const [gone] = cluster.followers as [Member];
  await scheduler.settle(leader.up.changeVoters(remove(gone.id), never), 5000);
  gone.kill();
  const rest = [...members.filter((member) => member !== gone), observer];
  await applied(scheduler, rest, await propose(scheduler, leader, "a"));
  leader.kill();
  const next = await leaderOf(scheduler, rest);
  expect(voterIds(next)).not.toContain(gone.id);
  await propose(scheduler, next, "b");
  expect(next.journal.texts).toEqual(["a", "b"]);
});

test("a leader that removes itself hands over to the others", async () => {
  const { scheduler, leader, followers } = await founded();
  await scheduler.settle(outcome(leader.up.changeVoters(remove(leader.id), never)), 5000);
  const next = await leaderOf(scheduler, followers);
  expect(voterIds(next)).not.toContain(leader.id);
  await applied(scheduler, followers, await propose(scheduler, next, "a"));
});

test("changes that make no sense are refused with what is wrong", async () => {
  const cluster = await founded();
  const { scheduler, leader } = cluster;
  const refused = async (promise: Promise<void>): Promise<unknown> =>
    scheduler.settle(outcome(promise), 5000);
  expect(await refused(leader.up.changeVoters(add(1), never))).toMatchObject({ code: "DUPLICATE_VOTER" });
  expect(await refused(leader.up.changeVoters(add(9), never))).toMatchObject({ code: "INVALID_VOTER_KEY" });
  expect(await refused(leader.up.changeVoters(remove(9), never))).toMatchObject({ code: "VOTER_NOT_FOUND" });
  const wrong = { ...remove(2), directoryId: "other" };
  expect(await refused(leader.up.changeVoters(wrong, never))).toMatchObject({ code: "INVALID_VOTER_KEY" });
});

test("the last voter stays", async () => {
  const { scheduler, leader } = await founded(1);
  const refused = await scheduler.settle(outcome(leader.up.changeVoters(remove(1), never)), 5000);
  expect(refused).toMatchObject({ code: "INVALID_REQUEST" });
  await propose(scheduler, leader, "still here");
});

test("a voter whose disk was wiped comes back as an observer and is added again in place of its old self (H8, H16)", async () => {
  const cluster = await founded();
  const { scheduler, members, leader } = cluster;
  await propose(scheduler, leader, "a");
  const [wiped] = cluster.followers as [Member];
  const old = wiped.up.directoryId;
  wiped.kill();
  wiped.wipe(999);
  await wiped.start();
  await applied(scheduler, [wiped], await propose(scheduler, leader, "b"));
  expect(wiped.up.directoryId).not.toBe(old);
  expect(wiped.up.status.voters.map(({ id }) => id)).toContain(`${wiped.id}@${old}`);
  await scheduler.settle(leader.up.changeVoters(add(wiped.id), never), 10_000);
  const ids = leader.up.status.voters.map(({ id }) => id);
  expect(ids).toContain(`${wiped.id}@${wiped.up.directoryId}`);
  expect(ids).not.toContain(`${wiped.id}@${old}`);
  expect(voterIds(leader)).toEqual([1, 2, 3]);
  await applied(scheduler, members, await propose(scheduler, leader, "c"));
});

test("a voter that was removed while it was down finds the leader as an observer", async () => {
  const { scheduler, leader, followers } = await founded();
  const [gone] = followers as [Member];
  gone.kill();
  await scheduler.settle(leader.up.changeVoters(remove(gone.id), never), 5000);
  const offset = await propose(scheduler, leader, "a");
  await gone.start();
  await applied(scheduler, [gone], offset);
  expect(voterIds(gone)).not.toContain(gone.id);
});

test("a voter that comes back at another endpoint is moved in the voter set", async () => {
  const cluster = await founded();
  const { scheduler, leader } = cluster;
  const observer = await joined(cluster);
  await scheduler.settle(leader.up.changeVoters(add(4), never), 5000);
  observer.kill();
  cluster.network.members.delete("h4:1");
  const moved = Object.assign(observer, { endpoint: "h44:1" });
  await moved.start({ endpoint: "h44:1" });
  const endpoints = (): string[] => leader.up.status.voters.map(({ endpoint }) => endpoint);
  await scheduler.runUntil(() => endpoints().includes("h44:1"), 10_000);
  expect(endpoints()).not.toContain("h4:1");
});
