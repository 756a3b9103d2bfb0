import { assert } from "../base/assert.ts";
import { floorIndex, lowerBound } from "../base/binary-search.ts";
import { NO_LEADER_EPOCH, NO_OFFSET } from "../model/offsets.ts";
import type { LeaderEpoch, Offset } from "../model/offsets.ts";
import { formatCheckpointLines, parseCheckpointLines, parseCount } from "./text-lines.ts";

/** A leader epoch and the first offset that was written in it. */
export interface EpochEntry {
  readonly epoch: LeaderEpoch;
  readonly startOffset: Offset;
}

/** Where an epoch ends: `endOffset` is exclusive. Both -1 when the epoch is not known here. */
export interface EpochEnd {
  readonly epoch: LeaderEpoch;
  readonly endOffset: Offset;
}

const MAX_EPOCH = 0x7fffffff;
const UNKNOWN: EpochEnd = { epoch: NO_LEADER_EPOCH, endOffset: NO_OFFSET };

/**
 * Which leader epoch wrote which part of a log (KIP-101, KIP-279): the ground on which replicas find the point where
 * their histories part. Epochs and start offsets both grow strictly. The owner writes the file
 * (`leader-epoch-checkpoint`) durably before the first batch of a new epoch, and cuts both together (H40); damaged or in
 * doubt, it is built again with `assign` for the header of each batch.
 */
export class LeaderEpochCache {
  #entries: EpochEntry[];

  /** @param entries growing in both fields; copied. */
  constructor(entries: readonly EpochEntry[] = []) {
    assert(isGrowing(entries), "leader epochs do not grow", { entries });
    this.#entries = [...entries];
  }

  /** Reads the file's text. Undefined when it is cut, damaged or not growing: build it again. */
  static parse(text: string): LeaderEpochCache | undefined {
    const lines = parseCheckpointLines(text);
    if (lines === undefined) return undefined;
    const entries: EpochEntry[] = [];
    for (const line of lines) {
      const fields = line.split(" ");
      const epoch = parseCount(fields[0], MAX_EPOCH);
      const startOffset = parseCount(fields[1]);
      if (fields.length !== 2 || epoch === undefined || startOffset === undefined) return undefined;
      entries.push({ epoch: epoch as LeaderEpoch, startOffset: startOffset as Offset });
    }
    return isGrowing(entries) ? new LeaderEpochCache(entries) : undefined;
  }

  /** Oldest first; valid until the next change. */
  get entries(): readonly EpochEntry[] {
    return this.#entries;
  }

  /** -1 when there is none. */
  get latestEpoch(): LeaderEpoch {
    return this.#entries.at(-1)?.epoch ?? NO_LEADER_EPOCH;
  }

  /** -1 when there is none. */
  get earliestEpoch(): LeaderEpoch {
    return this.#entries[0]?.epoch ?? NO_LEADER_EPOCH;
  }

  /**
   * Notes that `epoch` writes from `startOffset` on. Answers whether that is news, so that the file is to be written
   * first. An epoch that began at the same offset wrote nothing and gives way. The epoch may not be below the latest
   * one, nor a new one begin before it: the caller has refused such batches (H42).
   */
  assign(epoch: LeaderEpoch, startOffset: Offset): boolean {
    const last = this.#entries.at(-1);
    if (last !== undefined) {
      if (epoch === last.epoch && startOffset >= last.startOffset) return false;
      assert(epoch > last.epoch && startOffset >= last.startOffset, "leader epoch goes back", {
        epoch,
        startOffset,
        latestEpoch: last.epoch,
        latestStart: last.startOffset,
      });
    }
    assert(epoch >= 0, "not an epoch of a leader", { epoch });
    if (startOffset === last?.startOffset) this.#entries.pop();
    this.#entries.push({ epoch, startOffset });
    return true;
  }

  /**
   * The end of the greatest epoch at or below `requested`, as a leader answers a follower (KIP-279): the start of the
   * next epoch, or the log's end for the latest one. An epoch older than all known answers itself with the first known
   * start; one above all known is not known here.
   */
  endOffsetFor(requested: LeaderEpoch, logEndOffset: Offset): EpochEnd {
    if (requested < 0 || requested > this.latestEpoch) return UNKNOWN;
    const index = floorIndex(this.#entries.length, (i) => this.#entries[i]?.epoch ?? 0, requested);
    const next = this.#entries[index + 1];
    const epoch = this.#entries[index]?.epoch ?? requested;
    return { epoch, endOffset: next === undefined ? logEndOffset : next.startOffset };
  }

  /** The epoch that wrote this offset (or will, at the log's end); -1 when it lies before all known epochs. */
  epochForOffset(offset: Offset): LeaderEpoch {
    const index = floorIndex(this.#entries.length, (i) => this.#entries[i]?.startOffset ?? 0, offset);
    return this.#entries[index]?.epoch ?? NO_LEADER_EPOCH;
  }

  /** Forgets the epochs that begin at or behind the new end of the log. Answers whether there were any. */
  truncateFromEnd(endOffset: Offset): boolean {
    const keep = lowerBound(this.#entries.length, (i) => this.#entries[i]?.startOffset ?? 0, endOffset);
    if (keep === this.#entries.length) return false;
    this.#entries.length = keep;
    return true;
  }

  /** Lets the first epoch begin at the new start of the log and forgets those that ended before. Answers whether it changed. */
  truncateFromStart(startOffset: Offset): boolean {
    const index = floorIndex(this.#entries.length, (i) => this.#entries[i]?.startOffset ?? 0, startOffset);
    const first = this.#entries[index];
    if (first === undefined || (index === 0 && first.startOffset === startOffset)) return false;
    this.#entries.splice(0, index + 1, { epoch: first.epoch, startOffset });
    return true;
  }

  /** The file's text. */
  toText(): string {
    return formatCheckpointLines(this.#entries.map(({ epoch, startOffset }) => `${epoch} ${startOffset}`));
  }
}

function isGrowing(entries: readonly EpochEntry[]): boolean {
  let previous: EpochEntry | undefined;
  for (const entry of entries) {
    if (
      previous !== undefined &&
      (entry.epoch <= previous.epoch || entry.startOffset <= previous.startOffset)
    ) {
      return false;
    }
    previous = entry;
  }
  return true;
}
