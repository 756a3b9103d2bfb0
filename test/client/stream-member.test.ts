import { describe, expect, onTestFinished, test } from "vitest";
import type { LograftError } from "../../src/base/errors.ts";
import { CoordinatorCalls } from "../../src/client/coordinator-calls.ts";
import type { GroupMembership, MembershipListener } from "../../src/client/group-membership.ts";
import { MetadataCache } from "../../src/client/metadata-cache.ts";
import { StreamMember, type StreamMemberOptions } from "../../src/client/stream-member.ts";
import type { TopicPartitionRef } from "../../src/client/index.ts";
import { silentLogger } from "../../src/base/logger.ts";
import { SeededRandom } from "../../src/platform/random.ts";
import { encodeHeartbeatResponse } from "../../src/rpc/membership-codec.ts";
import { Scheduler } from "../../src/sim/scheduler.ts";
import { SimClock } from "../../src/sim/sim-clock.ts";
import { FakeCluster } from "./fake-cluster.ts";
import { FakeGroup, keysOf } from "./fake-group.ts";

/** A membership with a listener that notes what it hears. */
class Noted implements MembershipListener {
  readonly heard: string[] = [];
  readonly errors: LograftError[] = [];
  readonly owned = new Set<string>();
  fatal: LograftError | undefined;
  /** How long giving up takes. */
  revoke: () => Promise<void> = () => Promise.resolve();
  member!: GroupMembership;

  async onRevoke(partitions: readonly TopicPartitionRef[]): Promise<void> {
    this.heard.push(`revoke ${names(partitions)}`);
    await this.revoke();
    for (const key of keys(partitions)) this.owned.delete(key);
  }

  onAssign(partitions: readonly TopicPartitionRef[]): void {
    this.heard.push(`assign ${names(partitions)}`);
    for (const key of keys(partitions)) this.owned.add(key);
  }

  onLost(partitions: readonly TopicPartitionRef[]): void {
    this.heard.push(`lost ${names(partitions)}`);
    for (const key of keys(partitions)) this.owned.delete(key);
  }

  onRetriedError(error: LograftError): void {
    this.errors.push(error);
  }

  onFatal(error: LograftError): void {
    this.fatal = error;
  }
}

function keys(partitions: readonly TopicPartitionRef[]): string[] {
  return partitions.map(({ topic, partition }) => `${topic}-${partition}`);
}

function names(partitions: readonly TopicPartitionRef[]): string {
  return partitions.map(({ partition }) => partition).join();
}

function setUp(partitions: number, brokers = 1) {
  const scheduler = new Scheduler();
  const clock = new SimClock({}, { scheduler });
  const cluster = new FakeCluster({ topics: { t: partitions }, brokers }, { clock });
  const shared = Array.from({ length: partitions }, (_, partition) => `t-${partition}`);
  const group = new FakeGroup({ partitions: shared }, { cluster });
  const random = new SeededRandom(7);
  const retry = { initialMs: 100, maxMs: 1000 };
  const deps = { clock, random, logger: silentLogger, transport: cluster };
  const bootstrap = Array.from({ length: brokers }, (_, nodeId) => `b${nodeId}:9092`);
  const metadata = new MetadataCache({ bootstrap, maxAgeMs: 300_000, requestTimeoutMs: 30_000, retry }, deps);
  const context = { ...deps, clientId: "test", rack: "r1", requestTimeoutMs: 30_000, retry, metadata };
  const noted: Noted[] = [];
  onTestFinished(async () => {
    for (const { member } of noted) void member.close({ timeoutMs: 0 });
    await scheduler.advance(10);
  });
  const join = (options: Partial<StreamMemberOptions> = {}): Noted => {
    const listener = new Noted();
    const calls = new CoordinatorCalls({ groupId: "g" }, { context });
    listener.member = new StreamMember(
      { groupId: "g", rebalanceTimeoutMs: 60_000, subscription: { topics: ["t"] }, ...options },
      { context, calls, listener },
    );
    noted.push(listener);
    listener.member.start();
    return listener;
  };
  return { scheduler, clock, cluster, group, join };
}

describe("joining", () => {
  test("the first heartbeat says all, with epoch 0 and nothing owned; the next ones only what is new", async () => {
    const { scheduler, group, join } = setUp(2);
    const one = join({ instanceId: "i", serverAssignor: "range" });
    expect(one.member.state).toBe("joining");
    expect(one.member.identity).toBeUndefined();
    await scheduler.advance(5500);
    const [first, second, third] = group.heartbeats;
    expect(first).toMatchObject({
      groupId: "g",
      memberEpoch: 0,
      instanceId: "i",
      rackId: "r1",
      rebalanceTimeoutMs: 60_000,
      subscribedTopics: { names: ["t"] },
      serverAssignor: "range",
      owned: { topics: [] },
      clientId: "test",
    });
    expect(first?.memberId).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
    expect(second?.memberEpoch).toBe(1);
    expect(second?.subscribedTopics ?? undefined).toBeUndefined();
    expect(second?.owned === null || second?.owned === undefined ? [] : keysOf(second.owned)).toEqual([
      "t-0",
      "t-1",
    ]);
    expect(third?.owned ?? undefined).toBeUndefined();
    expect(one.heard).toEqual(["assign 0,1"]);
    expect(one.member.identity).toEqual({
      groupId: "g",
      memberId: first?.memberId,
      generationIdOrMemberEpoch: 1,
      groupInstanceId: "i",
    });
    expect(one.member.state).toBe("stable");
  });

  test("heartbeats go by the broker's interval", async () => {
    const { scheduler, group, join } = setUp(1);
    group.intervalMs = 700;
    join();
    await scheduler.advance(1000);
    const before = group.heartbeats.length;
    await scheduler.advance(7000);
    expect(group.heartbeats.length - before).toBe(10);
  });

  test("a member that gets nothing hears so", async () => {
    const { scheduler, join } = setUp(1);
    join();
    await scheduler.advance(100);
    const second = join();
    await scheduler.advance(100);
    expect(second.heard).toEqual(["assign "]);
  });

  test("another subscription is said at once", async () => {
    const { scheduler, group, join } = setUp(1);
    const one = join();
    await scheduler.advance(100);
    one.member.subscribe({ topics: ["u"], pattern: /v-[0-9]+/ });
    await scheduler.advance(10);
    expect(group.heartbeats.at(-1)).toMatchObject({
      memberEpoch: 1,
      subscribedTopics: { names: ["u"] },
      subscribedTopicRegex: "v-[0-9]+",
    });
  });
});

describe("partitions that move", () => {
  test("are given up first and then reported, and the other member gets them by a nudge", async () => {
    const { scheduler, group, join } = setUp(4);
    const one = join();
    await scheduler.advance(50);
    const two = join();
    one.revoke = async () => {
      // As long as handlers take.
      await new Promise<void>((resolve) => void scheduler.schedule(300, resolve));
    };
    await scheduler.advance(200);
    expect(one.member.state).toBe("rebalancing");
    expect(two.owned.size).toBe(0);
    await scheduler.advance(200);
    expect(one.heard).toEqual(["assign 0,1,2,3", "revoke 1,3"]);
    expect(two.heard).toEqual(["assign ", "assign 1,3"]);
    // All of it in less than half a heartbeat interval.
    expect(group.shares).toEqual([
      ["t-0", "t-2"],
      ["t-1", "t-3"],
    ]);
    expect(one.member.state).toBe("stable");
  });

  test("heartbeats go on while giving up takes its time", async () => {
    const { scheduler, group, join } = setUp(2);
    const one = join();
    await scheduler.advance(50);
    one.revoke = () => new Promise(() => undefined);
    join();
    await scheduler.advance(100);
    const before = group.heartbeats.filter(({ memberId }) => memberId === group.memberId).length;
    await scheduler.advance(10_000);
    const after = group.heartbeats.filter(({ memberId }) => memberId === group.memberId).length;
    expect(after - before).toBe(10);
  });

  test("are reported as given up within the rebalance timeout, whatever the listener does", async () => {
    const { scheduler, group, join } = setUp(2);
    const one = join({ rebalanceTimeoutMs: 10_000 });
    await scheduler.advance(50);
    one.revoke = () => new Promise(() => undefined);
    join();
    await scheduler.advance(7000);
    expect(group.shares).toEqual([["t-0", "t-1"], []]);
    await scheduler.advance(2000);
    expect(group.shares).toEqual([["t-0"], ["t-1"]]);
    // Whoever still works on them hears that it is for nothing (H60).
    expect(one.heard).toEqual(["assign 0,1", "revoke 1", "lost 1"]);
  });
});

describe("lost streams and coordinators", () => {
  test("a lost stream is opened again at once, with all that an answer may have been lost about", async () => {
    const { scheduler, clock, cluster, group, join } = setUp(2);
    const one = join();
    await scheduler.advance(500);
    const before = group.heartbeats.length;
    const cutAtMs = clock.monotonicMs();
    cluster.cutStreams();
    await scheduler.runUntil(() => group.heartbeats.length > before, 1000);
    expect(clock.monotonicMs() - cutAtMs).toBeLessThan(50);
    expect(group.heartbeats.at(-1)).toMatchObject({ memberEpoch: 1, subscribedTopics: { names: ["t"] } });
    await scheduler.advance(100);
    expect(one.heard).toEqual(["assign 0,1"]);
    expect(one.errors).toHaveLength(1);
  });

  test("a coordinator that has moved is found again, and the membership goes on", async () => {
    const { scheduler, cluster, group, join } = setUp(1, 2);
    const one = join();
    await scheduler.advance(500);
    group.coordinatorId = 1;
    cluster.down.add(0);
    for (const stream of group.streams) stream.close();
    await scheduler.advance(2000);
    expect(group.streams.map(({ peer }) => peer)).toEqual(["b1:9092"]);
    expect(one.heard).toEqual(["assign 0"]);
    expect(one.errors.every(({ retriable }) => retriable)).toBe(true);
  });

  test("a coordinator that is not the one any more is left for the one that is", async () => {
    const { scheduler, group, join } = setUp(1, 2);
    const one = join();
    await scheduler.advance(500);
    group.coordinatorId = 1;
    await scheduler.advance(2500);
    expect(group.streams.map(({ peer }) => peer)).toEqual(["b1:9092"]);
    expect(one.errors[0]).toMatchObject({ code: "NOT_COORDINATOR" });
    expect(one.heard).toEqual(["assign 0"]);
  });

  test("one that hangs is given up, and the stream opened anew", async () => {
    const { scheduler, group, join } = setUp(1);
    const one = join();
    await scheduler.advance(500);
    group.isSilent = true;
    await scheduler.advance(7000);
    expect(one.errors[0]?.message).toMatch(/not answered within 5000 ms/);
    group.isSilent = false;
    await scheduler.advance(7000);
    expect(one.member.state).toBe("stable");
    expect(one.member.lastHeartbeatMs).toBeGreaterThan(7500);
  });

  test("one is not taken for hung because this process stood still itself: the answer may lie unread", async () => {
    const { scheduler, clock, group, join } = setUp(1);
    const one = join();
    await scheduler.advance(500);
    group.isSilent = true;
    await scheduler.advance(1500);
    const [stream] = group.streams;
    clock.pause();
    await scheduler.advance(8000);
    clock.resume();
    await scheduler.advance(1);
    const answer = { errorCode: 0, errorMessage: "", memberId: group.memberId, memberEpoch: 1 };
    stream?.answer([encodeHeartbeatResponse({ ...answer, heartbeatIntervalMs: 1000, heartbeatNow: false })]);
    group.isSilent = false;
    await scheduler.advance(3000);
    expect(one.errors).toEqual([]);
    expect(one.heard).toEqual(["assign 0"]);
    expect(group.streams).toEqual([stream]);
  });

  test.each(["UNKNOWN_MEMBER_ID", "FENCED_MEMBER_EPOCH"] as const)(
    "%s: all is lost at once, and the member joins again with epoch 0 under its id",
    async (error) => {
      const { scheduler, group, join } = setUp(2);
      const one = join();
      await scheduler.advance(500);
      const { memberId } = group;
      group.members.clear();
      group.heartbeatError = ({ memberEpoch }) => (memberEpoch > 0 ? error : undefined);
      await scheduler.runUntil(() => one.heard.includes("lost 0,1"), 2000);
      expect(one.member.identity).toBeUndefined();
      group.heartbeatError = () => undefined;
      await scheduler.advance(500);
      expect(one.heard).toEqual(["assign 0,1", "lost 0,1", "assign 0,1"]);
      expect(group.memberId).toBe(memberId);
    },
  );

  test("one that is lost while it gives up partitions does not report them in its next life", async () => {
    const { scheduler, group, join } = setUp(2);
    const one = join();
    await scheduler.advance(50);
    let finish = (): void => undefined;
    one.revoke = () =>
      new Promise((resolve) => {
        finish = resolve;
      });
    join();
    await scheduler.advance(100);
    const [first] = group.members.keys();
    if (first === undefined) throw new Error("nobody");
    group.expel(first);
    await scheduler.advance(1500);
    finish();
    await scheduler.advance(1500);
    expect(one.heard.slice(0, 3)).toEqual(["assign 0,1", "revoke 1", "lost 0,1"]);
    expect([...one.owned].sort()).toEqual(group.shares[1]);
  });
});

describe("static members", () => {
  test("wait for their former self to be taken for dead", async () => {
    const { scheduler, group, join } = setUp(1);
    group.heartbeatError = () => "UNRELEASED_INSTANCE_ID";
    const one = join({ instanceId: "i" });
    await scheduler.advance(10_000);
    expect(one.errors[0]).toMatchObject({ code: "UNRELEASED_INSTANCE_ID" });
    group.heartbeatError = () => undefined;
    await scheduler.advance(2000);
    expect(one.heard).toEqual(["assign 0"]);
  });

  test("but not for ever: two that live under one name are told", async () => {
    const { scheduler, group, join } = setUp(1);
    group.heartbeatError = () => "UNRELEASED_INSTANCE_ID";
    const one = join({ instanceId: "i" });
    await scheduler.advance(70_000);
    expect(one.fatal).toMatchObject({ code: "UNRELEASED_INSTANCE_ID" });
    expect(one.member.state).toBe("closed");
  });
});

describe("the end", () => {
  test("close gives all up, leaves with epoch -1 and leaves no timer", async () => {
    const { scheduler, group, join } = setUp(2);
    const one = join();
    await scheduler.advance(500);
    await scheduler.settle(one.member.close({ timeoutMs: 10_000 }), 20_000);
    expect(one.heard).toEqual(["assign 0,1", "revoke 0,1"]);
    expect(group.heartbeats.at(-1)).toMatchObject({ memberEpoch: -1 });
    expect(group.members.size).toBe(0);
    await scheduler.advance(5);
    expect(scheduler.pendingCount).toBe(0);
    expect(one.member.identity).toBeUndefined();
  });

  test("close without a cluster ends within its time", async () => {
    const { scheduler, clock, cluster, join } = setUp(1);
    const one = join();
    await scheduler.advance(500);
    cluster.down.add(0);
    cluster.cutStreams();
    const startMs = clock.monotonicMs();
    await scheduler.settle(one.member.close({ timeoutMs: 10_000 }), 20_000);
    expect(clock.monotonicMs() - startMs).toBeLessThanOrEqual(3001);
  });

  test("what cannot be healed ends the membership once", async () => {
    const { scheduler, group, join } = setUp(1);
    const one = join();
    await scheduler.advance(500);
    group.heartbeatError = () => "FENCED_INSTANCE_ID";
    await scheduler.advance(5000);
    expect(one.heard).toEqual(["assign 0", "lost 0"]);
    expect(one.fatal).toMatchObject({ code: "FENCED_INSTANCE_ID", retriable: false });
    expect(scheduler.pendingCount).toBe(0);
  });
});
