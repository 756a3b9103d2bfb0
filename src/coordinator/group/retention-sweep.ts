import type { DecisionContext } from "../shard.ts";
import type { GroupEffects } from "./group-records.ts";
import type { GroupEntry, GroupTable } from "./group-table.ts";

const MAX_INTERVAL_MS = 600_000;
const MIN_INTERVAL_MS = 1_000;
/** Groups and offsets that one slice looks at: a few milliseconds. */
const MAX_LOOKED_AT = 20_000;

/**
 * Forgets offsets whose time is over, and then groups that have nothing left. Offsets of a group with members never expire
 * (H63); those of an empty group do when both the group is empty and the offset was committed for the retention time; those
 * of a group without members of its own (consumers that assign partitions themselves) by the commit alone. All groups are
 * looked at ten times per retention time, every ten minutes at most, in slices.
 */
export class RetentionSweep {
  readonly #table: GroupTable;
  readonly #retentionMs: number;
  readonly #intervalMs: number;
  #dueMs = Infinity;
  /** Of the sweep that is under way. */
  #rest: Iterator<GroupEntry> | undefined;
  /** Not done with. */
  #current: GroupEntry | undefined;

  constructor(table: GroupTable, retentionMs: number) {
    this.#table = table;
    this.#retentionMs = retentionMs;
    this.#intervalMs = Math.min(MAX_INTERVAL_MS, Math.max(MIN_INTERVAL_MS, retentionMs / 10));
  }

  /** Of the monotonic clock. Infinity while there are no groups. */
  get dueMs(): number {
    return this.#table.size === 0 ? Infinity : this.#dueMs;
  }

  /** The log is loaded; the first sweep comes after the interval. */
  start(nowMs: number): void {
    this.#dueMs = nowMs + this.#intervalMs;
  }

  /** Does a slice of the work; stays due while there is more. Stops when the table has replayed `until` records. */
  run(until: number, context: DecisionContext, effects: GroupEffects): void {
    this.#rest ??= this.#table.entries();
    let lookedAt = 0;
    for (;;) {
      const entry = this.#current ?? this.#next();
      if (entry === undefined) break;
      this.#current = entry;
      if (this.#table.replayed >= until || lookedAt >= MAX_LOOKED_AT) return;
      lookedAt += 1 + entry.offsets.size;
      if (this.#forget(entry, until, context, effects)) this.#current = undefined;
    }
    this.#rest = undefined;
    this.#dueMs = context.nowMs + this.#intervalMs;
  }

  /** A new walk starts with the whole table; the last step of one answers undefined. */
  #next(): GroupEntry | undefined {
    const step = this.#rest?.next();
    return step?.done === false ? step.value : undefined;
  }

  /** Answers false when the slice was too small for this group. */
  #forget(entry: GroupEntry, until: number, { wallMs }: DecisionContext, effects: GroupEffects): boolean {
    const { group, offsets } = entry;
    if (group !== undefined && !group.isEmpty) return true;
    const cutoffMs = wallMs - this.#retentionMs;
    const limit = until - this.#table.replayed;
    const isEmptyLongEnough = (group?.emptySinceMs ?? -Infinity) <= cutoffMs;
    if (isEmptyLongEnough && offsets.expire(cutoffMs, limit, effects) >= limit) return false;
    if (offsets.size === 0) group?.remove(effects);
    return true;
  }
}
