import type { WriteOutcome } from "./partition-writer.ts";
import type { Waiter } from "./pending-reply.ts";
import type { CoordinatorRecord } from "./shard.ts";

/** Bounds of what is decided and not committed. */
export interface CommitQueueOptions {
  /** Of one batch, as `PartitionWriter.maxBatchBytes` counts them. */
  readonly maxBatchBytes: number;
  /** Batches that are appended ahead of the commit of the first. */
  readonly maxInFlightBatches: number;
  /** Bytes from which on the queue is full. */
  readonly maxPendingBytes: number;
  /** Of `answerGroupsEarly`. Default false. */
  readonly isAnswerEarly?: boolean;
}

export interface CommitQueueDeps {
  readonly append: (records: readonly CoordinatorRecord[]) => Promise<WriteOutcome>;
  /** A batch was lost, or may have been: nothing more is sent or released. */
  readonly onFailed: (outcome: Extract<WriteOutcome, { ok: false }>) => void;
  readonly onCommitted: () => void;
}

interface Batch {
  records: CoordinatorRecord[];
  sizeBytes: number;
  readonly replies: Waiter[];
  isCommitted: boolean;
}

/** What a record of a batch takes beside its key and value, generously. */
const RECORD_OVERHEAD_BYTES = 32;

/** Bytes of a record as the bounds of batches count them. */
export function recordBytes({ key, value }: CoordinatorRecord): number {
  return key.length + (value?.length ?? 0) + RECORD_OVERHEAD_BYTES;
}

/**
 * The way of decisions into the log. What is added between two flushes becomes one batch; batches are appended in order,
 * a bounded number ahead; answers go out in order, each when the batch of its decision and all before it are committed.
 * Ends with the first batch that fails.
 */
export class CommitQueue {
  readonly #options: CommitQueueOptions;
  readonly #deps: CommitQueueDeps;
  #inFlight: Batch[] = [];
  /** Not appended yet; the last one still grows. */
  #queued: Batch[] = [];
  #pendingBytes = 0;
  #isEnded = false;

  constructor(options: CommitQueueOptions, deps: CommitQueueDeps) {
    this.#options = options;
    this.#deps = deps;
  }

  /** So much waits that nobody should add more. What is decided all the same is taken. */
  get isFull(): boolean {
    return this.#pendingBytes >= this.#options.maxPendingBytes;
  }

  /** Something waits for a flush. */
  get hasUnsent(): boolean {
    return this.#queued.length > 0;
  }

  /** A decision. Its records stay in one batch unless they alone are too many for one. */
  add(records: readonly CoordinatorRecord[], replies: readonly Waiter[]): void {
    const batch = records.length === 0 ? (this.#queued.at(-1) ?? this.#inFlight.at(-1)) : this.#put(records);
    if (batch === undefined || this.#options.isAnswerEarly === true) {
      for (const reply of replies) reply.release();
    } else {
      for (const reply of replies) batch.replies.push(reply);
    }
  }

  /** Appends what waits, as far as the bounds allow; the rest follows when something is committed. */
  flush(): void {
    while (!this.#isEnded && this.#inFlight.length < this.#options.maxInFlightBatches) {
      const batch = this.#queued.shift();
      if (batch === undefined) return;
      this.#inFlight.push(batch);
      // It never rejects.
      void this.#deps.append(batch.records).then((outcome) => this.#onOutcome(batch, outcome));
    }
  }

  /** Sends and releases nothing more. */
  end(): void {
    this.#isEnded = true;
    this.#queued = [];
    this.#inFlight = [];
  }

  /** Answers the batch with the last of them. */
  #put(records: readonly CoordinatorRecord[]): Batch {
    const { maxBatchBytes } = this.#options;
    let totalBytes = 0;
    for (const record of records) totalBytes += recordBytes(record);
    this.#pendingBytes += totalBytes;
    let batch = this.#queued.at(-1);
    if (batch === undefined || batch.sizeBytes + totalBytes > maxBatchBytes) batch = this.#newBatch();
    for (const record of records) {
      const sizeBytes = recordBytes(record);
      if (batch.records.length > 0 && batch.sizeBytes + sizeBytes > maxBatchBytes) batch = this.#newBatch();
      batch.records.push(record);
      batch.sizeBytes += sizeBytes;
    }
    return batch;
  }

  #newBatch(): Batch {
    const batch: Batch = { records: [], sizeBytes: 0, replies: [], isCommitted: false };
    this.#queued.push(batch);
    return batch;
  }

  #onOutcome(batch: Batch, outcome: WriteOutcome): void {
    if (this.#isEnded) return;
    if (!outcome.ok) {
      this.end();
      this.#deps.onFailed(outcome);
      return;
    }
    batch.isCommitted = true;
    batch.records = [];
    this.#deps.onCommitted();
    // A later batch may be reported first; its answers wait for those before.
    for (let head = this.#inFlight[0]; head?.isCommitted === true; head = this.#inFlight[0]) {
      this.#inFlight.shift();
      this.#pendingBytes -= head.sizeBytes;
      for (const reply of head.replies) reply.release();
    }
    this.flush();
  }
}
