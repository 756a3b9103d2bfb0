import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import type { CutName } from "./cluster-faults.ts";
import { CUTS, cutLinks, MAX_ELECTIONS, pauseController, SETTLE_MS } from "./cluster-faults.ts";
import { ClusterProcess } from "../../src/chaos/cluster-process.ts";
import { TopicStream } from "./topic-stream.ts";

/*
 * npm run partitions: three brokers whose links are cut, one way or both, and whose controller is stopped with SIGSTOP,
 * under a stream of changes. Each fault may cost three elections; what was acknowledged is there in the end, so nothing
 * that a deposed controller had in hand was committed behind the back of the next one. Ends with code 8 if not.
 *   --rounds N (1)  --cut-seconds N (6)  --pause-seconds N (10)  --json FILE
 */
const { values: options } = parseArgs({
  options: {
    rounds: { type: "string", default: "1" },
    "cut-seconds": { type: "string", default: "6" },
    "pause-seconds": { type: "string", default: "10" },
    json: { type: "string" },
  },
});
const directory = await mkdtemp(join(tmpdir(), "lograft-partitions-"));
const rows: { readonly fault: string; readonly epochs: number; readonly backMs: number }[] = [];
const faults: string[] = [];
try {
  await using cluster = await ClusterProcess.start({ directory, hasRelays: true });
  await using client = cluster.client();
  const stream = new TopicStream(client.admin(), { prefix: "cut", workers: 4, kept: 20, pauseMs: 10 });
  stream.start();
  for (let round = 0; round < Number(options.rounds); round++) {
    for (const cut of Object.keys(CUTS) as CutName[]) {
      const { epochs, changedMs } = await cutLinks(cluster, stream, {
        cut,
        forMs: Number(options["cut-seconds"]) * 1000,
        settleMs: SETTLE_MS,
      });
      record(cut, epochs, changedMs);
    }
    const pause = await pauseController(cluster, {
      pauseMs: Number(options["pause-seconds"]) * 1000,
      settleMs: SETTLE_MS,
    });
    record("controller stopped", pause.epochs, pause.electedMs);
  }
  await stream.stop();
  await cluster.agreedState();
  const verdict = await stream.verify();
  faults.push(...verdict.faults);
  process.stdout.write(
    `${verdict.created} creations and ${verdict.deleted} deletions acknowledged, one state on all\n`,
  );
} finally {
  await rm(directory, { recursive: true, force: true });
}
process.stdout.write(
  `verdict: ${faults.length === 0 ? "ok" : `${faults.length} VIOLATIONS\n${faults.slice(0, 20).join("\n")}`}\n`,
);
if (options.json !== undefined) {
  await writeFile(options.json, `${JSON.stringify({ node: process.version, rows, faults }, null, 2)}\n`);
}
process.exitCode = faults.length === 0 ? 0 : 8;

function record(fault: string, epochs: number, backMs: number): void {
  rows.push({ fault, epochs, backMs: Math.round(backMs) });
  if (epochs > MAX_ELECTIONS) faults.push(`${fault}: the epoch went up by ${epochs}`);
  process.stdout.write(
    `${fault.padEnd(38)} ${epochs} epoch${epochs === 1 ? " " : "s"}, a change after ${Math.round(backMs)} ms\n`,
  );
}
