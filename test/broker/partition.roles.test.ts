import { beforeEach, expect, test } from "vitest";
import { Deferred } from "../../src/base/deferred.ts";
import { silentLogger } from "../../src/base/logger.ts";
import type { FollowerRole } from "../../src/broker/follower-role.ts";
import { Partition } from "../../src/broker/partition.ts";
import type { PartitionImage } from "../../src/metadata/image.ts";
import { NO_NODE, nodeId } from "../../src/model/ids.ts";
import { leaderEpoch, offset } from "../../src/model/offsets.ts";
import type { Offset } from "../../src/model/offsets.ts";
import { Scheduler } from "../../src/sim/scheduler.ts";
import { SimClock } from "../../src/sim/sim-clock.ts";
import { nodes, topicIdOf } from "../metadata/arbitrary-history.ts";
import { batchOf, FakeLog } from "./fake-logs.ts";

/** A log whose cuts end when the test says so. */
class CutLog extends FakeLog {
  readonly cuts: { readonly to: Offset; readonly done: Deferred<void> }[] = [];

  override truncateTo(to: Offset): Promise<void> {
    const done = new Deferred<void>();
    this.cuts.push({ to, done });
    return done.promise.then(() => {
      this.logEndOffset = to;
      this.durableEndOffset = to;
      this.notify();
    });
  }
}

const FOLLOWED: PartitionImage = {
  replicas: nodes(1, 2),
  isr: nodes(1, 2),
  elr: [],
  lastKnownElr: [],
  addingReplicas: [],
  removingReplicas: [],
  leader: nodeId(2),
  leaderEpoch: leaderEpoch(5),
  partitionEpoch: 3,
};
const LED: PartitionImage = {
  ...FOLLOWED,
  leader: nodeId(1),
  leaderEpoch: leaderEpoch(6),
  partitionEpoch: 4,
};

let log: CutLog;
let isLossAllowed: boolean;
let partition: Partition;
let damagedOnes: number[];

beforeEach(() => {
  log = new CutLog();
  isLossAllowed = false;
  damagedOnes = [];
  for (const value of ["a", "b", "c"]) log.append(batchOf(value), { leaderEpoch: leaderEpoch(4) });
  partition = new Partition(
    {
      topic: "t",
      partition: 0,
      topicId: topicIdOf(1),
      image: FOLLOWED,
      nodeId: nodeId(1),
      highWatermark: offset(1),
      lagTimeMs: 1000,
      maxWaiting: 10,
    },
    {
      openLog: () => Promise.resolve(log),
      clock: new SimClock({}, { scheduler: new Scheduler() }),
      logger: silentLogger,
      minInsyncReplicas: () => 1,
      mayLoseCommitted: () => isLossAllowed,
      onDamage: (damaged) => damagedOnes.push(damaged.partition),
      pace: () => undefined,
      onIsrNews: () => undefined,
      isContactLost: () => false,
    },
  );
});

async function followed(): Promise<FollowerRole> {
  const role = await partition.follow();
  if (role === undefined) throw new Error("it is not followed");
  return role;
}

test("who becomes the leader while its log is being cut leads when that has ended, from the end that is left", async () => {
  const follower = await followed();
  const cut = follower.truncateTo(offset(2));
  partition.update(LED);
  expect(partition.leaderRole).toBeUndefined();
  log.cuts[0]?.done.resolve();
  await cut;
  await follower.cutting;
  expect(partition.leaderRole?.epochStartOffset).toBe(2);
});

test("a cut that fails does not keep anybody from the next role", async () => {
  const follower = await followed();
  const cut = follower.truncateTo(offset(2));
  partition.update(LED);
  log.cuts[0]?.done.reject(new Error("the disk failed"));
  await expect(cut).rejects.toThrow("the disk failed");
  await follower.cutting;
  expect(partition.leaderRole?.leaderEpoch).toBe(6);
});

test("a leader that was deposed before the cut ended has no role when it ends", async () => {
  const follower = await followed();
  const cut = follower.truncateTo(offset(2));
  partition.update(LED);
  partition.update({ ...FOLLOWED, leaderEpoch: leaderEpoch(7), partitionEpoch: 5 });
  log.cuts[0]?.done.resolve();
  await cut;
  await follower.cutting;
  expect(partition.leaderRole).toBeUndefined();
});

test("who follows again before a cut has ended, with nobody to follow in between, begins where the cut left the log", async () => {
  const follower = await followed();
  const cut = follower.truncateTo(offset(2));
  partition.update({ ...FOLLOWED, leader: NO_NODE, leaderEpoch: leaderEpoch(6), partitionEpoch: 4 });
  partition.update({ ...FOLLOWED, leaderEpoch: leaderEpoch(7), partitionEpoch: 5 });
  const next = followed();
  log.cuts[0]?.done.resolve();
  await cut;
  expect((await next).logEndOffset).toBe(2);
});

test("a partition that was removed while its log was cut gets no role any more", async () => {
  const follower = await followed();
  const cut = follower.truncateTo(offset(2));
  partition.update(LED);
  partition.remove();
  log.cuts[0]?.done.resolve();
  await cut;
  await follower.cutting;
  expect(partition.leaderRole).toBeUndefined();
});

test("committed records are not cut off for a leader that lacks them, unless the topic allows that", async () => {
  const follower = await followed();
  follower.learn(offset(3), offset(0));
  await expect(follower.truncateTo(offset(2))).rejects.toMatchObject({
    code: "LOG_DIVERGED",
    context: { partition: "t-0", offset: 2, highWatermark: 3, leaderEpoch: 5 },
  });
  expect(log.cuts).toEqual([]);
  isLossAllowed = true;
  const cut = follower.truncateTo(offset(2));
  log.cuts[0]?.done.resolve();
  await cut;
  expect(follower.highWatermark).toBe(2);
});

test("a damaged log is told of, and followed only when it is mended and the leader sends what is missing", async () => {
  await followed();
  log.damage = { offset: offset(1), message: "bits flipped" };
  log.notify();
  expect(damagedOnes).toEqual([0]);
  // Out of everything that counts, in a new epoch.
  partition.update({ ...FOLLOWED, isr: nodes(2), leaderEpoch: leaderEpoch(6), partitionEpoch: 4 });
  expect(await partition.follow()).toBeUndefined();
  await partition.cutDamage();
  const role = await followed();
  expect([role.leaderEpoch, role.logEndOffset, partition.isDamaged]).toEqual([6, 1, false]);
});

test("a replica that counts is never cut", async () => {
  await followed();
  log.damage = { offset: offset(1), message: "bits flipped" };
  await expect(partition.cutDamage()).rejects.toThrow("a replica that counts is cut");
  partition.update({ ...FOLLOWED, isr: nodes(2), elr: nodes(1), partitionEpoch: 4 });
  await expect(partition.cutDamage()).rejects.toThrow("a replica that counts is cut");
  expect(log.logEndOffset).toBe(3);
});

test("who waits for replicas of a broker that goes is told that they may have it or not", async () => {
  await partition.openedLog();
  partition.update(LED);
  const told: boolean[] = [];
  partition.leaderRole?.whenCommitted(offset(3), (isCommitted) => told.push(isCommitted));
  const { highWatermark } = partition;
  partition.stopLeading();
  expect(told).toEqual([false]);
  expect(partition.leaderRole).toBeUndefined();
  expect(partition.highWatermark).toBe(highWatermark);
});
