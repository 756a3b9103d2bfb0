import { beforeEach, describe, expect, test } from "vitest";
import { silentLogger } from "../../src/base/logger.ts";
import { ReplicaManager } from "../../src/broker/replica-manager.ts";
import type { MetadataRecord } from "../../src/metadata/records.ts";
import { nodeId } from "../../src/model/ids.ts";
import type { TopicId } from "../../src/model/ids.ts";
import { leaderEpoch, offset } from "../../src/model/offsets.ts";
import { SeededRandom } from "../../src/platform/random.ts";
import { nodes } from "../metadata/arbitrary-history.ts";
import { batchOf } from "./fake-logs.ts";
import { HostedTopics, NODE } from "./hosted-topics.ts";

/* Broker 1, over logs in memory; broker 2 leads what is replicated. */

let hosted: HostedTopics;
let manager: ReplicaManager;
let topicId: TopicId;

beforeEach(() => {
  hosted = new HostedTopics();
  const { state: image, table } = hosted;
  manager = new ReplicaManager(
    { nodeId: NODE, configuredPeers: new Map() },
    {
      image,
      table,
      fetchers: undefined,
      clock: hosted.clock,
      random: new SeededRandom(1),
      logger: silentLogger,
    },
  );
  topicId = hosted.create("a", 1, { leader: 2, replicas: [1, 2], isr: [1, 2] });
});

function commit(records: readonly MetadataRecord[]): void {
  const delta = hosted.state.replay(records);
  hosted.table.apply(delta);
  manager.apply(delta);
}

/** The partition is on these brokers from now on, led by the first of them. */
function assign(...replicas: number[]): void {
  const before = hosted.state.topicById(topicId)!.partitions[0]!;
  const placed = nodes(...replicas);
  commit([
    {
      type: "Partition",
      topicId,
      partition: 0,
      ...before,
      replicas: placed,
      isr: placed,
      leader: placed[0]!,
      leaderEpoch: leaderEpoch(before.leaderEpoch + 1),
      partitionEpoch: before.partitionEpoch + 1,
    },
  ]);
}

async function written(): Promise<void> {
  const log = await hosted.table.find("a", 0)!.openedLog();
  log.append(batchOf("x"), { leaderEpoch: leaderEpoch(0), origin: "client" });
}

test("nobody follows a broker that has not heard of its registration: what it led before may have gone on (H22, H30)", async () => {
  assign(1, 2);
  expect(await manager.find(topicId, 0)).toMatchObject({ type: "refused", error: "UNKNOWN_LEADER_EPOCH" });
  expect(hosted.table.find("a", 0)!.hasLog).toBe(false);
  manager.start();
  expect(await manager.find(topicId, 0)).toMatchObject({ topicId, leaderEpoch: 1 });
});

describe("a replica that a committed reassignment takes away", () => {
  test("goes from the disk, and who comes back later begins anew behind that (H23, H28)", async () => {
    manager.start();
    await written();
    assign(2);
    await hosted.table.idle();
    expect(hosted.logs.deleted).toEqual([`a-0 ${topicId}`]);
    assign(2, 1);
    await hosted.settle();
    expect(await hosted.table.find("a", 0)!.openedLog()).toMatchObject({ logEndOffset: 0 });
    expect(hosted.logs.deleted).toHaveLength(1);
  });

  test("goes though it was being opened at that time", async () => {
    manager.start();
    hosted.logs.isHeld = true;
    const opening = hosted.table.find("a", 0)!.openedLog();
    assign(2);
    hosted.logs.releaseOpenings();
    await expect(opening).rejects.toMatchObject({ code: "UNKNOWN_TOPIC_OR_PARTITION" });
    await hosted.table.idle();
    expect(hosted.logs.deleted).toEqual([`a-0 ${topicId}`]);
  });

  test("that a crash left behind goes at the start, and not before the metadata is known to be newer (H28, H30)", async () => {
    await written();
    assign(2);
    await hosted.table.idle();
    expect(hosted.logs.deleted).toEqual([]);
    manager.start();
    await hosted.table.idle();
    expect(hosted.logs.deleted).toEqual([`a-0 ${topicId}`]);
  });

  test("of which there is nothing here touches nothing", async () => {
    topicId = hosted.create("b", 1, { leader: 2, replicas: [2] });
    manager.start();
    assign(2);
    await hosted.table.idle();
    expect(hosted.logs.deleted).toEqual([]);
    expect([...hosted.logs.logs.keys()]).not.toContain("b-0");
  });

  test("leaves alone what stays", async () => {
    manager.start();
    await written();
    assign(1, 2);
    assign(2, 1);
    assign(1);
    await hosted.table.idle();
    expect(hosted.logs.deleted).toEqual([]);
  });
});

describe("a follower that asks a broker which does not lead", () => {
  test("is refused, and no log is opened for it", async () => {
    topicId = hosted.create("b", 1, { leader: 2, replicas: [2] });
    manager.start();
    expect(await manager.find(topicId, 0)).toMatchObject({
      type: "refused",
      error: "NOT_LEADER_OR_FOLLOWER",
      message: "broker 1 does not lead b-0; broker 2 does",
    });
    expect([...hosted.logs.logs.keys()]).not.toContain("b-0");
  });

  test("is followed once it leads", async () => {
    manager.start();
    assign(1, 2);
    expect(await manager.find(topicId, 0)).toMatchObject({ leaderEpoch: 1, isEnded: false });
  });
});

test("a log that could not be opened to be followed is tried again: a disk may have failed once", async () => {
  hosted.logs.failure = new Error("EIO");
  manager.start();
  await hosted.settle();
  const partition = hosted.table.find("a", 0)!;
  expect(partition.hasLog).toBe(false);
  await hosted.scheduler.advance(2_000);
  expect(partition.hasLog).toBe(false);
  hosted.logs.failure = undefined;
  await hosted.scheduler.advance(3_000);
  expect(partition).toMatchObject({ hasLog: true, leaderRole: undefined });
});

describe("a partition of one replica that gets more", () => {
  test("shows clients no more than all in sync have, from the moment they are one too (H37)", async () => {
    topicId = hosted.create("c", 1);
    const partition = hosted.table.find("c", 0)!;
    const alone = await partition.openedLog();
    alone.append(batchOf("x"), { leaderEpoch: leaderEpoch(0), origin: "client" });
    assign(1, 2);
    const log = await partition.openedLog();
    expect(log).not.toBe(alone);
    log.append(batchOf("y"), { leaderEpoch: leaderEpoch(1), origin: "client" });
    expect(log).toMatchObject({ logEndOffset: 2, durableEndOffset: 0 });
    const follower = { nodeId: nodeId(2), brokerEpoch: 2 };
    const role = partition.leaderRole!;
    role.follow(follower, {
      leaderEpoch: leaderEpoch(1),
      logEndOffset: offset(2),
      lastEpoch: leaderEpoch(0),
    });
    role.progress(follower, offset(2));
    assign(1);
    expect(log).toMatchObject({ durableEndOffset: 2 });
    log.append(batchOf("z"), { leaderEpoch: leaderEpoch(2), origin: "client" });
    expect(log).toMatchObject({ durableEndOffset: 3 });
  });
});
