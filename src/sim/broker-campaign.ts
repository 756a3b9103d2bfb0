import type { BrokerSabotage } from "../broker/broker-options.ts";
import { History } from "../history/history.ts";
import { SeededRandom } from "../platform/random.ts";
import { BrokerProgram } from "./broker-program.ts";
import { checkReplicas } from "./broker-quiet.ts";
import { BrokerWorkload } from "./broker-workload.ts";
import { crashAllButOne, crashLaggards, crashOneByOne } from "./crash-schedules.ts";
import { DEFAULT_SHOWN_EVENTS, DEFAULT_TICKS } from "./campaign.ts";
import { planFaults, planPowerCuts, planStorageFaults } from "./faults.ts";
import { judge } from "./history-verdict.ts";
import { ReplicationWatch } from "./invariants/replication.ts";
import { checkLiveness, checkQuiet } from "./liveness.ts";
import { BROKER_MARKERS, MarkerCounts } from "./markers.ts";
import { MetadataCluster, TICK_MS } from "./metadata-cluster.ts";
import { MoveWorkload } from "./move-workload.ts";
import { Nemesis } from "./nemesis.ts";
import { resultOf } from "./seed-result.ts";
import type { SeedResult } from "./seed-result.ts";
import { SegmentRot } from "./segment-rot.ts";
import { Workload } from "./workload.ts";

/** One simulated life of a cluster of whole brokers, with clients that produce and consume. */
export interface BrokerSeedOptions {
  readonly seed: number;
  /** As `SeedOptions.ticks`. */
  readonly ticks?: number;
  readonly shownEvents?: number;
  readonly sabotage?: BrokerSabotage;
  /** Default: drawn by the seed, most often "mixed". */
  readonly faults?: BrokerFaults;
  /** False: only the clients' history judges, as outside a simulator. Default true. */
  readonly isWatched?: boolean;
}

/**
 * What goes wrong: all kinds of faults; disks above all; the power of all machines at once, or when a follower has been left behind; or,
 * with the flush policy "os", one machine after the other, each with what it had not written to its disk, or all replicas
 * of a partition but one, which stops in order before they are back. Nothing that was acknowledged may be lost in any.
 */
export type BrokerFaults = (typeof BROKER_FAULTS)[number];

export const BROKER_FAULTS = ["mixed", "storage", "powerCuts", "laggards", "oneByOne", "allButOne"] as const;

/** Runs one seed: faults under load, then a healthy majority, then quiet, a final pass, and the judgement of it all. */
export async function runBrokerSeed(options: BrokerSeedOptions): Promise<SeedResult> {
  const { seed, ticks = DEFAULT_TICKS, shownEvents = DEFAULT_SHOWN_EVENTS, sabotage } = options;
  const random = new SeededRandom(seed);
  const markers = new MarkerCounts(BROKER_MARKERS);
  const clientCount = 2;
  const dice = random.fraction();
  const faults = options.faults ?? drawFaults(dice);
  const isMemoryLost = faults === "oneByOne" || faults === "allButOne";
  const config = {
    ...CONFIG,
    "log.flush.policy": isMemoryLost ? "os" : "ack",
    ...(faults === "laggards" ? { "replica.lag.time.max.ms": "800" } : {}),
  };
  // A quorum of five goes on while all replicas of a partition but one are down.
  const brokerCount = faults === "allButOne" ? 5 : 3 + random.below(3);
  const voterCount = faults === "allButOne" || (brokerCount === 5 && random.fraction() < 0.5) ? 5 : 3;
  const cluster = new MetadataCluster(
    {
      seed: random.below(2 ** 32),
      voterCount,
      learnerCount: brokerCount - voterCount,
      clientCount,
      shownEvents,
      disk: { latency: { minMs: 0.05, maxMs: 0.5 + random.fraction() * 3 } },
      program: (place) =>
        new BrokerProgram({ config, ...(sabotage === undefined ? {} : { sabotage }) }, place),
    },
    { markers },
  );
  const history = new History();
  const isIdempotent = random.fraction() < 0.75;
  history.add({
    type: "run",
    run: String(seed),
    profile: isIdempotent ? "idempotent" : "plain",
    minSends: 1,
    inFlight: isIdempotent ? 5 : 1,
  });
  const rot = new SegmentRot({ random: new SeededRandom(random.below(2 ** 32)), markers });
  const { isWatched = true } = options;
  const watch = isWatched
    ? new ReplicationWatch({ machines: cluster.machines, model: cluster.checker.model, markers, rot })
    : undefined;
  cluster.onStepped = () => watch?.look();
  const nemesis = new Nemesis({ cluster, rot });
  const changes = new Workload({ cluster, random: new SeededRandom(random.below(2 ** 32)) });
  const data = new BrokerWorkload(
    { isIdempotent, clientCount, partitions: random.fraction() < 0.5 ? [2] : [1, 2] },
    { cluster, watch, history, random: new SeededRandom(random.below(2 ** 32)) },
  );
  const moves =
    !isMemoryLost && random.fraction() < MOVING_SHARE
      ? new MoveWorkload(
          { keys: data.keys, machine: brokerCount },
          {
            cluster,
            random: new SeededRandom(random.below(2 ** 32)),
            onBug: (error) => cluster.fail(error instanceof Error ? error : new Error(String(error))),
          },
        )
      : undefined;
  const durationMs = ticks * TICK_MS;
  return resultOf({ seed, shownEvents }, cluster, async () => {
    cluster.start();
    const shape = { machineCount: brokerCount, durationMs, hasData: true };
    if (faults === "mixed") nemesis.begin(planFaults(shape, random));
    else if (faults === "storage") nemesis.begin(planStorageFaults(shape, random));
    else if (faults === "powerCuts") nemesis.begin(planPowerCuts(shape, random));
    else if (faults === "laggards") crashLaggards(cluster, data, durationMs);
    else if (faults === "oneByOne") crashOneByOne(cluster, data, durationMs);
    else crashAllButOne(cluster, data, durationMs);
    changes.begin(800 + random.fraction() * 2_000);
    data.begin();
    moves?.begin();
    await cluster.scheduler.advance(durationMs);
    data.end();
    moves?.end();
    // What leaves machines broken cuts their power too, and with "os" that is one too many.
    if (isMemoryLost) changes.end();
    else await checkLiveness(cluster, nemesis, changes);
    await checkQuiet(cluster, changes);
    await checkReplicas(cluster, { data, moves, rot });
    await cluster.scheduler.settle(data.finalPass(), FINAL_LIMIT_MS);
    judge(history);
  });
}

const FINAL_LIMIT_MS = 60_000;
/** Of the seeds, that in which an operator moves things about. */
const MOVING_SHARE = 0.35;
/** Small segments, so that a short run has several; no record is removed, so that absence always means loss. */
const CONFIG = {
  "min.insync.replicas": "2",
  "log.segment.bytes": "16384",
  "log.scrub.interval.ms": "2500",
  "message.max.bytes": "8192",
  "log.retention.ms": "-1",
  "log.message.timestamp.before.max.ms": "-1",
  "log.message.timestamp.after.max.ms": "-1",
  "replica.lag.time.max.ms": "2000",
};

function drawFaults(dice: number): BrokerFaults {
  if (dice < 0.6) return "mixed";
  if (dice < 0.7) return "storage";
  if (dice < 0.8) return "powerCuts";
  if (dice < 0.86) return "laggards";
  return dice < 0.94 ? "oneByOne" : "allButOne";
}
