import { mkdtemp, readdir, rm, stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { ClusterProcess } from "../../src/chaos/cluster-process.ts";
import type { LograftClient } from "../../src/client/index.ts";

const FAST = ["raft.election.timeout.ms=500"];

let directory = "";

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), "lograft-cut-"));
});

afterEach(async () => {
  await rm(directory, { recursive: true, force: true });
});

/** Bytes of records that a broker has of the only partition. */
async function logBytes(cluster: ClusterProcess, nodeId: number): Promise<number> {
  const path = join(cluster.dataDirectoryOf(nodeId), "cut-0");
  const names = (await readdir(path)).filter((name) => name.endsWith(".log"));
  const sizes = await Promise.all(names.map(async (name) => (await stat(join(path, name))).size));
  return sizes.reduce((sum, size) => sum + size, 0);
}

async function until(isDone: () => Promise<boolean>, what: string, cluster: ClusterProcess): Promise<void> {
  await cluster.until(what, async () => ((await isDone()) ? true : undefined));
}

async function send(client: LograftClient, acks: "all" | 1, count: number): Promise<void> {
  await using producer = client.producer({ acks });
  const value = Buffer.alloc(1000, "x");
  await Promise.all(Array.from({ length: count }, () => producer.send("cut", { value })));
}

test("brokers that are cut apart exchange no byte, records included, and catch up when the link is healed", async () => {
  await using cluster = await ClusterProcess.start({ directory, settings: FAST, hasRelays: true });
  await using client = cluster.client();
  await client.admin().createTopics([{ name: "cut", partitions: 1, replicationFactor: 3 }]);
  await send(client, "all", 20);
  const [state] = await client.admin().listPartitions({ topics: ["cut"] });
  const leader = state?.leaderId ?? -1;
  const [cut = -1, kept = -1] = cluster.nodeIds.filter((nodeId) => nodeId !== leader);
  const hasAll = async (nodeId: number): Promise<boolean> =>
    (await logBytes(cluster, nodeId)) === (await logBytes(cluster, leader));
  await until(async () => hasAll(cut), "the follower has everything", cluster);
  const whole = cluster.passedBetween(leader, [cut]);
  expect(whole.passedBytes).toBeGreaterThan(20_000);

  cluster.cutBoth(leader, cut);
  const before = await logBytes(cluster, cut);
  const passed = cluster.passedBetween(leader, [cut]).passedBytes;
  await send(client, 1, 50);
  await until(async () => hasAll(kept), "the other follower has everything", cluster);
  expect(await logBytes(cluster, leader)).toBeGreaterThan(before + 40_000);
  expect(await logBytes(cluster, cut)).toBe(before);
  expect(cluster.passedBetween(leader, [cut]).passedBytes).toBe(passed);

  cluster.healAll();
  await until(async () => hasAll(cut), "the follower that was cut off has everything", cluster);
}, 60_000);
