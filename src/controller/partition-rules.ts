import type { TopicImage } from "../metadata/image.ts";
import { parseTopicConfig } from "../model/configs.ts";
import type { TopicConfig, TopicOverrides } from "../model/configs.ts";

/** What holds for partitions of topics that set nothing of their own: the broker's configuration. */
export interface PartitionRules {
  readonly defaultMinInsyncReplicas: number;
  readonly defaultUncleanLeaderElection: boolean;
  readonly defaultFlushPolicy: TopicConfig["flushPolicy"];
  /** For tests, which must notice it: a broker stays in its ISRs however it stopped. */
  readonly isEveryStopClean?: boolean;
}

/** What decides about ISR, ELR and leader of a topic's partitions. */
export interface PartitionPolicy {
  /** See `requiredInSync`. */
  readonly minInsyncReplicas: number;
  /** May a replica lead that is known to lack committed records, when no other can? */
  readonly isUncleanElectionAllowed: boolean;
  /** A replica confirms a record when it is on its disk, so an unclean end cannot take it back. */
  readonly isFlushedOnAck: boolean;
}

const KEYS = ["min.insync.replicas", "unclean.leader.election.enable", "flush.policy"] as const;

/** What holds for a topic. A value that this release cannot read counts as not set, as it does for the log. */
export function partitionPolicyOf(
  { configs }: Pick<TopicImage, "configs">,
  rules: PartitionRules,
): PartitionPolicy {
  const overrides: TopicOverrides = configs.size === 0 ? {} : relevantOverrides(configs);
  return {
    minInsyncReplicas: overrides.minInsyncReplicas ?? rules.defaultMinInsyncReplicas,
    isUncleanElectionAllowed: overrides.uncleanLeaderElectionEnable ?? rules.defaultUncleanLeaderElection,
    isFlushedOnAck: (overrides.flushPolicy ?? rules.defaultFlushPolicy) === "ack",
  };
}

function relevantOverrides(configs: ReadonlyMap<string, string>): TopicOverrides {
  let overrides: TopicOverrides = {};
  for (const key of KEYS) {
    const value = configs.get(key);
    if (value === undefined) continue;
    const parsed = parseTopicConfig(new Map([[key, value]]));
    if (parsed.ok) overrides = { ...overrides, ...parsed.overrides };
  }
  return overrides;
}
