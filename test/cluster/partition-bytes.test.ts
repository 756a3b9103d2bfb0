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

/** Bytes of records that a broker has of a partition. */
async function logBytes(cluster: ClusterProcess, nodeId: number, partition: number): Promise<number> {
  const path = join(cluster.dataDirectoryOf(nodeId), `cut-${partition}`);
  const names = (await readdir(path)).filter((name) => name.endsWith(".log"));
  const sizes = await Promise.all(names.map(async (name) => (await stat(join(path, name))).size));
  return sizes.reduce((sum, size) => sum + size, 0);
}

async function until(isDone: () => Promise<boolean>, what: string, cluster: ClusterProcess): Promise<void> {
  await cluster.until(what, async () => ((await isDone()) ? true : undefined));
}

async function send(client: LograftClient, partition: number, acks: "all" | 1, count: number): Promise<void> {
  await using producer = client.producer({ acks });
  const value = Buffer.alloc(1000, "x");
  await Promise.all(Array.from({ length: count }, () => producer.send("cut", { value, partition })));
}

test("brokers that are cut apart exchange no byte, records included, and catch up when the link is healed", async () => {
  await using cluster = await ClusterProcess.start({ directory, settings: FAST, hasRelays: true });
  await using client = cluster.client();
  await client.admin().createTopics([{ name: "cut", partitions: 3, replicationFactor: 3 }]);
  // Neither side of the cut is the controller: who cannot reach that one is no leader for long.
  const { nodeId: controller } = await cluster.agreedController();
  const states = await client.admin().listPartitions({ topics: ["cut"] });
  const state = states.find(({ leaderId }) => leaderId !== controller);
  const partition = state?.partition ?? -1;
  const leader = state?.leaderId ?? -1;
  const cut = cluster.nodeIds.find((nodeId) => nodeId !== leader && nodeId !== controller) ?? -1;
  const bytesAt = async (nodeId: number): Promise<number> => logBytes(cluster, nodeId, partition);
  await send(client, partition, "all", 20);
  await until(async () => (await bytesAt(cut)) === (await bytesAt(leader)), "all is level", cluster);
  const whole = cluster.passedBetween(leader, [cut]);
  expect(whole.passedBytes).toBeGreaterThan(20_000);

  cluster.cutBoth(leader, cut);
  const before = await bytesAt(cut);
  const passed = cluster.passedBetween(leader, [cut]).passedBytes;
  await send(client, partition, 1, 50);
  expect(await bytesAt(leader)).toBeGreaterThan(before + 40_000);
  await until(
    async () => (await bytesAt(controller)) === (await bytesAt(leader)),
    "the other follower has everything",
    cluster,
  );
  expect(await bytesAt(cut)).toBe(before);
  expect(cluster.passedBetween(leader, [cut]).passedBytes).toBe(passed);

  cluster.healAll();
  await until(
    async () => (await bytesAt(cut)) === (await bytesAt(leader)),
    "the follower that was cut off has everything",
    cluster,
  );
}, 60_000);
