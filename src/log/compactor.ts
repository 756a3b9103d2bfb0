import { LograftError } from "../base/errors.ts";
import { addOffset, minOffset, NO_OFFSET } from "../model/offsets.ts";
import type { Offset, ProducerId } from "../model/offsets.ts";
import { ProtocolError } from "../model/error-code.ts";
import {
  baseOffsetOf,
  deleteHorizonMsOf,
  isControlBatch,
  isTransactionalBatch,
  lastOffsetOf,
  producerEpochOf,
  producerIdOf,
  recordCountOf,
} from "../model/record-batch.ts";
import { DEFAULT_MAX_INFLATED_BYTES, RecordReader } from "../model/record-reader.ts";
import type { DiskFile } from "../platform/disk.ts";
import { compactBatch, datedMarker, emptyBatch } from "./compact-batch.ts";
import type { CompactedBatch, RetentionOfKeys } from "./compact-batch.ts";
import { KeyHasher } from "./compact-key-hash.ts";
import { OffsetMap } from "./compact-offset-map.ts";
import type { CompactRange } from "./compact-range.ts";
import { CompactSegment } from "./compact-segment.ts";
import { swapIn } from "./compact-swap.ts";
import { CompactTransactions } from "./compact-transactions.ts";
import { mayFollow } from "./gaps.ts";
import type { LogCore } from "./log-core.ts";
import { findAborted } from "./log-search.ts";
import type { ProducerEntry } from "./producer-snapshot.ts";
import { BatchReader } from "./record-scan.ts";
import type { BatchCursor } from "./record-scan.ts";
import type { Segment } from "./segment.ts";
import { checkSegment } from "./segment-check.ts";

/** How one log is compacted. */
export interface CompactOptions {
  readonly nowMs: number;
  /** `log.cleaner.dedupe.buffer.size`: bytes of the map of keys. A log with more keys is compacted in several rounds. */
  readonly dedupeBytes: number;
  /** `HASH_KEY_BYTES` random bytes; see `KeyHasher`. */
  readonly hashKey: Uint8Array;
  /** Ends it at its next read; what was put in place until then stays. */
  readonly signal: AbortSignal;
  /** Called before each read and after each copy with its bytes: the place to wait. Rejects with the signal's reason. */
  readonly pay: (sizeBytes: number, signal: AbortSignal) => Promise<void>;
}

/** What a compaction has done. */
export interface CompactReport {
  /**
   * "done": the log is clean below `firstDirtyOffset`. "damaged": bit rot was met, which is noted, and nothing was removed
   * from there on. "changed": the log was cut, deleted or closed meanwhile. "full": not even one batch's keys fit the map.
   * "open": the dirty part begins with a transaction whose end is not in a sealed segment yet.
   */
  readonly outcome: "done" | "damaged" | "changed" | "full" | "open";
  readonly firstDirtyOffset: Offset;
  readonly keyCount: number;
  /** Of the segments that were looked at, and of what took their place. */
  readonly bytesBefore: number;
  readonly bytesAfter: number;
}

/** Read at once: the records of so many bytes are handled without a pause, a few milliseconds of work. */
const READ_BYTES = 256 * 1024;
const MAX_INT32 = 0x7fff_ffff;
/** Of one copy: their names change while the log waits. */
const MAX_ORIGINALS = 64;

/**
 * Compacts the sealed segments of a log, as Kafka's cleaner does: the last offset of every key in the dirty part goes
 * into a map, then all segments from the beginning are copied without the records that a later one of their key
 * supersedes. Offsets never change. A batch that has lost its records goes too, except the last of a producer, which
 * carries its sequence, and the last of a run of segments, which says where the copy ends. Records of aborted
 * transactions go, and their markers later. See `swapIn` for what a crash leaves. @throws LograftError DISK_*; the reason
 * of the signal.
 */
export async function compactLog(
  core: LogCore,
  range: CompactRange,
  options: CompactOptions,
): Promise<CompactReport> {
  return new Compactor(core, range, options).run();
}

type Stop = Exclude<CompactReport["outcome"], "done">;

class Compactor {
  readonly #core: LogCore;
  readonly #range: CompactRange;
  readonly #options: CompactOptions;
  readonly #generation: number;
  readonly #map: OffsetMap;
  readonly #producers = new Map<ProducerId, ProducerEntry>();
  readonly #retention: RetentionOfKeys;
  #stop: Stop | undefined;
  /** Why the map ends before the dirty part does. */
  #limit: "full" | "open" | undefined;
  /** See `#findDecidedEnd`. Known once the first batch of a transaction is met: most logs have none. */
  #decidedEnd: Offset | undefined;
  /** Exclusive end of what is in the map. */
  #mappedEnd: Offset;
  readonly #transactions = new CompactTransactions();
  #bytesBefore = 0;
  #bytesAfter = 0;

  constructor(core: LogCore, range: CompactRange, options: CompactOptions) {
    this.#core = core;
    this.#range = range;
    this.#options = options;
    this.#generation = core.generation;
    this.#mappedEnd = range.firstDirtyOffset;
    const end = range.segments.at(-1)?.endOffset ?? range.firstDirtyOffset;
    this.#map = new OffsetMap(
      { maxBytes: options.dedupeBytes, maxKeys: end - range.firstDirtyOffset },
      { hasher: new KeyHasher(options.hashKey) },
    );
    for (const entry of core.producers?.entries() ?? []) this.#producers.set(entry.producerId, entry);
    this.#retention = {
      nowMs: options.nowMs,
      deleteRetentionMs: core.config.deleteRetentionMs,
      isLatest: ({ buffer, keyStart, keyLength, offset }) =>
        keyLength >= 0 && offset >= this.#map.get(buffer, keyStart, keyStart + keyLength),
    };
  }

  async run(): Promise<CompactReport> {
    const { firstDirtyOffset, segments } = this.#range;
    await this.#fillMap();
    if (this.#stop === undefined && this.#mappedEnd === firstDirtyOffset) this.#stop = this.#limit;
    if (this.#stop === undefined) {
      const covered = segments.filter((segment) => !segment.isEmpty && segment.baseOffset < this.#mappedEnd);
      for (let from = 0; this.#stop === undefined;) {
        const [first, ...following] = covered.slice(from, from + MAX_ORIGINALS);
        if (first === undefined) break;
        from += await this.#copy(first, following);
      }
    }
    return {
      outcome: this.#stop ?? "done",
      firstDirtyOffset: this.#stop === undefined ? this.#mappedEnd : firstDirtyOffset,
      keyCount: this.#map.count,
      bytesBefore: this.#bytesBefore,
      bytesAfter: this.#bytesAfter,
    };
  }

  async #fillMap(): Promise<void> {
    const { segments, firstDirtyOffset } = this.#range;
    const transactions = new CompactTransactions();
    for (const segment of segments) {
      if (segment.endOffset <= firstDirtyOffset || segment.isEmpty) continue;
      transactions.beginSegment(await findAborted(this.#core, segment.baseOffset, segment.endOffset));
      await this.#walk(segment, (batch) => {
        const { buffer, at } = batch;
        if (lastOffsetOf(buffer, at) < firstDirtyOffset) return true;
        const mustFindEnd = this.#decidedEnd === undefined && isTransactionalBatch(buffer, at);
        if (!mustFindEnd) return this.#mapBatch(batch, transactions);
        return this.#findDecidedEnd(baseOffsetOf(buffer, at)).then((end) => {
          this.#decidedEnd = end;
          return this.#mapBatch(batch, transactions);
        });
      });
      if (this.#limit !== undefined || this.#stop !== undefined) return;
      this.#mappedEnd = segment.endOffset;
    }
  }

  /** Answers false at the end of what can be mapped. */
  #mapBatch({ buffer, at }: BatchCursor, transactions: CompactTransactions): boolean {
    if (baseOffsetOf(buffer, at) >= (this.#decidedEnd ?? Number.POSITIVE_INFINITY)) this.#limit = "open";
    else if (this.#map.count + recordCountOf(buffer, at) > this.#map.capacity) this.#limit = "full";
    if (this.#limit !== undefined || this.#stop !== undefined) return false;
    if (isControlBatch(buffer, at)) transactions.onControl(buffer, at);
    else if (!isTransactionalBatch(buffer, at) || !transactions.onData(buffer, at)) this.#mapKeys(buffer, at);
    this.#mappedEnd = addOffset(lastOffsetOf(buffer, at), 1);
    return true;
  }

  #mapKeys(buffer: Buffer, at: number): void {
    try {
      const records = new RecordReader(buffer, at, { maxInflatedBytes: DEFAULT_MAX_INFLATED_BYTES });
      for (let record = records.next(); record !== undefined; record = records.next()) {
        const { keyStart, keyLength, offset } = record;
        if (keyLength >= 0) this.#map.put(record.buffer, keyStart, keyStart + keyLength, offset);
      }
    } catch (error: unknown) {
      // Its checksum is right, so it was written like this; readers cannot use it either, and it is kept as it is.
      if (!(error instanceof ProtocolError)) throw error;
    }
  }

  /**
   * The first offset, from `from` on, of a transaction whose marker is not in the segments at hand. What it holds is
   * neither committed nor aborted yet, whatever this replica may have been told: only a marker in a sealed segment below
   * the high watermark is there to stay.
   */
  async #findDecidedEnd(from: Offset): Promise<Offset> {
    const open = new Map<ProducerId, Offset>();
    const { segments } = this.#range;
    for (const segment of segments) {
      if (segment.endOffset <= from || segment.isEmpty) continue;
      await this.#walk(segment, ({ buffer, at }) => {
        const producerId = producerIdOf(buffer, at);
        if (isControlBatch(buffer, at)) open.delete(producerId);
        else if (
          isTransactionalBatch(buffer, at) &&
          !open.has(producerId) &&
          baseOffsetOf(buffer, at) >= from
        )
          open.set(producerId, baseOffsetOf(buffer, at));
        return true;
      });
    }
    return Math.min(...open.values(), segments.at(-1)?.endOffset ?? from) as Offset;
  }

  /** Copies the first and as many of the others as fit into one, and puts that in their place. Answers how many. */
  async #copy(first: Segment, following: readonly Segment[]): Promise<number> {
    const copy = await CompactSegment.create(this.#core, first);
    let isInPlace = false;
    try {
      const { originals, isChanged } = await this.#fill(copy, [first, ...following]);
      if (this.#stop !== undefined) return 0;
      this.#bytesAfter += copy.sizeBytes;
      if (!isChanged && originals.length === 1) return 1;
      const segment = await copy.finish(originals);
      await this.#options.pay(copy.sizeBytes, this.#options.signal);
      const gapsBelow = minOffset(segment.endOffset, this.#mappedEnd);
      const generation = this.#generation;
      isInPlace = await swapIn(this.#core, { originals, copy: segment, gapsBelow, generation });
      if (!isInPlace) this.#stop = "changed";
      return originals.length;
    } catch (error: unknown) {
      if (error instanceof LograftError && error.code === "DISK_SYNC_FAILED")
        this.#core.goOffline(error, "a compacted segment could not be made durable");
      throw error;
    } finally {
      if (!isInPlace && this.#core.state !== "offline") await copy.discard();
    }
  }

  /** Answers what was copied, and whether anything was left out. */
  async #fill(
    copy: CompactSegment,
    segments: readonly [Segment, ...Segment[]],
  ): Promise<{ readonly originals: readonly Segment[]; readonly isChanged: boolean }> {
    const [first] = segments;
    const originals: Segment[] = [];
    let isChanged = false;
    for (const [index, segment] of segments.entries()) {
      const { sizeBytes } = segment;
      const next = segments[index + 1];
      let goesOn = false;
      originals.push(segment);
      this.#bytesBefore += sizeBytes;
      this.#transactions.beginSegment(await findAborted(this.#core, segment.baseOffset, segment.endOffset));
      await this.#walk(
        segment,
        ({ buffer, at, size, position }) => {
          const isLast = position + size === sizeBytes;
          goesOn = isLast && next !== undefined && this.#fits(first, segment, next, copy.sizeBytes + size);
          const fate = this.#judge(buffer, at, isLast && !goesOn, copy);
          if (fate === "keep") copy.add(buffer, at, size);
          else isChanged = true;
          if (typeof fate !== "string") copy.add(fate, 0, fate.length);
          return true;
        },
        () => copy.flush(),
      );
      if (!goesOn || this.#stop !== undefined) break;
    }
    return { originals, isChanged };
  }

  /** Whether a copy may go on with the next original: by size, and so that its indexes can tell offsets. */
  #fits(first: Segment, last: Segment, next: Segment, sizeBytes: number): boolean {
    const { config, segments } = this.#core;
    return (
      segments.after(last) === next &&
      sizeBytes + next.sizeBytes <= config.segmentBytes &&
      next.endOffset - first.baseOffset <= MAX_INT32
    );
  }

  /** What becomes of a batch. `isEnd`: the last of its copy, which stays whatever is in it. */
  #judge(buffer: Buffer, at: number, isEnd: boolean, copy: CompactSegment): CompactedBatch {
    const isMapped = lastOffsetOf(buffer, at) < this.#mappedEnd;
    const mustStay = isEnd || this.#isLastOfProducer(buffer, at);
    if (isControlBatch(buffer, at)) return this.#judgeMarker(buffer, at, mustStay || !isMapped, copy);
    const isAborted = isTransactionalBatch(buffer, at) && this.#transactions.onData(buffer, at);
    if (!isMapped) return "keep";
    if (!isAborted) return compactBatch(buffer, at, mustStay, this.#retention);
    if (!mustStay) return "drop";
    return recordCountOf(buffer, at) === 0 ? "keep" : emptyBatch(buffer, at);
  }

  #judgeMarker(buffer: Buffer, at: number, mustStay: boolean, copy: CompactSegment): CompactedBatch {
    const { isUnneeded, aborted } = this.#transactions.onControl(buffer, at);
    if (aborted !== undefined) copy.addAborted(aborted);
    if (!isUnneeded || mustStay) return "keep";
    const { nowMs, deleteRetentionMs } = this.#retention;
    const horizonMs = deleteHorizonMsOf(buffer, at);
    if (horizonMs !== undefined) return nowMs >= horizonMs ? "drop" : "keep";
    if (recordCountOf(buffer, at) === 0) return "drop";
    return datedMarker(buffer, at, nowMs + deleteRetentionMs) ?? "keep";
  }

  #isLastOfProducer(buffer: Buffer, at: number): boolean {
    const entry = this.#producers.get(producerIdOf(buffer, at));
    if (entry === undefined) return false;
    return entry.lastOffset === NO_OFFSET
      ? isControlBatch(buffer, at) && producerEpochOf(buffer, at) === entry.producerEpoch
      : lastOffsetOf(buffer, at) === entry.lastOffset;
  }

  /** Shows each batch of a segment until `visit` answers false; a read that fails to be whole stops the compaction. */
  async #walk(
    segment: Segment,
    visit: (batch: BatchCursor) => boolean | Promise<boolean>,
    afterRead: () => Promise<void> = () => Promise.resolve(),
  ): Promise<void> {
    const { pay, signal } = this.#options;
    if (!this.#isUnchanged(segment)) return;
    let file: DiskFile;
    try {
      file = await this.#core.deps.disk.open(segment.logPath, "read");
    } catch (error: unknown) {
      if (this.#isUnchanged(segment)) throw error;
      return;
    }
    try {
      const reader = new BatchReader(file, 0, segment.sizeBytes, {
        minBaseOffset: segment.baseOffset,
        bufferBytes: READ_BYTES,
        beforeRead: (sizeBytes) => pay(sizeBytes, signal),
        signal,
      });
      let expected = segment.baseOffset;
      let isInOrder = true;
      while (isInOrder && (await reader.fill())) {
        if (!this.#isUnchanged(segment)) return;
        while (reader.next()) {
          const { buffer, at } = reader;
          // What was lost must not become what was compacted.
          isInOrder = mayFollow(expected, baseOffsetOf(buffer, at), this.#core.gapsBelow);
          if (!isInOrder) break;
          expected = addOffset(lastOffsetOf(buffer, at), 1);
          const more = visit(reader);
          if (!(typeof more === "boolean" ? more : await more)) return;
        }
        await afterRead();
      }
      const { problem, validEnd } = reader.verdict();
      const isWhole = problem === undefined && validEnd === segment.sizeBytes;
      if (isWhole && isInOrder && expected === segment.endOffset) return;
    } finally {
      await file.close();
    }
    // It is told apart here from a file that was cut under the read, and noted.
    const condition = await checkSegment(this.#core, segment, { signal });
    this.#stop = condition === "damaged" ? "damaged" : "changed";
  }

  #isUnchanged(segment: Segment): boolean {
    const { generation, state } = this.#core;
    // Cut since: what was read of it may be no more, though the segment is.
    const isSame = generation === this.#generation && state === "open" && !segment.isRemoved;
    if (isSame && segment.damage === undefined) return true;
    this.#stop ??= segment.damage === undefined ? "changed" : "damaged";
    return false;
  }
}
