import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, expect, test, vi } from "vitest";
import { ClusterProcess } from "../../src/chaos/cluster-process.ts";
import type { Consumer, LograftClient } from "../../src/client/index.ts";
import { MemberProcess } from "./member-process.ts";

/* Members of groups and brokers as real processes, with real signals. */

vi.setConfig({ testTimeout: 120_000, hookTimeout: 120_000 });

const SESSION_MS = 3000;
const SETTINGS = [
  "raft.election.timeout.ms=500",
  `group.consumer.session.timeout.ms=${SESSION_MS}`,
  "group.consumer.heartbeat.interval.ms=300",
  "offsets.topic.num.partitions=3",
];

let directory = "";
let cluster: ClusterProcess;
let client: LograftClient;

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), "lograft-groups-"));
  cluster = await ClusterProcess.start({ directory, settings: SETTINGS });
  client = cluster.client();
});

afterAll(async () => {
  await client.close();
  await cluster[Symbol.asyncDispose]();
  await rm(directory, { recursive: true, force: true });
});

const brokers = (): string[] => cluster.nodeIds.map((nodeId) => cluster.addressOf(nodeId));

async function newTopic(name: string, partitions: number): Promise<void> {
  await client.admin().createTopics([{ name, partitions, replicationFactor: 3 }]);
}

/** One record to each partition, such as "a0"; resolves when they are acknowledged. */
async function write(topic: string, partitions: number, mark: string): Promise<string[]> {
  await using producer = client.producer({ lingerMs: 0 });
  const records = Array.from({ length: partitions }, (_, partition) => ({
    value: `${mark}${partition}`,
    partition,
  }));
  await producer.sendBatch(topic, records);
  return records.map(({ value }) => value);
}

async function committed(groupId: string): Promise<number[]> {
  const offsets = await client.admin().fetchGroupOffsets(groupId);
  return offsets.toSorted((a, b) => a.partition - b.partition).map(({ offset }) => offset);
}

/** As `expect.poll`, which does not go with tests that run beside each other. */
function eventually(probe: () => unknown, expected: unknown): Promise<void> {
  return vi.waitFor(async () => expect(await probe()).toEqual(expected), { timeout: 25_000, interval: 20 });
}

test("a member that is killed is replaced by the other one, which keeps what it has all the while", async () => {
  await newTopic("killed", 4);
  const options = { brokers: brokers(), groupId: "killed", topics: ["killed"] };
  await using one = new MemberProcess(options);
  await one.until(() => one.assignment.length === 4);
  await using two = new MemberProcess(options);
  await two.until(() => two.assignment.length === 2);
  await one.until(() => one.assignment.length === 2);
  const before = await write("killed", 4, "a");
  await one.until(() => one.handled.length === 2);
  await two.until(() => two.handled.length === 2);
  await one.kill();
  const after = await write("killed", 4, "b");
  await two.until(() => after.every((value) => two.handled.includes(value)));
  expect(new Set([...one.handled, ...two.handled])).toEqual(new Set([...before, ...after]));
  expect(two.changes).toHaveLength(2);
  for (const change of two.changes) expect(change).toMatch(/^assigned \d,\d$/);
  await eventually(() => committed("killed"), [2, 2, 2, 2]);
});

test.concurrent("a member that hangs loses its partition within the session; its old commit is refused, and it comes back", async () => {
  await newTopic("hung", 1);
  const options = { brokers: brokers(), groupId: "hung", topics: ["hung"] };
  await using hung = new MemberProcess({ ...options, holdPrefix: "a" });
  await hung.until(() => hung.assignment.length === 1);
  await write("hung", 1, "a");
  await hung.until(() => hung.handled.length === 1);
  await using other = new MemberProcess(options);
  hung.pause();
  await other.until(() => other.assignment.length === 1);
  await write("hung", 1, "b");
  await other.until(() => other.handled.length === 2);
  await eventually(() => committed("hung"), [2]);
  hung.resume();
  hung.release();
  await hung.until(() => hung.lines.some(({ what }) => what === "refused"));
  expect(hung.lines.find(({ what }) => what === "refused")?.code).toBe("ILLEGAL_GENERATION");
  expect(hung.changes).toEqual(["assigned 0", "lost 0"]);
  expect(await committed("hung")).toEqual([2]);
  await other.kill();
  await hung.until(() => hung.assignment.length === 1);
  await write("hung", 1, "c");
  await hung.until(() => hung.handled.includes("c0"));
  // Nothing that the other one had committed came again.
  expect(hung.handled).toEqual(["a0", "c0"]);
});

test.concurrent("a handler that takes three sessions keeps its partition, and what it did is committed", async () => {
  await newTopic("slow", 1);
  const options = { brokers: brokers(), groupId: "slow", topics: ["slow"] };
  await using slow = new MemberProcess({ ...options, holdPrefix: "a" });
  await slow.until(() => slow.assignment.length === 1);
  await using other = new MemberProcess(options);
  await write("slow", 1, "a");
  await slow.until(() => slow.handled.length === 1);
  // The time itself is what is shown: nothing may happen in it.
  await sleep(3 * SESSION_MS + 200);
  expect(slow.changes).toEqual(["assigned 0"]);
  expect(other.changes).toEqual([]);
  slow.release();
  await slow.until(() => slow.lines.some(({ what }) => what === "committed"));
  expect(await committed("slow")).toEqual([1]);
  expect(other.handled).toEqual([]);
});

test.concurrent("a handler that takes longer than the rebalance may wait loses what the group wants to move, and no more", async () => {
  await newTopic("late", 2);
  const options = { brokers: brokers(), groupId: "late", topics: ["late"] };
  await using slow = new MemberProcess({ ...options, holdPrefix: "a", rebalanceTimeoutMs: 3000 });
  await slow.until(() => slow.assignment.length === 2);
  await write("late", 2, "a");
  await slow.until(() => slow.handled.length === 2);
  await using other = new MemberProcess(options);
  await other.until(() => other.handled.length === 1);
  const [moved = -1] = other.assignment;
  await slow.until(() => slow.changes.length === 2);
  expect(slow.changes).toEqual(["assigned 0,1", `lost ${moved}`]);
  await write("late", 2, "b");
  await eventually(async () => (await committed("late"))[moved], 2);
  slow.release();
  await eventually(() => committed("late"), [2, 2]);
  const outcomes = slow.lines.filter(({ what }) => what === "committed" || what === "refused");
  expect(outcomes.map(({ what, value, code = "" }) => `${what} ${value} ${code}`.trim()).toSorted()).toEqual([
    `committed a${1 - moved}`,
    `refused a${moved} ILLEGAL_GENERATION`,
  ]);
  expect(other.handled).toEqual([`a${moved}`, `b${moved}`]);
});

test("a member for whom nothing is left changes nothing for the others", async () => {
  await newTopic("kept", 2);
  await using clients = new AsyncDisposableStack();
  const seen: string[] = [];
  const changes: string[] = [];
  const join = async (name: string): Promise<Consumer> => {
    const consumer = clients.use(
      clients.use(cluster.client()).consumer({ groupId: "kept", topics: ["kept"] }),
    );
    for (const what of ["assigned", "revoked", "lost"] as const)
      consumer.on(what, () => changes.push(`${name} ${what}`));
    await consumer.ready();
    consumer
      .run({ eachMessage: ({ value }) => void seen.push(String(value)) })
      .catch((error: unknown) => seen.push(String(error)));
    return consumer;
  };
  const one = await join("one");
  const two = await join("two");
  await eventually(() => [one.assignment.length, two.assignment.length, one.status.state], [1, 1, "stable"]);
  const before = changes.length;
  const epoch = one.status.memberEpoch ?? 0;
  const three = await join("three");
  await eventually(() => [one, two].map(({ status }) => (status.memberEpoch ?? 0) > epoch), [true, true]);
  await write("kept", 2, "a");
  await eventually(() => seen.toSorted(), ["a0", "a1"]);
  expect(three.assignment).toEqual([]);
  expect(changes.slice(before)).toEqual([]);
});

test("a coordinator that is killed is replaced: nobody loses a partition or a commit", async () => {
  await newTopic("moved", 4);
  const options = { brokers: brokers(), groupId: "moved", topics: ["moved"] };
  await using one = new MemberProcess(options);
  await one.until(() => one.assignment.length === 4);
  await using two = new MemberProcess(options);
  await two.until(() => two.assignment.length === 2);
  await one.until(() => one.assignment.length === 2);
  const before = await write("moved", 4, "a");
  await eventually(() => committed("moved"), [1, 1, 1, 1]);
  const changes = [one.changes.length, two.changes.length];
  const [coordinator] = await client.admin().findCoordinators(["moved"]);
  await cluster.broker(coordinator?.nodeId ?? 0).kill();
  const after = await write("moved", 4, "b");
  await eventually(() => committed("moved"), [2, 2, 2, 2]);
  expect([...one.handled, ...two.handled].toSorted()).toEqual([...before, ...after].toSorted());
  // What nobody heard of a broker that died is not taken for the silence of members.
  await sleep(SESSION_MS + 200);
  expect([one.changes.length, two.changes.length]).toEqual(changes);
  const [next] = await client.admin().findCoordinators(["moved"]);
  expect(next?.nodeId).not.toBe(coordinator?.nodeId);
});
