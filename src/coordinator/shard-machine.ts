import { abortReason } from "../base/abort.ts";
import { Backoff } from "../base/backoff.ts";
import { errorMessage, LograftError } from "../base/errors.ts";
import type { Logger } from "../base/logger.ts";
import type { MetadataImage } from "../metadata/image.ts";
import { ProtocolError } from "../model/error-code.ts";
import type { ErrorName } from "../model/error-code.ts";
import type { LeaderEpoch } from "../model/offsets.ts";
import type { Clock, Timer } from "../platform/clock.ts";
import { CommitQueue, recordBytes } from "./commit-queue.ts";
import type { CoordinatorSabotage } from "./coordinator-sabotage.ts";
import { DecisionEffects } from "./decision-effects.ts";
import type { PartitionWriter, WriteOutcome } from "./partition-writer.ts";
import { PendingReply } from "./pending-reply.ts";
import type { Waiter } from "./pending-reply.ts";
import type { DecisionContext, Effects, RecordCodec, ReplyTo, Shard } from "./shard.ts";

export interface ShardMachineOptions {
  /** Of the coordinator's log, for messages. */
  readonly topic: string;
  readonly partition: number;
  /** In which this broker leads the partition. */
  readonly leaderEpoch: LeaderEpoch;
  readonly maxInFlightBatches: number;
  readonly maxPendingBytes: number;
  /** Requests without an answer, parked ones included; further ones are refused. */
  readonly maxWaiting: number;
  readonly sabotage?: CoordinatorSabotage | undefined;
}

export interface ShardMachineDeps<Record, S extends Shard<Record>> {
  readonly clock: Clock;
  readonly logger: Logger;
  readonly writer: PartitionWriter;
  readonly codec: RecordCodec<Record>;
  readonly newShard: () => S;
  readonly image: MetadataImage;
}

/** A decision on one request. It may answer in this call, or keep `to` and answer in a later decision. */
export type Decide<Record, S, Request, Response> = (
  shard: S,
  request: Request,
  to: ReplyTo<Response>,
  context: DecisionContext,
  effects: Effects<Record>,
) => void;

/** The shard between a load and whatever ends it: a failed append, the loss of the leadership. */
interface Life<S> {
  readonly shard: S;
  readonly queue: CommitQueue;
}

/** Pauses before the log is read again after a failure. */
const RELOAD_AFTER = { initialMs: 50, maxMs: 10_000, jitter: 0 };
const NO_JITTER = { fraction: () => 0.5 };
/** A timer that fires so late tells that the process stood still. */
const STANDSTILL_MS = 500;
/** What members get after a standstill, to connect again and be heard. */
const HEARING_MS = 3000;
/** From one look at what is due to the next: a shard that leaves it undone must not stop the loop. */
const LEAST_DELAY_MS = 1;
/** For what is due while nothing can be appended. */
const FULL_RETRY_MS = 100;

/**
 * One partition of a coordinator in one leader epoch: loads its shard, runs one decision at a time, writes what was
 * decided in a turn as one batch, and lets the answers go when it is committed. After a failed append nobody knows what
 * the log has, so the shard is thrown away and read again: there is no rollback.
 */
export class ShardMachine<Record, S extends Shard<Record>> {
  readonly leaderEpoch: LeaderEpoch;
  readonly #options: ShardMachineOptions;
  readonly #deps: ShardMachineDeps<Record, S>;
  readonly #name: string;
  readonly #waiting = new Set<Waiter>();
  readonly #ended = new AbortController();
  readonly #reloading = new Backoff(RELOAD_AFTER, { random: NO_JITTER });
  #life: Life<S> | undefined;
  /** Why the last load, or the last life, failed. */
  #failure: string | undefined;
  #loading: Promise<void> = Promise.resolve();
  #reload: Timer | undefined;
  #timer: Timer | undefined;
  #timerDueMs = Number.POSITIVE_INFINITY;
  /** What is due will be looked at; no timer is needed for it. */
  #isExpiring = false;
  #isFlushDue = false;

  constructor(options: ShardMachineOptions, deps: ShardMachineDeps<Record, S>) {
    this.leaderEpoch = options.leaderEpoch;
    this.#options = options;
    this.#deps = deps;
    this.#name = `${options.topic}-${options.partition}`;
    this.#startLoad();
  }

  /** It answers. */
  get isActive(): boolean {
    return this.#life !== undefined;
  }

  /** See `CoordinatorRuntime.run`. */
  run<Request, Response>(
    request: Request,
    decide: Decide<Record, S, Request, Response>,
    signal: AbortSignal | undefined,
  ): Promise<Response> {
    if (signal?.aborted === true) return Promise.reject(abortReason(signal));
    const reply = new PendingReply<Response>(signal, (settled) => this.#waiting.delete(settled));
    const refusal = this.#refusal();
    const life = this.#life;
    if (refusal !== undefined || life === undefined) {
      reply.fail(refusal ?? this.#error("COORDINATOR_LOAD_IN_PROGRESS", "is being read"));
      return reply.promise;
    }
    this.#waiting.add(reply);
    this.#decide(life, (effects, context) => decide(life.shard, request, reply, context, effects), reply);
    return reply.promise;
  }

  /** Topics came, went or grew. */
  metadataChanged(): void {
    const life = this.#life;
    if (life !== undefined) this.#decide(life, (effects, context) => life.shard.onMetadata(context, effects));
  }

  /** Lets the shard go: whoever waits is told to look for another coordinator. Resolves when nothing runs any more. Idempotent. */
  end(): Promise<void> {
    if (!this.#ended.signal.aborted) {
      this.#ended.abort();
      this.#stop(this.#error("NOT_COORDINATOR", "is led by another broker now, or this one stops"));
    }
    return this.#loading;
  }

  #startLoad(): void {
    this.#loading = this.#load();
  }

  /** Never rejects. */
  async #load(): Promise<void> {
    const { clock, codec, logger, newShard, writer } = this.#deps;
    const { signal } = this.#ended;
    const startMs = clock.monotonicMs();
    const shard = newShard();
    try {
      const { records, bytes } = await writer.load(
        this.#options.partition,
        this.leaderEpoch,
        (some) => {
          for (const one of some) {
            const record = codec.decode(one);
            if (record !== undefined) shard.replay(record);
          }
        },
        signal,
      );
      if (signal.aborted) return;
      const durationMs = Math.round(clock.monotonicMs() - startMs);
      logger.info("a coordinator has read its log", { log: this.#name, records, bytes, durationMs });
      this.#begin(shard);
    } catch (error: unknown) {
      if (signal.aborted) return;
      this.#break(error);
    }
  }

  #begin(shard: S): void {
    const { writer } = this.#deps;
    const { partition, maxInFlightBatches, maxPendingBytes, sabotage } = this.#options;
    const isAnswerEarly = sabotage === "answerGroupsEarly";
    const queue = new CommitQueue(
      { maxBatchBytes: writer.maxBatchBytes, maxInFlightBatches, maxPendingBytes, isAnswerEarly },
      {
        append: (records) => writer.append(partition, this.leaderEpoch, records),
        onFailed: (outcome) => this.#onAppendFailed(outcome),
        onCommitted: () => this.#reloading.reset(),
      },
    );
    const life = { shard, queue };
    this.#life = life;
    this.#failure = undefined;
    this.#isExpiring = false;
    this.#decide(life, (effects, context) => shard.onLoaded(context, effects));
  }

  #refusal(): Error | undefined {
    const { maxWaiting } = this.#options;
    if (this.#ended.signal.aborted) return this.#error("NOT_COORDINATOR", "is led by another broker now");
    if (this.#failure !== undefined)
      return this.#error("COORDINATOR_NOT_AVAILABLE", `is to be read again (${this.#failure})`);
    if (this.#life === undefined) return this.#error("COORDINATOR_LOAD_IN_PROGRESS", "is being read");
    if (this.#life.queue.isFull) return this.#error("COORDINATOR_NOT_AVAILABLE", "has too much to write");
    if (this.#waiting.size >= maxWaiting)
      return this.#error("COORDINATOR_NOT_AVAILABLE", `has ${maxWaiting} requests waiting`);
    return undefined;
  }

  /** One decision, whole, in this turn. */
  #decide(
    life: Life<S>,
    work: (effects: DecisionEffects<Record>, context: DecisionContext) => void,
    reply?: Waiter,
  ): void {
    const { clock, codec, image, writer } = this.#deps;
    const effects = new DecisionEffects({ shard: life.shard, codec, nowMs: () => this.#nowMs() });
    try {
      work(effects, { nowMs: this.#nowMs(), wallMs: clock.wallMs(), image });
      const largest = effects.records.reduce((most, record) => Math.max(most, recordBytes(record)), 0);
      if (largest > writer.maxBatchBytes) throw this.#tooLarge(largest);
    } catch (error: unknown) {
      // Its records were replayed and will not be written: the state is none that the log can give.
      reply?.fail(error instanceof LograftError ? error : unexpected(this.#name, error));
      if (reply === undefined || effects.records.length > 0) this.#break(error);
      return;
    }
    life.queue.add(effects.records, effects.replies);
    this.#flushLater(life);
    this.#arm(life);
  }

  /** At the end of the turn, so that all that was decided in it shares a batch. */
  #flushLater(life: Life<S>): void {
    if (this.#isFlushDue || !life.queue.hasUnsent) return;
    this.#isFlushDue = true;
    this.#deps.clock.defer(() => {
      this.#isFlushDue = false;
      // Of whichever life there is now.
      this.#life?.queue.flush();
    });
  }

  #onAppendFailed({ error, message }: Extract<WriteOutcome, { ok: false }>): void {
    const code = LOST.has(error) ? "NOT_COORDINATOR" : "COORDINATOR_NOT_AVAILABLE";
    this.#break(this.#error(code, `could not be written (${error}: ${message})`));
  }

  /** The state is not to be relied on: everybody is told, and the log is read again after a pause. */
  #break(cause: unknown): void {
    const { clock, logger } = this.#deps;
    const delayMs = this.#reloading.nextMs();
    this.#failure = errorMessage(cause);
    logger.warn("a coordinator has to read its log again", {
      log: this.#name,
      cause: this.#failure,
      delayMs,
    });
    const isKnown = cause instanceof ProtocolError && cause.retriable;
    this.#stop(isKnown ? cause : this.#error("COORDINATOR_NOT_AVAILABLE", `is to be read again`));
    this.#reload = clock.setTimer(delayMs, () => {
      this.#reload = undefined;
      this.#failure = undefined;
      this.#startLoad();
    });
  }

  #stop(error: Error): void {
    this.#life?.queue.end();
    this.#life = undefined;
    this.#reload?.cancel();
    this.#timer?.cancel();
    this.#timer = undefined;
    for (const waiter of this.#waiting) waiter.fail(error);
  }

  /** One timer for all that a shard has due; it may fire early, when what was due has moved, and is set again. */
  #arm(life: Life<S>, minDelayMs = LEAST_DELAY_MS): void {
    const dueMs = life.shard.nextDeadlineMs;
    if (dueMs === Number.POSITIVE_INFINITY || this.#isExpiring) return;
    if (this.#timer !== undefined && this.#timerDueMs <= dueMs) return;
    this.#timer?.cancel();
    const { clock } = this.#deps;
    const nowMs = this.#nowMs();
    const delayMs = Math.max(minDelayMs, dueMs - nowMs);
    this.#timerDueMs = nowMs + delayMs;
    this.#timer = clock.setTimer(delayMs, () => this.#onTimer(life));
  }

  #onTimer(life: Life<S>): void {
    this.#timer = undefined;
    if (this.#life !== life) return;
    const { clock } = this.#deps;
    const nowMs = this.#nowMs();
    if (life.shard.nextDeadlineMs > nowMs) {
      this.#arm(life);
      return;
    }
    this.#isExpiring = true;
    // The members were there all the time; their heartbeats wait in sockets, or their connections are to be made anew
    // (H62). Once for each expiry, or a loop that is always late would never expire anybody.
    if (nowMs - this.#timerDueMs > STANDSTILL_MS) {
      this.#timer = clock.setTimer(HEARING_MS, () => this.#expireBehindInput(life));
    } else {
      this.#expireBehindInput(life);
    }
  }

  /** Twice to the end of the turn: what a socket gives in one turn, the layers above it may hand over in the next. */
  #expireBehindInput(life: Life<S>): void {
    const { clock } = this.#deps;
    clock.defer(() => clock.defer(() => this.#expire(life)));
  }

  #expire(life: Life<S>): void {
    if (this.#life !== life) return;
    this.#timer = undefined;
    this.#isExpiring = false;
    if (life.queue.isFull) this.#arm(life, FULL_RETRY_MS);
    else if (life.shard.nextDeadlineMs > this.#nowMs()) this.#arm(life);
    else this.#decide(life, (effects, context) => life.shard.expire(context, effects));
  }

  /** By which deadlines are measured. */
  #nowMs(): number {
    const { clock } = this.#deps;
    return this.#options.sabotage === "wallClockSessions" ? clock.wallMs() : clock.monotonicMs();
  }

  #error(code: ErrorName, what: string): ProtocolError {
    const { partition, topic } = this.#options;
    const text = `the coordinator's log ${this.#name} ${what}; look the coordinator up and try again`;
    return new ProtocolError(code, text, { context: { topic, partition } });
  }

  #tooLarge(sizeBytes: number): ProtocolError {
    const { maxBatchBytes } = this.#deps.writer;
    return new ProtocolError(
      "RECORD_LIST_TOO_LARGE",
      `a record of ${sizeBytes} bytes does not fit a batch of ${this.#name}, which takes ${maxBatchBytes}; ` +
        "make the group smaller, or raise message.max.bytes",
      { context: { sizeBytes, maxBatchBytes } },
    );
  }
}

/** Errors of an append after which another broker is, or will be, the coordinator. */
const LOST: ReadonlySet<ErrorName> = new Set<ErrorName>([
  "NOT_LEADER_OR_FOLLOWER",
  "FENCED_LEADER_EPOCH",
  "UNKNOWN_LEADER_EPOCH",
  "UNKNOWN_TOPIC_OR_PARTITION",
  "KAFKA_STORAGE_ERROR",
]);

function unexpected(name: string, error: unknown): ProtocolError {
  return new ProtocolError(
    "UNKNOWN_SERVER_ERROR",
    `the coordinator of ${name} failed: ${errorMessage(error)}`,
    {
      cause: error,
    },
  );
}
