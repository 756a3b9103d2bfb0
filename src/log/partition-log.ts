import type { LograftError } from "../base/errors.ts";
import type { TopicId } from "../model/ids.ts";
import type { LeaderEpoch, Offset, Timestamp } from "../model/offsets.ts";
import type { TopicPartition } from "../model/topic-partition.ts";
import { writeAtomically } from "../platform/atomic-file.ts";
import { LEADER_EPOCH_FILE, segmentFileName } from "./file-names.ts";
import type { EpochEnd } from "./leader-epoch-cache.ts";
import { appendProduced, appendReplicated } from "./log-appender.ts";
import type { AppendOrigin, AppendResult, ReplicatedOptions } from "./log-appender.ts";
import { compactLog } from "./compactor.ts";
import type { CompactOptions, CompactReport } from "./compactor.ts";
import { findCompactRange } from "./compact-range.ts";
import type { CompactLimits, CompactRange } from "./compact-range.ts";
import type { LogCore, LogState, PartitionLogDeps, PartitionLogOptions } from "./log-core.ts";
import { openCore } from "./log-opening.ts";
import type { OpenHow } from "./log-opening.ts";
import { readLog } from "./log-reader.ts";
import type { ReadLimit, ReadResult } from "./log-reader.ts";
import { findAborted, findMaxTimestamp, findTimestamp } from "./log-search.ts";
import { advanceStart, cutDamage, resetLog, rollIfIdle, trimLog, truncateLog } from "./log-trimmer.ts";
import type { RetentionLimits } from "./log-trimmer.ts";
import { LogWriter } from "./log-writer.ts";
import { saveSnapshot } from "./producer-recovery.ts";
import { formatProducerSnapshot } from "./producer-snapshot.ts";
import { checkSegment } from "./segment-check.ts";
import type { DamageScanOptions, ReplicaDamage } from "./segment-damage.ts";
import { saveIndexes } from "./segment-indexes.ts";
import type { TimestampOffset } from "./time-index.ts";
import type { AbortedTransaction } from "./transaction-index.ts";

/** What a scrub has read. */
export interface ScrubCount {
  readonly segments: number;
  readonly sizeBytes: number;
}

/**
 * The log of one partition replica: appends, reads, truncation, retention. It knows offsets and epochs, nothing of
 * leaders, ISR or high watermarks. All methods may be called at any time, also beside each other; appends take effect in
 * the order of the calls. Idle it holds no timer, no file and no buffer.
 */
export class PartitionLog {
  readonly #core: LogCore;
  readonly #writer: LogWriter;
  #closing: Promise<void> | undefined;
  /** The compaction that runs, to be ended before the log is closed. */
  #compaction: { readonly abort: AbortController; readonly ended: Promise<void> } | undefined;

  private constructor(core: LogCore) {
    this.#core = core;
    this.#writer = new LogWriter(core);
  }

  /**
   * Opens, after a crash recovers, the log in `options.directory`. A damaged one opens "offline": what lies below the
   * damage is served, nothing is appended. @throws LograftError DISK_READ_FAILED, DISK_WRITE_FAILED, DISK_SYNC_FAILED.
   */
  static async open(
    options: PartitionLogOptions,
    deps: PartitionLogDeps,
    how: OpenHow,
  ): Promise<PartitionLog> {
    return new PartitionLog(await openCore(options, deps, how));
  }

  get topicPartition(): TopicPartition {
    return this.#core.options.topicPartition;
  }

  get topicId(): TopicId {
    return this.#core.options.topicId;
  }

  get directory(): string {
    return this.#core.directory;
  }

  /** Offsets below may be missing: the log was compacted there, or copied from one that was. */
  get gapsBelow(): Offset {
    return this.#core.gapsBelow;
  }

  /** The first offset that may be read. */
  get logStartOffset(): Offset {
    return this.#core.logStartOffset;
  }

  /** Written to the file, exclusive: where replication and reads of this replica end. */
  get logEndOffset(): Offset {
    return this.#core.logEndOffset;
  }

  /**
   * The end, exclusive, of what this replica promises to keep: synced under the flush policy "ack", written under
   * "interval" and "os". Moves back only by truncation.
   */
  get durableEndOffset(): Offset {
    return this.#core.durableEndOffset;
  }

  /** Everything below is on the disk with its indexes: recovery after a crash begins in the segment that holds it. */
  get recoveryPoint(): Offset {
    return this.#core.recoveryPoint;
  }

  /** Of all segments' batches. */
  get sizeBytes(): number {
    return this.#core.segments.sizeBytes;
  }

  get segmentCount(): number {
    return this.#core.segments.count;
  }

  get state(): LogState {
    return this.#core.state;
  }

  /** Why it is offline. */
  get failure(): LograftError | undefined {
    return this.#core.failure;
  }

  /**
   * What bit rot has taken, as far as a read, a search, an index rebuild, the scrub or the opening has met it; listeners
   * of `onAdvance` hear when it appears or moves. Until `cutDamage` what lies below is served, reads from there to the
   * end of its segment are refused. It goes with its segment, by truncation and retention too.
   */
  get damage(): ReplicaDamage | undefined {
    return this.#core.damage;
  }

  /** Something was ever written to it, so it has a directory. */
  get hasDirectory(): boolean {
    return this.#core.hasDirectory;
  }

  /** -1 when nothing was written in an epoch. */
  get latestEpoch(): LeaderEpoch {
    return this.#core.latestEpoch;
  }

  /** First offset of the oldest open transaction. */
  get firstUnstableOffset(): Offset | undefined {
    return this.#core.producers?.firstUnstableOffset;
  }

  /** Idempotent producers it remembers. */
  get producerCount(): number {
    return this.#core.producers?.count ?? 0;
  }

  /** Bytes appended whose callers have no answer yet. */
  get pendingBytes(): number {
    return this.#core.queue?.pendingBytes ?? 0;
  }

  /** Where the greatest epoch at or below this one ends here (KIP-101, KIP-279); -1 and -1 when none is known. */
  endOffsetForEpoch(epoch: LeaderEpoch): EpochEnd {
    return (
      this.#core.epochs?.endOffsetFor(epoch, this.#core.logEndOffset) ?? {
        epoch: -1 as LeaderEpoch,
        endOffset: -1 as Offset,
      }
    );
  }

  /** The epoch that wrote this offset, -1 when unknown. */
  epochForOffset(offset: Offset): LeaderEpoch {
    return this.#core.epochs?.epochForOffset(offset) ?? (-1 as LeaderEpoch);
  }

  /**
   * Takes exactly one batch of a producer, in one synchronous section: validates it, checks its sequence (batches on
   * their way included), gives it offsets and the leader epoch (in place: `records` belongs to the log from here on) and
   * queues it. Also answers a duplicate, whose `done` is that of the original. Errors: those of the batch validator and
   * the producer state, FENCED_LEADER_EPOCH, RECORD_LIST_TOO_LARGE, THROTTLING_QUOTA_EXCEEDED, KAFKA_STORAGE_ERROR.
   */
  append(
    records: Buffer,
    options: { readonly leaderEpoch: LeaderEpoch; readonly origin: AppendOrigin },
  ): AppendResult {
    return appendProduced(this.#core, this.#writer, records, options);
  }

  /**
   * Takes batches as the leader of `leaderEpoch` sent them, offsets and all. They must follow the log without a gap
   * (those aside that the leader tells of), their epochs neither fall nor pass the leader's, their checksums be right
   * (H42); else nothing of them is taken. Errors: CORRUPT_MESSAGE, OFFSET_OUT_OF_RANGE, INVALID_RECORD, THROTTLING_QUOTA_EXCEEDED,
   * KAFKA_STORAGE_ERROR. `batches` belongs to the log from here on.
   */
  appendReplicated(batches: Buffer, options: ReplicatedOptions): AppendResult {
    return appendReplicated(this.#core, this.#writer, batches, options);
  }

  /**
   * Whole batches from the one that holds `from`: at least one, then up to `maxBytes`, none that ends past
   * `limit.endOffset` (default: the log's end). Synchronous when the cached tail has them; otherwise from the disk, each
   * batch's checksum verified, never beyond one segment. Errors: OFFSET_OUT_OF_RANGE, CORRUPT_MESSAGE (naming file and
   * position), KAFKA_STORAGE_ERROR. @throws LograftError DISK_READ_FAILED.
   */
  read(from: Offset, maxBytes: number, limit?: ReadLimit): ReadResult | Promise<ReadResult> {
    return readLog(this.#core, from, maxBytes, limit);
  }

  /** The first record at or after this time (ListOffsets), or undefined. @throws LograftError */
  offsetForTimestamp(timestamp: Timestamp): Promise<TimestampOffset | undefined> {
    return findTimestamp(this.#core, timestamp);
  }

  /** The first record with the greatest timestamp (KIP-734), or undefined. @throws LograftError */
  offsetOfMaxTimestamp(): Promise<TimestampOffset | undefined> {
    return findMaxTimestamp(this.#core);
  }

  /** Aborted transactions with records in `[from, endOffset)`, for a read_committed fetch. @throws LograftError */
  abortedTransactions(from: Offset, endOffset: Offset): Promise<AbortedTransaction[]> {
    return findAborted(this.#core, from, endOffset);
  }

  /**
   * Cuts off `offset` and all behind it; a batch that holds it goes whole, so the log may end below. Waits for writes
   * under way and refuses appends meanwhile. Below the log start it empties the log and begins it at `offset`. Where damage
   * hides the place nothing is cut, and the damage is noted. @throws LograftError KAFKA_STORAGE_ERROR: it is damaged
   * there, or offline.
   */
  truncateTo(offset: Offset): Promise<void> {
    return truncateLog(this.#core, this.#writer, offset);
  }

  /**
   * Cuts the damage off and all that lies behind it, in files too that were not opened, so that a leader's batches can
   * take their place; the log is open afterwards, also when it was opened damaged. For a replica that has left the ISR
   * only: what it cuts may be committed (H46). Damage below the log start empties the log there. Answers the end, at
   * once when there is no damage. @throws LograftError KAFKA_STORAGE_ERROR: it is offline, before or because of it.
   */
  cutDamage(): Promise<Offset> {
    return cutDamage(this.#core, this.#writer);
  }

  /**
   * Reads every segment from beginning to end, the active one as far as it is written, and notes what damage it finds.
   * Beside everything else; segments that go or are cut meanwhile are left to the next time. @throws LograftError
   * DISK_READ_FAILED; the reason of the signal.
   */
  async scrub(options: DamageScanOptions = {}): Promise<ScrubCount> {
    const core = this.#core;
    const count = { segments: 0, sizeBytes: 0 };
    for (const segment of core.segments.all().slice()) {
      if (segment.isRemoved || segment.isEmpty || !core.isServing) continue;
      let { sizeBytes } = segment;
      let condition = await checkSegment(core, segment, options);
      if (condition === "changed" && !segment.isRemoved && core.isServing) {
        // Once more: its next turn may be weeks away.
        ({ sizeBytes } = segment);
        condition = await checkSegment(core, segment, options);
      }
      if (condition === "changed") continue;
      count.segments++;
      count.sizeBytes += sizeBytes;
    }
    return count;
  }

  /** Empties the log and begins it anew at `offset`: a follower that has fallen behind its leader's log start (H42). */
  resetTo(offset: Offset): Promise<void> {
    return resetLog(this.#core, this.#writer, offset);
  }

  /** Nothing below `offset` is read any more (DeleteRecords); durable when it resolves. Segments go with retention. */
  advanceLogStart(offset: Offset): Promise<void> {
    return advanceStart(this.#core, offset);
  }

  /**
   * Closes an idle segment that is old enough, and deletes the segments that log start, age or size let go. Answers how
   * many. @throws LograftError.
   */
  applyRetention(nowMs: number, limits: RetentionLimits = {}): Promise<number> {
    return trimLog(this.#core, this.#writer, nowMs, limits);
  }

  /**
   * Closes an idle segment that is old enough, and answers what can be compacted now, if anything. The topic must have
   * compaction. @throws LograftError.
   */
  async compactRange(limits: CompactLimits): Promise<CompactRange | undefined> {
    if (this.#core.state !== "open" || !this.#core.config.isCompacting) return undefined;
    await rollIfIdle(this.#core, this.#writer, limits.nowMs);
    // Their index files must be complete before they can be replaced.
    await this.#writer.sealed();
    return findCompactRange(this.#core, limits);
  }

  /**
   * Compacts what can be compacted now; undefined when that is nothing, or a compaction is running. Beside appends and
   * reads. @throws LograftError DISK_*, KAFKA_STORAGE_ERROR when it took the log offline; the reason of the signal.
   */
  async compact(
    limits: CompactLimits,
    options: Omit<CompactOptions, "nowMs">,
  ): Promise<CompactReport | undefined> {
    const range = await this.compactRange(limits);
    if (range === undefined || this.#compaction !== undefined || this.#closing !== undefined)
      return undefined;
    const abort = new AbortController();
    const signal = AbortSignal.any([options.signal, abort.signal]);
    const running = compactLog(this.#core, range, { ...options, nowMs: limits.nowMs, signal });
    this.#compaction = { abort, ended: running.then(ignore, ignore) };
    try {
      return await running;
    } finally {
      this.#compaction = undefined;
    }
  }

  /** Forgets producers that have been silent too long. */
  expireProducers(): void {
    this.#core.producers?.expire(this.#core.deps.clock.monotonicMs());
  }

  /** Makes durable what was appended before the call. @throws LograftError KAFKA_STORAGE_ERROR. */
  flush(): Promise<void> {
    return this.#writer.flush();
  }

  /**
   * Calls back when an end, the log start or the state changed. Called inside the log's own steps: it must not throw,
   * and should only note that there is something to do. Answers how to stop.
   */
  onAdvance(listener: () => void): () => void {
    return this.#core.onAdvance(listener);
  }

  /**
   * Makes everything durable, writes what a clean start reads, and lets go of all files. Appends are refused from the
   * call on. @throws LograftError KAFKA_STORAGE_ERROR when something could not be kept; it is closed all the same.
   */
  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    const core = this.#core;
    const compaction = this.#compaction;
    compaction?.abort.abort(core.closedError());
    if (core.state === "open") {
      try {
        await core.barred("the log is closing", async () => {
          await this.#writer.flush();
          await core.exclusive(() => this.#saveAll());
        });
      } catch (error: unknown) {
        if (core.state === "open") core.goOffline(error, "the log could not be closed in order");
      }
    }
    const { failure } = core;
    const wasOffline = core.state === "offline";
    await compaction?.ended;
    await this.#writer.sealed();
    await core.syncing;
    core.state = "closed";
    this.#writer.releaseHandle();
    core.dropTail();
    for (const segment of core.segments.all()) {
      core.deps.indexes.forget(segment);
      core.deps.files.forget(segment.logPath);
      segment.setIndexes(undefined);
    }
    core.notify();
    if (wasOffline && core.isReadable === false && failure !== undefined) throw failure;
  }

  async #saveAll(): Promise<void> {
    const core = this.#core;
    const { disk } = core.deps;
    await this.#writer.sealed();
    if (!core.hasDirectory) return;
    for (const segment of core.segments.all()) {
      if (!segment.areIndexesDirty || segment.indexes === undefined) continue;
      if (segment !== core.segments.active) segment.finishIndexes();
      else if (segment.mayStayUnsaved(core.config)) continue;
      await saveIndexes(disk, segment, segment.indexes);
      segment.areIndexesDirty = false;
    }
    if (core.areEpochsDirty && core.epochs !== undefined) {
      await writeAtomically(
        disk,
        `${core.directory}/${LEADER_EPOCH_FILE}`,
        Buffer.from(core.epochs.toText()),
      );
    }
    // The next opening walks it, and knows the producers from that.
    if (core.segments.active?.mayStayUnsaved(core.config) !== false) return;
    // One that is there already stands for the same log below it. Without any the next start would replay a segment.
    const snapshotPath = `${core.directory}/${segmentFileName(core.logEndOffset, "snapshot")}`;
    if (core.segments.count > 0 && (await disk.stat(snapshotPath)) === undefined) {
      const bytes = core.producers?.snapshot() ?? formatProducerSnapshot([]);
      await saveSnapshot(disk, core.directory, core.logEndOffset, bytes);
    }
    await disk.syncDir(core.directory);
  }
}

function ignore(): void {
  // Who asked for the compaction has its failure; closing only waits for its end.
}
