import type { Offset, Timestamp } from "../model/offsets.ts";
import type { FindingList } from "./finding.ts";
import type { OffsetIndex } from "./offset-index.ts";
import type { CompletedTransaction } from "./producer-state.ts";
import type { TimeIndex } from "./time-index.ts";
import type { TransactionIndex } from "./transaction-index.ts";

/* Each checker is given the batches of its segment in order and compares its file with them, entry by entry, holding no
 * more than the file itself. Undefined in place of an index: the file was damaged, which has been reported already. */

/** The part of a batch that the indexes speak of. */
export interface IndexedBatch {
  readonly position: number;
  readonly baseOffset: Offset;
  readonly lastOffset: Offset;
  readonly maxTimestamp: Timestamp;
}

/** Every entry of an offset index points to the beginning of a batch and names its last offset. */
export class OffsetIndexChecker {
  readonly #file: string;
  readonly #index: OffsetIndex | undefined;
  readonly #findings: FindingList;
  #next = 0;

  constructor(file: string, index: OffsetIndex | undefined, findings: FindingList) {
    this.#file = file;
    this.#index = index;
    this.#findings = findings;
  }

  onBatch(batch: IndexedBatch): void {
    this.#missedUpTo(batch.position);
    const entry = this.#entry();
    if (entry?.position !== batch.position) return;
    this.#next++;
    if (entry.offset === batch.lastOffset) return;
    this.#report(
      `names offset ${entry.offset} where a batch ends at offset ${batch.lastOffset}`,
      entry.offset,
    );
  }

  finish(): void {
    this.#missedUpTo(Number.POSITIVE_INFINITY);
  }

  #missedUpTo(position: number): void {
    for (let entry = this.#entry(); entry !== undefined && entry.position < position; entry = this.#entry()) {
      this.#next++;
      this.#report(`points to position ${entry.position}, where no batch begins`, entry.offset);
    }
  }

  #entry(): { readonly offset: Offset; readonly position: number } | undefined {
    const index = this.#index;
    return index === undefined || this.#next >= index.entryCount ? undefined : index.entry(this.#next);
  }

  #report(problem: string, offset: Offset): void {
    const position = (this.#next - 1) * 8;
    this.#findings.add("warning", this.#file, `entry ${this.#next - 1} ${problem}`, { position, offset });
  }
}

/** Every entry of a time index names a batch, its greatest timestamp, and none before that batch is as young. */
export class TimeIndexChecker {
  readonly #file: string;
  readonly #index: TimeIndex | undefined;
  readonly #findings: FindingList;
  #next = 0;
  #greatest = Number.NEGATIVE_INFINITY;

  constructor(file: string, index: TimeIndex | undefined, findings: FindingList) {
    this.#file = file;
    this.#index = index;
    this.#findings = findings;
  }

  onBatch(batch: IndexedBatch): void {
    const before = this.#greatest;
    this.#greatest = Math.max(before, batch.maxTimestamp);
    for (
      let entry = this.#entry();
      entry !== undefined && entry.offset <= batch.lastOffset;
      entry = this.#entry()
    ) {
      this.#next++;
      if (entry.offset < batch.baseOffset) {
        this.#report(`names offset ${entry.offset}, which no batch holds`, entry.offset);
      } else if (entry.timestamp !== batch.maxTimestamp || before >= entry.timestamp) {
        const found = `the greatest timestamp up to there is ${this.#greatest}`;
        this.#report(`says ${entry.timestamp} for offset ${entry.offset}; ${found}`, entry.offset);
      }
    }
  }

  finish(): void {
    for (let entry = this.#entry(); entry !== undefined; entry = this.#entry()) {
      this.#next++;
      this.#report(`names offset ${entry.offset}, which no batch holds`, entry.offset);
    }
  }

  #entry(): { readonly timestamp: Timestamp; readonly offset: Offset } | undefined {
    const index = this.#index;
    return index === undefined || this.#next >= index.entryCount ? undefined : index.entry(this.#next);
  }

  #report(problem: string, offset: Offset): void {
    const position = (this.#next - 1) * 12;
    this.#findings.add("warning", this.#file, `entry ${this.#next - 1} ${problem}`, { position, offset });
  }
}

/**
 * Every abort marker of a transaction that was seen from its first record has an entry that says so, and every entry has
 * its marker. Without one, read_committed shows aborted records (H67).
 */
export class TransactionIndexChecker {
  readonly #file: string;
  readonly #index: TransactionIndex | undefined;
  readonly #findings: FindingList;
  #next = 0;

  constructor(file: string, index: TransactionIndex | undefined, findings: FindingList) {
    this.#file = file;
    this.#index = index;
    this.#findings = findings;
  }

  /** An abort marker; `completed` when the transaction's first record was seen too. */
  onAbort(markerOffset: Offset, completed: CompletedTransaction | undefined): void {
    this.#missedUpTo(markerOffset);
    const index = this.#index;
    if (index === undefined) return;
    const entry = this.#next < index.entryCount ? index.entry(this.#next) : undefined;
    if (entry?.lastOffset !== markerOffset) {
      if (completed !== undefined) this.#report("error", "lacks the abort marker", markerOffset);
      return;
    }
    this.#next++;
    if (completed === undefined || isSame(entry, completed)) return;
    const is = `producer ${entry.producerId} from offset ${entry.firstOffset}`;
    const should = `producer ${completed.producerId} from offset ${completed.firstOffset}`;
    this.#report("error", `says ${is} where ${should} ended in the abort marker`, markerOffset);
  }

  finish(): void {
    this.#missedUpTo(Number.POSITIVE_INFINITY);
  }

  #missedUpTo(offset: number): void {
    const index = this.#index;
    while (index !== undefined && this.#next < index.entryCount) {
      const { lastOffset } = index.entry(this.#next);
      if (lastOffset >= offset) return;
      this.#next++;
      this.#report("error", "has an entry without an abort marker", lastOffset);
    }
  }

  #report(severity: "error", problem: string, offset: Offset): void {
    this.#findings.add(severity, this.#file, `${problem} at offset ${offset}`, { offset });
  }
}

function isSame(
  entry: { readonly producerId: number; readonly firstOffset: number },
  completed: CompletedTransaction,
): boolean {
  // Compaction may have taken the first batches of the transaction.
  return entry.producerId === completed.producerId && entry.firstOffset <= completed.firstOffset;
}
