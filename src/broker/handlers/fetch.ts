import { abortReason, throwIfAborted } from "../../base/abort.ts";
import { Deferred } from "../../base/deferred.ts";
import { operationError } from "../../base/errors.ts";
import type { ItemOutcome } from "../../controller/result.ts";
import type { NodeId } from "../../model/ids.ts";
import type { Offset } from "../../model/offsets.ts";
import type { Clock } from "../../platform/clock.ts";
import { CreditFetchSession } from "../fetch-session.ts";
import type { FetchSession, FetchSink, FetchStreamOptions } from "../fetch-session.ts";
import { fetchedRecords, fetchRefused, readFailure, readRefusal } from "../fetched-partition.ts";
import type { FetchedPartition } from "../fetched-partition.ts";
import type { PartitionStore } from "../log-store.ts";
import { outcomeOfError, readerRefusal, unknownPartition } from "../outcome.ts";
import type { PartitionRef, Reader } from "../outcome.ts";
import type { PartitionTable } from "../partition-table.ts";
import type { Partition } from "../partition.ts";

export interface FetchPartition extends PartitionRef {
  /** First offset wanted. */
  readonly offset: number;
  /** -1: not known. */
  readonly leaderEpoch: number;
  /** 0: 1 MiB. The first batch comes even if it is larger. */
  readonly maxBytes: number;
}

/** One long poll. */
export interface FetchCall {
  readonly maxWaitMs: number;
  /** Bytes of records, over all partitions, that end the wait. */
  readonly minBytes: number;
  /** Of all partitions together; 0: 16 MiB. The first batch comes even if it is larger. */
  readonly maxBytes: number;
  readonly readCommitted: boolean;
  /** A follower may serve it too (KIP-392). Left out: only the leader. */
  readonly fromFollower?: boolean | undefined;
  readonly partitions: readonly FetchPartition[];
}

export interface FetchDeps {
  readonly table: PartitionTable;
  readonly clock: Clock;
}

const DEFAULT_MAX_BYTES = 16 * 1024 * 1024;
const DEFAULT_PARTITION_MAX_BYTES = 1024 * 1024;

interface Target {
  readonly reader: Reader;
  readonly item: FetchPartition;
  readonly partition: Partition | undefined;
  readonly log: PartitionStore | undefined;
  /** Known before any read. */
  readonly refusal: ItemOutcome | undefined;
}

interface Round {
  readonly results: readonly FetchedPartition[];
  readonly sizeBytes: number;
  readonly hasError: boolean;
}

/**
 * Reads for consumers: long polls, and push sessions. There are no transactions yet, so all records below the high
 * watermark are committed and `readCommitted` changes nothing.
 */
export class FetchHandler {
  readonly #nodeId: NodeId;
  readonly #table: PartitionTable;
  readonly #clock: Clock;
  readonly #sessions = new Set<CreditFetchSession>();
  readonly #waits = new Set<() => void>();
  #isClosed = false;

  constructor(options: { readonly nodeId: NodeId }, deps: FetchDeps) {
    this.#nodeId = options.nodeId;
    this.#table = deps.table;
    this.#clock = deps.clock;
  }

  /** Sessions that are open. */
  get sessionCount(): number {
    return this.#sessions.size;
  }

  openSession(options: FetchStreamOptions, sink: FetchSink): FetchSession {
    if (this.#isClosed) throw operationError("CLOSED", "the broker is stopping", { retriable: true });
    const session: CreditFetchSession = new CreditFetchSession(
      { ...options, nodeId: this.#nodeId },
      { table: this.#table, clock: this.#clock, sink, onClose: () => this.#sessions.delete(session) },
    );
    this.#sessions.add(session);
    return session;
  }

  /** One result for each partition, in the order of the call. @throws the reason of `signal`. */
  async fetch(call: FetchCall, signal: AbortSignal): Promise<readonly FetchedPartition[]> {
    throwIfAborted(signal);
    const deadlineMs = this.#clock.monotonicMs() + Math.max(call.maxWaitMs, 0);
    const reader = { nodeId: this.#nodeId, isFollowerEnough: call.fromFollower === true };
    const targets = await Promise.all(call.partitions.map((item) => this.#resolve(item, reader)));
    for (;;) {
      throwIfAborted(signal);
      // Watched from before the read: what arrives while it runs must end the wait that may follow.
      using watch = new AdvanceWatch(targets);
      const round = await this.#readAll(call, targets);
      const leftMs = deadlineMs - this.#clock.monotonicMs();
      if (round.hasError || round.sizeBytes >= call.minBytes || leftMs <= 0 || this.#isClosed)
        return round.results;
      await this.#wait(watch, leftMs, signal);
    }
  }

  /** Ends all sessions, and all waits with what is there. Idempotent. */
  close(reason: Error): void {
    this.#isClosed = true;
    for (const session of this.#sessions) session.shutDown(reason);
    for (const wake of this.#waits) wake();
  }

  async #resolve(item: FetchPartition, reader: Reader): Promise<Target> {
    const partition = this.#table.find(item.topic, item.partition);
    const refused = (refusal: ItemOutcome): Target => ({ reader, item, partition, log: undefined, refusal });
    if (partition === undefined) return refused(unknownPartition(item));
    const refusal = readerRefusal(partition, item.leaderEpoch, reader);
    if (refusal !== undefined) return refused(refusal);
    try {
      const log = partition.log ?? (await partition.openedLog());
      return { reader, item, partition, log, refusal: undefined };
    } catch (error: unknown) {
      return refused(outcomeOfError(error));
    }
  }

  async #readAll(call: FetchCall, targets: readonly Target[]): Promise<Round> {
    const maxBytes = call.maxBytes > 0 ? call.maxBytes : DEFAULT_MAX_BYTES;
    const results: FetchedPartition[] = [];
    let sizeBytes = 0;
    let hasError = false;
    for (const target of targets) {
      const { result, bytes } = await this.#readOne(target, maxBytes - sizeBytes);
      results.push(result);
      sizeBytes += bytes;
      hasError ||= result.error !== "NONE";
    }
    return { results, sizeBytes, hasError };
  }

  async #readOne(
    { reader, item, partition, log, refusal }: Target,
    budgetBytes: number,
  ): Promise<{ result: FetchedPartition; bytes: number }> {
    if (partition === undefined || log === undefined) {
      return { result: fetchRefused(item, 0, partition, refusal ?? unknownPartition(item)), bytes: 0 };
    }
    const before = readRefusal(partition, log, item.offset, item.leaderEpoch, reader);
    if (before !== undefined) return { result: fetchRefused(item, 0, partition, before), bytes: 0 };
    const endOffset = log.durableEndOffset;
    if (item.offset >= endOffset || budgetBytes <= 0) {
      return { result: fetchedRecords(item, 0, partition, log), bytes: 0 };
    }
    const maxBytes = Math.min(item.maxBytes > 0 ? item.maxBytes : DEFAULT_PARTITION_MAX_BYTES, budgetBytes);
    try {
      const read = await log.read(item.offset as Offset, maxBytes, { endOffset });
      // Asked again: the leader or the topic may have changed while the disk was busy (H50).
      const after = readerRefusal(partition, item.leaderEpoch, reader);
      if (after !== undefined) return { result: fetchRefused(item, 0, partition, after), bytes: 0 };
      if (!read.ok) {
        const outcome = readFailure(partition, log, item.offset, read, reader);
        return { result: fetchRefused(item, 0, partition, outcome), bytes: 0 };
      }
      if (read.sizeBytes > 0) partition.traffic.sent(read.nextOffset - item.offset, read.sizeBytes);
      return { result: fetchedRecords(item, 0, partition, log, read.chunks), bytes: read.sizeBytes };
    } catch (error: unknown) {
      return { result: fetchRefused(item, 0, partition, outcomeOfError(error)), bytes: 0 };
    }
  }

  /** Until something changed or the time is over. @throws the reason of `signal`. */
  async #wait(watch: AdvanceWatch, leftMs: number, signal: AbortSignal): Promise<void> {
    const done = new Deferred<void>();
    const finish = (): void => done.resolve();
    const onAbort = (): void => done.reject(abortReason(signal));
    const timer = this.#clock.setTimer(leftMs, finish);
    signal.addEventListener("abort", onAbort, { once: true });
    this.#waits.add(finish);
    watch.whenChanged(finish);
    try {
      await done.promise;
    } finally {
      timer.cancel();
      signal.removeEventListener("abort", onAbort);
      this.#waits.delete(finish);
    }
  }
}

/** Sees that a set of partitions changed since it was made: more became readable, or one cannot be read any more. */
class AdvanceWatch implements Disposable {
  readonly #stops: (() => void)[] = [];
  #notify: (() => void) | undefined;
  #isChanged = false;

  constructor(targets: readonly Target[]) {
    const onChange = (): void => {
      this.#isChanged = true;
      this.#notify?.();
    };
    for (const { partition, log } of targets) {
      if (partition === undefined || log === undefined) continue;
      const endBefore = log.durableEndOffset;
      this.#stops.push(
        log.onAdvance(() => {
          if (log.durableEndOffset > endBefore || log.state !== "open") onChange();
        }),
        partition.watch(onChange),
      );
    }
  }

  /** Calls `notify` at the next change, or now if there was one already. */
  whenChanged(notify: () => void): void {
    this.#notify = notify;
    if (this.#isChanged) notify();
  }

  [Symbol.dispose](): void {
    for (const stop of this.#stops) stop();
  }
}
