import type { MetadataImage } from "../metadata/image.ts";

/** One record of a coordinator's log, as it lies in the partition. A null value is a tombstone. */
export interface CoordinatorRecord {
  readonly key: Buffer;
  readonly value: Buffer | null;
}

/**
 * Where the answer to one request goes. The runtime makes it; a shard may keep it and answer later (a parked join), once.
 * What is not answered when the shard is unloaded is answered by the runtime with NOT_COORDINATOR.
 */
export interface ReplyTo<Response> {
  /** Carries the type only; never read. */
  readonly response?: Response;
}

/** What a shard may know of the world at the moment of a decision. */
export interface DecisionContext {
  /** Of the monotonic clock: for sessions and every other deadline. */
  readonly nowMs: number;
  /** Milliseconds since 1970: for what is stored. */
  readonly wallMs: number;
  /** The committed metadata of this broker. */
  readonly image: MetadataImage;
}

/** Called when an answer goes out, in a turn of its own. It may put deadlines of this term off, and do nothing else. */
export type OnGiven = (nowMs: number) => void;

/**
 * Collects what a decision does. A record is replayed into the shard at once, which is the only way its replicated state
 * changes, so the rest of the decision sees it; and it is appended to the log when the decision is made. Answers are held
 * back until all that was appended before them is committed.
 */
export interface Effects<Record> {
  record(record: Record): void;
  reply<Response>(to: ReplyTo<Response>, response: Response, onGiven?: OnGiven): void;
}

/**
 * The state of one partition of a coordinator's topic: pure and synchronous. Two kinds of state: replicated, changed by
 * `replay` alone, so that another broker comes to the same by reading the log; and of this term (sessions, parked answers),
 * which is lost with the leadership.
 */
export interface Shard<Record> {
  /** Takes a record that was read from the log, or that a decision has just made. Never refuses what a decision made. */
  replay(record: Record): void;
  /** The log was read to its end: everybody gets a full session from now on (H62). */
  onLoaded(context: DecisionContext, effects: Effects<Record>): void;
  /** Topics came, went or grew. */
  onMetadata(context: DecisionContext, effects: Effects<Record>): void;
  /** Of the monotonic clock: when `expire` has something to do; Infinity for never. Cheap. */
  readonly nextDeadlineMs: number;
  /** Does what is due. */
  expire(context: DecisionContext, effects: Effects<Record>): void;
}

/** How a shard's records lie in the log. */
export interface RecordCodec<Record> {
  encode(record: Record): CoordinatorRecord;
  /** Undefined: written by a later version, and left alone. @throws LograftError LOG_CORRUPT for damaged bytes. */
  decode(record: CoordinatorRecord): Record | undefined;
}
