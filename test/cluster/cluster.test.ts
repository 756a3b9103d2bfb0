import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { cutLinks, killController, MAX_ELECTIONS, pauseController, restartAll } from "./cluster-faults.ts";
import { ClusterProcess } from "./cluster-process.ts";
import { createTopics, TopicStream } from "./topic-stream.ts";

/* Short forms of the campaigns: npm run controller-kill, cluster-restart, partitions. Real processes, real signals. */

let directory = "";

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), "lograft-cluster-"));
});

afterEach(async () => {
  await rm(directory, { recursive: true, force: true });
});

test("a cluster survives kill -9 of its controllers: no acknowledged change is lost or made twice, one state on all", async () => {
  await using cluster = await ClusterProcess.start({ directory });
  await using client = cluster.client();
  const stream = new TopicStream(client.admin(), { prefix: "kill", workers: 4, kept: 10, pauseMs: 5 });
  stream.start();
  const kills = [await killController(cluster, stream), await killController(cluster, stream)];
  await stream.stop();
  await cluster.agreedState();
  const verdict = await stream.verify();
  expect(verdict.faults).toEqual([]);
  expect(verdict.created).toBeGreaterThan(20);
  for (const kill of kills) expect(kill.epochs, `node ${kill.killed}`).toBeLessThanOrEqual(MAX_ELECTIONS);
});

test("kill -9 of all brokers at once loses no topic, and a fourth broker joins with one command", async () => {
  await using cluster = await ClusterProcess.start({ directory });
  await using client = cluster.client();
  await createTopics(client.admin(), "restart", 100);
  const { faults } = await restartAll(cluster, 100);
  expect(faults).toEqual([]);
  const added = await cluster.add();
  const view = await cluster.agreedController();
  const quorum = await client.admin().describeQuorum({ address: cluster.addressOf(view.nodeId) });
  expect(quorum.replicas.map(({ nodeId, isVoter }) => [nodeId, isVoter])).toEqual([
    [1, true],
    [2, true],
    [3, true],
    [added, false],
  ]);
  await cluster.agreedState();
});

test("a leader that is not heard, and one that is stopped, are replaced, and commit nothing when they come back", async () => {
  // Half the default, so that the faults need not last long.
  const settings = ["raft.election.timeout.ms=500"];
  await using cluster = await ClusterProcess.start({ directory, settings, hasRelays: true });
  await using client = cluster.client();
  const stream = new TopicStream(client.admin(), { prefix: "cut", workers: 2, kept: 10, pauseMs: 10 });
  stream.start();
  const cut = await cutLinks(cluster, stream, { cut: "leader is not heard", forMs: 1500, settleMs: 1000 });
  const pause = await pauseController(cluster, { pauseMs: 1500, settleMs: 1000 });
  await stream.stop();
  await cluster.agreedState();
  expect((await stream.verify()).faults).toEqual([]);
  for (const { epochs } of [cut, pause]) {
    expect(epochs).toBeGreaterThanOrEqual(1);
    expect(epochs).toBeLessThanOrEqual(MAX_ELECTIONS);
  }
});
