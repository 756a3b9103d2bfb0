import { execFile } from "node:child_process";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs, promisify } from "node:util";
import { CLI_ENTRY } from "../../src/chaos/broker-process.ts";
import { ClusterProcess } from "../../src/chaos/cluster-process.ts";
import { describeDistribution, distributionOf } from "./distribution.ts";
import { RollingLoad } from "./rolling-load.ts";

/*
 * npm run rolling-restart: every broker of a cluster is stopped in order and started again, one after the other, under a
 * producer and a group of consumers. No send may fail, no consumer may tell of an error, nothing may be missing, and the
 * records of each key must be read in order. Ends with code 8 if not.
 *   --rounds N (3)   restarts of all brokers
 *   --by term|drain  SIGTERM alone, the next one when this is ready, as Kubernetes does it (default);
 *                    or `node drain`, SIGTERM, start, `undrain`, `cluster health --exit-when-healthy`, as one does it by hand
 *   --rate N (500)   records each second   --nodes N (3)   --json FILE
 */
const { values: options } = parseArgs({
  options: {
    rounds: { type: "string", default: "3" },
    by: { type: "string", default: "term" },
    rate: { type: "string", default: "500" },
    nodes: { type: "string", default: "3" },
    json: { type: "string" },
  },
});
const PARTITIONS = 12;
const KEYS = 48;
/** Of the readers, behind the last restart; far beyond what any of them should take. */
const CATCH_UP_MS = 60_000;
const run = promisify(execFile);

const directory = await mkdtemp(join(tmpdir(), "lograft-rolling-restart-"));
const stopMs: number[] = [];
const readyMs: number[] = [];
const faults: string[] = [];
process.stdout.write(`${options.nodes} brokers, ${options.rounds} rounds by ${options.by}\n`);
try {
  await using cluster = await ClusterProcess.start({ directory, nodes: Number(options.nodes) });
  const lograft = async (...args: string[]): Promise<void> => {
    const brokers = cluster.nodeIds.map((nodeId) => cluster.addressOf(nodeId)).join(",");
    await run(process.execPath, [CLI_ENTRY, ...args, "-b", brokers]);
  };
  await lograft("topic", "create", "rolling", "--partitions", String(PARTITIONS));
  const shape = { topic: "rolling", keys: KEYS, perSecond: Number(options.rate), members: 2 };
  const load = new RollingLoad(shape, cluster);
  load.start();
  await cluster.until("the load is under way", async () =>
    load.caughtUp(AbortSignal.timeout(CATCH_UP_MS)).then(() => true),
  );
  for (let round = 1; round <= Number(options.rounds); round++) {
    for (const nodeId of cluster.nodeIds) {
      if (options.by === "drain") await lograft("node", "drain", String(nodeId));
      const stoppedAt = performance.now();
      const code = await cluster.broker(nodeId).stop();
      stopMs.push(performance.now() - stoppedAt);
      if (code !== 0) faults.push(`node ${nodeId} ended with ${code}\n${cluster.broker(nodeId).log}`);
      readyMs.push(await cluster.start(nodeId));
      if (options.by !== "drain") continue;
      await lograft("node", "undrain", String(nodeId));
      await lograft("cluster", "health", "--exit-when-healthy", "--timeout", "60s");
    }
    process.stdout.write(`round ${round}: every broker was restarted\n`);
  }
  const report = await load.stop(AbortSignal.timeout(CATCH_UP_MS));
  faults.push(...report.faults);
  const { acknowledged, read, repeated, longestSendGapMs, longestReadGapMs } = report;
  const sendMs = distributionOf(report.sendMs);
  const results = {
    by: options.by,
    restarts: stopMs.length,
    stopMs: distributionOf(stopMs),
    readyMs: distributionOf(readyMs),
    sendMs,
    longestSendGapMs: Math.round(longestSendGapMs),
    longestReadGapMs: Math.round(longestReadGapMs),
    acknowledged,
    read,
    repeated,
    faults,
  };
  process.stdout.write(
    [
      `${acknowledged} records acknowledged, ${read} read, ${repeated} of them again`,
      `SIGTERM to the end: ${describeDistribution(results.stopMs)}`,
      `start to ready: ${describeDistribution(results.readyMs)}`,
      `a send: ${describeDistribution(sendMs)}`,
      `longest time of a key without an acknowledgement: ${results.longestSendGapMs} ms, without a record read: ${results.longestReadGapMs} ms`,
      "",
    ].join("\n"),
  );
  if (options.json !== undefined) {
    await writeFile(options.json, `${JSON.stringify({ node: process.version, results }, null, 2)}\n`);
  }
} finally {
  await rm(directory, { recursive: true, force: true });
}
process.stdout.write(
  `verdict: ${faults.length === 0 ? "ok" : `${faults.length} VIOLATIONS`}\n${faults.slice(0, 20).join("\n")}\n`,
);
process.exitCode = faults.length === 0 ? 0 : 8;
