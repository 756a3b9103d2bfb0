import { assert } from "../base/assert.ts";
import { floorIndex } from "../base/binary-search.ts";
import type { Entry, SnapshotMeta } from "./types.ts";

/** What an entry counts for in the limits of this folder: its data and about what it takes beside them. */
export function entryBytes(entry: Entry): number {
  return entry.data.length + 32;
}

/** A position of a log with its term. */
export interface LogPosition {
  readonly index: number;
  readonly term: number;
}

/**
 * The log in memory: the entries behind `base`, how much of it is committed, and how much of it the disk has. Everything
 * in it is in order: index without gaps, terms that never fall.
 */
export class RaftLog {
  /** Position before the first entry in memory. */
  #base: LogPosition;
  #entries: Entry[];
  #snapshot: SnapshotMeta;
  #commit: number;
  #uncommittedBytes = 0;
  /** Last index that was handed out as committed. */
  #delivered: number;
  /** Last index that the disk is known to have, of the entries as they are now. */
  #durable: number;
  /** Last index that the disk has or is being given. */
  #handed: number;
  /** Where the disk has to be cut before it gets more. */
  #truncateAfter: number | undefined;
  /** Last index of the write in progress, as far as its entries are still those of the log. */
  #writing: number | undefined;

  /** `entries`: all behind the snapshot, durable. `commit`: known from before; the snapshot is committed anyway. */
  constructor(snapshot: SnapshotMeta, entries: readonly Entry[], commit: number) {
    this.#snapshot = snapshot;
    this.#base = { index: snapshot.index, term: snapshot.term };
    this.#entries = [];
    this.#commit = snapshot.index;
    this.#delivered = snapshot.index;
    this.#handed = snapshot.index;
    this.append(entries);
    this.#durable = this.lastIndex;
    this.#handed = this.lastIndex;
    this.commitTo(Math.max(commit, snapshot.index));
  }

  get lastIndex(): number {
    return this.#base.index + this.#entries.length;
  }

  get lastTerm(): number {
    return this.#entries.at(-1)?.term ?? this.#base.term;
  }

  /** The newest snapshot of this replica. */
  get snapshot(): SnapshotMeta {
    return this.#snapshot;
  }

  get commit(): number {
    return this.#commit;
  }

  get durableIndex(): number {
    return this.#durable;
  }

  /** Sum of `entryBytes` behind the commit index. */
  get uncommittedBytes(): number {
    return this.#uncommittedBytes;
  }

  /** Undefined: the entry is not there yet, or no more. 0 at index 0. */
  termAt(index: number): number | undefined {
    if (index === this.#base.index) return this.#base.term;
    return this.#entries[index - this.#base.index - 1]?.term;
  }

  /** True when a log that ends there holds all that this one may have helped to commit (§3.6.1). */
  isCoveredBy(lastIndex: number, lastTerm: number): boolean {
    return lastTerm > this.lastTerm || (lastTerm === this.lastTerm && lastIndex >= this.lastIndex);
  }

  /** Entries from `first` on, of at most `maxBytes`, but one at least where there is one. */
  slice(first: number, maxBytes: number): readonly Entry[] {
    const start = first - this.#base.index - 1;
    let end = start;
    let bytes = 0;
    for (; end < this.#entries.length; end++) {
      bytes += entryBytes(this.#at(end));
      if (bytes > maxBytes && end > start) break;
    }
    return this.#entries.slice(start, end);
  }

  /**
   * The largest index, not after `index`, whose term is at most `term`: where this log may agree with one that has
   * `term` at `index`. With both sides skipping whole terms a long divergence takes one round trip for each term (§3.5).
   */
  lastNotAfter(index: number, term: number): number {
    if (index <= this.#base.index) return index;
    const count = Math.min(index, this.lastIndex) - this.#base.index;
    return this.#base.index + 1 + floorIndex(count, (at) => this.#at(at).term, term);
  }

  /** Adds entries behind the last. They come checked: what a peer sent was looked at before. */
  append(entries: readonly Entry[]): void {
    for (const entry of entries) {
      const isNext = entry.index === this.lastIndex + 1 && entry.term >= this.lastTerm;
      assert(isNext, "an entry out of order", { index: entry.index, last: this.lastIndex });
      this.#entries.push(entry);
      this.#uncommittedBytes += entryBytes(entry);
    }
  }

  /** Drops the entries behind `after`. What is committed stays for ever: to cut it is a broken promise (H4). */
  truncate(after: number): void {
    assert(after >= this.#commit, "a truncation below the commit index", { after, commit: this.#commit });
    if (after >= this.lastIndex) return;
    const kept = after - this.#base.index;
    for (let at = kept; at < this.#entries.length; at++) this.#uncommittedBytes -= entryBytes(this.#at(at));
    this.#entries.length = kept;
    if (this.#handed > after) {
      this.#handed = after;
      this.#truncateAfter = Math.min(this.#truncateAfter ?? after, after);
    }
    this.#durable = Math.min(this.#durable, after);
    // The write in progress brings entries that are no longer those of the log; its end says nothing of their
    // successors at the same index (H5).
    if (this.#writing !== undefined) this.#writing = Math.min(this.#writing, after);
  }

  /** Moves the commit index up; a lower one changes nothing. */
  commitTo(index: number): void {
    if (index <= this.#commit) return;
    assert(index <= this.lastIndex, "a commit of what is not there", { index, last: this.lastIndex });
    const first = this.#commit - this.#base.index;
    for (let at = first; at < index - this.#base.index; at++) {
      this.#uncommittedBytes -= entryBytes(this.#at(at));
    }
    this.#commit = index;
  }

  /** Entries that are committed and on the disk here, each once. */
  takeCommitted(): readonly Entry[] {
    const end = Math.min(this.#commit, this.#durable);
    if (end <= this.#delivered) return [];
    const taken = this.#entries.slice(this.#delivered - this.#base.index, end - this.#base.index);
    this.#delivered = end;
    return taken;
  }

  /** True when the disk lacks something, or has something too much. */
  get isUnwritten(): boolean {
    return this.#truncateAfter !== undefined || this.#handed < this.lastIndex;
  }

  /** What the next write has to bring; `finishWrite` ends it. */
  beginWrite(): { readonly truncateAfter: number | undefined; readonly entries: readonly Entry[] } {
    assert(this.#writing === undefined, "two writes of the log at once");
    const write = {
      truncateAfter: this.#truncateAfter,
      entries: this.#entries.slice(this.#handed - this.#base.index),
    };
    this.#truncateAfter = undefined;
    this.#handed = this.lastIndex;
    this.#writing = this.lastIndex;
    return write;
  }

  /** The write in progress is durable. */
  finishWrite(): void {
    assert(this.#writing !== undefined, "no write of the log is in progress");
    this.#durable = Math.max(this.#durable, this.#writing);
    this.#writing = undefined;
  }

  /** The replica made a snapshot; of the entries that it covers the last `keepEntries` stay, for followers that lag. */
  compact(snapshot: SnapshotMeta, keepEntries: number): void {
    if (snapshot.index <= this.#snapshot.index) return;
    assert(snapshot.index <= this.#delivered, "a snapshot of what was not applied", {
      index: snapshot.index,
      delivered: this.#delivered,
    });
    this.#snapshot = snapshot;
    const base = snapshot.index - keepEntries;
    const term = this.termAt(base);
    if (base <= this.#base.index || term === undefined) return;
    this.#entries.splice(0, base - this.#base.index);
    this.#base = { index: base, term };
  }

  /**
   * A snapshot from the leader is in place. Where the log has its last entry, what follows stays; otherwise nothing of
   * the log does (§5.3, H9). Answers whether the log stayed. Not during a write.
   */
  install(snapshot: SnapshotMeta): boolean {
    assert(snapshot.index > this.#commit, "a snapshot of what is committed already", {
      index: snapshot.index,
      commit: this.#commit,
    });
    assert(this.#writing === undefined, "a snapshot during a write of the log");
    const { index, term } = snapshot;
    const isKept = this.termAt(index) === term;
    if (isKept) {
      this.commitTo(index);
      this.#entries.splice(0, index - this.#base.index);
      if (this.#truncateAfter !== undefined) this.#truncateAfter = Math.max(this.#truncateAfter, index);
    } else {
      this.#entries = [];
      this.#uncommittedBytes = 0;
      // Whatever the disk has behind the snapshot is not of this log.
      this.#truncateAfter = index;
      this.#handed = index;
      this.#durable = index;
    }
    this.#base = { index, term };
    this.#snapshot = snapshot;
    this.#commit = index;
    this.#delivered = index;
    this.#handed = Math.max(this.#handed, index);
    this.#durable = Math.max(this.#durable, index);
    return isKept;
  }

  #at(position: number): Entry {
    const entry = this.#entries[position];
    assert(entry !== undefined, "no entry at this position", { position });
    return entry;
  }
}
