import { beforeEach, describe, expect, test } from "vitest";
import { LeaderRole } from "../../src/broker/leader-role.ts";
import { LeaderEpochCache } from "../../src/log/leader-epoch-cache.ts";
import type { EpochEnd } from "../../src/log/leader-epoch-cache.ts";
import type { PartitionImage } from "../../src/metadata/image.ts";
import { nodeId } from "../../src/model/ids.ts";
import { leaderEpoch, offset } from "../../src/model/offsets.ts";
import type { LeaderEpoch } from "../../src/model/offsets.ts";
import { RateLimit } from "../../src/replication/rate-limit.ts";
import type { FollowAnswer } from "../../src/replication/replica.ts";
import { Scheduler } from "../../src/sim/scheduler.ts";
import { SimClock } from "../../src/sim/sim-clock.ts";
import { nodes, topicIdOf } from "../metadata/arbitrary-history.ts";
import { batchOf, FakeLog } from "./fake-logs.ts";

/** A log whose epochs a test sets. */
class EpochLog extends FakeLog {
  readonly epochs = new LeaderEpochCache();

  override get latestEpoch(): LeaderEpoch {
    return this.epochs.latestEpoch;
  }

  override endOffsetForEpoch(epoch: LeaderEpoch): EpochEnd {
    return this.epochs.endOffsetFor(epoch, this.logEndOffset);
  }
}

const FOLLOWER = { nodeId: nodeId(2), brokerEpoch: 12 };
const IMAGE: PartitionImage = {
  replicas: nodes(1, 2),
  isr: nodes(1, 2),
  elr: [],
  lastKnownElr: [],
  addingReplicas: [],
  removingReplicas: [],
  leader: nodeId(1),
  leaderEpoch: leaderEpoch(5),
  partitionEpoch: 3,
};

let log: EpochLog;
let scheduler: Scheduler;
let newsCount: number;
let topicPace: RateLimit | undefined;
let role: LeaderRole;

beforeEach(() => {
  log = new EpochLog();
  for (const value of ["a", "b", "c"]) log.append(batchOf(value), { leaderEpoch: leaderEpoch(4) });
  log.epochs.assign(leaderEpoch(2), offset(0));
  log.epochs.assign(leaderEpoch(4), offset(1));
  newsCount = 0;
  topicPace = undefined;
  scheduler = new Scheduler();
  role = new LeaderRole(
    {
      self: nodeId(1),
      topicId: topicIdOf(1),
      topic: "t",
      partition: 0,
      image: IMAGE,
      highWatermark: offset(1),
      minInsyncReplicas: 1,
      lagTimeMs: 1000,
    },
    {
      log,
      clock: new SimClock({}, { scheduler }),
      pace: () => topicPace,
      onIsrNews: () => (newsCount += 1),
    },
  );
});

function follow(logEndOffset: number, lastEpoch: number, epoch = 5): FollowAnswer {
  return role.follow(FOLLOWER, {
    leaderEpoch: epoch as LeaderEpoch,
    logEndOffset: offset(logEndOffset),
    lastEpoch: lastEpoch as LeaderEpoch,
  });
}

test("a follower that is no replica as the leader knows it is asked to come again (H23)", () => {
  const position = { leaderEpoch: leaderEpoch(5), logEndOffset: offset(3), lastEpoch: leaderEpoch(4) };
  const follower = { nodeId: nodeId(3), brokerEpoch: 13 };
  expect(role.follow(follower, position)).toMatchObject({
    type: "refused",
    error: "UNKNOWN_LEADER_EPOCH",
    message: "broker 3 is no replica of t-0 yet, as its leader knows it; try again",
  });
  role.committed({ ...IMAGE, replicas: nodes(1, 2, 3), addingReplicas: nodes(3), partitionEpoch: 4 });
  expect(role.follow(follower, position)).toEqual({ type: "ok" });
});

test("a replica of a reassignment has the topic's pace, and everybody is told, until it is to be counted (H36)", () => {
  const pace = new RateLimit(1000, 0);
  topicPace = pace;
  let news = 0;
  role.watch(() => (news += 1));
  const paces = (): unknown[] => [2, 3].map((id) => role.paceFor(nodeId(id)));
  expect(paces()).toEqual([undefined, undefined]);
  role.paceChanged();
  expect(news).toBe(0);
  role.committed({ ...IMAGE, replicas: nodes(1, 2, 3), addingReplicas: nodes(3), partitionEpoch: 4 });
  expect(paces()).toEqual([undefined, pace]);
  role.paceChanged();
  expect(news).toBe(1);

  const follower = { nodeId: nodeId(3), brokerEpoch: 13 };
  role.follow(follower, {
    leaderEpoch: leaderEpoch(5),
    logEndOffset: offset(3),
    lastEpoch: leaderEpoch(4),
  });
  role.progress(follower, offset(3));
  news = 0;
  const proposal = role.takeProposal(() => true);
  expect(proposal?.isr.map(({ nodeId: id }) => id)).toContain(3);
  expect(paces()).toEqual([undefined, undefined]);
  expect(news).toBe(1);
  // Refused, it is not counted: held back again.
  role.rejected(proposal!);
  expect(paces()).toEqual([undefined, pace]);
});

describe("a follower's position", () => {
  test.each([
    ["nothing at all", 0, -1],
    ["a part of the log", 2, 4],
    ["the whole log", 3, 4],
    ["a part that ends with an earlier epoch", 1, 2],
  ])("with %s is followed", (_what, end, epoch) => {
    expect(follow(end, epoch)).toEqual({ type: "ok" });
  });

  test.each([
    ["more of an epoch than the leader has", 9, 4, { epoch: 4, endOffset: 3 }],
    ["an epoch that the leader never had", 3, 3, { epoch: 2, endOffset: 1 }],
    ["more of an old epoch", 3, 2, { epoch: 2, endOffset: 1 }],
    ["an epoch before all that are known", 3, 1, { epoch: 1, endOffset: 0 }],
    ["an epoch after all that are known", 4, 5, { epoch: 4, endOffset: 3 }],
  ])("with %s is cut where the histories part (H34, H38)", (_what, end, epoch, cut) => {
    expect(follow(end, epoch)).toEqual({ type: "diverging", ...cut });
  });

  test("before the log's start begins anew there (H42)", async () => {
    await log.advanceLogStart(offset(2));
    expect(follow(1, 2)).toEqual({ type: "reset", logStartOffset: 2 });
  });

  test.each([
    ["an older epoch", 4, "FENCED_LEADER_EPOCH"],
    ["a newer epoch", 6, "UNKNOWN_LEADER_EPOCH"],
  ])("in %s is refused (H35)", (_what, epoch, error) => {
    expect(follow(3, 4, epoch)).toMatchObject({ type: "refused", error, leaderEpoch: 5 });
  });

  test("is refused once the role has ended", () => {
    role.end();
    expect(follow(3, 4)).toMatchObject({ type: "refused", error: "FENCED_LEADER_EPOCH" });
  });
});

describe("the high watermark", () => {
  test("rises with the slowest in-sync replica, and who waits is told", () => {
    const told: string[] = [];
    role.whenCommitted(offset(2), (isCommitted) => told.push(`2 ${isCommitted}`));
    role.whenCommitted(offset(3), (isCommitted) => told.push(`3 ${isCommitted}`));
    expect(role.highWatermark).toBe(1);
    follow(0, -1);
    role.progress(FOLLOWER, offset(2));
    expect([role.highWatermark, told]).toEqual([2, ["2 true"]]);
    role.progress(FOLLOWER, offset(3));
    expect([role.highWatermark, told]).toEqual([3, ["2 true", "3 true"]]);
  });

  test("never passes what this replica itself has durable", () => {
    log.isInstant = false;
    log.append(batchOf("d"), { leaderEpoch: leaderEpoch(5) });
    follow(0, -1);
    role.progress(FOLLOWER, offset(4));
    expect(role.highWatermark).toBe(3);
    log.sync();
    expect(role.highWatermark).toBe(4);
  });

  test("counts nothing that an earlier registration of the follower says (H22)", () => {
    follow(0, -1);
    role.progress({ ...FOLLOWER, brokerEpoch: 11 }, offset(3));
    expect(role.highWatermark).toBe(1);
  });

  test("of what is committed already is told at once", () => {
    const told: boolean[] = [];
    role.whenCommitted(offset(1), (isCommitted) => told.push(isCommitted));
    expect(told).toEqual([true]);
  });
});

describe("the end of the role", () => {
  test("tells all that wait, and all that come later, that this broker cannot promise it", () => {
    const told: boolean[] = [];
    role.whenCommitted(offset(3), (isCommitted) => told.push(isCommitted));
    role.end();
    role.whenCommitted(offset(1), (isCommitted) => told.push(isCommitted));
    role.progress(FOLLOWER, offset(3));
    expect(told).toEqual([false, false]);
    expect(role.isEnded).toBe(true);
  });

  test("is told to who watches, and the log is no longer watched", () => {
    let seen = 0;
    role.watch(() => (seen += 1));
    role.end();
    expect([seen, log.listeners.size]).toEqual([1, 0]);
  });
});

describe("the ISR", () => {
  test("a follower that has fallen behind for the lag time is proposed for removal, once", async () => {
    follow(0, -1);
    expect(newsCount).toBeGreaterThan(0);
    expect(role.takeProposal(() => true)).toBeUndefined();
    await scheduler.advance(1500);
    expect(role.takeProposal(() => true)?.isr.map((member) => member.nodeId)).toEqual([1]);
    expect(role.takeProposal(() => true)).toBeUndefined();
  });

  test("a refused proposal is made anew", async () => {
    follow(0, -1);
    await scheduler.advance(1500);
    const proposal = role.takeProposal(() => true)!;
    role.rejected(proposal);
    expect(role.takeProposal(() => true)).toEqual(proposal);
  });
});

describe("while everybody is in the ISR and keeps up", () => {
  test("who watches is told of what moved, once for each move", () => {
    follow(3, 4);
    role.progress(FOLLOWER, offset(3));
    let told = 0;
    role.watch(() => (told += 1));
    role.progress(FOLLOWER, offset(3));
    expect(told).toBe(0);
    log.append(batchOf("d"), { leaderEpoch: leaderEpoch(5) });
    expect(told).toBe(1);
    role.progress(FOLLOWER, offset(4));
    expect({ told, highWatermark: role.highWatermark }).toEqual({ told: 2, highWatermark: 4 });
  });

  test("the ISR is looked at a few times in the lag time, however many records come", async () => {
    follow(3, 4);
    role.progress(FOLLOWER, offset(3));
    newsCount = 0;
    for (let end = 4; end < 104; end++) {
      log.append(batchOf("x"), { leaderEpoch: leaderEpoch(5) });
      role.progress(FOLLOWER, offset(end));
    }
    expect(newsCount).toBe(0);
    await scheduler.advance(50);
    role.progress(FOLLOWER, offset(103));
    expect(newsCount).toBe(1);
  });

  test("a follower that is not in the ISR is looked at with each of its reports", () => {
    role.committed({ ...IMAGE, isr: nodes(1), partitionEpoch: 4 });
    follow(3, 4);
    newsCount = 0;
    role.progress(FOLLOWER, offset(1));
    role.progress(FOLLOWER, offset(3));
    expect(newsCount).toBe(2);
  });
});
