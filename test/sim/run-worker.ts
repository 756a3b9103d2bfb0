import { parentPort, workerData } from "node:worker_threads";
import { runBrokerSeed } from "../../src/sim/broker-campaign.ts";
import type { BrokerSeedOptions } from "../../src/sim/broker-campaign.ts";
import { runGroupSeed } from "../../src/sim/group-campaign.ts";
import type { GroupSeedOptions } from "../../src/sim/group-campaign.ts";
import { runSeed } from "../../src/sim/campaign.ts";
import type { SeedOptions } from "../../src/sim/campaign.ts";
import type { SeedResult } from "../../src/sim/seed-result.ts";
import { runChecked } from "./seeds.ts";

/* A worker of `run.ts`: takes ranges of seeds, answers their results; ends when there are no more. */

/** Which floor of the simulator runs, and how. */
export type WorkerOptions =
  | { readonly floor: 1; readonly options: Omit<SeedOptions, "seed"> }
  | { readonly floor: 2; readonly options: Omit<BrokerSeedOptions, "seed"> }
  | { readonly floor: 3; readonly options: Omit<GroupSeedOptions, "seed"> };

const work = workerData as WorkerOptions;
const port = parentPort;
if (port === null) throw new Error("run test/sim/run.ts, which starts this as a worker");

port.on("message", (range: { readonly from: number; readonly count: number } | undefined) => {
  if (range === undefined) {
    port.close();
    return;
  }
  const results: SeedResult[] = [];
  const run = async (): Promise<void> => {
    for (let seed = range.from; seed < range.from + range.count; seed++) results.push(await runOne(seed));
    port.postMessage(results);
  };
  void run(); // A rejection ends the worker, and with it the campaign.
});

function runOne(seed: number): Promise<SeedResult> {
  switch (work.floor) {
    case 1:
      return runChecked({ ...work.options, seed }, runSeed);
    case 2:
      return runChecked({ ...work.options, seed }, runBrokerSeed);
    case 3:
      return runChecked({ ...work.options, seed }, runGroupSeed);
  }
}
