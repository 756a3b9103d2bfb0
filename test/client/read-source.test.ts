import { beforeEach, describe, expect, test } from "vitest";
import type { PartitionInfo } from "../../src/client/metadata-cache.ts";
import { FOLLOWER_PAUSE_MS, ReadSource } from "../../src/client/read-source.ts";
import type { ReadFrom } from "../../src/client/read-source.ts";
import { Scheduler } from "../../src/sim/scheduler.ts";
import { SimClock } from "../../src/sim/sim-clock.ts";

const RACKS = new Map([
  [1, "a"],
  [2, "b"],
  [3, "b"],
  [4, ""],
]);

let scheduler: Scheduler;
let returns: number[];

beforeEach(() => {
  scheduler = new Scheduler();
  returns = [];
});

function source(rack: string, readFrom: ReadFrom = "closest"): ReadSource {
  return new ReadSource(
    { readFrom, rack },
    {
      clock: new SimClock({}, { scheduler }),
      rackOf: (nodeId) => RACKS.get(nodeId),
      onReturn: () => returns.push(scheduler.nowMs),
    },
  );
}

function partition(fields: Partial<PartitionInfo> = {}): PartitionInfo {
  return { partition: 0, leaderId: 1, leaderEpoch: 3, replicas: [1, 2, 3, 4], isr: [1, 2, 3, 4], ...fields };
}

describe("the choice", () => {
  test("is the leader by default, and when it is near itself", () => {
    expect(source("b", "leader").choose(partition())).toBe(1);
    expect(source("a").choose(partition())).toBe(1);
    expect(source("b").choose(partition({ leaderId: 3 }))).toBe(3);
  });

  test("is an in-sync replica of the same rack, spread by partition, whatever the order of the ISR", () => {
    const choices = [0, 1, 2, 3].map((number) => source("b").choose(partition({ partition: number })));
    expect(choices).toEqual([2, 3, 2, 3]);
    expect(source("b").choose(partition({ isr: [4, 3, 2, 1] }))).toBe(2);
    expect(source("b").choose(partition({ isr: [1, 3] }))).toBe(3);
  });

  test("is the leader when none is near or in sync, and nobody while nobody leads", () => {
    expect(source("c").choose(partition())).toBe(1);
    expect(source("").choose(partition())).toBe(1);
    expect(source("b").choose(partition({ isr: [1, 4] }))).toBe(1);
    expect(source("b").choose(partition({ leaderId: -1 }))).toBe(-1);
  });
});

describe("after a follower failed", () => {
  test("the leader is read for a while, then the follower again", async () => {
    const reading = source("b");
    reading.avoidFollowers(partition());
    expect(reading.choose(partition())).toBe(1);
    await scheduler.advance(FOLLOWER_PAUSE_MS - 1);
    expect(reading.choose(partition())).toBe(1);
    await scheduler.advance(1);
    expect(returns).toEqual([FOLLOWER_PAUSE_MS]);
    expect(reading.choose(partition())).toBe(2);
  });

  test.each<[string, Partial<PartitionInfo>]>([
    ["leader epoch", { leaderEpoch: 4 }],
    ["leader", { leaderId: 4 }],
    ["ISR", { isr: [1, 2, 3] }],
  ])("another %s in the metadata ends that at once, and nothing stays scheduled", (_what, fields) => {
    const reading = source("b");
    reading.avoidFollowers(partition());
    expect(reading.choose(partition(fields))).toBe(2);
    expect(scheduler.pendingCount).toBe(0);
  });
});
