import { abortable, deadlineSignal } from "../base/abort.ts";
import { Backoff } from "../base/backoff.ts";
import { errorMessage, type LograftError, operationError } from "../base/errors.ts";
import { errorNameOf, type ErrorName, isRetriable, ProtocolError } from "../model/error-code.ts";
import { topicPartitionKey, type TopicPartitionKey } from "../model/topic-partition.ts";
import type { Timer } from "../platform/clock.ts";
import type { CommitOffsetsResponse, OffsetToCommit } from "../rpc/group-messages.ts";
import type { ClientContext } from "./client-context.ts";
import { CommitWaiter } from "./commit-waiter.ts";
import type { CommitPace, OffsetCommitSpec, TopicPartitionRef } from "./consumer-types.ts";
import type { CoordinatorCalls } from "./coordinator-calls.ts";
import { isLograftError } from "./errors.ts";
import type { GroupIdentity } from "./group-membership.ts";

export interface OffsetCommitsDeps {
  readonly context: ClientContext;
  readonly calls: CoordinatorCalls;
  /** Who commits, at the moment of each attempt. */
  readonly identity: () => GroupIdentity | undefined;
  /** Readable end of a partition (exclusive), as far as it is known here. */
  readonly endOf: (partition: TopicPartitionRef) => number | undefined;
  /** Asks the leaders for the ends, in the order of `partitions`. @throws LograftError when one cannot be had. */
  readonly askEnds: (
    partitions: readonly TopicPartitionRef[],
    options: { readonly timeoutMs: number; readonly signal: AbortSignal },
  ) => Promise<readonly number[]>;
  /** A commit failed and is tried again, or was refused and nobody waits for it. */
  readonly onError: (error: LograftError) => void;
}

interface Entry extends TopicPartitionRef {
  offset: number;
  leaderEpoch: number;
  metadata: string;
  /** Counts what is to be committed; what the coordinator has of it. */
  version: number;
  ackedVersion: number;
}

/** After processing, requests begin at most so often: a commit is a replicated write, and one carries them all. */
const MIN_PAUSE_MS = 10;
const ATTEMPT_TIMEOUT_MS = 5000;
const MAX_OFFSETS_PER_REQUEST = 2000;
const MAX_WAITERS = 10_000;

/** The member of that identity is no more; another identity may follow. */
const STALE_IDENTITY: ReadonlySet<ErrorName> = new Set<ErrorName>([
  "UNKNOWN_MEMBER_ID",
  "FENCED_MEMBER_EPOCH",
  "STALE_MEMBER_EPOCH",
  "ILLEGAL_GENERATION",
  "REBALANCE_IN_PROGRESS",
]);

/**
 * What a member commits: the last position of each of its partitions, all that changed in one request, one request at a
 * time. What cannot be committed now is tried again for as long as the partition is here, with the identity of then; so a
 * successor is never overwritten (H60) and nothing waits in a queue but the newest position of each partition.
 */
export class OffsetCommits {
  readonly #pace: CommitPace;
  readonly #deps: OffsetCommitsDeps;
  readonly #entries = new Map<TopicPartitionKey, Entry>();
  readonly #dirty = new Set<Entry>();
  readonly #waiters = new Set<CommitWaiter>();
  readonly #backoff: Backoff;
  readonly #closing = new AbortController();
  #timer: Timer | undefined;
  #isSending = false;
  /** Commits that wait for the leaders' ends. */
  readonly #asking = new Set<Promise<void>>();
  #notBeforeMs = 0;

  constructor(options: { readonly pace: CommitPace }, deps: OffsetCommitsDeps) {
    this.#pace = options.pace;
    this.#deps = deps;
    this.#backoff = new Backoff(deps.context.retry, deps.context);
  }

  /** The partition is this member's from now on. */
  add({ topic, partition }: TopicPartitionRef): void {
    const fresh = {
      topic,
      partition,
      offset: -1,
      leaderEpoch: -1,
      metadata: "",
      version: 0,
      ackedVersion: 0,
    };
    this.remove({ topic, partition });
    this.#entries.set(topicPartitionKey(topic, partition), fresh);
  }

  /** It is not any more: what was not committed of it never will be by this member. */
  remove({ topic, partition }: TopicPartitionRef): void {
    const key = topicPartitionKey(topic, partition);
    const entry = this.#entries.get(key);
    if (entry === undefined) return;
    this.#entries.delete(key);
    this.#dirty.delete(entry);
    this.#settleWaiters(key, entry, this.#taken(entry));
  }

  /** Everything below `offset` was processed. Committed by the pace. */
  processed({ topic, partition }: TopicPartitionRef, offset: number, leaderEpoch: number): void {
    const entry = this.#entries.get(topicPartitionKey(topic, partition));
    if (entry === undefined || this.#pace === "manual") return;
    this.#put(entry, { offset, leaderEpoch, metadata: "" });
    this.#schedule();
  }

  /**
   * Commits these now; an offset past the end as it is known here is held against the leader's end before. @throws
   * LograftError INVALID_ARGUMENT for an offset that is none; ProtocolError UNKNOWN_MEMBER_ID for a partition that this
   * member does not have, OFFSET_OUT_OF_RANGE past the end, what the coordinator or a leader refuses; TIMEOUT.
   */
  async commit(offsets: readonly OffsetCommitSpec[], options: { readonly timeoutMs: number }): Promise<void> {
    if (this.#closing.signal.aborted) throw operationError("CLOSED", "the consumer is closed");
    if (this.#waiters.size + this.#asking.size >= MAX_WAITERS) {
      throw operationError(
        "BUFFER_EXHAUSTED",
        `${MAX_WAITERS} commits wait already; await some before you start others`,
        { retriable: true },
      );
    }
    const { clock } = this.#deps.context;
    const endMs = clock.monotonicMs() + options.timeoutMs;
    const entries = offsets.map((spec) => [this.#entryOf(spec), spec] as const);
    const unsure = offsets.filter((spec) => spec.offset > (this.#deps.endOf(spec) ?? 0));
    const before = [...this.#asking];
    if (unsure.length > 0 || before.length > 0) {
      // Behind those that were begun before, whose positions must not come over these.
      const asking = Promise.allSettled(before).then(async () => {
        if (unsure.length > 0) await this.#checkEnds(unsure, Math.max(1, endMs - clock.monotonicMs()));
      });
      this.#asking.add(asking);
      try {
        await asking;
      } finally {
        this.#asking.delete(asking);
      }
      // What was taken away meanwhile, and maybe given again, is another one's to commit (H60).
      for (const [entry, spec] of entries) if (this.#entryOf(spec) !== entry) throw this.#taken(entry);
    }
    const wanted = new Map<string, number>();
    for (const [entry, { offset, leaderEpoch = -1, metadata = "" }] of entries) {
      this.#put(entry, { offset, leaderEpoch, metadata });
      wanted.set(topicPartitionKey(entry.topic, entry.partition), entry.version);
    }
    await this.#settled(wanted, Math.max(1, endMs - clock.monotonicMs()));
  }

  /** Commits what is processed of these and not committed, and what is begun; waits until `timeoutMs`. Never rejects. */
  async flush(
    partitions: readonly TopicPartitionRef[],
    options: { readonly timeoutMs: number },
  ): Promise<void> {
    const { clock } = this.#deps.context;
    const endMs = clock.monotonicMs() + options.timeoutMs;
    if (this.#asking.size > 0) await this.#asked(options.timeoutMs);
    const wanted = new Map<string, number>();
    for (const { topic, partition } of partitions) {
      const key = topicPartitionKey(topic, partition);
      const entry = this.#entries.get(key);
      if (entry !== undefined && this.#dirty.has(entry)) wanted.set(key, entry.version);
    }
    if (this.#closing.signal.aborted) return;
    try {
      await this.#settled(wanted, Math.max(1, endMs - clock.monotonicMs()));
    } catch (error: unknown) {
      if (isLograftError(error)) this.#deps.onError(error);
      else throw error;
    }
  }

  /** Ends the timers; those who wait get CLOSED. Idempotent. */
  close(): void {
    if (this.#closing.signal.aborted) return;
    this.#closing.abort(operationError("CLOSED", "the consumer was closed before the commit was done"));
    this.#timer?.cancel();
    for (const waiter of this.#waiters) waiter.fail(operationError("CLOSED", "the consumer is closed"));
    this.#waiters.clear();
  }

  #entryOf(spec: OffsetCommitSpec): Entry {
    const { topic, partition, offset } = spec;
    const key = topicPartitionKey(topic, partition);
    if (!Number.isSafeInteger(offset) || offset < 0) {
      throw operationError("INVALID_ARGUMENT", `commit of ${key}: ${offset} is not an offset`);
    }
    const entry = this.#entries.get(key);
    if (entry === undefined) {
      throw new ProtocolError(
        "UNKNOWN_MEMBER_ID",
        `commit of ${key}: the partition is not assigned to this member of group ${this.#deps.calls.groupId}; ` +
          "commit only what `assignment` lists, and leave the rest to its owner",
        { context: { topic, partition, offset } },
      );
    }
    return entry;
  }

  /** @throws ProtocolError OFFSET_OUT_OF_RANGE, what the leaders answer, CLOSED. */
  async #checkEnds(specs: readonly OffsetCommitSpec[], timeoutMs: number): Promise<void> {
    const ends = await this.#deps.askEnds(specs, { timeoutMs, signal: this.#closing.signal });
    for (const [index, { topic, partition, offset }] of specs.entries()) {
      const end = ends[index];
      if (end === undefined || offset <= end) continue;
      throw new ProtocolError(
        "OFFSET_OUT_OF_RANGE",
        `commit of ${topicPartitionKey(topic, partition)}: offset ${offset} is past the end of the partition, which is ` +
          `${end}; commit the offset of the last record processed plus one`,
        { context: { topic, partition, offset, end } },
      );
    }
  }

  /** Resolves when nobody waits for ends that are asked for now, or after `timeoutMs`. */
  async #asked(timeoutMs: number): Promise<void> {
    using deadline = deadlineSignal(this.#deps.context.clock, timeoutMs, this.#closing.signal);
    try {
      await abortable(Promise.allSettled(this.#asking), deadline.signal);
    } catch {
      // Late or closed: what is not committed by now is given up without.
    }
  }

  #taken({ topic, partition, offset }: Entry): ProtocolError {
    const text =
      `${topicPartitionKey(topic, partition)} was taken from this member of group ${this.#deps.calls.groupId} before ` +
      `${offset < 0 ? "anything" : `offset ${offset}`} was committed; its next owner begins at the last commit and ` +
      "processes again what came after it";
    return new ProtocolError("ILLEGAL_GENERATION", text, { context: { topic, partition } });
  }

  #put(entry: Entry, next: Pick<Entry, "offset" | "leaderEpoch" | "metadata">): void {
    Object.assign(entry, next);
    entry.version++;
    this.#dirty.add(entry);
  }

  /** Sends as soon as may be, and waits until these versions are answered. */
  async #settled(wanted: Map<string, number>, timeoutMs: number): Promise<void> {
    if (wanted.size === 0) return;
    const waiter = new CommitWaiter(wanted, timeoutMs, this.#deps.context.clock);
    this.#waiters.add(waiter);
    this.#sendSoon(0);
    try {
      await waiter.done;
    } finally {
      this.#waiters.delete(waiter);
    }
  }

  #schedule(): void {
    if (this.#timer !== undefined || this.#isSending || this.#dirty.size === 0) return;
    if (this.#pace === "manual") return;
    const pauseMs = this.#notBeforeMs - this.#deps.context.clock.monotonicMs();
    this.#sendSoon(this.#pace === "after-processing" ? Math.max(0, pauseMs) : this.#pace.intervalMs);
  }

  #sendSoon(delayMs: number): void {
    if (this.#isSending || this.#closing.signal.aborted) return;
    this.#timer?.cancel();
    this.#timer = this.#deps.context.clock.setTimer(delayMs, () => {
      this.#timer = undefined;
      void this.#send(); // Never rejects: failures are tried again or told to those who wait.
    });
  }

  async #send(): Promise<void> {
    if (this.#dirty.size === 0 || this.#closing.signal.aborted) return;
    const { context, calls } = this.#deps;
    this.#isSending = true;
    this.#notBeforeMs = context.clock.monotonicMs() + MIN_PAUSE_MS;
    const sent = [...this.#dirty].slice(0, MAX_OFFSETS_PER_REQUEST).map((entry) => ({ ...entry, entry }));
    const identity = this.#deps.identity();
    let mustWait = false;
    try {
      if (identity === undefined) {
        mustWait = true;
      } else {
        const request = {
          groupId: identity.groupId,
          memberId: identity.memberId,
          generationIdOrMemberEpoch: identity.generationIdOrMemberEpoch,
          ...(identity.groupInstanceId === undefined ? {} : { groupInstanceId: identity.groupInstanceId }),
          offsets: sent.map(toMessage),
        };
        const response = await calls.call("CommitOffsets", request, {
          timeoutMs: context.requestTimeoutMs,
          attemptTimeoutMs: ATTEMPT_TIMEOUT_MS,
          signal: this.#closing.signal,
        });
        for (const [index, { entry, version }] of sent.entries()) {
          mustWait = this.#onResult(entry, version, resultOf(response, entry, index)) || mustWait;
        }
      }
    } catch (error: unknown) {
      const cause = isLograftError(error)
        ? error
        : operationError("CONNECTION_FAILED", errorMessage(error), { cause: error, retriable: true });
      if (cause.retriable && !this.#closing.signal.aborted) this.#deps.onError(cause);
      else for (const { entry, version } of sent) this.#refuse(entry, version, cause);
      mustWait = cause.retriable;
    }
    this.#isSending = false;
    if (this.#closing.signal.aborted || this.#dirty.size === 0) return;
    if (mustWait) this.#sendSoon(this.#backoff.nextMs());
    // By hand, too, what nobody waits for any more is committed: whoever gave up was told that it may be.
    else if (this.#waiters.size > 0 || this.#pace === "manual") this.#sendSoon(0);
    else this.#schedule();
  }

  /** Answers whether it is worth trying again after a pause. */
  #onResult(entry: Entry, version: number, error: ProtocolError | undefined): boolean {
    // Given up meanwhile: those who waited have been told.
    if (this.#entries.get(topicPartitionKey(entry.topic, entry.partition)) !== entry) return false;
    if (error === undefined) {
      this.#backoff.reset();
      this.#acknowledge(entry, version, undefined);
      return false;
    }
    const isGoneTopic = error.code === "UNKNOWN_TOPIC_OR_PARTITION";
    if (!isGoneTopic && (isRetriable(error.code) || STALE_IDENTITY.has(error.code))) {
      this.#deps.onError(error);
      return true;
    }
    this.#refuse(entry, version, error);
    return false;
  }

  #refuse(entry: Entry, version: number, error: LograftError): void {
    const isAwaited = this.#acknowledge(entry, version, error);
    if (!isAwaited && error.code !== "CLOSED") this.#deps.onError(error);
  }

  /** What was put meanwhile goes with the next request. Answers whether somebody waited. */
  #acknowledge(entry: Entry, version: number, error: LograftError | undefined): boolean {
    entry.ackedVersion = version;
    if (entry.version === version) this.#dirty.delete(entry);
    return this.#settleWaiters(topicPartitionKey(entry.topic, entry.partition), entry, error);
  }

  #settleWaiters(key: string, { ackedVersion }: Entry, error: LograftError | undefined): boolean {
    let isAwaited = false;
    for (const waiter of this.#waiters) {
      if (error === undefined) waiter.onAcknowledged(key, ackedVersion);
      else isAwaited = waiter.onRefused(key, error) || isAwaited;
    }
    return isAwaited;
  }
}

function toMessage({ topic, partition, offset, leaderEpoch, metadata }: Entry): OffsetToCommit {
  return { topic, partition, offset, leaderEpoch, metadata };
}

function resultOf(
  { results }: CommitOffsetsResponse,
  { topic, partition }: TopicPartitionRef,
  index: number,
): ProtocolError | undefined {
  const isOf = (item: TopicPartitionRef | undefined): boolean =>
    item?.topic === topic && item.partition === partition;
  const result = isOf(results[index]) ? results[index] : results.find(isOf);
  const what = `commit of ${topic}-${partition}`;
  if (result === undefined) {
    const text = `${what}: the coordinator left it out of its answer`;
    return new ProtocolError("UNKNOWN_SERVER_ERROR", text, { retriable: true });
  }
  if (result.errorCode === 0) return undefined;
  const name = errorNameOf(result.errorCode);
  return new ProtocolError(name, `${what}: ${result.errorMessage === "" ? name : result.errorMessage}`, {
    context: { topic, partition },
  });
}
