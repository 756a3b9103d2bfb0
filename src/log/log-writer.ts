import { assert, InvariantError } from "../base/assert.ts";
import { errorMessage, LograftError } from "../base/errors.ts";
import type { Offset } from "../model/offsets.ts";
import { baseOffsetOf, batchSizeOf, lastOffsetOf, maxTimestampOf } from "../model/record-batch.ts";
import { writeAtomically } from "../platform/atomic-file.ts";
import { writeFully } from "../platform/disk.ts";
import type { QueuedAppend } from "./append-queue.ts";
import type { FileHandle } from "./file-handle-cache.ts";
import { LEADER_EPOCH_FILE, PARTITION_METADATA_FILE } from "./file-names.ts";
import { storageError } from "./log-core.ts";
import { indexesOf, rebuildProducers } from "./log-rebuild.ts";
import type { Flushable, LogCore } from "./log-core.ts";
import { formatPartitionMetadata } from "./partition-metadata.ts";
import { saveSnapshot } from "./producer-recovery.ts";
import { formatProducerSnapshot } from "./producer-snapshot.ts";
import { Segment } from "./segment.ts";
import type { SegmentIndexes } from "./segment.ts";
import { emptyIndexes, saveIndexes } from "./segment-indexes.ts";

/**
 * Writes what `LogAppender` queued. One write is in flight for a log: what is queued while it runs goes with the next,
 * and what is written while a sync runs shares the next sync. Made with the first append; an idle one holds nothing.
 *
 * Order on the disk, which recovery relies on: the epoch file before the first batch of an epoch (H40); the bound of gaps
 * before a batch behind one; a segment's last byte before the next segment's first (so only the newest segment can end torn); a segment's name before its content.
 */
export class LogWriter implements Flushable {
  readonly #core: LogCore;
  #handle: FileHandle | undefined;
  #draining: Promise<void> | undefined;
  #syncWanted = 0 as Offset;
  readonly #sealing = new Set<Promise<void>>();

  constructor(core: LogCore) {
    this.#core = core;
  }

  /** Something was queued: it is written at the end of this turn, with all that arrives until then. */
  schedule(): void {
    this.#draining ??= new Promise((resolve) => {
      this.#core.deps.clock.defer(() => {
        void this.#drain().finally(resolve); // `#drain` reports its failures to those who appended.
      });
    });
  }

  /** Resolves when all that was appended before the call is on the disk. @throws LograftError KAFKA_STORAGE_ERROR. */
  async flush(): Promise<void> {
    const target = this.#core.nextOffset;
    await this.settle(target);
    await this.#syncTo(Math.min(target, this.#core.logEndOffset) as Offset);
    this.#core.assertOpen();
  }

  /** Waits until what was queued below `target` was written or has failed. */
  async settle(target: Offset): Promise<void> {
    const core = this.#core;
    // A failed write moves `nextOffset` back: what was above it has its answer.
    while (core.state === "open" && core.logEndOffset < Math.min(target, core.nextOffset))
      await this.#draining;
  }

  /** Begins a new segment. The caller holds the log's lock and nothing is queued. @throws LograftError */
  async roll(): Promise<void> {
    await this.#roll(this.#core.producers?.snapshot() ?? NO_PRODUCERS);
    this.#releaseIfIdle();
  }

  /** Makes the first segment of a log that was emptied, so that its files tell where it begins. Under the log's lock. */
  async begin(baseOffset: Offset): Promise<void> {
    await this.#createSegment(baseOffset);
    this.#releaseIfIdle();
  }

  /** Waits for the files of sealed segments. */
  async sealed(): Promise<void> {
    await Promise.all(this.#sealing);
  }

  /** Lets the active file go: it is about to be cut or closed. The caller holds the log's lock. */
  releaseHandle(): void {
    if (this.#handle !== undefined) this.#core.deps.files.release(this.#handle);
    this.#handle = undefined;
  }

  async #drain(): Promise<void> {
    const core = this.#core;
    await core.exclusive(async () => {
      let written: QueuedAppend[] = [];
      try {
        while (core.state === "open" && core.queue?.hasUnwritten === true) {
          written = core.queue.takeRun(core.deps.limits.maxWriteBytes);
          await this.#write(written);
        }
      } catch (error: unknown) {
        await this.#onWriteFailed(error, written);
      }
    });
    this.#draining = undefined;
    if (core.state === "open" && core.queue?.hasUnwritten === true) this.schedule();
    else this.#releaseIfIdle();
  }

  async #write(run: readonly QueuedAppend[]): Promise<void> {
    const core = this.#core;
    const [first] = run;
    if (first === undefined) return;
    if (core.segments.active === undefined) await this.#createSegment(first.baseOffset);
    else if (first.baseOffset < core.segments.active.baseOffset) await this.#beginBelow(first.baseOffset);
    else if (first.rollSnapshot !== undefined && !this.#active().isEmpty)
      await this.#roll(first.rollSnapshot);
    if (core.areEpochsDirty) await this.#saveEpochs();
    if (core.wantedGapsBelow !== undefined) await this.#raiseGaps(core.wantedGapsBelow);
    const segment = this.#active();
    const indexes = segment.indexes ?? (await indexesOf(core, segment));
    this.#keepIndexes(segment, indexes);
    this.#handle ??= await core.deps.files.acquire(segment.logPath, "write");
    await writeFully(
      this.#handle.file,
      run.map((append) => append.records),
      segment.sizeBytes,
    );
    const { indexIntervalBytes, flushPolicy, flushMs } = core.config;
    for (const append of run) {
      const { records } = append;
      for (let at = 0; at < records.length;) {
        const sizeBytes = batchSizeOf(records, at);
        const batch = {
          lastOffset: lastOffsetOf(records, at),
          maxTimestamp: maxTimestampOf(records, at),
          sizeBytes,
        };
        segment.onWritten(batch, indexes, indexIntervalBytes);
        at += sizeBytes;
      }
      for (const transaction of append.aborted ?? NONE) segment.onAborted(transaction, indexes);
      core.cacheTail(records, baseOffsetOf(records), append.endOffset);
      core.logEndOffset = append.endOffset;
    }
    if (flushPolicy === "ack") {
      core.notify();
      this.#wantSync();
      return;
    }
    core.advanceDurable(core.logEndOffset);
    if (flushPolicy === "interval") core.deps.host.onDirty(this, flushMs);
  }

  #wantSync(): void {
    this.#syncWanted = this.#core.logEndOffset;
    this.#startSync();
  }

  #startSync(): void {
    const core = this.#core;
    core.syncing ??= this.#syncLoop().finally(() => {
      core.syncing = undefined;
      // Wanted between the end of the loop and here.
      if (core.state === "open" && core.syncedEndOffset < this.#syncWanted) this.#startSync();
      else this.#releaseIfIdle();
    });
  }

  async #syncTo(target: Offset): Promise<void> {
    const core = this.#core;
    while (core.state === "open" && core.syncedEndOffset < Math.min(target, core.logEndOffset)) {
      if (target > this.#syncWanted) this.#syncWanted = target;
      this.#startSync();
      await core.syncing;
    }
  }

  /** Sealed segments are durable, so syncing the active one is syncing the log. Reports by the state of the log. */
  async #syncLoop(): Promise<void> {
    const core = this.#core;
    const { files, syncs } = core.deps;
    let held: FileHandle | undefined;
    try {
      while (core.state === "open" && core.syncedEndOffset < this.#syncWanted) {
        const target = core.logEndOffset;
        const { generation } = core;
        const segment = this.#active();
        held = files.tryAcquire(segment.logPath, "write") ?? (await files.acquire(segment.logPath, "write"));
        await syncs.sync(held.file);
        files.release(held);
        held = undefined;
        // Truncated meanwhile: the same offsets may stand for later writes that this sync did not cover.
        if (core.generation !== generation) {
          this.#syncWanted = core.logEndOffset;
          continue;
        }
        core.syncedEndOffset = target;
        core.advanceDurable(target);
      }
    } catch (error: unknown) {
      if (error instanceof InvariantError) this.#endProcess(error);
      core.goOffline(error, "what was appended could not be made durable");
    } finally {
      if (held !== undefined) files.release(held);
    }
  }

  /** H44: nothing of a failed write may stay behind the last good batch, and its offsets are given out again. */
  async #onWriteFailed(error: unknown, run: readonly QueuedAppend[]): Promise<void> {
    const core = this.#core;
    if (error instanceof InvariantError) this.#endProcess(error);
    const { directory } = core.options;
    const isRepairable = error instanceof LograftError && error.code !== "DISK_SYNC_FAILED";
    if (!isRepairable) {
      core.goOffline(error, "an append failed");
      return;
    }
    const hadProducers =
      run.some((append) => append.hasProducer) || core.queue?.hasUnwrittenProducer === true;
    const isFull = error.code === "DISK_FULL";
    if (isFull) core.deps.host.onDiskFull();
    core.isRepairing = true;
    core.nextOffset = core.logEndOffset;
    core.appendPlan = undefined;
    core.wantedGapsBelow = undefined;
    if (core.epochs?.truncateFromEnd(core.logEndOffset) === true) core.areEpochsDirty = true;
    core.queue?.rejectBehind(
      core.logEndOffset,
      isFull
        ? new LograftError("KAFKA_STORAGE_ERROR", `${error.message}; nothing of this append was kept`, {
            context: { directory, reason: "DISK_FULL" },
            cause: error,
            retriable: true,
          })
        : storageError(directory, errorMessage(error), error),
    );
    core.deps.logger.warn("an append failed; the log is cut back to its last good batch", {
      ...core.options.topicPartition,
      directory,
      logEndOffset: core.logEndOffset,
      err: error,
    });
    try {
      await this.#cutBack();
      if (hadProducers) await rebuildProducers(core, core.logEndOffset);
    } catch (repairError: unknown) {
      core.goOffline(repairError, "a failed append could not be undone");
      return;
    }
    if (isFull) core.fullUntilMs = core.deps.clock.monotonicMs() + core.deps.limits.diskFullRetryMs;
    core.isRepairing = false;
    // What producers have sent is not known then, and nobody may be told that it is missing.
    if (hadProducers && core.damage !== undefined) core.stopAtDamage(core.damage);
  }

  async #cutBack(): Promise<void> {
    const segment = this.#core.segments.active;
    if (segment === undefined) return;
    const { files } = this.#core.deps;
    this.#handle ??= await files.acquire(segment.logPath, "write");
    await this.#handle.file.truncate(segment.sizeBytes);
    await this.#core.deps.syncs.sync(this.#handle.file);
    this.#core.syncedEndOffset = this.#core.logEndOffset;
    this.#core.advanceDurable(this.#core.logEndOffset);
  }

  /** `snapshot` stands for the log just before the new segment. */
  async #roll(snapshot: Buffer): Promise<void> {
    const core = this.#core;
    const old = this.#active();
    // Recovery takes a torn segment with another one behind it for damage, so the old one must be whole first.
    await this.#syncTo(core.logEndOffset);
    core.assertOpen();
    this.#keepIndexes(old, old.indexes ?? (await indexesOf(core, old)));
    old.finishIndexes();
    this.releaseHandle();
    await this.#createSegment(core.logEndOffset);
    core.deps.logger.debug("a segment was rolled", {
      ...core.options.topicPartition,
      path: old.logPath,
      sizeBytes: old.sizeBytes,
    });
    const sealing = this.#seal(old, snapshot, core.logEndOffset).finally(() => this.#sealing.delete(sealing));
    this.#sealing.add(sealing);
  }

  /** Appends go on meanwhile: until this is done the recovery point stays below the segment. */
  async #seal(segment: Segment, snapshot: Buffer, endOffset: Offset): Promise<void> {
    const core = this.#core;
    const { indexes } = segment;
    if (indexes === undefined) return;
    try {
      await saveIndexes(core.deps.disk, segment, indexes);
      await saveSnapshot(core.deps.disk, core.directory, endOffset, snapshot);
      segment.areIndexesDirty = false;
      core.deps.indexes.touch(segment);
    } catch (error: unknown) {
      if (error instanceof LograftError && error.code === "DISK_SYNC_FAILED") {
        core.goOffline(error, "the indexes of a sealed segment could not be made durable");
        return;
      }
      core.deps.logger.warn("the indexes of a sealed segment were not written; a restart builds them again", {
        ...core.options.topicPartition,
        path: segment.logPath,
        err: error,
      });
    }
  }

  async #createSegment(baseOffset: Offset): Promise<void> {
    const core = this.#core;
    const { disk, files, clock } = core.deps;
    if (!core.hasDirectory) await this.#createDirectory();
    const segment = new Segment(core.directory, baseOffset, clock.wallMs());
    const file = await disk.open(segment.logPath, "create");
    try {
      // What a failed attempt to begin this very segment left; every real segment is in the list.
      if ((await file.sizeBytes()) > 0) await file.truncate(0);
      await disk.syncDir(core.directory);
    } catch (error: unknown) {
      await file.close();
      throw error;
    }
    segment.setIndexes(emptyIndexes(segment, core.config));
    segment.areIndexesDirty = true;
    core.segments.append(segment);
    this.#handle = files.adopt(file);
  }

  /** The log was emptied at an offset inside the leader's batch: its first segment begins with that batch. */
  async #beginBelow(baseOffset: Offset): Promise<void> {
    const core = this.#core;
    const { disk, files, indexes } = core.deps;
    this.releaseHandle();
    for (const segment of core.segments.removeAll()) {
      assert(segment.isEmpty, "a batch goes below records that are there", { baseOffset });
      indexes.forget(segment);
      files.forget(segment.logPath);
      await disk.remove(segment.logPath);
    }
    await this.#createSegment(baseOffset);
  }

  async #createDirectory(): Promise<void> {
    const core = this.#core;
    const { disk } = core.deps;
    await disk.makeDir(core.directory);
    const metadata = Buffer.from(formatPartitionMetadata(core.options.topicId));
    await writeAtomically(disk, `${core.directory}/${PARTITION_METADATA_FILE}`, metadata);
    await disk.syncDir(core.directory.slice(0, core.directory.lastIndexOf("/")));
    core.hasDirectory = true;
  }

  /** From here on they know more than their files: the cache may not drop them (or may just have). */
  #keepIndexes(segment: Segment, indexes: SegmentIndexes): void {
    this.#core.deps.indexes.forget(segment);
    segment.areIndexesDirty = true;
    if (segment.indexes !== indexes) segment.setIndexes(indexes);
  }

  async #saveEpochs(): Promise<void> {
    const core = this.#core;
    const text = core.epochs?.toText();
    if (text === undefined) return;
    core.areEpochsDirty = false;
    try {
      await writeAtomically(core.deps.disk, `${core.directory}/${LEADER_EPOCH_FILE}`, Buffer.from(text));
    } catch (error: unknown) {
      core.areEpochsDirty = true;
      throw error;
    }
  }

  async #raiseGaps(gapsBelow: Offset): Promise<void> {
    const core = this.#core;
    await core.raiseGaps(gapsBelow);
    // More may have been queued meanwhile.
    if (core.wantedGapsBelow === gapsBelow) core.wantedGapsBelow = undefined;
  }

  #active(): Segment {
    const segment = this.#core.segments.active;
    if (segment === undefined) throw new InvariantError("the log has no active segment");
    return segment;
  }

  /**
   * The handle is kept while something written through it is not synced: a descriptor opened later need not be told of
   * a failed write-back (H45). Under the policy "os" nothing was promised, so nothing is held open for it.
   */
  #releaseIfIdle(): void {
    const core = this.#core;
    if (this.#handle === undefined || this.#draining !== undefined || core.syncing !== undefined) return;
    const isClean = core.syncedEndOffset >= core.logEndOffset || core.config.flushPolicy === "os";
    if (isClean || core.state !== "open") this.releaseHandle();
  }

  /** A bug: the process ends at the top level, where an exception in a clock's callback arrives. */
  #endProcess(error: InvariantError): void {
    this.#core.deps.clock.defer(() => {
      throw error;
    });
  }
}

const NONE: readonly never[] = [];
const NO_PRODUCERS = formatProducerSnapshot([]);
