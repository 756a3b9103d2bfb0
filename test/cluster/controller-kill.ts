import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { parseArgs } from "node:util";
import { SeededRandom } from "../../src/platform/random.ts";
import type { ControllerKill } from "./cluster-faults.ts";
import { killController } from "./cluster-faults.ts";
import { ClusterProcess } from "../../src/chaos/cluster-process.ts";
import { describeDistribution, distributionOf } from "./distribution.ts";
import { TopicStream } from "./topic-stream.ts";

/*
 * npm run controller-kill: a cluster of brokers under a stream of topic creations and deletions; the active controller
 * is killed with SIGKILL again and again. In the end every acknowledged change is there, none was made twice, and the
 * states of all brokers are one. Ends with code 8 on a violation.
 *   --kills N (50)  --seed N  --nodes N (3)  --json FILE
 */
const { values: options } = parseArgs({
  options: {
    kills: { type: "string", default: "50" },
    seed: { type: "string", default: String(Date.now() % 1_000_000) },
    nodes: { type: "string", default: "3" },
    json: { type: "string" },
  },
});
/** Longest pause between two kills, so that they fall into all moments of the stream. */
const MAX_PAUSE_MS = 500;

const random = new SeededRandom(Number(options.seed));
const directory = await mkdtemp(join(tmpdir(), "lograft-controller-kill-"));
const kills: ControllerKill[] = [];
const faults: string[] = [];
process.stdout.write(
  `${options.nodes} brokers, ${options.kills} kills of the controller, seed ${options.seed}\n`,
);
try {
  await using cluster = await ClusterProcess.start({ directory, nodes: Number(options.nodes) });
  await using client = cluster.client();
  const stream = new TopicStream(client.admin(), { prefix: "kill", workers: 8, kept: 20, pauseMs: 5 });
  stream.start();
  for (let round = 1; round <= Number(options.kills); round++) {
    await sleep(random.below(MAX_PAUSE_MS));
    const kill = await killController(cluster, stream);
    kills.push(kill);
    process.stdout.write(
      `kill ${String(round).padStart(3)}: node ${kill.killed}, another controller after ${Math.round(kill.electedMs)} ms, ` +
        `a change after ${Math.round(kill.changedMs)} ms, ${kill.epochs} epoch${kill.epochs === 1 ? "" : "s"}, ` +
        `back in ${Math.round(kill.restartedMs)} ms, ${stream.changes} changes so far\n`,
    );
  }
  await stream.stop();
  const hash = await cluster.agreedState();
  const verdict = await stream.verify();
  faults.push(...verdict.faults);
  process.stdout.write(
    `${verdict.created} creations and ${verdict.deleted} deletions acknowledged, ${verdict.retried} attempts retried, ` +
      `${verdict.foundDone} of them had been made; one state on all: ${hash.toString(16)}\n`,
  );
} finally {
  await rm(directory, { recursive: true, force: true });
}
const results = {
  electedMs: distributionOf(kills.map((kill) => kill.electedMs)),
  changedMs: distributionOf(kills.map((kill) => kill.changedMs)),
  restartedMs: distributionOf(kills.map((kill) => kill.restartedMs)),
  mostEpochs: Math.max(...kills.map((kill) => kill.epochs)),
  faults,
};
process.stdout.write(
  [
    `another controller: ${describeDistribution(results.electedMs)}`,
    `a change acknowledged: ${describeDistribution(results.changedMs)}`,
    `the killed broker ready again: ${describeDistribution(results.restartedMs)}`,
    `verdict: ${faults.length === 0 ? "ok" : `${faults.length} VIOLATIONS`}`,
    ...faults.slice(0, 20),
    "",
  ].join("\n"),
);
if (options.json !== undefined) {
  const file = { node: process.version, seed: options.seed, kills: kills.length, results };
  await writeFile(options.json, `${JSON.stringify(file, null, 2)}\n`);
}
process.exitCode = faults.length === 0 ? 0 : 8;
