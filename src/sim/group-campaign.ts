import type { BrokerSabotage } from "../broker/broker-options.ts";
import { History } from "../history/history.ts";
import type { Random } from "../platform/random.ts";
import { SeededRandom } from "../platform/random.ts";
import { BrokerProgram } from "./broker-program.ts";
import { checkReplicas } from "./broker-quiet.ts";
import { BrokerWorkload } from "./broker-workload.ts";
import { DEFAULT_SHOWN_EVENTS } from "./campaign.ts";
import { planFaults } from "./faults.ts";
import { planChurn } from "./group-churn.ts";
import type { GroupEvent } from "./group-churn.ts";
import { checkGroup } from "./group-quiet.ts";
import { GroupWorkload } from "./group-workload.ts";
import type { GroupProtocol } from "./group-workload.ts";
import { judge } from "./history-verdict.ts";
import { ReplicationWatch } from "./invariants/replication.ts";
import { mustHold } from "./invariants/violation.ts";
import { checkLiveness, checkQuiet } from "./liveness.ts";
import { GROUP_MARKERS, MarkerCounts } from "./markers.ts";
import { MetadataCluster, TICK_MS } from "./metadata-cluster.ts";
import { Nemesis } from "./nemesis.ts";
import { resultOf } from "./seed-result.ts";
import type { SeedResult } from "./seed-result.ts";
import { SegmentRot } from "./segment-rot.ts";
import { Workload } from "./workload.ts";

/** One simulated life of a cluster of whole brokers with a consumer group, whose members come, go, stand still and die. */
export interface GroupSeedOptions {
  readonly seed: number;
  /** Ticks of 100 ms in which things go wrong; the phases in which all must get well come behind them. Default 80. */
  readonly ticks?: number;
  readonly shownEvents?: number;
  readonly sabotage?: BrokerSabotage;
  /** Default: drawn by the seed. */
  readonly faults?: GroupFaults;
}

/**
 * What goes wrong: the members alone; them and their coordinator; them, their coordinator and whatever else can go wrong;
 * or the wall clock of the coordinator, by which nobody may be taken for dead or kept alive.
 */
export type GroupFaults = (typeof GROUP_FAULTS)[number];

export const GROUP_FAULTS = ["members", "coordinator", "mixed", "clocks"] as const;

export const DEFAULT_GROUP_TICKS = 80;

/** Runs one seed: faults and churn, then health, then everything handled, and the judgement of it all. */
export async function runGroupSeed(options: GroupSeedOptions): Promise<SeedResult> {
  const { seed, ticks = DEFAULT_GROUP_TICKS, shownEvents = DEFAULT_SHOWN_EVENTS, sabotage } = options;
  const random = new SeededRandom(seed);
  const markers = new MarkerCounts(GROUP_MARKERS);
  const faults = options.faults ?? drawFaults(random.fraction());
  const protocol = drawProtocol(random.fraction());
  const memberCount = 3 + random.below(4);
  const brokerCount = 3 + random.below(2);
  const sub = (): Random => new SeededRandom(random.below(2 ** 32));
  const cluster = new MetadataCluster(
    {
      seed: random.below(2 ** 32),
      voterCount: 3,
      learnerCount: brokerCount - 3,
      clientCount: PRODUCER_COUNT + memberCount + 1,
      shownEvents,
      disk: { latency: { minMs: 0.05, maxMs: 0.5 + random.fraction() * 2 } },
      program: (place) =>
        new BrokerProgram({ config: CONFIG, ...(sabotage === undefined ? {} : { sabotage }) }, place),
    },
    { markers },
  );
  const history = new History();
  history.add({ type: "run", run: String(seed), profile: "idempotent", minSends: 1, inFlight: 5 });
  const rot = new SegmentRot({ random: sub(), markers });
  const watch = new ReplicationWatch({
    machines: cluster.machines,
    model: cluster.checker.model,
    markers,
    rot,
  });
  cluster.onStepped = () => watch.look();
  const nemesis = new Nemesis({ cluster, rot });
  const changes = new Workload({ cluster, random: sub() });
  const data = new BrokerWorkload(
    {
      isIdempotent: true,
      clientCount: PRODUCER_COUNT,
      partitions: random.fraction() < 0.5 ? [3] : [2, 2],
      hasConsumers: false,
    },
    { cluster, watch, history, random: sub() },
  );
  const group = new GroupWorkload(
    {
      groupId: `group${random.below(100)}`,
      keys: data.keys,
      protocol,
      memberCount,
      firstMachine: brokerCount + PRODUCER_COUNT,
      firstProcess: FIRST_MEMBER,
      mayLoseMembers: faults !== "clocks",
    },
    { cluster, nemesis, history, random: sub() },
  );
  const durationMs = ticks * TICK_MS;
  return resultOf({ seed, shownEvents }, cluster, async () => {
    cluster.start();
    if (faults === "mixed") {
      nemesis.begin(planFaults({ machineCount: brokerCount, durationMs, hasData: true }, random));
      changes.begin(1_000 + random.fraction() * 2_000);
    }
    const meanGapMs = 200 + random.fraction() * 800;
    for (const { atMs, event } of planChurn({ durationMs, meanGapMs, kinds: KINDS[faults] }, random)) {
      cluster.scheduler.schedule(atMs, () => group.strike(event));
    }
    data.begin();
    group.begin();
    await cluster.scheduler.advance(durationMs);
    data.end();
    group.end();
    await checkLiveness(cluster, nemesis, changes);
    await checkQuiet(cluster, changes);
    await checkReplicas(cluster, { data, moves: undefined, rot });
    await checkGroup(cluster, { group, history, endOf: (key) => data.endOf(key) });
    await cluster.scheduler.settle(group.leave(), FINAL_LIMIT_MS);
    checkReplication(cluster, group);
    const internal = { keys: group.internalKeys, pendingCount: 0 };
    await checkReplicas(cluster, { data: internal, moves: undefined, rot });
    await cluster.scheduler.settle(data.finalPass(), FINAL_LIMIT_MS);
    judge(history);
  });
}

const PRODUCER_COUNT = 1;
const REPLICATION_FACTOR = 3;
/** Numbers of processes in the history: behind those of the producers. */
const FIRST_MEMBER = 1_000;
const FINAL_LIMIT_MS = 60_000;

/** What may happen to the group, by what goes wrong; a kind that is named twice comes twice as often. */
const KINDS: Readonly<Record<GroupFaults, readonly GroupEvent["kind"][]>> = {
  members: ["crash", "leave", "pause", "pause", "cut"],
  coordinator: ["crash", "leave", "pause", "cut", "coordinator", "coordinator"],
  mixed: ["crash", "leave", "pause", "cut", "coordinator", "clock"],
  clocks: ["crash", "crash", "leave", "clock"],
};

/** Sessions that end within a run, and small segments of the data; no record is removed, so that absence always means loss. */
const CONFIG = {
  "min.insync.replicas": "2",
  "log.segment.bytes": "16384",
  "log.scrub.interval.ms": "2500",
  "message.max.bytes": "8192",
  "log.retention.ms": "-1",
  "log.message.timestamp.before.max.ms": "-1",
  "log.message.timestamp.after.max.ms": "-1",
  "replica.lag.time.max.ms": "2000",
  "offsets.topic.num.partitions": "2",
  "offsets.commit.timeout.ms": "2000",
  "group.min.session.timeout.ms": "500",
  "group.initial.rebalance.delay.ms": "300",
  "group.consumer.session.timeout.ms": "2000",
  "group.consumer.heartbeat.interval.ms": "400",
};

/** Also a group that was asked for while the cluster began has what it commits on three brokers. */
function checkReplication(cluster: MetadataCluster, group: GroupWorkload): void {
  for (const { name, topic, partition } of group.internalKeys) {
    const { length } = cluster.checker.model.image.topic(topic)?.partitions[partition]?.replicas ?? [];
    mustHold(
      length === REPLICATION_FACTOR,
      "OffsetsReplicated",
      "a coordinator's log has too few replicas",
      () => ({
        name,
        replicas: length,
      }),
    );
  }
}

function drawFaults(dice: number): GroupFaults {
  if (dice < 0.2) return "members";
  if (dice < 0.5) return "coordinator";
  return dice < 0.9 ? "mixed" : "clocks";
}

function drawProtocol(dice: number): GroupProtocol {
  if (dice < 0.7) return "server";
  return dice < 0.85 ? "eager" : "cooperative";
}
