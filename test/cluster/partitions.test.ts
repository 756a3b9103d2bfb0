import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { cutLinks, MAX_ELECTIONS, pauseController } from "./cluster-faults.ts";
import { ClusterProcess } from "../../src/chaos/cluster-process.ts";
import { TopicStream } from "./topic-stream.ts";

/* The short form of `npm run partitions`: real processes, real signals. */

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
  "a leader that is not heard, and one that is stopped, are replaced, and commit nothing when they come back",
  { timeout: 60_000 },
  async () => {
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
  },
);
