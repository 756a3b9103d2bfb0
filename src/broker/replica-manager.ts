import type { Logger } from "../base/logger.ts";
import { Backoff } from "../base/backoff.ts";
import type { MetadataImage, PartitionImage, TopicImage } from "../metadata/image.ts";
import type { MetadataDelta } from "../metadata/replay.ts";
import { NO_NODE } from "../model/ids.ts";
import type { NodeId, TopicId } from "../model/ids.ts";
import type { LeaderEpoch } from "../model/offsets.ts";
import type { Clock, Timer } from "../platform/clock.ts";
import type { Random } from "../platform/random.ts";
import type { ReplicaFetchers } from "../replication/replica-fetchers.ts";
import type { LeaderReplica, LeaderReplicas, ReplicaRefusal } from "../replication/replica.ts";
import { outcomeOfError } from "./outcome.ts";
import type { PartitionTable } from "./partition-table.ts";
import type { Partition } from "./partition.ts";

export interface ReplicaManagerOptions {
  readonly nodeId: NodeId;
  /** Where this broker's own configuration says that others are; it wins over what they registered, as in the quorum. */
  readonly configuredPeers: ReadonlyMap<NodeId, string>;
}

export interface ReplicaManagerDeps {
  readonly image: MetadataImage;
  readonly table: PartitionTable;
  /** None: a cluster of this broker alone. */
  readonly fetchers: ReplicaFetchers | undefined;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
}

/** Logs that are opened at the same time to be followed. */
const OPENED_TOGETHER = 32;
/** Pauses before logs that could not be opened are tried again: a disk that fails may have failed once. */
const REOPEN_AFTER = { initialMs: 500, maxMs: 30_000 };

/**
 * Gives each partition that this broker has with others its role, as the committed metadata says: what others lead is
 * followed; what this one leads, its followers find here.
 */
export class ReplicaManager implements LeaderReplicas {
  readonly #nodeId: NodeId;
  readonly #configuredPeers: ReadonlyMap<NodeId, string>;
  readonly #image: MetadataImage;
  readonly #table: PartitionTable;
  readonly #fetchers: ReplicaFetchers | undefined;
  readonly #clock: Clock;
  readonly #logger: Logger;
  readonly #reopening: Backoff;
  /** Those that could not be opened, by topic and partition; tried again together. */
  readonly #failed = new Map<string, Partition>();
  #retry: Timer | undefined;
  /** By topic and partition, the epoch in which it is followed, or about to be. */
  readonly #followed = new Map<string, LeaderEpoch>();
  #brokerEpoch: number | undefined;
  #waiting: (() => Promise<void>)[] = [];
  #openings = 0;
  #isStarted = false;
  #isClosed = false;

  constructor(options: ReplicaManagerOptions, deps: ReplicaManagerDeps) {
    this.#nodeId = options.nodeId;
    this.#configuredPeers = options.configuredPeers;
    this.#image = deps.image;
    this.#table = deps.table;
    this.#fetchers = deps.fetchers;
    this.#clock = deps.clock;
    this.#logger = deps.logger;
    this.#reopening = new Backoff(REOPEN_AFTER, { random: deps.random });
  }

  /**
   * Begins to follow: the metadata has reached this broker's registration (H30). Only from then on is a replica that it
   * does not name one that was taken away: the metadata of before may be older than the data (H28).
   */
  start(): void {
    this.#isStarted = true;
    this.#brokerEpoch = this.#image.broker(this.#nodeId)?.brokerEpoch;
    // All topics: a crash may have left the data of replicas that were taken away.
    for (const topic of this.#image.topics()) this.#assign(topic);
  }

  /** Takes what was committed, behind the partition table. */
  apply(delta: MetadataDelta): void {
    if (!this.#isStarted || this.#isClosed) return;
    for (const topic of delta.removed) {
      for (const partition of topic.partitions.keys()) this.#forget(topic.topicId, partition);
    }
    for (const topic of delta.changed) this.#assign(topic);
    for (const { nodeId } of delta.brokers) {
      // Another one may be reached elsewhere now.
      if (nodeId === this.#nodeId) this.#takeRegistration();
      else this.#reassign(nodeId);
    }
  }

  async find(topicId: TopicId, number: number): Promise<LeaderReplica | ReplicaRefusal> {
    // The metadata known here may be from before the end of the last process, in which this broker led and had more: its
    // followers would cut their logs to what is left of this one (H22, H30).
    if (!this.#isStarted) {
      return refusal("UNKNOWN_LEADER_EPOCH", `broker ${this.#nodeId} is starting and leads nothing yet`);
    }
    const topic = this.#image.topicById(topicId);
    const partition = topic === undefined ? undefined : this.#table.find(topic.name, number);
    if (topic === undefined || partition === undefined || partition.topicId !== topicId) {
      return refusal("UNKNOWN_TOPIC_ID", `broker ${this.#nodeId} knows no partition ${number} of ${topicId}`);
    }
    // Asked before it is opened: a log that is none of this broker's must not come into being by a question.
    if (partition.image.leader !== this.#nodeId) return this.#notLeader(partition);
    try {
      const log = await partition.openedLog();
      // It ends where its damage begins, and its followers would cut to that what they have above (H42).
      if (log.state !== "open") {
        const message = `the log of ${topic.name}-${number} on broker ${this.#nodeId} is ${log.state}; another replica has to lead`;
        return refusal("KAFKA_STORAGE_ERROR", message, partition);
      }
    } catch (error: unknown) {
      const { error: name, errorMessage: message } = outcomeOfError(error);
      return refusal(name, message, partition);
    }
    return partition.leaderRole ?? this.#notLeader(partition);
  }

  /** Its log can be followed again, from wherever it ends now. */
  repaired({ topic: name, topicId, partition: number }: Partition): void {
    const topic = this.#image.topicById(topicId);
    const state = topic?.partitions[number];
    if (this.#isClosed || topic === undefined || state === undefined || topic.name !== name) return;
    this.#forget(topicId, number);
    if (state.replicas.includes(this.#nodeId)) this.#assignOne(topic, number, state);
  }

  /** Follows nothing any more. Idempotent. */
  close(): void {
    this.#isClosed = true;
    this.#retry?.cancel();
    this.#failed.clear();
    this.#waiting = [];
    this.#fetchers?.close();
  }

  #notLeader(partition: Partition): ReplicaRefusal {
    const { topic, partition: number, image } = partition;
    const present = image.leader < 0 ? "nobody does now" : `broker ${image.leader} does`;
    const message = `broker ${this.#nodeId} does not lead ${topic}-${number}; ${present}`;
    return refusal("NOT_LEADER_OR_FOLLOWER", message, partition);
  }

  #assign(topic: TopicImage): void {
    for (const [number, state] of topic.partitions.entries()) {
      if (!state.replicas.includes(this.#nodeId)) this.#leave(topic, number);
      else if (state.replicas.length > 1) this.#assignOne(topic, number, state);
      else this.#forget(topic.topicId, number);
    }
  }

  #assignOne(topic: TopicImage, number: number, { leader, leaderEpoch }: PartitionImage): void {
    const key = keyOf(topic.topicId, number);
    if (leader === NO_NODE || leader === this.#nodeId) {
      this.#forget(topic.topicId, number);
      return;
    }
    if (this.#followed.get(key) === leaderEpoch) return;
    this.#followed.set(key, leaderEpoch);
    const partition = this.#table.find(topic.name, number);
    if (partition !== undefined) this.#enqueue(() => this.#follow(partition, key));
  }

  /** None of its replicas: what there is of it here is not needed by anybody. */
  #leave(topic: TopicImage, number: number): void {
    this.#forget(topic.topicId, number);
    this.#table.release(topic, number);
  }

  /** What this broker led by `nodeId` is followed anew: at its present address. */
  #reassign(nodeId: NodeId): void {
    for (const topic of this.#image.topicsOn(this.#nodeId)) {
      for (const [number, { leader }] of topic.partitions.entries()) {
        if (leader === nodeId) this.#followed.delete(keyOf(topic.topicId, number));
      }
      if (topic.partitions.some(({ leader }) => leader === nodeId)) this.#assign(topic);
    }
  }

  /** What an earlier registration of this broker says counts for nothing (H22). */
  #takeRegistration(): void {
    const brokerEpoch = this.#image.broker(this.#nodeId)?.brokerEpoch;
    if (brokerEpoch === this.#brokerEpoch) return;
    this.#brokerEpoch = brokerEpoch;
    this.#fetchers?.reopen();
  }

  #forget(topicId: TopicId, number: number): void {
    const key = keyOf(topicId, number);
    this.#failed.delete(key);
    if (this.#followed.delete(key)) this.#fetchers?.forget(topicId, number);
  }

  #enqueue(job: () => Promise<void>): void {
    this.#waiting.push(job);
    this.#pump();
  }

  #pump(): void {
    while (this.#openings < OPENED_TOGETHER) {
      const next = this.#waiting.shift();
      if (next === undefined) return;
      this.#openings++;
      void next().finally(() => {
        this.#openings--;
        this.#pump();
      });
    }
  }

  /** Never rejects: a log that cannot be opened is tried again later. */
  async #follow(partition: Partition, key: string): Promise<void> {
    try {
      const role = await partition.follow();
      if (role === undefined || this.#isClosed || this.#followed.get(key) !== role.leaderEpoch) return;
      const leader = this.#image.broker(partition.image.leader);
      if (leader === undefined) return;
      const { nodeId, peerEndpoint } = leader;
      const endpoint = this.#configuredPeers.get(nodeId) ?? peerEndpoint;
      if (endpoint !== "") this.#fetchers?.setFollowed({ nodeId, directoryId: "", endpoint }, role);
    } catch (error: unknown) {
      this.#logger.error("a partition cannot be followed", {
        topic: partition.topic,
        partition: partition.partition,
        err: error,
      });
      this.#failed.set(key, partition);
      this.#retryLater();
    }
  }

  #retryLater(): void {
    if (this.#isClosed || this.#retry !== undefined) return;
    this.#retry = this.#clock.setTimer(this.#reopening.nextMs(), () => {
      this.#retry = undefined;
      const failed = [...this.#failed];
      this.#failed.clear();
      let left = failed.length;
      for (const [key, partition] of failed) {
        this.#enqueue(async () => {
          // It may have been given another role, or been taken away.
          if (this.#followed.has(key)) await this.#follow(partition, key);
          left -= 1;
          if (left === 0 && this.#failed.size === 0) this.#reopening.reset();
        });
      }
    });
  }
}

function keyOf(topicId: TopicId, partition: number): string {
  return `${topicId}-${partition}`;
}

function refusal(error: ReplicaRefusal["error"], message: string, partition?: Partition): ReplicaRefusal {
  const leaderEpoch = partition?.image.leaderEpoch ?? (-1 as LeaderEpoch);
  return { type: "refused", error, message, leaderEpoch };
}
