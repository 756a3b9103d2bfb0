import type { QuorumDetails } from "../client/index.ts";
import { requiredInSync } from "../model/insync.ts";
import type { ClusterSurvey } from "./cluster-survey.ts";
import { counted } from "./output.ts";

/** One thing that was looked at. */
export interface HealthCheck {
  readonly name:
    | "answer"
    | "controller"
    | "voters"
    | "metadata"
    | "brokers"
    | "leaders"
    | "replicas"
    | "min-isr";
  readonly isOk: boolean;
  /** What was found, in one line. */
  readonly detail: string;
  /** Brokers or partitions in trouble, by name. */
  readonly affected: readonly string[];
  /** What to do about it; "" when nothing is to be done. */
  readonly next: string;
}

/** What a look at the cluster found. */
export interface HealthVerdict {
  /** Undefined: nobody answered. */
  readonly clusterId: string | undefined;
  /** -1: none. */
  readonly controllerId: number;
  readonly isHealthy: boolean;
  readonly checks: readonly HealthCheck[];
}

/** Entries that a voter may be behind the leader: a busy log is always on its way. */
const MAX_VOTER_LAG = 1000;

/** Judges a survey. Each check stands for itself; a partition without a leader fails several. */
export function judgeHealth(survey: ClusterSurvey): HealthVerdict {
  const checks = [
    controllerCheck(survey),
    votersCheck(survey),
    metadataCheck(survey),
    brokersCheck(survey),
    leadersCheck(survey),
    replicasCheck(survey),
    minIsrCheck(survey),
  ];
  const { clusterId } = survey.cluster;
  const controllerId = survey.quorum.leaderId;
  return { clusterId, controllerId, checks, isHealthy: checks.every(({ isOk }) => isOk) };
}

/** The verdict when no broker could say anything of a cluster: none is up, or none has found the others. */
export function unanswered(message: string): HealthVerdict {
  const check = failed("answer", message, [], "start the missing brokers: lograft start");
  return { clusterId: undefined, controllerId: -1, isHealthy: false, checks: [check] };
}

function controllerCheck({ quorum }: ClusterSurvey): HealthCheck {
  const { leaderId, epoch } = quorum;
  if (leaderId >= 0) return passed("controller", `broker ${leaderId}, epoch ${epoch}`);
  const voters = quorum.replicas.filter(({ isVoter }) => isVoter);
  return failed(
    "controller",
    "none is elected; nothing can be created, changed or failed over",
    [],
    `start the missing ones of the ${voters.length} voters until more than half of them are up: ` +
      voters
        .map(({ nodeId, endpoint }) => (endpoint === "" ? `${nodeId}` : `${nodeId} at ${endpoint}`))
        .join(", "),
  );
}

function votersCheck({ quorum }: ClusterSurvey): HealthCheck {
  const voters = quorum.replicas.filter(({ isVoter }) => isVoter);
  if (quorum.leaderId < 0) {
    const next = "see the check of the controller; once there is one, it tells";
    return failed("voters", "nobody leads them, so nobody knows how far each is", [], next);
  }
  const endOffset = leaderEndOffset(quorum);
  if (endOffset < 0) {
    const found = `broker ${quorum.answeredBy.nodeId}, which was asked, cannot reach the leader ${quorum.leaderId}`;
    return failed(
      "voters",
      `${found}; nobody else knows how far each is`,
      [],
      "check the network between the two",
    );
  }
  const troubled = voters.flatMap(({ nodeId, isActive, logEndOffset }) => {
    if (!isActive) return [`broker ${nodeId} (silent)`];
    const lag = endOffset - logEndOffset;
    return lag > MAX_VOTER_LAG ? [`broker ${nodeId} (${lag} entries behind)`] : [];
  });
  if (troubled.length === 0) return passed("voters", `${counted(voters.length, "voter")}, all follow`);
  return failed(
    "voters",
    `${troubled.length} of ${counted(voters.length, "voter")} cannot be counted on`,
    troubled,
    "start them again, or give the vote to others: lograft cluster add-voter, remove-voter",
  );
}

/**
 * Where the leader's log ends, exclusive; -1 when the leader could not be asked. One that gave its own vote away may not
 * be among the replicas.
 */
export function leaderEndOffset({ leaderId, replicas, commitOffset }: QuorumDetails): number {
  const leader = replicas.find(({ nodeId }) => nodeId === leaderId);
  return leader?.logEndOffset ?? commitOffset + 1;
}

function metadataCheck({ reports }: ClusterSurvey): HealthCheck {
  const byOffset = new Map<number, { readonly nodeId: number; readonly stateHash: number }[]>();
  for (const { nodeId, position } of reports) {
    if (position === undefined) continue;
    const { metadataOffset, stateHash } = position;
    byOffset.set(metadataOffset, [...(byOffset.get(metadataOffset) ?? []), { nodeId, stateHash }]);
  }
  const troubled: string[] = [];
  let compared = 0;
  for (const [offset, brokers] of byOffset) {
    if (brokers.length > 1) compared += brokers.length;
    if (new Set(brokers.map(({ stateHash }) => stateHash)).size === 1) continue;
    for (const { nodeId, stateHash } of brokers) {
      troubled.push(`broker ${nodeId} (${stateHash} at offset ${offset})`);
    }
  }
  if (troubled.length > 0) {
    const next =
      "stop the broker that differs from the others, move its data directory aside, start it again";
    return failed("metadata", "brokers that applied the same log have different metadata", troubled, next);
  }
  const offsets = [...byOffset.keys()].sort((a, b) => a - b).join(", ");
  const comparison =
    compared > 0 ? `${compared} compared, all equal` : "none compared, as no two are at the same offset";
  return passed("metadata", `at offset ${offsets === "" ? "?" : offsets}; ${comparison}`);
}

function brokersCheck({ cluster, reports }: ClusterSurvey): HealthCheck {
  const troubled = cluster.brokers.flatMap(({ nodeId, isFenced, isShuttingDown }, index) => {
    if (isFenced) return [`broker ${nodeId} (fenced)`];
    if (isShuttingDown) return [`broker ${nodeId} (shutting down, or its disk is full)`];
    const failure = reports[index]?.failure ?? "";
    return failure === "" ? [] : [`broker ${nodeId} (does not answer: ${failure})`];
  });
  const all = counted(cluster.brokers.length, "broker");
  if (troubled.length === 0) return passed("brokers", `${all}, all in service`);
  return failed(
    "brokers",
    `${troubled.length} of ${all} not in service`,
    troubled,
    "start them, free space on a full disk, or forget one that is gone for good: lograft node unregister ID",
  );
}

function leadersCheck({ partitions }: ClusterSurvey): HealthCheck {
  const troubled = partitions.filter(({ leaderId }) => leaderId < 0);
  const all = counted(partitions.length, "partition");
  if (troubled.length === 0) return passed("leaders", `${all}, all led`);
  return failed(
    "leaders",
    `${troubled.length} of ${all} without a leader`,
    troubled.map(shownPartition),
    "start the brokers that hold their replicas: lograft topic describe TOPIC",
  );
}

function replicasCheck({ partitions }: ClusterSurvey): HealthCheck {
  const troubled = partitions.filter(({ isr, replicas }) => isr.length < replicas.length);
  const all = counted(partitions.length, "partition");
  if (troubled.length === 0) return passed("replicas", `${all}, all replicas in sync`);
  return failed(
    "replicas",
    `${troubled.length} of ${all} under-replicated`,
    troubled.map(
      (partition) => `${shownPartition(partition)} (${partition.isr.length} of ${partition.replicas.length})`,
    ),
    "start the missing brokers; those that run catch up by themselves",
  );
}

function minIsrCheck({ partitions, minInsyncReplicas }: ClusterSurvey): HealthCheck {
  const troubled = partitions.flatMap((partition) => {
    const setting = minInsyncReplicas.get(partition.topic);
    const wanted = setting === undefined ? 0 : requiredInSync(setting, partition.replicas.length);
    if (partition.isr.length >= wanted) return [];
    return [`${shownPartition(partition)} (${partition.isr.length}, needs ${wanted})`];
  });
  const all = counted(partitions.length, "partition");
  if (troubled.length === 0) return passed("min-isr", `${all}, none below min.insync.replicas`);
  return failed(
    "min-isr",
    `${troubled.length} of ${all} below min.insync.replicas: writes with acks=all are refused`,
    troubled,
    "start the missing brokers, or lower min.insync.replicas of the topic and risk records",
  );
}

function shownPartition({
  topic,
  partition,
}: {
  readonly topic: string;
  readonly partition: number;
}): string {
  return `${topic}-${partition}`;
}

function passed(name: HealthCheck["name"], detail: string): HealthCheck {
  return { name, isOk: true, detail, affected: [], next: "" };
}

function failed(
  name: HealthCheck["name"],
  detail: string,
  affected: readonly string[],
  next: string,
): HealthCheck {
  return { name, isOk: false, detail, affected, next };
}
