import { Backoff } from "../base/backoff.ts";
import { Deferred } from "../base/deferred.ts";
import { errorMessage, type LograftError, operationError } from "../base/errors.ts";
import { ProtocolError } from "../model/error-code.ts";
import { topicPartitionKey, type TopicPartitionKey } from "../model/topic-partition.ts";
import { AdminCalls } from "./admin-calls.ts";
import type { ClientContext } from "./client-context.ts";
import type {
  ConsumerEvents,
  GroupOptions,
  OffsetCommitSpec,
  StartPosition,
  TopicPartitionRef,
} from "./consumer-types.ts";
import { CoordinatorCalls } from "./coordinator-calls.ts";
import { isLograftError } from "./errors.ts";
import type {
  GroupIdentity,
  GroupMembership,
  MembershipListener,
  MembershipState,
} from "./group-membership.ts";
import { type CommittedPosition, fetchCommitted } from "./group-offsets.ts";
import { GroupPartition, type ProgressListener } from "./group-partition.ts";
import { newMembership } from "./group-protocols.ts";
import { OffsetCommits } from "./offset-commits.ts";
import { LeaderCalls } from "./leader-calls.ts";
import type { PartitionReader } from "./partition-reader.ts";

/** The consumer around a group's membership: it fetches and hands out. */
export interface GroupHost {
  /** A reader that does not know yet where to begin. */
  addReader(topic: string, partition: number): PartitionReader;
  startReader(reader: PartitionReader, start: StartPosition): void;
  /** Fetches and hands out nothing more of it. */
  holdReader(reader: PartitionReader): void;
  removeReader(reader: PartitionReader): void;
  emit<Name extends keyof ConsumerEvents>(name: Name, event: ConsumerEvents[Name]): void;
  onRetriedError(error: LograftError): void;
  onFatal(error: LograftError): void;
}

export interface GroupConsumerOptions extends GroupOptions {
  readonly autoOffsetReset: "earliest" | "latest" | "none";
}

const FETCH_ATTEMPT_TIMEOUT_MS = 5000;

/**
 * The group's side of a consumer: takes and gives up partitions as the membership says, begins each where the group was,
 * and commits what was processed. A partition is given up when the application has nothing of it in its hands and what it
 * processed is committed; one that was lost stops at once.
 */
export class GroupConsumer implements MembershipListener, ProgressListener {
  readonly #options: GroupConsumerOptions;
  readonly #context: ClientContext;
  readonly #host: GroupHost;
  readonly #calls: CoordinatorCalls;
  readonly #membership: GroupMembership;
  readonly #commits: OffsetCommits;
  readonly #partitions = new Map<TopicPartitionKey, GroupPartition>();
  readonly #givingUp = new WeakMap<GroupPartition, Promise<void>>();
  readonly #closing = new AbortController();
  readonly #joined = new Deferred<void>();
  #closeEndMs: number | undefined;
  #failure: LograftError | undefined;

  constructor(
    options: GroupConsumerOptions,
    deps: { readonly context: ClientContext; readonly host: GroupHost },
  ) {
    const { context } = deps;
    this.#options = options;
    this.#context = context;
    this.#host = deps.host;
    this.#calls = new CoordinatorCalls({ groupId: options.groupId }, { context });
    this.#membership = newMembership(options, { context, calls: this.#calls, listener: this });
    this.#commits = new OffsetCommits(
      { pace: options.commit },
      {
        context,
        calls: this.#calls,
        identity: () => this.#membership.identity,
        endOf: ({ topic, partition }) => {
          const reader = this.#partitions.get(topicPartitionKey(topic, partition))?.reader;
          return reader === undefined || reader.highWatermark < 0 ? undefined : reader.highWatermark;
        },
        askEnds: (partitions, bounds) => this.#askEnds(partitions, bounds),
        onError: (error) => this.#host.onRetriedError(error),
      },
    );
    // It may fail before anybody waits for it.
    this.#joined.promise.catch(ignore);
  }

  get groupId(): string {
    return this.#options.groupId;
  }

  get identity(): GroupIdentity | undefined {
    return this.#membership.identity;
  }

  get state(): MembershipState {
    return this.#membership.state;
  }

  /** Time since the coordinator's last good answer; undefined before the first. */
  get lastHeartbeatAgoMs(): number | undefined {
    const { lastHeartbeatMs } = this.#membership;
    return lastHeartbeatMs === undefined ? undefined : this.#context.clock.monotonicMs() - lastHeartbeatMs;
  }

  /** Why the membership has ended. */
  get failure(): LograftError | undefined {
    return this.#failure;
  }

  /** Joins the group; resolves when the coordinator has answered. @throws what the membership cannot go on from. */
  ready(): Promise<void> {
    this.#membership.start();
    return this.#joined.promise;
  }

  partitionOf(key: TopicPartitionKey): GroupPartition | undefined {
    return this.#partitions.get(key);
  }

  /** The application asks for more: what it was given before counts as processed. */
  onAsked(): void {
    for (const partition of this.#partitions.values()) partition.askedAgain();
  }

  /** The application moved the position; what it had processed up to there is history. */
  onMoved(key: TopicPartitionKey): void {
    const partition = this.#partitions.get(key);
    if (partition !== undefined) partition.processed = partition.reader.position;
  }

  /** A position that was looked up counts: the next owner begins there too, and not at an end that has moved on. */
  onPositioned(reader: PartitionReader): void {
    const partition = this.#partitions.get(topicPartitionKey(reader.topic, reader.partition));
    if (partition?.reader === reader && reader.position !== undefined) partition.advance(reader.position, -1);
  }

  /** Default: all that is processed. @throws as `OffsetCommits.commit`. */
  commit(offsets: readonly OffsetCommitSpec[] | undefined, timeoutMs: number | undefined): Promise<void> {
    const bounds = { timeoutMs: timeoutMs ?? this.#context.requestTimeoutMs };
    if (offsets !== undefined) return this.#commits.commit(offsets, bounds);
    this.onAsked();
    const processed: OffsetCommitSpec[] = [];
    for (const { topic, partition, processed: offset, leaderEpoch } of this.#partitions.values()) {
      if (offset !== undefined) processed.push({ topic, partition, offset, leaderEpoch });
    }
    return this.#commits.commit(processed, bounds);
  }

  /** @throws as `fetchCommitted`. */
  committed(
    partitions: readonly TopicPartitionRef[],
    timeoutMs: number | undefined,
  ): Promise<CommittedPosition[]> {
    return fetchCommitted(this.#calls, partitions, {
      timeoutMs: timeoutMs ?? this.#context.requestTimeoutMs,
      attemptTimeoutMs: FETCH_ATTEMPT_TIMEOUT_MS,
      signal: this.#closing.signal,
    });
  }

  /** Lets the application finish what it has, commits, leaves. Never rejects, and takes no longer than `timeoutMs`. */
  async close(timeoutMs: number): Promise<void> {
    const closed = operationError("CLOSED", "the consumer is closed");
    this.#closeEndMs = this.#context.clock.monotonicMs() + timeoutMs;
    this.#closing.abort(closed);
    this.#joined.reject(closed);
    for (const partition of this.#partitions.values()) partition.end();
    await this.#membership.close({ timeoutMs });
    for (const partition of this.#partitions.values()) partition.remove();
    this.#partitions.clear();
    this.#commits.close();
    this.#calls.close();
  }

  onAssign(refs: readonly TopicPartitionRef[]): void {
    if (this.#closing.signal.aborted) return;
    const fresh = refs.map(({ topic, partition }) => this.#take(topic, partition));
    if (refs.length > 0) this.#host.emit("assigned", { partitions: refs });
    this.#tellAssignment();
    this.#joined.resolve();
    void this.#place(fresh); // Never rejects: failures are tried again or told to the host.
  }

  async onRevoke(
    refs: readonly TopicPartitionRef[],
    onGivenUp: (partitions: readonly TopicPartitionRef[]) => void = ignore,
  ): Promise<void> {
    const held = this.#held(refs);
    // A close may find some that are being given up already.
    const fresh = held.filter((partition) => !this.#givingUp.has(partition));
    for (const partition of fresh) {
      partition.end();
      this.#host.holdReader(partition.reader);
    }
    // A slow handler holds up its own partition: of the others, what was processed is committed before patience ends.
    const idle = fresh.filter(({ isIdle }) => isIdle);
    const busy = fresh.filter(({ isIdle }) => !isIdle);
    const giveUp = async (partitions: readonly GroupPartition[]): Promise<void> => {
      await this.#giveUp(partitions);
      if (busy.length > 0) onGivenUp(partitions.map(refOf));
    };
    const together = giveUp(idle);
    for (const partition of idle) this.#givingUp.set(partition, together);
    for (const partition of busy) {
      this.#givingUp.set(
        partition,
        partition.idle().then(() => giveUp([partition])),
      );
    }
    await Promise.all(held.map(async (partition) => this.#givingUp.get(partition)));
  }

  onLost(refs: readonly TopicPartitionRef[]): void {
    const lost = this.#held(refs);
    for (const partition of lost) this.#drop(partition);
    if (lost.length === 0) return;
    this.#host.emit("lost", { partitions: lost.map(refOf) });
    this.#tellAssignment();
  }

  onRetriedError(error: LograftError): void {
    this.#host.onRetriedError(error);
  }

  onFatal(error: LograftError): void {
    this.#failure = error;
    this.#joined.reject(error);
    this.#host.onFatal(error);
  }

  onProcessed(partition: GroupPartition): void {
    const { processed, leaderEpoch } = partition;
    if (processed !== undefined && this.#isHeld(partition)) {
      this.#commits.processed(partition, processed, leaderEpoch);
    }
  }

  /** The application has nothing of these. Never rejects. */
  async #giveUp(partitions: readonly GroupPartition[]): Promise<void> {
    // Some may have been lost, or given anew, while the application was busy with them.
    const ours = partitions.filter((partition) => this.#isHeld(partition));
    if (ours.length === 0) return;
    this.#host.emit("revoked", { partitions: ours.map(refOf) });
    await this.#commits.flush(ours, { timeoutMs: this.#flushTimeoutMs() });
    for (const partition of ours) if (this.#isHeld(partition)) this.#drop(partition);
    this.#tellAssignment();
  }

  #take(topic: string, partition: number): GroupPartition {
    const key = topicPartitionKey(topic, partition);
    const before = this.#partitions.get(key);
    if (before !== undefined) this.#drop(before);
    const reader = this.#host.addReader(topic, partition);
    const taken = new GroupPartition(reader, { listener: this });
    reader.committer = (offset, leaderEpoch) => this.#commitOf(taken, offset, leaderEpoch);
    this.#partitions.set(key, taken);
    this.#commits.add(taken);
    return taken;
  }

  /**
   * The commit of something that was handed out. The partition may have been away since, at another member that committed
   * more: what is left from before must not go over that with the epoch of now (H60).
   */
  async #commitOf(taken: GroupPartition, offset: number, leaderEpoch: number): Promise<void> {
    const { topic, partition, key } = taken;
    if (!this.#isHeld(taken)) {
      const text =
        `commit of ${key}: the partition was taken from this member of group ${this.groupId} after offset ${offset - 1} was ` +
        "handed out; leave the record, it is processed again by whoever has the partition now";
      throw new ProtocolError("ILLEGAL_GENERATION", text, { context: { topic, partition, offset } });
    }
    await this.commit([{ topic, partition, offset, leaderEpoch }], undefined);
  }

  #drop(partition: GroupPartition): void {
    partition.remove();
    this.#commits.remove(partition);
    this.#host.removeReader(partition.reader);
    this.#partitions.delete(partition.key);
  }

  #isHeld(partition: GroupPartition): boolean {
    return this.#partitions.get(partition.key) === partition;
  }

  #held(refs: readonly TopicPartitionRef[]): GroupPartition[] {
    return refs.flatMap(({ topic, partition }) => {
      const held = this.#partitions.get(topicPartitionKey(topic, partition));
      return held === undefined ? [] : [held];
    });
  }

  #tellAssignment(): void {
    this.#host.emit("rebalance", {
      assignment: [...this.#partitions.values()].map(refOf),
      memberEpoch: this.identity?.generationIdOrMemberEpoch ?? -1,
    });
  }

  #flushTimeoutMs(): number {
    const { requestTimeoutMs, clock } = this.#context;
    if (this.#closeEndMs === undefined) return requestTimeoutMs;
    return Math.max(1, Math.min(requestTimeoutMs, this.#closeEndMs - clock.monotonicMs()));
  }

  /** @throws LograftError, ProtocolError: what a leader says instead of its end. */
  async #askEnds(
    partitions: readonly TopicPartitionRef[],
    options: { readonly timeoutMs: number; readonly signal: AbortSignal },
  ): Promise<readonly number[]> {
    const leaders = new LeaderCalls({
      context: this.#context,
      calls: new AdminCalls({ context: this.#context }),
    });
    const found = await leaders.listOffsets(partitions, "end", options);
    return found.map((end) => {
      if (end instanceof ProtocolError) throw end;
      return end.offset;
    });
  }

  /** Finds out where to begin, for as long as it takes and the partitions are here. */
  async #place(fresh: readonly GroupPartition[]): Promise<void> {
    const backoff = new Backoff(this.#context.retry, this.#context);
    for (const topic of new Set(fresh.map((partition) => partition.topic))) void this.#watch(topic); // Never rejects.
    for (;;) {
      const waiting = fresh.filter((partition) => this.#isUnplaced(partition));
      if (waiting.length === 0 || this.#closing.signal.aborted) return;
      try {
        const found = await this.committed(waiting, undefined);
        for (const [index, partition] of waiting.entries()) this.#start(partition, found[index]);
        return;
      } catch (error: unknown) {
        if (this.#closing.signal.aborted) return;
        if (!isLograftError(error) || !error.retriable) {
          this.#host.onFatal(isLograftError(error) ? error : failed(error));
          return;
        }
        this.#host.onRetriedError(error);
      }
      await this.#context.clock.sleep(backoff.nextMs(), this.#closing.signal).catch(ignore);
    }
  }

  /** It was not sought meanwhile, nor taken away. */
  #isUnplaced(partition: GroupPartition): boolean {
    const { reader } = partition;
    return this.#isHeld(partition) && reader.position === undefined && reader.start === undefined;
  }

  #start(partition: GroupPartition, committed: CommittedPosition | undefined): void {
    if (!this.#isUnplaced(partition)) return;
    const { autoOffsetReset, groupId } = this.#options;
    if (committed?.offset !== undefined) {
      this.#host.startReader(partition.reader, committed.offset);
    } else if (autoOffsetReset === "none") {
      const text =
        `group ${groupId} has committed no offset for ${partition.key}, and autoOffsetReset is "none"; seek to where it is ` +
        'to begin, or choose "earliest" or "latest"';
      this.#host.onFatal(new ProtocolError("OFFSET_OUT_OF_RANGE", text, { context: refOf(partition) }));
    } else {
      this.#host.startReader(partition.reader, autoOffsetReset === "earliest" ? "beginning" : "end");
    }
  }

  /** The metadata are to know the topic from now on. */
  async #watch(topic: string): Promise<void> {
    const { metadata, requestTimeoutMs } = this.#context;
    const bounds = { timeoutMs: requestTimeoutMs, allowAutoCreate: false, signal: this.#closing.signal };
    try {
      await metadata.waitForTopic(topic, bounds);
    } catch (error: unknown) {
      if (!this.#closing.signal.aborted)
        this.#host.onRetriedError(isLograftError(error) ? error : failed(error));
    }
  }
}

function refOf({ topic, partition }: TopicPartitionRef): { topic: string; partition: number } {
  return { topic, partition };
}

function failed(error: unknown): LograftError {
  return operationError("ABORTED", errorMessage(error), { cause: error });
}

function ignore(): void {
  // Whoever waits hears of it, or the loop sees the signal.
}
