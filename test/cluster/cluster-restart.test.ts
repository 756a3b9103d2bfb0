import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { restartAll } from "./cluster-faults.ts";
import { ClusterProcess } from "../../src/chaos/cluster-process.ts";
import { createTopics } from "./topic-stream.ts";

/* The short form of `npm run cluster-restart`: real processes, real signals. */

/** Half the default, so that the faults need not last long. */
const settings = ["raft.election.timeout.ms=500"];

let directory = "";

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), "lograft-cluster-"));
});

afterEach(async () => {
  await rm(directory, { recursive: true, force: true });
});

test(
  "kill -9 of all brokers at once loses no topic, and a fourth broker joins with one command",
  { timeout: 60_000 },
  async () => {
    await using cluster = await ClusterProcess.start({ directory, settings });
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
  },
);
