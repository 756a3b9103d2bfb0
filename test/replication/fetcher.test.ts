import { describe, expect, test } from "vitest";
import { accepted, append, at, TOPIC_ID } from "../log/engine.ts";
import { addressOf, ReplicaCluster } from "./replica-cluster.ts";

describe("a follower", () => {
  test("gets every batch byte for byte, and the high watermark behind it", async () => {
    const cluster = await ReplicaCluster.start({ nodes: 3 });
    cluster.elect(0);
    for (let i = 0; i < 50; i++) await cluster.append(0, [`${i}`, "x".repeat(i * 10)]);
    await cluster.catchUp();
    const bytes = await cluster.bytesOf(0);
    expect(bytes.length).toBeGreaterThan(10_000);
    expect((await cluster.bytesOf(1)).equals(bytes)).toBe(true);
    expect((await cluster.bytesOf(2)).equals(bytes)).toBe(true);
    expect(cluster.node(1).lines.ofLevel("error")).toEqual([]);
  });

  test("causes no frame and no timer while nothing happens", async () => {
    const cluster = await ReplicaCluster.start({ partitions: 20 });
    for (let partition = 0; partition < 20; partition++) cluster.elect(0, partition);
    await cluster.catchUp();
    await cluster.scheduler.runUntilIdle();
    const before = { ...cluster.wire.frames };
    await cluster.scheduler.advance(60_000);
    expect(cluster.scheduler.pendingCount).toBe(0);
    expect(cluster.wire.frames).toEqual(before);
    expect(cluster.wire.opened).toBe(1);
    // Twenty positions, twenty answers: together in some frames.
    expect(before.toLeader).toBeLessThan(6);
    expect(before.toFollower).toBeLessThan(6);
  });

  test("whose end is below the leader's log start begins anew there (H42)", async () => {
    const cluster = await ReplicaCluster.start();
    cluster.elect(0, 0, [0]);
    for (let i = 0; i < 10; i++) await cluster.append(0, [`${i}`]);
    await cluster.scheduler.settle(cluster.node(0).log(0).advanceLogStart(at(7)), 1000);
    cluster.tell(1);
    await cluster.catchUp();
    expect(cluster.node(1).follower().resets).toEqual([7]);
    expect(await cluster.bytesOf(1)).toEqual(await cluster.bytesOf(0));
    expect(cluster.node(1).log(0).logStartOffset).toBe(7);
  });

  test("is reset when the leader deletes what it had yet to send", async () => {
    const cluster = await ReplicaCluster.start({ windowBytes: 1 });
    cluster.elect(0);
    await cluster.catchUp();
    cluster.wire.isStuck = true;
    for (let i = 0; i < 10; i++) await cluster.append(0, [`${i}`]);
    await cluster.scheduler.settle(cluster.node(0).log(0).advanceLogStart(at(8)), 1000);
    cluster.wire.unstick();
    await cluster.catchUp();
    expect(cluster.node(1).follower().resets).toEqual([8]);
    expect(await cluster.bytesOf(1)).toEqual(await cluster.bytesOf(0));
  });

  test("is not reset to below its own end on the leader's word", async () => {
    const cluster = await ReplicaCluster.start();
    cluster.elect(0);
    await cluster.append(0, ["a"]);
    await cluster.append(0, ["b"]);
    await cluster.catchUp();
    const leader = cluster.node(0).leader();
    leader.follow = () => ({ type: "reset", logStartOffset: at(1) });
    cluster.wire.cutAll();
    await cluster.scheduler.advance(500);
    expect(cluster.node(1).follower().resets).toEqual([]);
    expect(cluster.node(1).log(0).logEndOffset).toBe(2);
    expect(cluster.node(1).lines.ofLevel("error")).toEqual(["a replica is not reset"]);
  });
});

describe("leader changes", () => {
  test("three elections with unreplicated writes in each leave one history (H34, H38, KIP-279)", async () => {
    const cluster = await ReplicaCluster.start({ nodes: 3 });
    cluster.elect(0);
    await cluster.append(0, ["common"]);
    await cluster.catchUp();
    // Each leads alone for a while: nobody else hears of it, so nobody follows.
    for (const id of [0, 1, 2, 0, 1]) {
      cluster.wire.cutAll();
      cluster.elect(id, 0, [id]);
      await cluster.append(id, [`${id} alone`, `in ${cluster.roles.get(0)?.epoch}`]);
      await cluster.append(id, ["again"]);
    }
    cluster.elect(2);
    await cluster.append(2, ["the last word"]);
    await cluster.catchUp();
    const bytes = await cluster.bytesOf(2);
    expect(await cluster.bytesOf(0)).toEqual(bytes);
    expect(await cluster.bytesOf(1)).toEqual(bytes);
    expect(cluster.node(0).follower().cuts.length).toBeGreaterThan(0);
    for (const node of cluster.nodes) {
      expect(node.log(0).latestEpoch).toBe(7);
      expect(node.lines.ofLevel("error")).toEqual([]);
    }
  });

  test("a follower cuts in as many steps as the histories need", async () => {
    const cluster = await ReplicaCluster.start();
    // Epochs 1, 3, 5 at one, 2, 4 at the other: each step finds only the next older one.
    for (const id of [0, 1, 0, 1, 0]) {
      cluster.elect(id, 0, [id]);
      await cluster.append(id, [`${id}`]);
    }
    cluster.elect(0);
    await cluster.catchUp();
    expect(cluster.node(1).follower().cuts.length).toBeGreaterThan(1);
    expect(await cluster.bytesOf(1)).toEqual(await cluster.bytesOf(0));
  });

  test("a follower that was never wrong is not cut, whatever its high watermark (H34)", async () => {
    const cluster = await ReplicaCluster.start();
    cluster.elect(0);
    for (let i = 0; i < 10; i++) await cluster.append(0, [`${i}`]);
    await cluster.scheduler.runUntil(() => cluster.node(1).log(0).logEndOffset === 10, 1000);
    cluster.elect(1);
    await cluster.catchUp();
    cluster.elect(0);
    await cluster.catchUp();
    expect(cluster.node(1).log(0).logEndOffset).toBe(10);
    expect(cluster.node(0).follower === undefined).toBe(false);
    expect(cluster.node(1).follower().cuts).toEqual([]);
  });

  test("frames of the epoch before are not appended (H35)", async () => {
    const cluster = await ReplicaCluster.start();
    cluster.elect(0);
    await cluster.catchUp();
    cluster.wire.isStuck = true;
    await cluster.append(0, ["late"]);
    const before = cluster.node(1).follower();
    cluster.elect(0);
    cluster.wire.unstick();
    await cluster.catchUp();
    expect(before.appends).toBe(0);
    expect(cluster.node(1).log(0).logEndOffset).toBe(1);
  });

  test("a deposed leader sends nothing more, not even what it has read already (H31)", async () => {
    const cluster = await ReplicaCluster.start();
    cluster.elect(0);
    await cluster.catchUp();
    const leader = cluster.node(0).leader();
    let land = (): void => undefined;
    leader.onRead = (from, maxBytes) =>
      new Promise((resolve) => {
        land = () => resolve(leader.log.read(from, maxBytes));
      });
    await cluster.append(0, ["unsent"]);
    await cluster.scheduler.advance(50);
    leader.end();
    land();
    await cluster.scheduler.advance(10);
    expect(cluster.node(1).follower().appends).toBe(0);
    expect(leader.watcherCount).toBe(0);
    expect(leader.detached.length).toBe(1);
  });

  test("a follower that knows of the epoch before its leader does asks until the leader does", async () => {
    const cluster = await ReplicaCluster.start();
    cluster.elect(0, 0, [1]);
    await cluster.scheduler.advance(2000);
    cluster.tell(0);
    await cluster.append(0, ["a"]);
    await cluster.catchUp(2000);
    expect(cluster.wire.opened).toBe(1);
  });

  test("a follower that its leader knows to be behind waits for the metadata", async () => {
    const cluster = await ReplicaCluster.start();
    cluster.elect(0);
    await cluster.catchUp();
    cluster.elect(0, 0, [0]);
    await cluster.scheduler.runUntilIdle();
    expect(cluster.scheduler.pendingCount).toBe(0);
    cluster.tell(1);
    await cluster.append(0, ["a"]);
    await cluster.catchUp();
  });

  test("what a deposed leader queued and had not written gives way", async () => {
    const cluster = await ReplicaCluster.start({ disk: { latency: { minMs: 5, maxMs: 5 } } });
    cluster.elect(0);
    await cluster.catchUp();
    const leader = cluster.node(0).leader();
    for (let i = 0; i < 5; i++) {
      accepted(append(leader.log, [`${i}`], leader.leaderEpoch)).done.catch(() => undefined);
    }
    cluster.elect(1);
    await cluster.append(1, ["new"]);
    await cluster.catchUp();
    expect(await cluster.bytesOf(0)).toEqual(await cluster.bytesOf(1));
    expect(cluster.node(0).lines.ofLevel("error")).toEqual([]);
  });
});

describe("streams", () => {
  test("a cut connection is opened again and everything goes on where it was", async () => {
    const cluster = await ReplicaCluster.start({ partitions: 3 });
    for (let partition = 0; partition < 3; partition++) cluster.elect(0, partition);
    for (let i = 0; i < 30; i++) {
      await cluster.append(0, [`${i}`], i % 3);
      await cluster.scheduler.advance(i);
      if (i % 7 === 0) cluster.wire.cutAll();
    }
    await cluster.catchUp();
    for (let partition = 0; partition < 3; partition++) {
      expect(await cluster.bytesOf(1, partition)).toEqual(await cluster.bytesOf(0, partition));
      expect(cluster.node(1).follower(partition).cuts).toEqual([]);
    }
    expect(cluster.node(0).leader().detached.length).toBeGreaterThan(2);
  });

  test("a leader that cannot be reached is tried with growing delays, and told of once", async () => {
    const cluster = await ReplicaCluster.start();
    cluster.node(0).isDown = true;
    cluster.elect(0);
    await cluster.scheduler.advance(10_000);
    expect(cluster.wire.opened).toBeGreaterThan(8);
    expect(cluster.wire.opened).toBeLessThan(20);
    expect(cluster.node(1).lines.ofLevel("warn")).toEqual([
      "a replica stream has ended and will be opened again",
    ]);
    cluster.node(0).isDown = false;
    cluster.tell(0);
    await cluster.catchUp(3000);
  });

  test("a follower's second stream ends its first one, which then detaches nobody", async () => {
    const cluster = await ReplicaCluster.start();
    cluster.elect(0);
    await cluster.catchUp();
    cluster.node(1).brokerEpoch = 2;
    cluster.node(1).fetchers.reopen();
    await cluster.append(0, ["a"]);
    await cluster.catchUp();
    const { detached } = cluster.node(0).leader();
    expect(detached.every(({ brokerEpoch }) => brokerEpoch === 1)).toBe(true);
  });

  test("one leader's partitions share a stream, and the last one to go ends it", async () => {
    const cluster = await ReplicaCluster.start({ partitions: 2 });
    cluster.elect(0, 0);
    cluster.elect(0, 1);
    await cluster.catchUp();
    const { fetchers } = cluster.node(1);
    fetchers.forget(TOPIC_ID, 0);
    await cluster.scheduler.runUntilIdle();
    expect(fetchers.leaderCount).toBe(1);
    expect(cluster.node(0).leader(0).watcherCount).toBe(0);
    expect(cluster.node(0).leader(1).watcherCount).toBe(1);
    fetchers.forget(TOPIC_ID, 1);
    await cluster.scheduler.runUntilIdle();
    expect(fetchers.leaderCount).toBe(0);
    expect(cluster.wire.connections.size).toBe(0);
  });

  test("a leader with another address is reached there", async () => {
    const cluster = await ReplicaCluster.start();
    cluster.elect(0);
    await cluster.catchUp();
    const follower = cluster.node(1).follower();
    cluster.node(1).fetchers.setFollowed({ ...addressOf(0), endpoint: "elsewhere:1" }, follower);
    await cluster.append(0, ["a"]);
    await cluster.catchUp();
    expect(cluster.wire.opened).toBe(2);
  });
});
