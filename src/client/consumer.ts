import { abortable, abortReason, throwIfAborted } from "../base/abort.ts";
import { type LograftError, operationError } from "../base/errors.ts";
import { topicPartitionKey } from "../model/topic-partition.ts";
import type { ClientContext } from "./client-context.ts";
import type { ConsumedBatch, ConsumedRecord } from "./consumed-batch.ts";
import { iterateBatches, iterateRecords } from "./consumer-iteration.ts";
import { runHandlers } from "./consumer-run.ts";
import type {
  AssignmentSpec,
  ConsumerEvents,
  ConsumerStatus,
  OffsetCommitSpec,
  PartitionLag,
  ResolvedConsumerOptions,
  RunOptions,
  StartPosition,
  TopicPartitionRef,
} from "./consumer-types.ts";
import { Emitter } from "./emitter.ts";
import { GroupConsumer } from "./group-consumer.ts";
import type { CommittedPosition } from "./group-offsets.ts";
import { PartitionFeed } from "./partition-feed.ts";
import type { PartitionReader } from "./partition-reader.ts";
import { within } from "./producer-types.ts";
import { tracedHandlers } from "./traced-handlers.ts";

const DEFAULT_CLOSE_TIMEOUT_MS = 30_000;

/**
 * Reads the partitions that it is told to read, or those that its group gives it. Nothing is fetched, and no group is
 * joined, before the first call that needs it.
 *
 * An iteration ends only by `close` (quietly), by its signal, or by an error that no retry can heal (both thrown); lost
 * connections, moved leaders and coordinators show as `error` events at most, when they last. One iteration or `run` at a time. A batch or
 * record counts as taken when it is handed out: a later iteration goes on behind it.
 *
 * In a group it counts as processed when the next one is asked for, or when its handler has returned. A loop that was left
 * (by `break` or an error: nobody can tell) keeps what it held last unprocessed until the application asks for more or
 * calls `commitOffsets`; should it close instead, the next owner gets that record again.
 */
export class Consumer implements AsyncDisposable {
  readonly #options: ResolvedConsumerOptions;
  readonly #context: ClientContext;
  readonly #emitter: Emitter<ConsumerEvents>;
  readonly #feed: PartitionFeed;
  readonly #group: GroupConsumer | undefined;
  readonly #closing = new AbortController();
  readonly #onClosed: (consumer: Consumer) => void;
  #stopListening: (() => void) | undefined;
  #starting: Promise<void> | undefined;
  #isTaken = false;
  #closed: Promise<void> | undefined;

  /** Made by `LograftClient.consumer`. */
  constructor(
    options: ResolvedConsumerOptions,
    deps: { readonly context: ClientContext; readonly onClosed: (consumer: Consumer) => void },
  ) {
    this.#options = options;
    this.#context = deps.context;
    this.#onClosed = deps.onClosed;
    this.#emitter = new Emitter(deps.context);
    this.#feed = new PartitionFeed(options, { context: deps.context, emitter: this.#emitter });
    const { group, autoOffsetReset } = options;
    if (group === undefined) return;
    this.#group = new GroupConsumer(
      { ...group, autoOffsetReset },
      { context: deps.context, host: this.#feed },
    );
    this.#feed.owner = this.#group;
  }

  /** How it is: for health checks and logs. */
  get status(): ConsumerStatus {
    const group = this.#group;
    const plainState = this.#closing.signal.aborted ? "closed" : "stable";
    return {
      state: group?.state ?? plainState,
      groupId: group?.groupId,
      memberId: group?.identity?.memberId,
      memberEpoch: group?.identity?.generationIdOrMemberEpoch,
      assignment: this.assignment,
      lag: this.lag(),
      lastHeartbeatAgoMs: group?.lastHeartbeatAgoMs,
      stalled: this.#feed.stalled,
    };
  }

  /** Partitions that are read; empty before the first iteration, `run` or `ready`. */
  get assignment(): TopicPartitionRef[] {
    return this.#feed.assignment;
  }

  /** Bytes granted to brokers or waiting here; at most `maxPrefetchBytes`, but for a while after leaders moved. */
  get prefetchBytes(): number {
    return this.#feed.prefetchBytes;
  }

  /** Listens; answers the function that stops it. */
  on<Name extends keyof ConsumerEvents>(
    name: Name,
    listener: (event: ConsumerEvents[Name]) => void,
  ): () => void {
    return this.#emitter.on(name, listener);
  }

  /**
   * Finds the partitions and starts to fetch, or joins the group. Called by all that need it. @throws ProtocolError for an
   * unknown topic, or what the group refuses.
   */
  ready(): Promise<void> {
    if (this.#starting === undefined) {
      const starting = this.#start();
      this.#starting = starting;
      // After a failure the next call tries again.
      starting.catch(() => {
        this.#starting = undefined;
      });
    }
    return this.#starting;
  }

  /** Batches as they were stored, partition by partition in turn. @throws as the class says. */
  async *batches(options: { readonly signal?: AbortSignal } = {}): AsyncGenerator<ConsumedBatch, void> {
    this.#claim();
    try {
      if (await this.#isStarted(options.signal)) yield* iterateBatches(this.#feed, options.signal);
    } finally {
      this.#isTaken = false;
    }
  }

  /** Records one by one. Faster than one turn of the loop each: only batches are waited for. @throws as `batches`. */
  async *messages(options: { readonly signal?: AbortSignal } = {}): AsyncGenerator<ConsumedRecord, void> {
    this.#claim();
    try {
      if (await this.#isStarted(options.signal)) yield* iterateRecords(this.#feed, options.signal);
    } finally {
      this.#isTaken = false;
    }
  }

  /**
   * Hands batches or records to a handler until `signal` or `close` ends it; partitions run beside each other up to
   * `concurrency`, each in order. A handler that throws is called again as `retry` says; then, unless `onError` says
   * otherwise, the run ends with its error after the other handlers are done, and the position of its partition goes back
   * to what it had been given. A handler may take its time: nothing else waits for it. @throws as `batches`.
   */
  async run(options: RunOptions): Promise<void> {
    this.#claim();
    try {
      if (!(await this.#isStarted(options.signal))) return;
      const { clock, random } = this.#context;
      const onRetriedError = (error: LograftError): void => this.#feed.onRetriedError(error);
      await runHandlers(this.#feed, this.#watched(options), this.#closing.signal, {
        clock,
        random,
        onRetriedError,
      });
    } finally {
      this.#isTaken = false;
    }
  }

  /** Goes on at another position. Records that were fetched are dropped. @throws LograftError INVALID_ARGUMENT. */
  seek(partition: TopicPartitionRef, position: StartPosition): void {
    const reader = this.#readerOf(partition);
    this.#feed.seek(reader, position);
    this.#group?.onMoved(topicPartitionKey(reader.topic, reader.partition));
  }

  /** Default: all partitions. */
  seekToBeginning(partitions: readonly TopicPartitionRef[] = this.assignment): void {
    for (const partition of partitions) this.seek(partition, "beginning");
  }

  /** Default: all partitions. */
  seekToEnd(partitions: readonly TopicPartitionRef[] = this.assignment): void {
    for (const partition of partitions) this.seek(partition, "end");
  }

  /** Stops fetching; what was fetched is dropped and comes again after `resume`. Default: all partitions. */
  pause(partitions: readonly TopicPartitionRef[] = this.assignment): void {
    for (const partition of partitions) this.#feed.pause(this.#readerOf(partition));
  }

  /** Default: all partitions. */
  resume(partitions: readonly TopicPartitionRef[] = this.assignment): void {
    for (const partition of partitions) this.#feed.resume(this.#readerOf(partition));
  }

  /** Offset of the next record that the application gets; undefined until it is known. */
  position(partition: TopicPartitionRef): number | undefined {
    return this.#readerOf(partition).position;
  }

  /** How far each partition is behind its readable end, by what the broker said last. */
  lag(): PartitionLag[] {
    return this.#feed.lag;
  }

  /**
   * Commits for the group now: these offsets, or all that is processed and what a loop was left with. @throws LograftError
   * INVALID_ARGUMENT without a group or for what is no offset; ProtocolError UNKNOWN_MEMBER_ID for a partition that is
   * another member's, OFFSET_OUT_OF_RANGE past its end, what the coordinator refuses; TIMEOUT, CLOSED.
   */
  async commitOffsets(
    offsets?: readonly OffsetCommitSpec[],
    options: { readonly timeoutMs?: number } = {},
  ): Promise<void> {
    await this.#groupOrThrow("commitOffsets").commit(offsets, options.timeoutMs);
  }

  /**
   * What the group has committed, as its coordinator says. Default: of the assignment. @throws LograftError
   * INVALID_ARGUMENT without a group, TIMEOUT, what the coordinator refuses.
   */
  async committed(
    partitions: readonly TopicPartitionRef[] = this.assignment,
    options: { readonly timeoutMs?: number } = {},
  ): Promise<CommittedPosition[]> {
    return this.#groupOrThrow("committed").committed(partitions, options.timeoutMs);
  }

  /**
   * Ends the iteration, the streams and the timers. A member of a group lets the application finish what it has in its
   * hands, for at most `timeoutMs` (default 30 s), commits what was processed and leaves. So do not await it inside the
   * loop or handler that it is to wait for: break out of the loop first. Idempotent.
   */
  close(options: { readonly timeoutMs?: number } = {}): Promise<void> {
    const timeoutMs = within("timeoutMs", options.timeoutMs ?? DEFAULT_CLOSE_TIMEOUT_MS, 0, 2 ** 31 - 1);
    this.#closed ??= this.#close(timeoutMs);
    return this.#closed;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  #watched(options: RunOptions): RunOptions {
    const { clientId, telemetry } = this.#context;
    if (telemetry === undefined) return options;
    return tracedHandlers(telemetry, options, { clientId, groupId: this.#group?.groupId });
  }

  /** False when the consumer was closed meanwhile: an iteration then ends quietly. */
  async #isStarted(signal: AbortSignal | undefined): Promise<boolean> {
    try {
      await abortable(this.ready(), signal);
    } catch (error: unknown) {
      if (!this.#closing.signal.aborted) throw error;
    }
    return !this.#closing.signal.aborted;
  }

  async #start(): Promise<void> {
    if (this.#closing.signal.aborted) throw abortReason(this.#closing.signal);
    const { metadata, requestTimeoutMs } = this.#context;
    if (this.#group !== undefined) {
      this.#listen();
      await this.#group.ready();
      return;
    }
    const names = new Set(this.#options.assign.map((spec) => spec.topic));
    const options = { timeoutMs: requestTimeoutMs, allowAutoCreate: false, signal: this.#closing.signal };
    await Promise.all([...names].map((name) => metadata.waitForTopic(name, options)));
    // Partitions may have been added since the topic was asked for.
    const isKnown = ({ topic, partition = 0 }: AssignmentSpec): boolean =>
      metadata.topic(topic)?.partitions[partition] !== undefined;
    if (!this.#options.assign.every(isKnown)) await metadata.refresh(options);
    throwIfAborted(this.#closing.signal);
    for (const spec of this.#options.assign) {
      const count = metadata.topic(spec.topic)?.partitions.length ?? 0;
      if (spec.partition !== undefined && !(spec.partition >= 0 && spec.partition < count)) {
        throw operationError(
          "INVALID_ARGUMENT",
          `topic ${spec.topic} has ${count} partitions, no partition ${spec.partition}`,
        );
      }
      const partitions =
        spec.partition === undefined ? Array.from({ length: count }, (_, index) => index) : [spec.partition];
      for (const partition of partitions) this.#feed.add(spec.topic, partition, spec.from ?? "beginning");
    }
    this.#listen();
  }

  #listen(): void {
    this.#stopListening ??= this.#context.metadata.onUpdate(() => this.#onMetadata());
    this.#feed.watch();
  }

  async #close(timeoutMs: number): Promise<void> {
    this.#closing.abort(operationError("CLOSED", "the consumer is closed"));
    this.#stopListening?.();
    this.#feed.close();
    if (this.#group !== undefined) await this.#group.close(timeoutMs);
    this.#emitter.clear();
    this.#onClosed(this);
  }

  #onMetadata(): void {
    // Partitions that were added to a topic are read from their beginning: nothing in them was seen.
    for (const { topic, partition } of this.#options.assign) {
      const count = this.#context.metadata.topic(topic)?.partitions.length ?? 0;
      for (let index = 0; partition === undefined && index < count; index++)
        this.#feed.add(topic, index, "beginning");
    }
    this.#feed.onMetadata();
  }

  #readerOf({ topic, partition }: TopicPartitionRef): PartitionReader {
    const reader = this.#feed.reader({ topic, partition });
    if (reader !== undefined) return reader;
    throw operationError(
      "INVALID_ARGUMENT",
      `${topic}-${partition} is not assigned to this consumer (await ready() first)`,
    );
  }

  #groupOrThrow(method: string): GroupConsumer {
    // Also while it closes: what handlers finish then is still committed.
    if (this.#group !== undefined) return this.#group;
    throw operationError(
      "INVALID_ARGUMENT",
      `${method} is for members of a group: give the consumer a groupId`,
    );
  }

  #claim(): void {
    if (this.#closing.signal.aborted) throw abortReason(this.#closing.signal);
    if (this.#isTaken) {
      throw operationError(
        "INVALID_ARGUMENT",
        "this consumer is being iterated already; use another consumer",
      );
    }
    this.#isTaken = true;
    this.#group?.onAsked();
  }
}
