import type { AppendResult } from "../log/log-appender.ts";
import type { ReadLimit } from "../log/log-reader.ts";
import type { TimestampOffset } from "../log/time-index.ts";
import type { Offset, Timestamp } from "../model/offsets.ts";
import type { PartitionStore, ReplicaStore } from "./log-store.ts";

/** How far records are committed, of whichever role this broker has. */
export interface CommitSource {
  /** Where clients stop reading (exclusive). */
  readonly readableEnd: Offset;
  /** Calls back when the readable end moved, and when the log changed otherwise. */
  onCommit(listener: () => void): () => void;
}

/**
 * A log of several replicas as clients see it: what they may read ends at the high watermark, not where this replica's
 * own disk is (H37, H41). A partition of one replica needs no such thing: its own disk is what commits.
 */
export class CommittedLog implements PartitionStore {
  readonly #log: ReplicaStore;
  readonly #commits: CommitSource;

  constructor(log: ReplicaStore, commits: CommitSource) {
    this.#log = log;
    this.#commits = commits;
  }

  get logStartOffset(): Offset {
    return this.#log.logStartOffset;
  }

  get logEndOffset(): Offset {
    return this.#log.logEndOffset;
  }

  get durableEndOffset(): Offset {
    return this.#commits.readableEnd;
  }

  get sizeBytes(): number {
    return this.#log.sizeBytes;
  }

  get state(): ReplicaStore["state"] {
    return this.#log.state;
  }

  append(records: Buffer, options: Parameters<ReplicaStore["append"]>[1]): AppendResult {
    return this.#log.append(records, options);
  }

  read(from: Offset, maxBytes: number, limit?: ReadLimit): ReturnType<ReplicaStore["read"]> {
    return this.#log.read(from, maxBytes, limit);
  }

  offsetForTimestamp(timestamp: Timestamp): Promise<TimestampOffset | undefined> {
    return this.#log.offsetForTimestamp(timestamp);
  }

  offsetOfMaxTimestamp(): Promise<TimestampOffset | undefined> {
    return this.#log.offsetOfMaxTimestamp();
  }

  advanceLogStart(offset: Offset): Promise<void> {
    return this.#log.advanceLogStart(offset);
  }

  onAdvance(listener: () => void): () => void {
    return this.#commits.onCommit(listener);
  }
}
