import { NO_LEADER_EPOCH } from "../model/offsets.ts";
import type { Offset } from "../model/offsets.ts";
import { readIfPresent } from "../platform/atomic-file.ts";
import type { Disk } from "../platform/disk.ts";
import {
  LEADER_EPOCH_FILE,
  PARTITION_METADATA_FILE,
  parseSegmentFileName,
  segmentFileName,
} from "./file-names.ts";
import type { SegmentFileKind } from "./file-names.ts";
import { FindingList } from "./finding.ts";
import type { Finding } from "./finding.ts";
import { OffsetIndexChecker, TimeIndexChecker, TransactionIndexChecker } from "./index-checker.ts";
import { LeaderEpochCache } from "./leader-epoch-cache.ts";
import { OffsetIndex } from "./offset-index.ts";
import { parsePartitionMetadata } from "./partition-metadata.ts";
import { parseProducerSnapshot } from "./producer-snapshot.ts";
import { ProducerState } from "./producer-state.ts";
import { DEFAULT_UNSAVED_SEGMENT_BYTES } from "./log-config.ts";
import { INDEX_KINDS } from "./segment-indexes.ts";
import { SegmentVerifier } from "./segment-verifier.ts";
import type { SegmentCheckers, VerifiedSoFar } from "./segment-verifier.ts";
import { TimeIndex } from "./time-index.ts";
import { TransactionIndex } from "./transaction-index.ts";

/** What a partition directory holds, and what is wrong with it. */
export interface VerificationReport {
  /** The first findings, in the order of the files; at most `maxFindings`. */
  readonly findings: readonly Finding[];
  readonly errorCount: number;
  readonly warningCount: number;
  readonly segmentCount: number;
  readonly batchCount: number;
  readonly recordCount: number;
  readonly logBytes: number;
  /** Places where offsets jump ahead, as compaction leaves them; in a topic that is not compacted they are a loss. */
  readonly gapCount: number;
  /** One past the last offset; undefined when there is no batch. */
  readonly endOffset: Offset | undefined;
}

export interface VerifyOptions {
  /** Findings kept; all are counted. Default 1000. */
  readonly maxFindings?: number;
  readonly maxBatchBytes?: number;
  readonly signal?: AbortSignal;
}

const DEFAULT_MAX_FINDINGS = 1000;
const MAX_INT32 = 0x7fffffff;

/**
 * Reads a whole partition directory that no broker has open and compares its files with each other: every batch (length,
 * header, checksum, offsets and leader epochs that do not go back), every entry of every index, the leader epochs, the
 * producer snapshots, the partition's identity. Changes nothing. @throws LograftError DISK_READ_FAILED.
 */
export function verifyPartition(
  disk: Disk,
  directory: string,
  options: VerifyOptions = {},
): Promise<VerificationReport> {
  return new PartitionVerifier(disk, directory, options).run();
}

interface SegmentFile {
  readonly name: string;
  readonly baseOffset: Offset;
  readonly kind: SegmentFileKind;
}

class PartitionVerifier {
  readonly #disk: Disk;
  readonly #directory: string;
  readonly #options: VerifyOptions;
  readonly #findings: FindingList;
  readonly #producers = new ProducerState({ expirationMs: Number.POSITIVE_INFINITY });
  readonly #soFar: VerifiedSoFar = {
    nextOffset: undefined,
    leaderEpoch: NO_LEADER_EPOCH,
    batchCount: 0,
    recordCount: 0,
    gapCount: 0,
  };
  #logBytes = 0;

  constructor(disk: Disk, directory: string, options: VerifyOptions) {
    this.#disk = disk;
    this.#directory = directory;
    this.#options = options;
    this.#findings = new FindingList(options.maxFindings ?? DEFAULT_MAX_FINDINGS);
  }

  async run(): Promise<VerificationReport> {
    const names = (await this.#disk.list(this.#directory)).filter((entry) => !entry.isDirectory);
    const files: SegmentFile[] = [];
    for (const { name } of names) {
      const parsed = parseSegmentFileName(name);
      if (parsed !== undefined) files.push({ name, ...parsed });
    }
    const logs = files.filter(({ kind }) => kind === "log").sort((a, b) => a.baseOffset - b.baseOffset);
    await this.#verifyIdentity();
    const epochs = await this.#readEpochs();
    if (logs.length === 0) this.#findings.add("error", this.#directory, "there is no segment");
    for (const log of logs) await this.#verifySegment(log, log === logs.at(-1), epochs);
    this.#verifyEpochEnd(epochs);
    await this.#verifyOtherFiles(files, new Set(logs.map(({ baseOffset }) => baseOffset)));
    const { batchCount, recordCount, gapCount, nextOffset } = this.#soFar;
    return {
      findings: this.#findings.kept,
      errorCount: this.#findings.errorCount,
      warningCount: this.#findings.warningCount,
      segmentCount: logs.length,
      batchCount,
      recordCount,
      logBytes: this.#logBytes,
      gapCount,
      endOffset: nextOffset,
    };
  }

  async #verifySegment(
    log: SegmentFile,
    isLast: boolean,
    epochs: LeaderEpochCache | undefined,
  ): Promise<void> {
    const file = await this.#disk.open(this.#path(log.name), "read");
    try {
      const sizeBytes = await file.sizeBytes();
      this.#logBytes += sizeBytes;
      // The engine may keep no index files for a little active segment; it keeps all or none.
      const isLittle = isLast && sizeBytes <= DEFAULT_UNSAVED_SEGMENT_BYTES;
      const needsIndexes = !isLittle || (await this.#hasIndexFiles(log.baseOffset));
      const checkers = await this.#checkersFor(log.baseOffset, needsIndexes, epochs);
      const segment = {
        name: log.name,
        baseOffset: log.baseOffset,
        file,
        sizeBytes,
        isLast,
        maxBatchBytes: this.#options.maxBatchBytes ?? MAX_INT32,
        signal: this.#options.signal,
      };
      await new SegmentVerifier(segment, checkers, this.#soFar).run();
    } finally {
      await file.close();
    }
  }

  async #hasIndexFiles(baseOffset: Offset): Promise<boolean> {
    const found = await Promise.all(
      INDEX_KINDS.map((kind) => this.#disk.stat(this.#path(segmentFileName(baseOffset, kind)))),
    );
    return found.some((file) => file !== undefined);
  }

  /** The segment's indexes as far as they can be read at all; whether they fit is found batch by batch. */
  async #checkersFor(
    baseOffset: Offset,
    needsIndexes: boolean,
    epochs: LeaderEpochCache | undefined,
  ): Promise<SegmentCheckers> {
    const findings = this.#findings;
    const anySize = Number.MAX_SAFE_INTEGER;
    const offsetName = segmentFileName(baseOffset, "index");
    const offsetIndex = await this.#readIndex(offsetName, needsIndexes ? "fault" : "unknown", (bytes) =>
      OffsetIndex.parse(baseOffset, bytes, anySize),
    );
    const timeName = segmentFileName(baseOffset, "timeindex");
    const timeIndex = await this.#readIndex(timeName, needsIndexes ? "fault" : "unknown", (bytes) =>
      TimeIndex.parse(baseOffset, bytes, anySize as Offset),
    );
    const transactionName = segmentFileName(baseOffset, "txnindex");
    const transactionIndex = await this.#readIndex(transactionName, "empty", (bytes) =>
      TransactionIndex.parse(baseOffset, bytes),
    );
    return {
      findings,
      offsetIndex: new OffsetIndexChecker(offsetName, offsetIndex, findings),
      timeIndex: new TimeIndexChecker(timeName, timeIndex, findings),
      transactionIndex: new TransactionIndexChecker(transactionName, transactionIndex, findings),
      producers: this.#producers,
      epochs,
      epochFile: LEADER_EPOCH_FILE,
    };
  }

  /** `missing`: what it means that there is no such file. */
  async #readIndex<Index>(
    name: string,
    missing: "fault" | "empty" | "unknown",
    parse: (bytes: Buffer) => Index | undefined,
  ): Promise<Index | undefined> {
    const bytes = await readIfPresent(this.#disk, this.#path(name));
    if (bytes === undefined && missing === "unknown") return undefined;
    if (bytes === undefined && missing === "fault")
      this.#findings.add("warning", name, "the file is missing");
    const index = parse(bytes ?? Buffer.alloc(0));
    if (index === undefined) {
      this.#findings.add("warning", name, "damaged: entries are cut, do not grow, or are impossible");
    }
    return index;
  }

  async #verifyIdentity(): Promise<void> {
    const bytes = await readIfPresent(this.#disk, this.#path(PARTITION_METADATA_FILE));
    if (bytes === undefined) {
      this.#findings.add(
        "warning",
        PARTITION_METADATA_FILE,
        "the file is missing: the topic id is not known",
      );
    } else if (parsePartitionMetadata(bytes.toString("utf8")) === undefined) {
      this.#findings.add("error", PARTITION_METADATA_FILE, "damaged: the topic id cannot be read");
    }
  }

  async #readEpochs(): Promise<LeaderEpochCache | undefined> {
    const bytes = await readIfPresent(this.#disk, this.#path(LEADER_EPOCH_FILE));
    const epochs = bytes === undefined ? undefined : LeaderEpochCache.parse(bytes.toString("utf8"));
    if (epochs === undefined) {
      const problem =
        bytes === undefined ? "the file is missing" : "damaged: cut, or epochs that do not grow";
      this.#findings.add("warning", LEADER_EPOCH_FILE, problem);
    }
    return epochs;
  }

  /** An epoch noted at the log's end has written nothing yet; behind it there can be none. */
  #verifyEpochEnd(epochs: LeaderEpochCache | undefined): void {
    const end = this.#soFar.nextOffset;
    const last = epochs?.entries.at(-1);
    if (end === undefined || last === undefined || last.startOffset <= end) return;
    const problem = `leader epoch ${last.epoch} begins at offset ${last.startOffset}, behind the log's end ${end}`;
    this.#findings.add("warning", LEADER_EPOCH_FILE, problem, { offset: last.startOffset });
  }

  async #verifyOtherFiles(files: readonly SegmentFile[], bases: ReadonlySet<Offset>): Promise<void> {
    for (const { name, baseOffset, kind } of files) {
      if (kind === "snapshot") {
        const bytes = await readIfPresent(this.#disk, this.#path(name));
        if (bytes !== undefined && parseProducerSnapshot(bytes) === undefined) {
          this.#findings.add("warning", name, "damaged: its size or checksum is wrong");
        }
      } else if (!bases.has(baseOffset)) {
        this.#findings.add("warning", name, "belongs to no segment");
      }
    }
  }

  #path(name: string): string {
    return `${this.#directory}/${name}`;
  }
}
