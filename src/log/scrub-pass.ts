import type { Logger } from "../base/logger.ts";
import type { Offset } from "../model/offsets.ts";
import type { TopicPartition } from "../model/topic-partition.ts";
import type { Clock } from "../platform/clock.ts";
import type { Disk } from "../platform/disk.ts";
import { parseSegmentFileName, segmentFileName } from "./file-names.ts";
import type { PartitionLog, ScrubCount } from "./partition-log.ts";
import { findSegmentDamage } from "./segment-damage.ts";
import type { DamageScanOptions } from "./segment-damage.ts";

/** Where a pass finds the logs. */
export interface ScrubLogs {
  /** Partitions with a directory. */
  partitions(): readonly TopicPartition[];
  /** The log if it is open now. */
  find(topicPartition: TopicPartition): PartitionLog | undefined;
  directoryOf(topicPartition: TopicPartition): string;
  /** See `LogCore.gapsBelow`. */
  gapsBelowOf(topicPartition: TopicPartition): Offset;
  /** Opens a log whose files look damaged; undefined for one that the metadata does not know (H28). @throws LograftError */
  open(topicPartition: TopicPartition): Promise<PartitionLog | undefined>;
}

/** What a pass over all logs has found. */
export interface ScrubReport extends ScrubCount {
  /** Logs that are damaged, those that were known to be so included. */
  readonly damagedLogs: number;
  /** Logs that could not be read to their end. */
  readonly failedLogs: number;
}

/** How a pass reads. */
export interface ScrubPassOptions {
  /** At most; a file counts as `FILE_BYTES` more, so that many little ones are not read at once. */
  readonly bytesPerSecond: number;
  /** Ends the pass at its next read. */
  readonly signal: AbortSignal;
}

/** Collaborators of a pass. */
export interface ScrubPassDeps {
  readonly clock: Clock;
  readonly disk: Disk;
  readonly logger: Logger;
  readonly logs: ScrubLogs;
}

/** What the disk does to open a file and to find its first bytes, in bytes read. */
export const FILE_BYTES = 4096;
const MAX_READ_BYTES = 1024 * 1024;
const MIN_READ_BYTES = 4096;
/** Reads in a second at a low rate: none is so large that the disk has to rest for long after it. */
const READS_PER_SECOND = 4;
/** A shorter rest is put off until it is worth a timer. */
const MIN_REST_MS = 10;

/**
 * One pass over every log of a data directory (H53): each segment is read whole, at a limited rate, one after the other,
 * through one buffer. A log that is not open is read by its files, and opened only when they look damaged: an open log
 * tells for certain, since it knows what is being cut or deleted, and it is the one that keeps the finding.
 */
export class ScrubPass {
  readonly #options: ScrubPassOptions;
  readonly #deps: ScrubPassDeps;
  readonly #scan: DamageScanOptions;
  /** Monotonic time at which what was read so far has been paid for. */
  #paidAtMs = 0;

  constructor(options: ScrubPassOptions, deps: ScrubPassDeps) {
    this.#options = options;
    this.#deps = deps;
    const readBytes = Math.floor(options.bytesPerSecond / READS_PER_SECOND);
    this.#scan = {
      buffer: Buffer.alloc(Math.min(Math.max(readBytes, MIN_READ_BYTES), MAX_READ_BYTES)),
      signal: options.signal,
      beforeRead: (sizeBytes) => this.#pay(sizeBytes),
    };
  }

  /** @throws the reason of the signal. */
  async run(): Promise<ScrubReport> {
    const { logs, logger } = this.#deps;
    const report = { segments: 0, sizeBytes: 0, damagedLogs: 0, failedLogs: 0 };
    for (const topicPartition of logs.partitions()) {
      this.#options.signal.throwIfAborted();
      try {
        const { segments, sizeBytes, isDamaged } = await this.#checkLog(topicPartition);
        report.segments += segments;
        report.sizeBytes += sizeBytes;
        if (isDamaged) report.damagedLogs++;
      } catch (error: unknown) {
        this.#options.signal.throwIfAborted();
        report.failedLogs++;
        logger.warn("a log could not be scrubbed and is tried again in the next pass", {
          ...topicPartition,
          err: error,
        });
      }
    }
    return report;
  }

  async #checkLog(topicPartition: TopicPartition): Promise<ScrubCount & { readonly isDamaged: boolean }> {
    const { logs, logger } = this.#deps;
    const log = logs.find(topicPartition);
    if (log !== undefined) return this.#checkOpen(log);
    const { isDamaged, ...count } = await this.#checkFiles(topicPartition);
    if (!isDamaged) return { ...count, isDamaged };
    const opened = await logs.open(topicPartition);
    if (opened !== undefined) return this.#checkOpen(opened);
    const directory = logs.directoryOf(topicPartition);
    logger.error("a log that no topic owns is damaged; it is left as it is", { directory });
    return { ...count, isDamaged };
  }

  async #checkOpen(log: PartitionLog): Promise<ScrubCount & { readonly isDamaged: boolean }> {
    const count = log.hasDirectory ? await log.scrub(this.#scan) : { segments: 0, sizeBytes: 0 };
    return { ...count, isDamaged: log.damage !== undefined };
  }

  /** Up to the first file that looks damaged. The log may be opened, cut or deleted meanwhile. */
  async #checkFiles(topicPartition: TopicPartition): Promise<ScrubCount & { readonly isDamaged: boolean }> {
    const { disk, logs } = this.#deps;
    const directory = logs.directoryOf(topicPartition);
    const gapsBelow = logs.gapsBelowOf(topicPartition);
    const count = { segments: 0, sizeBytes: 0, isDamaged: false };
    if ((await disk.stat(directory)) === undefined) return count;
    const bases: Offset[] = [];
    for (const { name } of await disk.list(directory)) {
      const parsed = parseSegmentFileName(name);
      if (parsed?.kind === "log") bases.push(parsed.baseOffset);
    }
    for (const [index, baseOffset] of bases.entries()) {
      const path = `${directory}/${segmentFileName(baseOffset, "log")}`;
      await this.#pay(FILE_BYTES);
      // Retention, which opens logs, has taken it.
      if ((await disk.stat(path)) === undefined) continue;
      const file = await disk.open(path, "read");
      try {
        const sizeBytes = await file.sizeBytes();
        const extent = { baseOffset, sizeBytes, endOffset: bases[index + 1], gapsBelow };
        if ((await findSegmentDamage(file, extent, this.#scan)) !== undefined)
          return { ...count, isDamaged: true };
        count.segments++;
        count.sizeBytes += sizeBytes;
      } finally {
        await file.close();
      }
    }
    return count;
  }

  /** Waits until what was read before is paid for, and puts this on the bill. */
  async #pay(sizeBytes: number): Promise<void> {
    const { clock } = this.#deps;
    const { bytesPerSecond, signal } = this.#options;
    const restMs = this.#paidAtMs - clock.monotonicMs();
    if (restMs >= MIN_REST_MS) await clock.sleep(restMs, signal);
    this.#paidAtMs = Math.max(this.#paidAtMs, clock.monotonicMs()) + (sizeBytes * 1000) / bytesPerSecond;
  }
}
