import type { Logger } from "../base/logger.ts";
import type { ParsedBrokerConfig } from "../model/configs.ts";
import type { Platform } from "../platform/platform.ts";
import type { RaftTransport } from "../quorum/raft-transport.ts";
import type { IsrStart } from "../replication/isr.ts";
import type { LeaderEndpoint } from "../replication/leader-endpoint.ts";
import type { ControllerChannel } from "./controller-channel.ts";
import type { PartitionLimits } from "./metadata-options.ts";

/**
 * Deliberate bugs, for tests that must notice them: an answer to acks=all before the high watermark, a broker
 * that stays in ISRs after an unclean stop, and those of the ISR's arithmetic.
 */
export type BrokerSabotage = "answerBeforeCommit" | "keepUncleanInIsr" | NonNullable<IsrStart["sabotage"]>;

export interface BrokerOptions {
  /** As `parseBrokerConfig` gave it. The data is in the first of `log.dirs`. */
  readonly config: ParsedBrokerConfig;
  /** "host:port" where other brokers reach this one; empty, the default: nowhere, it stands alone. */
  readonly peerEndpoint?: string;
  /** Default: 50,000 partitions of a topic, 200,000 of all. */
  readonly limits?: PartitionLimits;
  /** Room that is kept on the disk for metadata that must be written when it is full. Default 0. */
  readonly diskReserveBytes?: number;
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
