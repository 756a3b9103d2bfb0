/*
 * The history of a run, as NDJSON: one file for each process (one logical thread of a client), append-only. An operation
 * has two lines, its invocation and its completion, joined by (`p`, `i`); faults, observations and the final phase have
 * lines of their own in the same format. Times are nanoseconds of one monotonic clock, the same for all processes.
 */

/** Names of what a client can ask for. */
export const OPERATIONS = [
  "send",
  "poll",
  "assign",
  "subscribe",
  "seek",
  "listOffsets",
  "createTopic",
  "deleteTopic",
  "describe",
  "crash",
  "commit",
  "fetchOffset",
] as const;

export type OperationName = (typeof OPERATIONS)[number];

/** "ok": answered. "fail": certainly without effect, now and later. "info": nobody knows. */
export type Outcome = "ok" | "fail" | "info";

/** Isolation of a poll or of listed offsets. */
export type Isolation = "read_committed" | "read_uncommitted";

/** What a run promises, and so what counts against it. */
export type Profile = "plain" | "plain-acks-1" | "idempotent";

/**
 * A record that a poll gave: offset and value; then, as far as the client can see them, the leader epoch of its batch,
 * and producer id, producer epoch and sequence of the record. -1 stands for what is not known.
 */
export type ReadRecord = readonly [
  offset: number,
  value: string,
  leaderEpoch?: number,
  producerId?: number,
  producerEpoch?: number,
  sequence?: number,
];

/** One part of an operation. `offset` is -1 while it is not known. */
export type MicroOperation =
  | readonly ["send", key: string, value: string]
  | readonly ["send", key: string, offset: number, value: string]
  | readonly ["poll"]
  | readonly ["poll", records: Readonly<Record<string, readonly ReadRecord[]>>]
  /** A record whose body is damaged, or names another key than the one it was read from. */
  | readonly ["damaged", key: string, offset: number, kind: "corrupt" | "misrouted", text: string]
  | readonly ["assign" | "subscribe", key: string]
  | readonly ["seek", key: string, offset: number]
  | readonly ["end", key: string, offset: number]
  /** A name that was made, removed, or (in a description) found there or not. */
  | readonly ["topic", name: string, exists: boolean]
  /** A group's offset for a key; `uid` is unique to this commit and travels as its metadata. */
  | readonly ["commit", group: string, key: string, offset: number, uid: string]
  /** What a fetch of the group's offset gave: -1 and "" where there is none. */
  | readonly ["committed", group: string, key: string, offset: number, uid: string];

/** One attempt of the client library: node (-1: unknown), start, end, and its error, null when it was answered. */
export type Attempt = readonly [node: number, start: number, end: number, error: string | null];

/** What the run was meant to be; the first line of one of its files. */
export interface RunLine {
  readonly type: "run";
  readonly run: string;
  readonly profile: Profile;
  /** Kinds of faults that have to take effect, or the run is void. */
  readonly planned?: readonly string[];
  /** Acknowledged sends without which the run is void. Default 10,000. */
  readonly minSends?: number;
  /** Requests of one producer on the way at once. Default 1. */
  readonly inFlight?: number;
  /** For acks=1: records acknowledged so long before a leader change must survive it. Default 10 s. */
  readonly lagLimitMs?: number;
}

/** A client begins an operation. Written before its first byte leaves the process. */
export interface InvokeLine {
  readonly type: "invoke";
  readonly i: number;
  readonly p: number;
  readonly f: OperationName;
  readonly t: number;
  readonly mops?: readonly MicroOperation[];
}

/** An operation has ended, one way or another. */
export interface CompleteLine {
  readonly type: Outcome;
  readonly i: number;
  readonly p: number;
  readonly f: OperationName;
  readonly t: number;
  readonly mops?: readonly MicroOperation[];
  /** Absent: the client library does not tell. Empty: nothing left the process. */
  readonly attempts?: readonly Attempt[];
  readonly pid?: number;
  readonly ep?: number;
  /** Sequence of the first record of the operation. */
  readonly seq?: number;
  /** Default "read_uncommitted". */
  readonly iso?: Isolation;
  /** Who answered, and the leader epoch in its answer. */
  readonly node?: number;
  readonly le?: number;
  /** Keys taken and given while the operation ran. */
  readonly reb?: { readonly revoked: readonly string[]; readonly gained: readonly string[] };
  readonly err?: string;
  /** Metadata operations: Raft index of the effect, or of the state that was read. */
  readonly index?: number;
}

/** A fault begins or ends. */
export interface FaultLine {
  readonly type: "fault";
  readonly n: number;
  readonly kind: string;
  readonly at: "start" | "end";
  readonly t: number;
  readonly nodes?: readonly number[];
  /** Keys whose leader is hit. */
  readonly keys?: readonly string[];
  /** Keys whose consumer in a group is hit. */
  readonly held?: readonly string[];
  /** Groups whose coordinator is hit. */
  readonly groups?: readonly string[];
  /** With `end`: the consequence that was seen; absent when none was. */
  readonly effect?: string;
}

/** What the observer saw of a key; written when it changed. */
export interface ObserveLine {
  readonly type: "observe";
  readonly t: number;
  readonly k: string;
  /** -1: nobody. */
  readonly leader: number;
  readonly le: number;
  readonly isr: readonly number[];
  readonly replicas: readonly number[];
}

/** Brokers that are fenced; written when the set changed. */
export interface BrokersLine {
  readonly type: "brokers";
  readonly t: number;
  readonly fenced: readonly number[];
}

/** One pass of the final phase over one key: process `p` read from `start`, meant to reach `end`, and reached `reached`. */
export interface FinalLine {
  readonly type: "final";
  readonly t: number;
  readonly p: number;
  readonly k: string;
  /** First offset of the log. */
  readonly start: number;
  /** Exclusive, as the leader said. */
  readonly end: number;
  /** When the end was asked for. */
  readonly since: number;
  /** Exclusive. */
  readonly reached: number;
}

/** What a replica holds of a key after quiescing: a digest over [`start`, `end`). */
export interface ReplicaLine {
  readonly type: "replica";
  readonly t: number;
  readonly k: string;
  readonly node: number;
  readonly start: number;
  readonly end: number;
  readonly digest: string;
}

/** What a member of a group was told to have from now on, or has given up; `gen` is its generation or member epoch. */
export interface MemberLine {
  readonly type: "member";
  readonly t: number;
  readonly p: number;
  readonly group: string;
  readonly gen: number;
  readonly gained: readonly string[];
  readonly revoked: readonly string[];
}

/** A member has processed the records of a key from one offset to another, both included. */
export interface HandledLine {
  readonly type: "handled";
  readonly t: number;
  readonly p: number;
  readonly group: string;
  readonly gen: number;
  readonly k: string;
  readonly from: number;
  readonly to: number;
}

/** At the end: the group was given time to process everything of a key below `end`. */
export interface GroupEndLine {
  readonly type: "groupEnd";
  readonly t: number;
  readonly group: string;
  readonly k: string;
  /** Exclusive. */
  readonly end: number;
}

/** A broken invariant, an unplanned end of a process, an unhandled rejection. */
export interface BrokenLine {
  readonly type: "broken";
  readonly t: number;
  readonly what: string;
  readonly node?: number;
}

/** The event loop of the clients stood still for so long: their times are worth nothing. */
export interface StallLine {
  readonly type: "stall";
  readonly t: number;
  readonly ms: number;
}

export type HistoryLine =
  | RunLine
  | InvokeLine
  | CompleteLine
  | FaultLine
  | ObserveLine
  | BrokersLine
  | FinalLine
  | ReplicaLine
  | MemberLine
  | HandledLine
  | GroupEndLine
  | BrokenLine
  | StallLine;
