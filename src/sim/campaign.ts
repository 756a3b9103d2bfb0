import { SeededRandom } from "../platform/random.ts";
import type { RaftSabotage } from "../raft/types.ts";
import { planFaults } from "./faults.ts";
import { checkLiveness, checkQuiet } from "./liveness.ts";
import { MarkerCounts } from "./markers.ts";
import { MetadataCluster, TICK_MS } from "./metadata-cluster.ts";
import { Nemesis } from "./nemesis.ts";
import { resultOf } from "./seed-result.ts";
import type { SeedResult } from "./seed-result.ts";
import { Workload } from "./workload.ts";

/** One simulated life of a cluster. */
export interface SeedOptions {
  readonly seed: number;
  /** Ticks of 100 ms with faults; the phases in which all must get well come behind them. Default 60. */
  readonly ticks?: number;
  /** How many of the last events a failure shows. Default 40. */
  readonly shownEvents?: number;
  readonly sabotage?: RaftSabotage;
}

export const DEFAULT_TICKS = 60;
export const DEFAULT_SHOWN_EVENTS = 40;

/** Runs one seed: faults and changes, then a healthy majority that must get on, then quiet, in which all must agree. */
export async function runSeed(options: SeedOptions): Promise<SeedResult> {
  const { seed, ticks = DEFAULT_TICKS, shownEvents = DEFAULT_SHOWN_EVENTS, sabotage } = options;
  const random = new SeededRandom(seed);
  const markers = new MarkerCounts();
  const dice = random.fraction();
  const voterCount = dice < 0.65 ? 3 : dice < 0.75 ? 4 : 5;
  const learnerCount = random.below(voterCount === 3 ? 3 : 2);
  const cluster = new MetadataCluster(
    {
      seed: random.below(2 ** 32),
      voterCount,
      learnerCount,
      shownEvents,
      ...(sabotage === undefined ? {} : { sabotage }),
    },
    { markers },
  );
  const nemesis = new Nemesis({ cluster });
  const workload = new Workload({ cluster, random: new SeededRandom(random.below(2 ** 32)) });
  const durationMs = ticks * TICK_MS;
  return resultOf({ seed, shownEvents }, cluster, async () => {
    cluster.start();
    nemesis.begin(planFaults({ machineCount: cluster.machines.length, durationMs }, random));
    workload.begin(60 + random.fraction() * 250);
    await cluster.scheduler.advance(durationMs);
    await checkLiveness(cluster, nemesis, workload);
    await checkQuiet(cluster, workload);
  });
}
