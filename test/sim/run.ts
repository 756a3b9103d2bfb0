import { execFileSync } from "node:child_process";
import { writeFileSync } from "node:fs";
import { parseArgs } from "node:util";
import { Worker } from "node:worker_threads";
import { BROKER_SABOTAGES } from "../../src/broker/broker-options.ts";
import type { RaftSabotage } from "../../src/raft/types.ts";
import { BROKER_FAULTS } from "../../src/sim/broker-campaign.ts";
import type { BrokerFaults } from "../../src/sim/broker-campaign.ts";
import { DEFAULT_SHOWN_EVENTS, DEFAULT_TICKS } from "../../src/sim/campaign.ts";
import { DEFAULT_GROUP_TICKS, GROUP_FAULTS } from "../../src/sim/group-campaign.ts";
import type { GroupFaults } from "../../src/sim/group-campaign.ts";
import type { SeedResult } from "../../src/sim/seed-result.ts";
import { BROKER_MARKERS, GROUP_MARKERS, MARKERS, MarkerCounts } from "../../src/sim/markers.ts";
import type { WorkerOptions } from "./run-worker.ts";
import { describeFailure } from "./seeds.ts";

/*
 * Runs seeds of the simulated cluster and ends with 1 when one of them failed:
 *
 *   npm run sim -- --seed 17                     one seed, with its story when it fails
 *   npm run sim -- --seeds 20000 --jobs 2        a campaign; --from 1 is the first seed
 *   --ticks 60       ticks (80 on floor 3) of 100 ms with faults in each run
 *   --events 40      how many of the last events a failure shows
 *   --floor 2        whole brokers with clients; 3, with a consumer group; 1, the default, is their metadata alone
 *   --faults KIND    on floors 2 and 3 only one kind of run (see BrokerFaults, GroupFaults)
 *   --sabotage NAME  runs a deliberately broken build (see RaftSabotage, BrokerSabotage)
 *   --json FILE      the summary for machines
 *
 * Tells each failing seed at once; Ctrl-C ends it early, with the summary of what ran.
 */

/** Seeds that a worker takes at a time. */
const BATCH_SEEDS = 25;
/** From so many seeds on, a marker that was never hit fails the campaign. */
const MARKERS_COUNT_FROM = 2_000;
/** Failures shown in full at the end. */
const SHOWN_FAILURES = 3;

const RAFT_SABOTAGES: readonly RaftSabotage[] = [
  "forgetVote",
  "commitOldTerm",
  "acknowledgeBeforeWrite",
  "votersWithoutOwnTerm",
];

const { values } = parseArgs({
  options: {
    seed: { type: "string" },
    seeds: { type: "string", default: "1" },
    from: { type: "string", default: "1" },
    ticks: { type: "string" },
    events: { type: "string", default: String(DEFAULT_SHOWN_EVENTS) },
    jobs: { type: "string", default: "1" },
    floor: { type: "string", default: "1" },
    faults: { type: "string" },
    sabotage: { type: "string" },
    json: { type: "string" },
  },
});

const from = wholeNumber("seed", values.seed ?? values.from);
const count = values.seed === undefined ? wholeNumber("seeds", values.seeds) : 1;
const work = workOf();

const startedMs = performance.now();
const markers = new MarkerCounts({ 1: MARKERS, 2: BROKER_MARKERS, 3: GROUP_MARKERS }[work.floor]);
const failures: SeedResult[] = [];
let simulatedMs = 0;
let next = from;
let done = 0;
for (const name of ["SIGINT", "SIGTERM"] as const) {
  process.once(name, () => {
    report();
    process.exit();
  });
}
await Promise.all(
  Array.from({ length: Math.min(wholeNumber("jobs", values.jobs), count) }, async () => runWorker()),
);
report();

/** One worker thread, fed with batches until none is left. */
function runWorker(): Promise<void> {
  return new Promise((resolve, reject) => {
    const worker = new Worker(new URL("./run-worker.ts", import.meta.url), { workerData: work });
    const feed = (): void => {
      if (next >= from + count) {
        worker.postMessage(undefined);
        return;
      }
      const batch = { from: next, count: Math.min(BATCH_SEEDS, from + count - next) };
      next += batch.count;
      worker.postMessage(batch);
    };
    worker.on("message", (results: readonly SeedResult[]) => {
      for (const result of results) take(result);
      feed();
    });
    worker.on("error", reject);
    worker.on("exit", () => resolve());
    feed();
  });
}

function take(result: SeedResult): void {
  done += 1;
  simulatedMs += result.simulatedMs;
  markers.add(result.markers);
  if (result.failure === undefined) return;
  failures.push(result);
  console.error(`seed ${result.seed} violates ${result.failure.invariant}`);
}

function report(): void {
  const seconds = (performance.now() - startedMs) / 1000;
  const commit = commitOf();
  failures.sort((a, b) => a.seed - b.seed);
  for (const failure of failures.slice(0, SHOWN_FAILURES)) {
    console.log(describeFailure(failure, { floor: work.floor, ...(commit === undefined ? {} : { commit }) }));
  }
  // One kind of run alone does not show them all.
  const isOfAllKinds = done >= MARKERS_COUNT_FROM && values.faults === undefined;
  const missing = isOfAllKinds ? markers.missing() : [];
  if (missing.length > 0) console.log(`never seen: ${missing.join(", ")}`);
  const seedsPerSecond = Number((done / seconds).toFixed(2));
  const simulatedHoursPerHour = Number((simulatedMs / 1000 / seconds).toFixed(1));
  const summary = { seeds: done, failed: failures.length, seedsPerSecond, simulatedHoursPerHour };
  if (values.json !== undefined) {
    writeFileSync(values.json, `${JSON.stringify({ ...summary, markers: markers.toRecord() }, null, 2)}\n`);
  }
  const counts = Object.entries(markers.toRecord()).map(([name, hits]) => `${name} ${hits}`);
  console.log(`sometimes: ${counts.join(", ")}`);
  console.log(
    `${done} seeds, ${failures.length} failed, ${seedsPerSecond} seeds/s, ` +
      `${simulatedHoursPerHour} simulated hours per hour`,
  );
  process.exitCode = failures.length > 0 || missing.length > 0 ? 1 : 0;
}

function commitOf(): string | undefined {
  try {
    const root = new URL("../..", import.meta.url);
    return execFileSync("git", ["rev-parse", "--short", "HEAD"], { cwd: root, encoding: "utf8" }).trim();
  } catch {
    return undefined; // A copy without its history: the seed alone has to do.
  }
}

function wholeNumber(name: string, text: string): number {
  const value = Number(text);
  if (!Number.isSafeInteger(value) || value < 0)
    throw new Error(`--${name} takes a whole number, not ${text}`);
  return value;
}

function workOf(): WorkerOptions {
  const { sabotage, faults } = values;
  const floor = wholeNumber("floor", values.floor);
  const usualTicks = floor === 3 ? DEFAULT_GROUP_TICKS : DEFAULT_TICKS;
  const common = {
    ticks: wholeNumber("ticks", values.ticks ?? String(usualTicks)),
    shownEvents: wholeNumber("events", values.events),
  };
  switch (floor) {
    case 1: {
      const broken = sabotage === undefined ? {} : { sabotage: oneOf("sabotage", RAFT_SABOTAGES, sabotage) };
      return { floor: 1, options: { ...common, ...broken } };
    }
    case 2: {
      const broken =
        sabotage === undefined ? {} : { sabotage: oneOf("sabotage", BROKER_SABOTAGES, sabotage) };
      const kind =
        faults === undefined ? {} : { faults: oneOf<BrokerFaults>("faults", BROKER_FAULTS, faults) };
      return { floor: 2, options: { ...common, ...broken, ...kind } };
    }
    case 3: {
      const broken =
        sabotage === undefined ? {} : { sabotage: oneOf("sabotage", BROKER_SABOTAGES, sabotage) };
      const kind = faults === undefined ? {} : { faults: oneOf<GroupFaults>("faults", GROUP_FAULTS, faults) };
      return { floor: 3, options: { ...common, ...broken, ...kind } };
    }
    default:
      throw new Error("--floor takes 1, 2 or 3");
  }
}

function oneOf<Name extends string>(option: string, names: readonly Name[], name: string): Name {
  const found = names.find((one) => one === name);
  if (found === undefined) throw new Error(`--${option} takes one of ${names.join(", ")}`);
  return found;
}
