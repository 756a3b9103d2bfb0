import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { ClusterProcess } from "../../src/chaos/cluster-process.ts";
import { restartAll } from "./cluster-faults.ts";
import { describeDistribution, distributionOf } from "./distribution.ts";
import { createTopics } from "./topic-stream.ts";

/*
 * npm run cluster-restart: all brokers of a cluster with many topics are killed with SIGKILL at the same moment and
 * started again, over and over; each time the topics are all there and the states are one. Ends with code 8 if not.
 *   --kills N (50)  --topics N (1000)  --json FILE
 */
const { values: options } = parseArgs({
  options: {
    kills: { type: "string", default: "50" },
    topics: { type: "string", default: "1000" },
    json: { type: "string" },
  },
});
const directory = await mkdtemp(join(tmpdir(), "lograft-cluster-restart-"));
const readyMs: number[] = [];
const faults: string[] = [];
try {
  await using cluster = await ClusterProcess.start({ directory });
  await using client = cluster.client();
  await createTopics(client.admin(), "restart", Number(options.topics));
  const hash = await cluster.agreedState();
  process.stdout.write(`${options.topics} topics on 3 brokers, state ${hash.toString(16)}\n`);
  for (let round = 1; round <= Number(options.kills); round++) {
    const restart = await restartAll(cluster, Number(options.topics));
    readyMs.push(restart.readyMs);
    faults.push(...restart.faults);
    process.stdout.write(
      `kill ${String(round).padStart(3)}: all ready after ${Math.round(restart.readyMs)} ms, ` +
        `${restart.faults.length === 0 ? "ok" : restart.faults.join("; ")}\n`,
    );
  }
} finally {
  await rm(directory, { recursive: true, force: true });
}
const results = { readyMs: distributionOf(readyMs), faults };
process.stdout.write(
  `all ready again: ${describeDistribution(results.readyMs)}\n` +
    `verdict: ${faults.length === 0 ? "ok" : `${faults.length} VIOLATIONS`}\n`,
);
if (options.json !== undefined) {
  const file = { node: process.version, kills: readyMs.length, topics: Number(options.topics), results };
  await writeFile(options.json, `${JSON.stringify(file, null, 2)}\n`);
}
process.exitCode = faults.length === 0 ? 0 : 8;
