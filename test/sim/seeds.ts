import { runSeed } from "../../src/sim/campaign.ts";
import type { SeedOptions, SeedResult } from "../../src/sim/campaign.ts";
import { MarkerCounts } from "../../src/sim/markers.ts";

/** Seeds to run one after the other. */
export interface SeedRange extends Omit<SeedOptions, "seed"> {
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
export async function runChecked(options: SeedOptions): Promise<SeedResult> {
  const result = await runSeed(options);
  if (options.seed % TWICE_EVERY !== 0) return result;
  const again = await runSeed(options);
  if (again.traceHash === result.traceHash) return result;
  const message = `two runs of the seed differ: trace ${result.traceHash}, then ${again.traceHash}`;
  return { ...result, failure: { invariant: "Repeatable", message, events: [] } };
}

/** Runs them all, failed ones included. */
export async function runSeeds(range: SeedRange): Promise<SeedsSummary> {
  const { from, count, ...options } = range;
  const markers = new MarkerCounts();
  const failures: SeedResult[] = [];
  let simulatedMs = 0;
  for (let seed = from; seed < from + count; seed++) {
    const result = await runChecked({ ...options, seed });
    if (result.failure !== undefined) failures.push(result);
    simulatedMs += result.simulatedMs;
    markers.add(result.markers);
  }
  return { seeds: count, failures, simulatedMs, markers };
}

/** A failure as text: what was violated, the last events, and how to see it again. */
export function describeFailure(
  { seed, failure }: SeedResult,
  options: { readonly commit?: string } = {},
): string {
  if (failure === undefined) return `seed ${seed} passed`;
  const at = options.commit === undefined ? "" : ` at commit ${options.commit}`;
  return [
    `seed ${seed}${at} violates ${failure.invariant}`,
    ...failure.events.map((event) => `  ${event}`),
    failure.message,
    `again: npm run sim -- --seed ${seed}`,
  ].join("\n");
}
