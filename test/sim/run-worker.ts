import { parentPort, workerData } from "node:worker_threads";
import type { SeedOptions, SeedResult } from "../../src/sim/campaign.ts";
import { runChecked } from "./seeds.ts";

/* A worker of `run.ts`: takes ranges of seeds, answers their results; ends when there are no more. */

const options = workerData as Omit<SeedOptions, "seed">;
const port = parentPort;
if (port === null) throw new Error("run test/sim/run.ts, which starts this as a worker");

port.on("message", (range: { readonly from: number; readonly count: number } | undefined) => {
  if (range === undefined) {
    port.close();
    return;
  }
  const results: SeedResult[] = [];
  const run = async (): Promise<void> => {
    for (let seed = range.from; seed < range.from + range.count; seed++) {
      results.push(await runChecked({ ...options, seed }));
    }
    port.postMessage(results);
  };
  void run(); // A rejection ends the worker, and with it the campaign.
});
