import { decodeMarkerBatch } from "../model/control-record.ts";
import { NO_LEADER_EPOCH } from "../model/offsets.ts";
import type { LeaderEpoch, Offset } from "../model/offsets.ts";
import {
  baseOffsetOf,
  isControlBatch,
  lastOffsetOf,
  leaderEpochOf,
  maxTimestampOf,
  recordCountOf,
  verifyBatchCrc,
} from "../model/record-batch.ts";
import type { DiskFile } from "../platform/disk.ts";
import type { FindingList } from "./finding.ts";
import type { OffsetIndexChecker, TimeIndexChecker, TransactionIndexChecker } from "./index-checker.ts";
import type { LeaderEpochCache } from "./leader-epoch-cache.ts";
import { replayBatch } from "./producer-replay.ts";
import type { CompletedTransaction, ProducerState } from "./producer-state.ts";
import { findValidBatch } from "./record-resync.ts";
import { BatchReader } from "./record-scan.ts";
import type { BatchCursor, ScanProblem } from "./record-scan.ts";

/** What is carried from one segment of a partition to the next. */
export interface VerifiedSoFar {
  /** One past the last offset seen; undefined before the first batch. */
  nextOffset: Offset | undefined;
  leaderEpoch: LeaderEpoch;
  batchCount: number;
  recordCount: number;
  /** Places where offsets jump ahead: compaction leaves them, nothing else should. */
  gapCount: number;
}

/** A segment to verify. */
export interface SegmentToVerify {
  readonly name: string;
  readonly baseOffset: Offset;
  readonly file: DiskFile;
  readonly sizeBytes: number;
  /** The one that was being written: its end may be torn. */
  readonly isLast: boolean;
  readonly maxBatchBytes: number;
  readonly signal: AbortSignal | undefined;
}

/** What a segment is compared with. */
export interface SegmentCheckers {
  readonly findings: FindingList;
  readonly offsetIndex: OffsetIndexChecker;
  readonly timeIndex: TimeIndexChecker;
  readonly transactionIndex: TransactionIndexChecker;
  readonly producers: ProducerState;
  /** Undefined: there is none to compare with. */
  readonly epochs: LeaderEpochCache | undefined;
  readonly epochFile: string;
}

/** Reads one segment from beginning to end, over damaged places too, and reports all that does not fit. */
export class SegmentVerifier {
  readonly #segment: SegmentToVerify;
  readonly #checkers: SegmentCheckers;
  readonly #soFar: VerifiedSoFar;
  /** A batch with a wrong checksum: an error if another follows, perhaps a torn write if it is the very last. */
  #suspect: { readonly position: number; readonly offset: Offset } | undefined;
  #reportedEpoch: LeaderEpoch = NO_LEADER_EPOCH;

  constructor(segment: SegmentToVerify, checkers: SegmentCheckers, soFar: VerifiedSoFar) {
    this.#segment = segment;
    this.#checkers = checkers;
    this.#soFar = soFar;
  }

  /** @throws LograftError DISK_READ_FAILED. */
  async run(): Promise<void> {
    const { file, sizeBytes, maxBatchBytes, signal } = this.#segment;
    const options = { maxBatchBytes, verifyCrc: false, ...(signal === undefined ? {} : { signal }) };
    let position: number | undefined = 0;
    while (position !== undefined) {
      const reader = new BatchReader(file, position, sizeBytes, options);
      while (await reader.fill()) while (reader.next()) this.#onBatch(reader);
      const { problem } = reader.verdict();
      if (problem === undefined) break;
      position = await findValidBatch(file, problem.position + 1, sizeBytes, options);
      this.#reportProblem(problem, position);
    }
    const { findings, offsetIndex, timeIndex, transactionIndex } = this.#checkers;
    if (this.#suspect !== undefined) this.#reportSuspect(this.#segment.isLast ? "warning" : "error");
    for (const checker of [offsetIndex, timeIndex, transactionIndex]) checker.finish();
    if (sizeBytes === 0 && !this.#segment.isLast)
      findings.add("warning", this.#segment.name, "the segment is empty");
  }

  #onBatch({ buffer, at, position }: BatchCursor): void {
    if (this.#suspect !== undefined) this.#reportSuspect("error");
    const baseOffset = baseOffsetOf(buffer, at);
    const lastOffset = lastOffsetOf(buffer, at);
    const maxTimestamp = maxTimestampOf(buffer, at);
    const soFar = this.#soFar;
    soFar.batchCount++;
    soFar.recordCount += recordCountOf(buffer, at);
    this.#checkOffset(baseOffset, position);
    this.#checkEpoch(leaderEpochOf(buffer, at), baseOffset, position);
    soFar.nextOffset = (lastOffset + 1) as Offset;
    this.#checkers.offsetIndex.onBatch({ position, baseOffset, lastOffset, maxTimestamp });
    this.#checkers.timeIndex.onBatch({ position, baseOffset, lastOffset, maxTimestamp });
    if (!verifyBatchCrc(buffer, at)) this.#suspect = { position, offset: baseOffset };
    else this.#checkTransaction(buffer, at, position);
  }

  #checkOffset(baseOffset: Offset, position: number): void {
    const { name, baseOffset: segmentBase } = this.#segment;
    const expected = this.#soFar.nextOffset;
    const { findings } = this.#checkers;
    if (expected !== undefined && baseOffset < expected) {
      const problem = `base offset ${baseOffset} goes back; ${expected} or more is expected`;
      findings.add("error", name, problem, { position, offset: baseOffset });
    } else if (baseOffset < segmentBase) {
      findings.add("error", name, `base offset ${baseOffset} is below the segment's ${segmentBase}`, {
        position,
        offset: baseOffset,
      });
    } else if (expected !== undefined && baseOffset > expected) {
      this.#soFar.gapCount++;
    }
  }

  #checkEpoch(epoch: LeaderEpoch, offset: Offset, position: number): void {
    const { findings, epochs, epochFile } = this.#checkers;
    if (epoch < this.#soFar.leaderEpoch) {
      const problem = `leader epoch ${epoch} follows ${this.#soFar.leaderEpoch}`;
      findings.add("error", this.#segment.name, problem, { position, offset });
    }
    this.#soFar.leaderEpoch = epoch;
    const noted = epochs?.epochForOffset(offset);
    if (noted === undefined || noted === epoch || this.#reportedEpoch === epoch) return;
    // Once for each epoch: the batches behind the first disagree alike.
    this.#reportedEpoch = epoch;
    findings.add("warning", epochFile, `offset ${offset} belongs to leader epoch ${epoch}, not ${noted}`, {
      offset,
    });
  }

  #checkTransaction(buffer: Buffer, at: number, position: number): void {
    const { producers, transactionIndex } = this.#checkers;
    const completed = replayBatch(producers, buffer, at, 0);
    if (isControlBatch(buffer, at) && this.#isAbort(buffer, at, position, completed)) {
      transactionIndex.onAbort(baseOffsetOf(buffer, at), completed);
    }
  }

  #isAbort(
    buffer: Buffer,
    at: number,
    position: number,
    completed: CompletedTransaction | undefined,
  ): boolean {
    if (completed !== undefined) return completed.isAborted;
    try {
      return decodeMarkerBatch(buffer, at)?.outcome === "abort";
    } catch {
      // Its checksum is right, so it was written like this: what it says of a transaction is lost.
      const offset = baseOffsetOf(buffer, at);
      this.#checkers.findings.add("error", this.#segment.name, "a control batch without a control record", {
        position,
        offset,
      });
      return false;
    }
  }

  #reportSuspect(severity: "error" | "warning"): void {
    const { position, offset } = this.#suspect ?? {};
    this.#suspect = undefined;
    if (position === undefined || offset === undefined) return;
    const problem = `the batch at offset ${offset} does not match its checksum`;
    this.#checkers.findings.add(severity, this.#segment.name, problem, { position, offset });
  }

  #reportProblem(problem: ScanProblem, resumedAt: number | undefined): void {
    const { name, sizeBytes, isLast } = this.#segment;
    const lost = (resumedAt ?? sizeBytes) - problem.position;
    // A crash leaves a torn end and nothing behind it; batches behind it make it damage (H46).
    const isTornEnd = resumedAt === undefined && isLast;
    const what = resumedAt === undefined ? "to the end" : `to the next batch at position ${resumedAt}`;
    const text = `${problem.message} (${problem.reason}); ${lost} bytes ${what} hold no batch`;
    if (this.#suspect !== undefined) this.#reportSuspect(isTornEnd ? "warning" : "error");
    this.#checkers.findings.add(isTornEnd ? "warning" : "error", name, text, { position: problem.position });
  }
}
