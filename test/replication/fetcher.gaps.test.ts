import { describe, expect, test } from "vitest";
import type { PartitionLog } from "../../src/log/partition-log.ts";
import type { ReadResult } from "../../src/log/log-reader.ts";
import { accepted } from "../log/engine.ts";
import { compact, COMPACTED, keyed, recordsOf } from "../log/compaction.ts";
import { ReplicaCluster } from "./replica-cluster.ts";

/* A follower takes the gaps of a compacted leader, knows them after a crash, and takes no other. */

/** Little is on its way at a time. */
const OPTIONS = {
  config: COMPACTED,
  windowBytes: 400,
  senderOptions: { maxFrameBytes: 300, gatherBytes: 100 },
};

/** Records over three keys, a few of keys of their own among them, and the segment closed behind. */
async function fill(cluster: ReplicaCluster, id: number, round: string): Promise<void> {
  const { log, leaderEpoch } = cluster.node(id).leader();
  for (let index = 0; index < 32; index++) {
    const key = index % 4 === 1 ? `own${round}${index}` : `k${index % 3}`;
    const value = index < 30 ? `${round}${index}` : "x".repeat(300);
    const batch = keyed([{ key, value }]);
    await cluster.scheduler.settle(accepted(log.append(batch, { leaderEpoch, origin: "client" })).done, 1000);
  }
}

/** Node 0 leads a log that is compacted but for its end, nobody else has any of it. */
async function compactedLeader(nodes: number): Promise<{ cluster: ReplicaCluster; leader: PartitionLog }> {
  const cluster = await ReplicaCluster.start({ ...OPTIONS, nodes });
  cluster.elect(0, 0, [0]);
  await fill(cluster, 0, "a");
  const leader = cluster.node(0).log(0);
  await cluster.scheduler.settle(compact(leader), 10_000);
  expect(leader.gapsBelow).toBeGreaterThan(20);
  await fill(cluster, 0, "b");
  return { cluster, leader };
}

/** That the files of a node are whole, as it knows them, after a crash. */
async function isWholeAfterCrash(cluster: ReplicaCluster, id: number): Promise<void> {
  await cluster.node(id).crash();
  const log = cluster.node(id).log(0);
  await cluster.scheduler.settle(log.scrub(), 10_000);
  expect([log.state, log.damage]).toEqual(["open", undefined]);
  cluster.tell(id);
}

describe("a follower of a compacted leader", () => {
  test("has its bytes and knows where gaps may be, also as a leader of others", async () => {
    const { cluster, leader } = await compactedLeader(3);
    cluster.tell(1);
    cluster.tell(2);
    await cluster.catchUp();
    for (const id of [1, 2]) {
      expect(await cluster.bytesOf(id)).toEqual(await cluster.bytesOf(0));
      expect(cluster.node(id).log(0).gapsBelow).toBe(leader.gapsBelow);
      expect(cluster.node(id).machine.host.gapBounds).toEqual([leader.gapsBelow]);
      expect(cluster.node(id).lines.ofLevel("error")).toEqual([]);
    }
    await isWholeAfterCrash(cluster, 1);
    await isWholeAfterCrash(cluster, 2);
    cluster.elect(1);
    await cluster.scheduler.settle(
      cluster.node(2).log(0).truncateTo(cluster.node(2).log(0).logStartOffset),
      1000,
    );
    await cluster.node(2).crash();
    cluster.tell(2);
    await fill(cluster, 1, "c");
    await cluster.catchUp();
    expect(await cluster.bytesOf(2)).toEqual(await cluster.bytesOf(1));
    expect(cluster.node(2).log(0).gapsBelow).toBe(leader.gapsBelow);
  });

  test("that crashes at any time while it copies is whole, and copies the rest", async () => {
    const ends = new Set<number>();
    for (let ms = 1; ms <= 40; ms += 3) {
      const { cluster } = await compactedLeader(2);
      cluster.tell(1);
      await cluster.scheduler.advance(ms);
      ends.add(cluster.node(1).log(0).logEndOffset);
      await isWholeAfterCrash(cluster, 1);
      await cluster.catchUp();
      expect(await cluster.bytesOf(1)).toEqual(await cluster.bytesOf(0));
    }
    expect(ends.size).toBeGreaterThan(4);
  });

  test("takes nothing that was lost on the way for what was compacted", async () => {
    const { cluster, leader } = await compactedLeader(2);
    const first = cluster.node(0).leader();
    let isLost = false;
    first.onRead = (from, maxBytes): ReadResult | Promise<ReadResult> => {
      if (from === 0 || isLost) return leader.read(from, maxBytes);
      isLost = true;
      // What follows these is sent next.
      return {
        ok: true,
        chunks: [Buffer.alloc(0)],
        sizeBytes: 0,
        firstOffset: from,
        nextOffset: leader.gapsBelow,
      };
    };
    cluster.tell(1);
    await cluster.catchUp();
    expect(isLost).toBe(true);
    expect(cluster.node(1).lines.ofLevel("error")).toEqual(["batches of a leader cannot be appended"]);
    expect(await cluster.bytesOf(1)).toEqual(await cluster.bytesOf(0));
  });

  test("goes on behind gaps with a leader that has none, and the other way round", async () => {
    const cluster = await ReplicaCluster.start({ ...OPTIONS, nodes: 3 });
    cluster.elect(0, 0, [0, 1]);
    await fill(cluster, 0, "a");
    await cluster.scheduler.runUntil(() => cluster.node(1).log(0).logEndOffset === 32, 10_000);
    await cluster.scheduler.settle(compact(cluster.node(1).log(0)), 10_000);
    await fill(cluster, 0, "b");
    // Node 2 has some of the leader that is not compacted when the other one leads, and some of that when it is back.
    cluster.tell(2);
    await cluster.scheduler.runUntil(() => cluster.node(2).log(0).logEndOffset > 6, 10_000);
    cluster.elect(1);
    await cluster.scheduler.runUntil(() => cluster.node(2).log(0).logEndOffset > 20, 10_000);
    cluster.elect(0);
    await cluster.catchUp();
    const newest = async (id: number): Promise<Map<string, string | null>> => {
      const records = await cluster.scheduler.settle(recordsOf(cluster.node(id).log(0)), 10_000);
      return new Map(records.map(({ key, value }) => [key, value]));
    };
    for (const id of [1, 2]) {
      expect(await newest(id)).toEqual(await newest(0));
      expect(cluster.node(id).lines.ofLevel("error")).toEqual([]);
      await isWholeAfterCrash(cluster, id);
    }
    expect(cluster.node(0).log(0).gapsBelow).toBe(0);
    expect(cluster.node(2).log(0).gapsBelow).toBe(cluster.node(1).log(0).gapsBelow);
  });
});
