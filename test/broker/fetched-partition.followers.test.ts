import { beforeEach, expect, test } from "vitest";
import type { FetchPosition } from "../../src/broker/fetch-cursor.ts";
import type { FetchedPartition } from "../../src/broker/fetched-partition.ts";
import type { FetchSession } from "../../src/broker/fetch-session.ts";
import type { FollowerRole } from "../../src/broker/follower-role.ts";
import { FetchHandler } from "../../src/broker/handlers/fetch.ts";
import { OffsetsHandler } from "../../src/broker/handlers/offsets.ts";
import type { NodeId, TopicId } from "../../src/model/ids.ts";
import { NO_NODE, nodeId } from "../../src/model/ids.ts";
import { leaderEpoch, offset } from "../../src/model/offsets.ts";
import { batchOf } from "./fake-logs.ts";
import type { FakeLog } from "./fake-logs.ts";
import { HostedTopics, NODE } from "./hosted-topics.ts";

const EPOCH = 5;

let hosted: HostedTopics;
let topicId: TopicId;
let log: FakeLog;
let role: FollowerRole;
let fetch: FetchHandler;
let sent: FetchedPartition[];
let session: FetchSession;

beforeEach(async () => {
  hosted = new HostedTopics();
  topicId = hosted.create("t", 1, { leader: 2, epoch: EPOCH, replicas: [1, 2], isr: [1, 2] });
  log = hosted.logs.at("t", 0);
  for (const value of ["a", "b", "c"]) log.append(batchOf(value), { leaderEpoch: leaderEpoch(EPOCH) });
  role = await following();
  fetch = new FetchHandler({ nodeId: NODE }, { table: hosted.table, clock: hosted.clock });
  sent = [];
  session = open(true);
});

async function following(): Promise<FollowerRole> {
  const found = await hosted.table.find("t", 0)?.follow();
  if (found === undefined) throw new Error("this broker follows nobody");
  return found;
}

function open(fromFollower: boolean): FetchSession {
  const opened = fetch.openSession(
    { maxMessageBytes: 0, minBytes: 0, maxWaitMs: 0, readCommitted: false, fromFollower },
    {
      send: (partitions) => {
        sent.push(...partitions);
        return true;
      },
    },
  );
  opened.grant(1 << 20);
  return opened;
}

async function add(fields: Partial<FetchPosition> = {}): Promise<FetchedPartition[]> {
  session.add([{ topic: "t", partition: 0, offset: 0, leaderEpoch: EPOCH, generation: 0, ...fields }]);
  return take();
}

async function take(): Promise<FetchedPartition[]> {
  await hosted.settle();
  return sent.splice(0);
}

async function poll(at: number, fields: { fromFollower?: boolean; leaderEpoch?: number } = {}) {
  const { fromFollower = true, leaderEpoch: epoch = -1 } = fields;
  const partitions = [{ topic: "t", partition: 0, offset: at, leaderEpoch: epoch, maxBytes: 10_000 }];
  const call = { maxWaitMs: 0, minBytes: 1, maxBytes: 0, readCommitted: false, fromFollower, partitions };
  const [result] = await fetch.fetch(call, new AbortController().signal);
  return result;
}

/** Another leader epoch, with the given leader. */
function elect(leader: NodeId): void {
  const state = hosted.state.topic("t")?.partitions[0];
  if (state === undefined) throw new Error("there is no such partition");
  hosted.commit([
    {
      type: "Partition",
      topicId,
      partition: 0,
      ...state,
      leader,
      leaderEpoch: leaderEpoch(state.leaderEpoch + 1),
      partitionEpoch: state.partitionEpoch + 1,
    },
  ]);
}

test("a follower gives what its leader said is committed, and the rest as soon as the leader says so", async () => {
  role.learn(offset(2), offset(0));
  const first = await add();
  expect(first.map(({ error, highWatermark }) => [error, highWatermark])).toEqual([
    ["NONE", 2],
    ["NONE", 2],
  ]);
  expect(first[1]).toMatchObject({ records: log.batches.slice(0, 2), leaderId: 2, leaderEpoch: EPOCH });
  role.learn(offset(3), offset(0));
  expect((await take()).map(({ records }) => records)).toEqual([[log.batches[2]]]);
  expect(await poll(1)).toMatchObject({ error: "NONE", highWatermark: 3, records: log.batches.slice(1) });
});

test("what the leader says before the record itself is here is given when it is", async () => {
  role.learn(offset(4), offset(0));
  expect((await add({ offset: 3 })).map(({ error, highWatermark }) => [error, highWatermark])).toEqual([
    ["NONE", 3],
  ]);
  log.append(batchOf("d"), { leaderEpoch: leaderEpoch(EPOCH) });
  expect((await take()).map(({ records }) => records)).toEqual([[log.batches[3]]]);
});

test("a long poll of a follower ends when the leader tells of a commit", async () => {
  role.learn(offset(2), offset(0));
  const partitions = [{ topic: "t", partition: 0, offset: 2, leaderEpoch: EPOCH, maxBytes: 10_000 }];
  const call = { maxWaitMs: 5000, minBytes: 1, maxBytes: 0, readCommitted: false, fromFollower: true };
  const polled = fetch.fetch({ ...call, partitions }, new AbortController().signal);
  await hosted.scheduler.advance(100);
  role.learn(offset(3), offset(0));
  const [result] = await hosted.scheduler.settle(polled, 1);
  expect(result?.records).toEqual([log.batches[2]]);
});

test("before the leader of this epoch has spoken nothing is readable, whatever was committed before", async () => {
  role.learn(offset(3), offset(0));
  hosted.raiseEpochs();
  role = await following();
  expect(await poll(0)).toMatchObject({ error: "NONE", highWatermark: 0, records: [] });
  role.learn(offset(1), offset(0));
  expect(await poll(0)).toMatchObject({ error: "NONE", highWatermark: 1, records: log.batches.slice(0, 1) });
});

test("an offset that it lacks is not out of range on a follower's word, in front or behind", async () => {
  role.learn(offset(3), offset(0));
  await log.advanceLogStart(offset(1));
  for (const at of [0, 4]) {
    const [pushed] = await add({ offset: at });
    for (const result of [pushed, await poll(at)]) {
      expect(result, `offset ${at}`).toMatchObject({ error: "OFFSET_NOT_AVAILABLE", leaderId: 2 });
      expect(result?.errorMessage).toContain("ask broker 2");
    }
  }
});

test("who does not ask for it gets no follower, and nobody gets a broker that is no replica", async () => {
  role.learn(offset(3), offset(0));
  expect(await poll(0, { fromFollower: false })).toMatchObject({ error: "NOT_LEADER_OR_FOLLOWER" });
  session = open(false);
  expect(await add()).toMatchObject([{ error: "NOT_LEADER_OR_FOLLOWER" }]);
  hosted.create("away", 1, { leader: 2, replicas: [2], isr: [2] });
  session = open(true);
  expect(await add({ topic: "away", leaderEpoch: 0 })).toMatchObject([{ error: "NOT_LEADER_OR_FOLLOWER" }]);
  expect(hosted.logs.logs.size).toBe(1);
});

test("offsets are asked of leaders only", async () => {
  const offsets = new OffsetsHandler({ nodeId: NODE }, { table: hosted.table });
  expect(await offsets.listOffsets([{ topic: "t", partition: 0, timestampMs: -1 }])).toMatchObject([
    { error: "NOT_LEADER_OR_FOLLOWER" },
  ]);
});

test("leader epochs are compared as a leader does (KIP-320)", async () => {
  expect(await poll(0, { leaderEpoch: EPOCH - 1 })).toMatchObject({ error: "FENCED_LEADER_EPOCH" });
  expect(await poll(0, { leaderEpoch: EPOCH + 1 })).toMatchObject({ error: "UNKNOWN_LEADER_EPOCH" });
  expect(await add({ leaderEpoch: EPOCH + 1 })).toMatchObject([{ error: "UNKNOWN_LEADER_EPOCH" }]);
});

test.each([
  ["becomes the leader", NODE],
  ["has the same leader in the next epoch", nodeId(2)],
  ["has no leader any more", NO_NODE],
])("a session ends when the follower %s, also for a client that named no epoch", async (_what, leader) => {
  role.learn(offset(3), offset(0));
  await add({ offset: 3, leaderEpoch: -1 });
  elect(leader);
  expect(await take()).toMatchObject([{ error: "FENCED_LEADER_EPOCH" }]);
});

test("a follower that is cut off sends its readers away in that moment: it hears of nothing new (H31)", async () => {
  role.learn(offset(3), offset(0));
  await add();
  hosted.isContactLost = true;
  hosted.table.contactLost();
  expect(await take()).toMatchObject([{ error: "NOT_LEADER_OR_FOLLOWER", records: [] }]);
  expect(await poll(0)).toMatchObject({ error: "NOT_LEADER_OR_FOLLOWER" });
  hosted.isContactLost = false;
  expect(await poll(0)).toMatchObject({ error: "NONE" });
});
