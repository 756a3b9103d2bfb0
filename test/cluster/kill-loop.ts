import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { loadFlights } from "../../examples/flights/dataset.ts";
import { SeededRandom } from "../../src/platform/random.ts";
import { freePort } from "../../src/chaos/free-port.ts";
import { runKillRound } from "./kill-round.ts";

/*
 * npm run kill-loop: the flights data set of `npm run demo`, sent through a broker that is killed with SIGKILL at a
 * random moment and started again, 20 times; after each, the log is judged. Ends with code 8 on a violation.
 *   --kills N (20)  --seed N  --rows N (60000)  --policy ack|interval|os
 */
const { values: options } = parseArgs({
  options: {
    kills: { type: "string", default: "20" },
    seed: { type: "string", default: String(Date.now() % 1_000_000) },
    rows: { type: "string", default: "60000" },
    policy: { type: "string", default: "ack" },
  },
});
const kills = Number(options.kills);
const random = new SeededRandom(Number(options.seed));
const flights = (await loadFlights()).slice(0, Number(options.rows));
const directory = await mkdtemp(join(tmpdir(), "lograft-kill-"));
const port = await freePort();
let faultCount = 0;
let recovered = 0;
process.stdout.write(
  `${flights.length} records a round, seed ${options.seed}, flush.policy=${options.policy}\n`,
);
try {
  for (let round = 0; round < kills; round++) {
    // Row numbers make each value unique, so that a duplicate cannot hide behind an equal row.
    const records = flights.map((flight, i) => ({ key: flight.key, value: `${round}:${i}:${flight.value}` }));
    const result = await runKillRound({
      records,
      dataDirectory: directory,
      port,
      topic: `kill-${round}`,
      partitions: 6,
      killAfter: random.below(records.length),
      settings: [`log.flush.policy=${options.policy}`],
    });
    faultCount += result.faults.length;
    recovered += result.recoveryMs;
    process.stdout.write(
      `kill ${String(round + 1).padStart(2)}: at ${result.acknowledgedBeforeKill} acknowledged, ` +
        `${result.acknowledged} of ${result.sent} acknowledged in the end, back after ${Math.round(result.recoveryMs)} ms, ` +
        `${result.faults.length === 0 ? "ok" : result.faults.slice(0, 5).join("; ")}\n`,
    );
  }
} finally {
  await rm(directory, { recursive: true, force: true });
}
process.stdout.write(
  `verdict: ${faultCount === 0 ? "ok" : `${faultCount} VIOLATIONS`}; ${kills} kills, ` +
    `mean restart ${Math.round(recovered / Math.max(1, kills))} ms\n`,
);
process.exitCode = faultCount === 0 ? 0 : 8;
