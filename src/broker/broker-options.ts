import type { Logger } from "../base/logger.ts";
import { COORDINATOR_SABOTAGES } from "../coordinator/coordinator-sabotage.ts";
import type { CoordinatorSabotage } from "../coordinator/coordinator-sabotage.ts";
import { LOG_SABOTAGES } from "../log/log-sabotage.ts";
import type { LogSabotage } from "../log/log-sabotage.ts";
import type { ParsedBrokerConfig } from "../model/configs.ts";
import type { Platform } from "../platform/platform.ts";
import type { QuorumOptions } from "../quorum/quorum-types.ts";
import type { RaftTransport } from "../quorum/raft-transport.ts";
import type { LeaderEndpoint } from "../replication/leader-endpoint.ts";
import type { ControllerChannel } from "./controller-channel.ts";
import type { PartitionLimits } from "./metadata-options.ts";

/**
 * Deliberate bugs, for tests that must notice them; those of the logs, the quorum and the coordinators are told there:
 *  - `answerBeforeCommit`: acks=all is answered as acks=1 is;
 *  - `answerDuplicateEarly`: a batch that is there already is acknowledged before it is replicated;
 *  - `keepUncleanInIsr`: a broker stays in ISRs after an unclean stop;
 *  - `truncateToHighWatermark`: a follower begins by cutting its log to the high watermark that it knows;
 *  - `followUnchecked`: a leader sends to whoever asks, in whatever epoch and with whatever history;
 *  - `deleteUnknown`: directories of topics that the metadata does not know are removed at the start;
 *  - `committedIsrOnly`, `joinWithoutEpochStart`: those of the ISR's arithmetic.
 */
export const BROKER_SABOTAGES = [
  "answerBeforeCommit",
  "answerDuplicateEarly",
  "keepUncleanInIsr",
  "truncateToHighWatermark",
  "followUnchecked",
  "deleteUnknown",
  "committedIsrOnly",
  "joinWithoutEpochStart",
  "forgetVote",
  "acknowledgeBeforeWrite",
  ...LOG_SABOTAGES,
  ...COORDINATOR_SABOTAGES,
] as const;

export type BrokerSabotage = (typeof BROKER_SABOTAGES)[number];

/** The part of it that is a log's. */
export function logSabotageOf(sabotage: BrokerSabotage | undefined): LogSabotage | undefined {
  return LOG_SABOTAGES.find((one) => one === sabotage);
}

/** The part of it that is a coordinator's. */
export function coordinatorSabotageOf(sabotage: BrokerSabotage | undefined): CoordinatorSabotage | undefined {
  return COORDINATOR_SABOTAGES.find((one) => one === sabotage);
}

/** The part of it that is the quorum's. */
export function raftSabotageOf(sabotage: BrokerSabotage | undefined): QuorumOptions["sabotage"] {
  return sabotage === "forgetVote" || sabotage === "acknowledgeBeforeWrite" ? sabotage : undefined;
}

export interface BrokerOptions {
  /** As `parseBrokerConfig` gave it. The data is in the first of `log.dirs`. */
  readonly config: ParsedBrokerConfig;
  /** "host:port" where other brokers reach this one; empty, the default: nowhere, it stands alone. */
  readonly peerEndpoint?: string;
  /** Default: 50,000 partitions of a topic, 200,000 of all. */
  readonly limits?: PartitionLimits;
  /** Room that is kept on the disk for metadata that must be written when it is full. Default 0. */
  readonly diskReserveBytes?: number;
  /**
   * Whether the clock is held against each controller's. Default false: simulated clocks differ on purpose, and a question
   * more would change what the seeds of a simulation do.
   */
  readonly checksClock?: boolean;
  readonly sabotage?: BrokerSabotage;
}

export interface BrokerDeps {
  readonly platform: Platform;
  readonly logger: Logger;
  /** The ways to other brokers; none: a cluster of this broker alone. */
  readonly transport?: RaftTransport;
  readonly channel?: ControllerChannel;
  readonly leaderEndpoint?: LeaderEndpoint;
}
