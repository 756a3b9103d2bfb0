import { runBrokerSeed } from "../../src/sim/broker-campaign.ts";
import type { BrokerSeedOptions } from "../../src/sim/broker-campaign.ts";
import { runGroupSeed } from "../../src/sim/group-campaign.ts";
import type { GroupSeedOptions } from "../../src/sim/group-campaign.ts";
import { runSeed } from "../../src/sim/campaign.ts";
import type { SeedOptions } from "../../src/sim/campaign.ts";
import type { SeedResult } from "../../src/sim/seed-result.ts";
import { BROKER_MARKERS, GROUP_MARKERS, MarkerCounts } from "../../src/sim/markers.ts";

/** Floors of the simulator: metadata alone, whole brokers with clients, consumer groups on them. */
export type Floor = 1 | 2 | 3;

/** Seeds to run one after the other. */
export interface SeedRange {
  readonly from: number;
  readonly count: number;
}

/** What became of many seeds. */
export interface SeedsSummary {
  readonly seeds: number;
  readonly failures: readonly SeedResult[];
  readonly simulatedMs: number;
  readonly markers: MarkerCounts;
}

/** One seed in so many runs twice and must give the same trace. */
const TWICE_EVERY = 50;

/** Runs a seed, and now and then once more to see that it is repeatable. */
export async function runChecked<Options extends { readonly seed: number }>(
  options: Options,
  run: (options: Options) => Promise<SeedResult>,
): Promise<SeedResult> {
  const result = await run(options);
  if (options.seed % TWICE_EVERY !== 0) return result;
  const again = await run(options);
  if (again.traceHash === result.traceHash) return result;
  const message = `two runs of the seed differ: trace ${result.traceHash}, then ${again.traceHash}`;
  return { ...result, failure: { invariant: "Repeatable", message, events: [] } };
}

/** Runs them all on the first floor, failed ones included. */
export function runSeeds(range: SeedRange & Omit<SeedOptions, "seed">): Promise<SeedsSummary> {
  const { from, count, ...options } = range;
  return runEach({ from, count }, new MarkerCounts(), (seed) => runChecked({ ...options, seed }, runSeed));
}

/** The same on the second. */
export function runBrokerSeeds(range: SeedRange & Omit<BrokerSeedOptions, "seed">): Promise<SeedsSummary> {
  const { from, count, ...options } = range;
  const markers = new MarkerCounts(BROKER_MARKERS);
  return runEach({ from, count }, markers, (seed) => runChecked({ ...options, seed }, runBrokerSeed));
}

/** The same with a consumer group on it. */
export function runGroupSeeds(range: SeedRange & Omit<GroupSeedOptions, "seed">): Promise<SeedsSummary> {
  const { from, count, ...options } = range;
  const markers = new MarkerCounts(GROUP_MARKERS);
  return runEach({ from, count }, markers, (seed) => runChecked({ ...options, seed }, runGroupSeed));
}

async function runEach(
  { from, count }: SeedRange,
  markers: MarkerCounts,
  run: (seed: number) => Promise<SeedResult>,
): Promise<SeedsSummary> {
  const failures: SeedResult[] = [];
  let simulatedMs = 0;
  for (let seed = from; seed < from + count; seed++) {
    const result = await run(seed);
    if (result.failure !== undefined) failures.push(result);
    simulatedMs += result.simulatedMs;
    markers.add(result.markers);
  }
  return { seeds: count, failures, simulatedMs, markers };
}

/** A failure as text: what was violated, the last events, and how to see it again. */
export function describeFailure(
  { seed, failure }: SeedResult,
  options: { readonly commit?: string; readonly floor?: Floor } = {},
): string {
  if (failure === undefined) return `seed ${seed} passed`;
  const at = options.commit === undefined ? "" : ` at commit ${options.commit}`;
  return [
    `seed ${seed}${at} violates ${failure.invariant}`,
    ...failure.events.map((event) => `  ${event}`),
    failure.message,
    `again: npm run sim -- ${options.floor === undefined || options.floor === 1 ? "" : `--floor ${options.floor} `}--seed ${seed}`,
  ].join("\n");
}
