import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { killController, MAX_ELECTIONS } from "./cluster-faults.ts";
import { ClusterProcess } from "../../src/chaos/cluster-process.ts";
import { TopicStream } from "./topic-stream.ts";

/* The short form of `npm run controller-kill`: real processes, real signals. */

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
  "a cluster survives kill -9 of its controllers: no acknowledged change is lost or made twice, one state on all",
  { timeout: 60_000 },
  async () => {
    await using cluster = await ClusterProcess.start({ directory, settings });
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
  },
);
