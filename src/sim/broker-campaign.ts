import type { BrokerSabotage } from "../broker/broker-options.ts";
import { checkHistory } from "../history/checker.ts";
import { History } from "../history/history.ts";
import { SeededRandom } from "../platform/random.ts";
import { BrokerProgram } from "./broker-program.ts";
import { checkReplicas, isInSync } from "./broker-quiet.ts";
import { BrokerWorkload } from "./broker-workload.ts";
import { DEFAULT_SHOWN_EVENTS, DEFAULT_TICKS } from "./campaign.ts";
import type { SeedFailure, SeedResult } from "./campaign.ts";
import { planFaults, planPowerCuts } from "./faults.ts";
import { ReplicationWatch } from "./invariants/replication.ts";
import { InvariantViolation } from "./invariants/violation.ts";
import { checkLiveness, checkQuiet } from "./liveness.ts";
import { BROKER_MARKERS, MarkerCounts } from "./markers.ts";
import { MetadataCluster, TICK_MS } from "./metadata-cluster.ts";
import { Nemesis } from "./nemesis.ts";
import { shuffled } from "./partition-shapes.ts";
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
 * What goes wrong: all kinds of faults; the power of all machines at once; or, with the flush policy "os", one machine
 * after the other, each with what it had not written to its disk, or all replicas of a partition but one, which stops in
 * order before they are back. Nothing that was acknowledged may be lost in any.
 */
export type BrokerFaults = (typeof BROKER_FAULTS)[number];

export const BROKER_FAULTS = ["mixed", "powerCuts", "oneByOne", "allButOne"] as const;

/** Runs one seed: faults under load, then a healthy majority, then quiet, a final pass, and the judgement of it all. */
export async function runBrokerSeed(options: BrokerSeedOptions): Promise<SeedResult> {
  const { seed, ticks = DEFAULT_TICKS, shownEvents = DEFAULT_SHOWN_EVENTS, sabotage } = options;
  const random = new SeededRandom(seed);
  const markers = new MarkerCounts(BROKER_MARKERS);
  const clientCount = 2;
  const dice = random.fraction();
  const faults = options.faults ?? drawFaults(dice);
  const isMemoryLost = faults === "oneByOne" || faults === "allButOne";
  const config = { ...CONFIG, "log.flush.policy": isMemoryLost ? "os" : "ack" };
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
  const { isWatched = true } = options;
  const watch = isWatched
    ? new ReplicationWatch({ machines: cluster.machines, model: cluster.checker.model, markers })
    : undefined;
  cluster.onStepped = () => watch?.look();
  const nemesis = new Nemesis({ cluster });
  const changes = new Workload({ cluster, random: new SeededRandom(random.below(2 ** 32)) });
  const data = new BrokerWorkload(
    { isIdempotent, clientCount, partitions: random.fraction() < 0.5 ? [2] : [1, 2] },
    { cluster, watch, history, random: new SeededRandom(random.below(2 ** 32)) },
  );
  const durationMs = ticks * TICK_MS;
  let failure: SeedFailure | undefined;
  try {
    cluster.start();
    const shape = { machineCount: brokerCount, durationMs, hasData: true };
    if (faults === "mixed") nemesis.begin(planFaults(shape, random));
    else if (faults === "powerCuts") nemesis.begin(planPowerCuts(shape, random));
    else if (faults === "oneByOne") crashOneByOne(cluster, data, durationMs);
    else crashAllButOne(cluster, data, durationMs);
    changes.begin(800 + random.fraction() * 2_000);
    data.begin();
    await cluster.scheduler.advance(durationMs);
    data.end();
    // What leaves machines broken cuts their power too, and with "os" that is one too many.
    if (isMemoryLost) changes.end();
    else await checkLiveness(cluster, nemesis, changes);
    await checkQuiet(cluster, changes);
    await checkReplicas(cluster, data);
    await cluster.scheduler.settle(data.finalPass(), FINAL_LIMIT_MS);
    judge(history);
  } catch (error: unknown) {
    failure = {
      invariant: error instanceof InvariantViolation ? error.invariant : "NoBug",
      message: error instanceof Error ? (error.stack ?? error.message) : String(error),
      events: cluster.trace.lines(shownEvents),
    };
  }
  const { counts } = cluster.network;
  if (counts.duplicated > 0) markers.hit("duplicateDelivered", counts.duplicated);
  if (counts.reordered > 0) markers.hit("reordered", counts.reordered);
  cluster.dispose();
  const simulatedMs = cluster.scheduler.nowMs;
  return { seed, failure, traceHash: cluster.trace.hash, simulatedMs, markers: markers.toRecord() };
}

const FINAL_LIMIT_MS = 60_000;
/** Small segments, so that a short run has several; no record is removed, so that absence always means loss. */
const CONFIG = {
  "min.insync.replicas": "2",
  "log.segment.bytes": "16384",
  "message.max.bytes": "8192",
  "log.retention.ms": "-1",
  "log.message.timestamp.before.max.ms": "-1",
  "log.message.timestamp.after.max.ms": "-1",
  "replica.lag.time.max.ms": "2000",
};

/**
 * Cuts the power of one machine whenever every replica of everything is in sync: with the flush policy "os" a record is
 * as safe as the others' memories, so only one may go at a time.
 */
function crashOneByOne(cluster: MetadataCluster, data: BrokerWorkload, durationMs: number): void {
  const { random, scheduler, machines } = cluster;
  const next = (): void => {
    if (scheduler.nowMs >= durationMs) return;
    scheduler.schedule(20 + random.fraction() * 400, next);
    if (!isWhole(cluster, data)) return;
    // A controller that is back soon is back before anybody could fence it.
    const leader = random.fraction() < 0.5 ? cluster.leader()?.index : undefined;
    const downMs = 20 + random.fraction() ** 2 * 1_500;
    cluster.crash(leader ?? random.below(machines.length), "cleanCut", downMs);
  };
  next();
}

/**
 * Whenever everything is in sync: two replicas of a partition lose power, and the third, which alone has all records
 * then, stops in order before they are back. Who lost its memory must not lead in its place (KIP-966, H22).
 */
function crashAllButOne(cluster: MetadataCluster, data: BrokerWorkload, durationMs: number): void {
  const { random, scheduler } = cluster;
  const next = (): void => {
    if (scheduler.nowMs >= durationMs) return;
    scheduler.schedule(100 + random.fraction() * 300, next);
    if (!isWhole(cluster, data)) return;
    const key = data.keys[random.below(data.keys.length)];
    const image = cluster.checker.model.image.topic(key?.topic ?? "")?.partitions[key?.partition ?? 0];
    const [first, second, last] = shuffled(image?.replicas.length ?? 0, random).map(
      (at) => (image?.replicas[at] ?? 0) - 1,
    );
    if (first === undefined || second === undefined || last === undefined) return;
    cluster.crash(first, "cleanCut", 1_200 + random.fraction() * 1_000);
    scheduler.schedule(100 + random.fraction() * 300, () => {
      cluster.crash(second, "cleanCut", 600 + random.fraction() * 500);
      scheduler.schedule(300 + random.fraction() * 400, () => {
        // While the controller still counts on the two, the third would leave it all to them.
        const topic = cluster.checker.model.image.topic(key?.topic ?? "");
        const isr = topic?.partitions[key?.partition ?? 0]?.isr ?? [];
        // Its end is told by the machine.
        if (isr.length === 1 && isr[0] === last + 1) void cluster.machine(last).stop();
      });
    });
  };
  next();
}

function isWhole(cluster: MetadataCluster, data: BrokerWorkload): boolean {
  return (
    cluster.machines.every(({ broker }) => broker?.state === "running") &&
    data.keys.every((key) => isInSync(cluster, key))
  );
}

function drawFaults(dice: number): BrokerFaults {
  if (dice < 0.7) return "mixed";
  if (dice < 0.82) return "powerCuts";
  return dice < 0.94 ? "oneByOne" : "allButOne";
}

/** @throws InvariantViolation named after the first anomaly that counts against the profile. */
function judge(history: History): void {
  const report = checkHistory(history);
  const [first] = report.anomalies.filter(({ violations }) => violations > 0);
  if (first === undefined) return;
  throw new InvariantViolation(first.kind, "the history of the clients shows", {
    profile: report.profile,
    anomalies: report.anomalies.map(({ kind, violations, examples }) => ({ kind, violations, examples })),
  });
}
