import { errorMessage } from "../base/errors.ts";
import { isLograftError } from "../client/errors.ts";
import type {
  Admin,
  AdminOptions,
  ClusterBroker,
  ClusterDetails,
  PartitionState,
  QuorumDetails,
} from "../client/index.ts";

/** What one broker said when it was asked itself. */
export interface BrokerReport {
  readonly nodeId: number;
  /** The client endpoint it registered, where it was asked. */
  readonly address: string;
  /** Undefined: it did not answer as itself; `failure` says why. */
  readonly position: ClusterDetails["answeredBy"] | undefined;
  readonly failure: string;
}

/** Everything that the health of a cluster is judged by, as seen within one look. */
export interface ClusterSurvey {
  readonly cluster: ClusterDetails;
  readonly quorum: QuorumDetails;
  /** One for each registered broker, in their order. */
  readonly reports: readonly BrokerReport[];
  readonly partitions: readonly PartitionState[];
  /** `min.insync.replicas` of the topics that have a partition with fewer in-sync replicas than replicas. */
  readonly minInsyncReplicas: ReadonlyMap<string, number>;
}

/** Asked at the same time. */
const BROKERS_TOGETHER = 16;
const TOPICS_TOGETHER = 100;
/** A broker that is up answers from memory; a dead one must not hold up the others' reports. */
const BROKER_TIMEOUT_MS = 3000;

/** Looks at the cluster once. @throws LograftError CONNECTION_FAILED, TIMEOUT when no broker answers at all. */
export async function surveyCluster(
  admin: Admin,
  options: { readonly timeoutMs: number; readonly signal: AbortSignal },
): Promise<ClusterSurvey> {
  const [cluster, quorum, partitions] = await Promise.all([
    admin.describeCluster(options),
    admin.describeQuorum(options),
    admin.listPartitions(options),
  ]);
  const reports: BrokerReport[] = [];
  for (let from = 0; from < cluster.brokers.length; from += BROKERS_TOGETHER) {
    const some = cluster.brokers.slice(from, from + BROKERS_TOGETHER);
    reports.push(...(await Promise.all(some.map((broker) => askBroker(admin, broker, options)))));
  }
  const minInsyncReplicas = await minInsyncReplicasOf(topicsShortOfReplicas(partitions), admin, options);
  return { cluster, quorum, reports, partitions, minInsyncReplicas };
}

/** Asks a broker itself where it is in the metadata log. Never rejects for what the broker does. */
export async function askBroker(
  admin: Admin,
  broker: ClusterBroker,
  options: { readonly timeoutMs: number; readonly signal: AbortSignal },
): Promise<BrokerReport> {
  const { nodeId } = broker;
  const address = clientEndpoint(broker);
  const timeoutMs = Math.min(options.timeoutMs, BROKER_TIMEOUT_MS);
  try {
    const { answeredBy } = await admin.describeCluster({ ...options, timeoutMs, address });
    if (answeredBy.nodeId === nodeId) return { nodeId, address, position: answeredBy, failure: "" };
    const failure = `${address} answers as broker ${answeredBy.nodeId}`;
    return { nodeId, address, position: undefined, failure };
  } catch (error: unknown) {
    if (!isLograftError(error) || options.signal.aborted) throw error;
    return { nodeId, address, position: undefined, failure: errorMessage(error) };
  }
}

/** "host:port", or "[v6]:port". */
export function clientEndpoint({ host, port }: Pick<ClusterBroker, "host" | "port">): string {
  return host.includes(":") ? `[${host}]:${port}` : `${host}:${port}`;
}

function topicsShortOfReplicas(partitions: readonly PartitionState[]): string[] {
  const short = partitions.filter(({ isr, replicas }) => isr.length < replicas.length);
  return [...new Set(short.map(({ topic }) => topic))];
}

async function minInsyncReplicasOf(
  topics: readonly string[],
  admin: Admin,
  options: AdminOptions,
): Promise<ReadonlyMap<string, number>> {
  const found = new Map<string, number>();
  for (let from = 0; from < topics.length; from += TOPICS_TOGETHER) {
    const names = topics.slice(from, from + TOPICS_TOGETHER);
    // One that was deleted meanwhile has an error and no configuration.
    for (const topic of await admin.describeTopics(names, { ...options, throwOnError: false })) {
      const setting = topic.configs.find(({ name }) => name === "min.insync.replicas");
      if (setting !== undefined) found.set(topic.name, Number(setting.value));
    }
  }
  return found;
}
