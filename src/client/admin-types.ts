import type { ProtocolError } from "../model/error-code.ts";
import type { TopicPartitionRef } from "./consumer-types.ts";

/** What every admin call takes. */
export interface AdminOptions {
  /** Default: that of the client. */
  readonly timeoutMs?: number;
  readonly signal?: AbortSignal;
}

/** For calls about several things. */
export interface ItemOptions extends AdminOptions {
  /** False: failures stay in the results, as `error`. Default true: the first one is thrown. */
  readonly throwOnError?: boolean;
}

/** For calls that can be tried. */
export interface ValidateOptions extends AdminOptions {
  /** Check everything, change nothing. */
  readonly validateOnly?: boolean;
}

export interface NewTopicSpec {
  readonly name: string;
  /** Default: the broker's. */
  readonly partitions?: number;
  /** Default: the broker's. */
  readonly replicationFactor?: number;
  readonly configs?: Readonly<Record<string, string>>;
}

/** What became of one topic of a request. */
export interface TopicOutcome {
  readonly name: string;
  /** URL-safe base64; "" when it failed. */
  readonly topicId: string;
  readonly partitions: number;
  readonly replicationFactor: number;
  /** Undefined: it succeeded. */
  readonly error: ProtocolError | undefined;
}

export interface TopicSummary {
  readonly name: string;
  readonly topicId: string;
  readonly partitions: number;
  readonly replicationFactor: number;
  readonly isInternal: boolean;
}

export interface PartitionDetails {
  readonly partition: number;
  /** -1: nobody. */
  readonly leaderId: number;
  readonly leaderEpoch: number;
  readonly replicas: readonly number[];
  readonly isr: readonly number[];
  readonly logStartOffset: number;
  /** Exclusive. */
  readonly logEndOffset: number;
  readonly sizeBytes: number;
  /** Why offsets and size are not known. */
  readonly error: ProtocolError | undefined;
}

export interface ConfigValue {
  readonly name: string;
  readonly value: string;
  /** "default", "static" or "topic". */
  readonly source: string;
  readonly description: string;
}

export interface TopicDetails {
  readonly name: string;
  readonly topicId: string;
  readonly isInternal: boolean;
  readonly partitions: readonly PartitionDetails[];
  readonly configs: readonly ConfigValue[];
  readonly error: ProtocolError | undefined;
}

export interface ConfigChange {
  readonly set?: Readonly<Record<string, string>>;
  /** Keys that go back to their default. */
  readonly unset?: readonly string[];
}

export interface DeleteRecordsSpec extends TopicPartitionRef {
  /** Records below it go; -1: all. */
  readonly beforeOffset: number;
}

export interface DeletedRecords extends TopicPartitionRef {
  /** The first offset that is left; -1 when it failed. */
  readonly logStartOffset: number;
  readonly error: ProtocolError | undefined;
}

export interface BrokerConfig {
  readonly nodeId: number;
  readonly configs: readonly ConfigValue[];
}
