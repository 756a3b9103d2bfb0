/** An end (or another position) that a leader told of a key. */
export interface ListedEnd {
  readonly operation: number;
  readonly isCommitted: boolean;
  readonly offset: number;
}

/** A leader epoch in an answer. */
export interface LeaderAnswer {
  readonly operation: number;
  readonly node: number;
  readonly leaderEpoch: number;
}

/** A key's part of one pass of the final phase. */
export interface FinalPass {
  readonly process: number;
  /** First offset of the log. */
  readonly start: number;
  /** Exclusive. */
  readonly end: number;
  readonly since: number;
  /** Exclusive; a pass with less than `end` is not complete. */
  readonly reached: number;
}

/** What a damaged record was found to be. */
export interface DamagedRecord {
  readonly operation: number;
  readonly offset: number;
  readonly kind: "corrupt" | "misrouted";
  readonly text: string;
}

/** What a replica holds over [start, end) after quiescing. */
export interface ReplicaDigest {
  readonly node: number;
  readonly start: number;
  readonly end: number;
  readonly digest: string;
}

/** State of a key as the observer saw it from `at` on. */
export interface ObservedState {
  readonly at: number;
  readonly leader: number;
  readonly leaderEpoch: number;
  readonly isFull: boolean;
}

/**
 * All that a history says of one key, in columns of numbers: values and operations are integers. Reads are grouped by
 * poll; polls stand in the order of each process, and polls of one streak follow one another without a seek, a
 * rebalance or a failure between them.
 */
export class KeyHistory {
  readonly name: string;
  /** Values sent here, each process's in the order of its calls. */
  readonly writes: number[] = [];
  readonly readOffset: number[] = [];
  readonly readValue: number[] = [];
  /** Leader epoch of the record's batch; -1: not known. */
  readonly readEpoch: number[] = [];
  readonly pollOperation: number[] = [];
  /** Index of the poll's first read; its last is the one before the next poll's first. */
  readonly pollFirst: number[] = [];
  readonly pollStreak: number[] = [];
  readonly ends: ListedEnd[] = [];
  readonly answers: LeaderAnswer[] = [];
  readonly passes: FinalPass[] = [];
  readonly damaged: DamagedRecord[] = [];
  readonly replicas: ReplicaDigest[] = [];
  readonly observed: ObservedState[] = [];

  constructor(name: string) {
    this.name = name;
  }

  /** First read (inclusive) and end (exclusive) of a poll. */
  readsOf(poll: number): readonly [from: number, to: number] {
    return [this.pollFirst[poll] ?? 0, this.pollFirst[poll + 1] ?? this.readOffset.length];
  }

  /** Passes that reached the end they were meant to reach. */
  get completePasses(): FinalPass[] {
    return this.passes.filter((pass) => pass.reached >= pass.end);
  }
}

/** The number at an index that is known to be there; -1 past the end, which the callers never ask for. */
export function at(column: ArrayLike<number>, index: number): number {
  return column[index] ?? -1;
}
