import { isLograftError } from "../client/index.ts";
import type {
  ConsumedBatch,
  Consumer,
  ConsumerOptions,
  ConsumerStatus,
  LograftClient,
  LograftError,
  TopicPartitionRef,
} from "../client/index.ts";
import type { MicroOperation } from "../history/history-line.ts";
import type { Random } from "../platform/random.ts";
import type { MarkerCounts } from "./markers.ts";
import type { SimClock } from "./sim-clock.ts";
import { keyName } from "./sim-client.ts";
import type { SimHistory } from "./sim-history.ts";

export interface GroupMemberOptions {
  readonly groupId: string;
  readonly topics: readonly string[];
  /** What the SDK is told beside that. */
  readonly protocol: Pick<ConsumerOptions, "groupProtocol" | "sessionTimeoutMs" | "assignors" | "instanceId">;
  readonly rebalanceTimeoutMs: number;
  /** How long the handling of one batch takes on average, ms. */
  readonly meanHandlingMs: number;
  /** Of the batches, those whose handling takes far longer, some longer than the group waits for a member. */
  readonly slowShare: number;
  /** Of the batches, those that are committed before the next one is asked for; the others are a little later. */
  readonly commitAtOnceShare: number;
}

export interface GroupMemberDeps {
  /** Closed with the member. */
  readonly client: LograftClient;
  readonly clock: SimClock;
  readonly nowNs: () => number;
  readonly random: Random;
  readonly history: SimHistory;
  readonly markers: MarkerCounts;
  /** It handled records of a partition up to `endOffset`. */
  readonly onHandled: (endOffset: number) => void;
  /** A commit was not acknowledged. */
  readonly onUnanswered: (error: LograftError) => void;
  /** The membership was lost with these partitions. */
  readonly onLost: (keys: readonly string[]) => void;
}

interface Progress extends TopicPartitionRef {
  readonly offset: number;
  readonly leaderEpoch: number;
}

const COMMIT_TIMEOUT_MS = 2_000;
const FETCH_TIMEOUT_MS = 2_000;
const MEAN_COMMIT_PAUSE_MS = 120;
/** Of the assignments, those after which it asks for what is committed. */
const ASKING_SHARE = 0.5;

/**
 * An application that is a member of a group by the SDK: handles what it is given, commits what it has handled, and writes
 * down what it was given, did and was told.
 */
export class GroupMember {
  readonly #options: GroupMemberOptions;
  readonly #deps: GroupMemberDeps;
  readonly #consumer: Consumer;
  readonly #handled = new Map<string, Progress>();
  /** Which assignment of a partition is the current one: what was handled of an earlier one is another member's to commit. */
  readonly #lives = new Map<string, symbol>();
  readonly #leaving = new AbortController();
  /** Of the assignment that it has, in a classic group. */
  #assignedIn = -1;
  #commits = 0;

  constructor(options: GroupMemberOptions, deps: GroupMemberDeps) {
    const { groupId, topics, protocol, rebalanceTimeoutMs } = options;
    this.#options = options;
    this.#deps = deps;
    this.#consumer = deps.client.consumer({
      groupId,
      topics,
      ...protocol,
      rebalanceTimeoutMs,
      // With a note of its own in each commit, which the SDK's commits by themselves do not have.
      commit: "manual",
      autoOffsetReset: "earliest",
    });
    this.#consumer.on("rebalance", ({ memberEpoch }) => {
      if (memberEpoch >= 0) this.#assignedIn = memberEpoch;
    });
    this.#consumer.on("assigned", ({ partitions }) => this.#onAssigned(partitions));
    this.#consumer.on("revoked", ({ partitions }) => this.#onRevoked(partitions));
    this.#consumer.on("lost", ({ partitions }) => this.#onLost(partitions));
  }

  get status(): ConsumerStatus {
    return this.#consumer.status;
  }

  /** Handles records until `leave`. Rejects with what ends an iteration, which nothing may: all that happens here heals. */
  async run(): Promise<void> {
    const { signal } = this.#leaving;
    const committing = this.#commitAgainAndAgain(signal);
    try {
      for await (const batch of this.#consumer.batches({ signal })) await this.#handle(batch);
    } catch (error: unknown) {
      if (!signal.aborted) throw error;
    }
    await committing;
  }

  /** Leaves the group in order, as far as that can be said within `timeoutMs`. */
  async leave(timeoutMs: number): Promise<void> {
    this.#leaving.abort();
    await this.#consumer.close({ timeoutMs });
    await this.#deps.client.close();
  }

  async #handle(batch: ConsumedBatch): Promise<void> {
    const { clock, history, nowNs, onHandled, random } = this.#deps;
    const { groupId, meanHandlingMs, slowShare, commitAtOnceShare, rebalanceTimeoutMs } = this.#options;
    const { topic, partition, firstOffset, lastOffset, leaderEpoch } = batch;
    const gen = this.#generation;
    const k = keyName(topic, partition);
    const life = this.#lives.get(k);
    const meanMs = random.fraction() < slowShare ? rebalanceTimeoutMs * 0.7 : meanHandlingMs;
    await clock.sleep(random.fraction() * 2 * meanMs);
    history.line({
      type: "handled",
      t: nowNs(),
      p: history.process,
      group: groupId,
      gen,
      k,
      from: firstOffset,
      to: lastOffset,
    });
    onHandled(lastOffset + 1);
    if (life === undefined || this.#lives.get(k) !== life) return;
    this.#handled.set(k, { topic, partition, offset: lastOffset + 1, leaderEpoch });
    if (random.fraction() < commitAtOnceShare) await this.#commit([k]);
  }

  async #commitAgainAndAgain(signal: AbortSignal): Promise<void> {
    const { clock, random } = this.#deps;
    while (!signal.aborted) {
      await clock.sleep(random.fraction() * 2 * MEAN_COMMIT_PAUSE_MS);
      if (this.#handled.size > 0) await this.#commit([...this.#handled.keys()]);
    }
  }

  /** Commits what was handled of these. What comes of it, nobody knows unless it is acknowledged: the SDK goes on trying. */
  async #commit(keys: readonly string[]): Promise<void> {
    const { history, markers } = this.#deps;
    const { groupId } = this.#options;
    const mops: MicroOperation[] = [];
    const offsets = keys.flatMap((key) => {
      const progress = this.#handled.get(key);
      if (progress === undefined) return [];
      this.#handled.delete(key);
      const uid = `${history.process}.${this.#commits++}`;
      mops.push(["commit", groupId, key, progress.offset, uid]);
      return [{ ...progress, metadata: uid }];
    });
    if (offsets.length === 0) return;
    const complete = history.invoke("commit", mops);
    try {
      await this.#consumer.commitOffsets(offsets, { timeoutMs: COMMIT_TIMEOUT_MS });
      markers.hit("commitAcknowledged");
      complete("ok", { mops });
    } catch (error: unknown) {
      if (!isLograftError(error)) throw error;
      markers.hit("commitUnanswered");
      this.#deps.onUnanswered(error);
    }
  }

  #onAssigned(partitions: readonly TopicPartitionRef[]): void {
    this.#note(partitions, []);
    for (const partition of partitions) this.#lives.set(nameOf(partition), Symbol("life"));
    if (this.#deps.random.fraction() < ASKING_SHARE) {
      // What fails is another member's, or asked another time.
      this.#ask(partitions).catch((error: unknown) => {
        if (!isLograftError(error)) throw error;
      });
    }
  }

  /** What is begun in here is committed before the partitions are given up. */
  #onRevoked(partitions: readonly TopicPartitionRef[]): void {
    this.#deps.markers.hit("partitionRevoked");
    this.#note([], partitions);
    const keys = partitions.map(nameOf);
    for (const key of keys) this.#lives.delete(key);
    void this.#commit(keys); // Rejects with a bug only, and that of the whole process then.
  }

  #onLost(partitions: readonly TopicPartitionRef[]): void {
    this.#deps.markers.hit("membershipLost");
    this.#note([], partitions);
    const keys = partitions.map(nameOf);
    for (const key of keys) {
      this.#handled.delete(key);
      this.#lives.delete(key);
    }
    this.#deps.onLost(keys);
  }

  async #ask(partitions: readonly TopicPartitionRef[]): Promise<void> {
    const complete = this.#deps.history.invoke("fetchOffset");
    const found = await this.#consumer.committed(partitions, { timeoutMs: FETCH_TIMEOUT_MS });
    const { groupId } = this.#options;
    const mops = found.map(({ offset = -1, metadata, ...of }): MicroOperation => {
      return ["committed", groupId, nameOf(of), offset, metadata];
    });
    complete("ok", { mops });
  }

  #note(gained: readonly TopicPartitionRef[], revoked: readonly TopicPartitionRef[]): void {
    const { history, nowNs } = this.#deps;
    history.line({
      type: "member",
      t: nowNs(),
      p: history.process,
      group: this.#options.groupId,
      gen: this.#consumer.status.memberEpoch ?? -1,
      gained: gained.map(nameOf),
      revoked: revoked.map(nameOf),
    });
  }

  /**
   * In which it has what it has. A member of a classic group knows its next generation before it knows what it has in it,
   * and after a failover that generation may come again.
   */
  get #generation(): number {
    const isClassic = this.#options.protocol.groupProtocol === "classic";
    return isClassic ? this.#assignedIn : (this.#consumer.status.memberEpoch ?? -1);
  }
}

function nameOf({ topic, partition }: TopicPartitionRef): string {
  return keyName(topic, partition);
}
