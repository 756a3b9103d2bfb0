import type { ErrorName } from "../model/error-code.ts";
import type { LeaderEpoch } from "../model/offsets.ts";
import type { CoordinatorRecord } from "./shard.ts";

/** How an append of a coordinator ended. */
export type WriteOutcome =
  | { readonly ok: true }
  /** `mayBeWritten`: it may be in the log, now or later. Either way the state must be read again. */
  | {
      readonly ok: false;
      readonly error: ErrorName;
      readonly message: string;
      readonly mayBeWritten: boolean;
    };

/** What a load has read. */
export interface LoadSummary {
  readonly records: number;
  readonly bytes: number;
}

/** The log of a coordinator's partitions, on the broker that leads them. */
export interface PartitionWriter {
  /**
   * Appends one batch, in the order of the calls; resolves when it is committed (all in-sync replicas, at least
   * min.insync.replicas of them), within the writer's timeout. Never rejects. Only under exactly this leader epoch.
   * @param records non-empty; together at most `maxBatchBytes`.
   */
  append(
    partition: number,
    leaderEpoch: LeaderEpoch,
    records: readonly CoordinatorRecord[],
  ): Promise<WriteOutcome>;

  /**
   * Reads all records from the start to the end that the log has at the call, and waits until that end is committed (H59).
   * Hands over a batch at a time. @throws LograftError NOT_COORDINATOR when the leadership ends meanwhile, the reason of
   * `signal`, LOG_CORRUPT, KAFKA_STORAGE_ERROR.
   */
  load(
    partition: number,
    leaderEpoch: LeaderEpoch,
    onRecords: (records: readonly CoordinatorRecord[]) => void,
    signal: AbortSignal,
  ): Promise<LoadSummary>;

  /** Bytes of keys and values, with 32 for each record, that one append may have. */
  readonly maxBatchBytes: number;
}
