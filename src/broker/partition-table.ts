import type { Logger } from "../base/logger.ts";
import type { LogConfig } from "../log/log-config.ts";
import type { MetadataImage, TopicImage } from "../metadata/image.ts";
import type { MetadataDelta } from "../metadata/replay.ts";
import type { BrokerConfig, TopicConfig } from "../model/configs.ts";
import type { TopicId } from "../model/ids.ts";
import type { NodeId } from "../model/ids.ts";
import { offset } from "../model/offsets.ts";
import type { Offset } from "../model/offsets.ts";
import type { TopicPartition } from "../model/topic-partition.ts";
import type { Clock } from "../platform/clock.ts";
import { RateLimit } from "../replication/rate-limit.ts";
import type { BrokerSabotage } from "./broker-options.ts";
import { IsrChanges } from "./isr-changes.ts";
import type { LeaderRole } from "./leader-role.ts";
import type { LogEnds, LogStore } from "./log-store.ts";
import { Partition } from "./partition.ts";
import { logConfigOf, topicConfigOf } from "./topic-configs.ts";
import { TopicTraffic } from "./topic-traffic.ts";

/** A topic in use on this broker: its settings, typed once, and the partitions that somebody touched. */
export interface HostedTopic {
  readonly image: TopicImage;
  readonly config: TopicConfig;
  readonly logConfig: LogConfig;
}

/** Where a log starts and ends, and the bytes of its batches. */
export interface LogMeasure extends LogEnds {
  readonly sizeBytes: number;
}

class TopicEntry implements HostedTopic {
  image: TopicImage;
  config: TopicConfig;
  logConfig: LogConfig;
  /** How fast reassignments may copy it from this broker. */
  pace: RateLimit | undefined;
  readonly partitions: (Partition | undefined)[] = [];
  readonly traffic = new TopicTraffic();
  readonly #clock: Clock;

  constructor(image: TopicImage, broker: BrokerConfig, clock: Clock) {
    this.image = image;
    this.#clock = clock;
    this.config = topicConfigOf(image, broker);
    this.logConfig = logConfigOf(this.config, broker);
    this.#setPace();
  }

  update(image: TopicImage, broker: BrokerConfig): void {
    if (image.configs !== this.image.configs) {
      this.config = topicConfigOf(image, broker);
      this.logConfig = logConfigOf(this.config, broker);
      this.#setPace();
      for (const partition of this.partitions) partition?.configChanged();
    }
    this.image = image;
    for (const [number, state] of image.partitions.entries()) this.partitions[number]?.update(state);
  }

  #setPace(): void {
    const bytesPerSecond = this.config.reassignmentThrottleBytesPerSecond;
    const nowMs = this.#clock.monotonicMs();
    if (bytesPerSecond === 0) this.pace = undefined;
    else if (this.pace === undefined) this.pace = new RateLimit(bytesPerSecond, nowMs);
    else this.pace.change(bytesPerSecond, nowMs);
  }
}

export interface PartitionTableOptions {
  readonly nodeId: NodeId;
  readonly config: BrokerConfig;
  readonly sabotage?: BrokerSabotage | undefined;
}

export interface PartitionTableDeps {
  readonly image: MetadataImage;
  readonly logs: LogStore;
  readonly clock: Clock;
  readonly logger: Logger;
  /** See `PartitionDeps.onDamage`. */
  readonly onDamage: (partition: Partition) => void;
  /** There may be a change of this partition's ISR to ask for. Must only take note. */
  readonly onIsrNews: (role: LeaderRole) => void;
  /** Of a partition of several replicas, as it was known before this process. */
  readonly highWatermarkOf: (topicPartition: TopicPartition) => Offset;
  /** The controller has been silent for a session: it may have made another broker the leader (H31). */
  readonly isContactLost: () => boolean;
}

const NEVER_WRITTEN: LogEnds = { logStartOffset: offset(0), logEndOffset: offset(0) };
/** Calls that may wait for one log to open. */
const MAX_WAITING_FOR_OPEN = 10_000;

/**
 * The way from (topic, partition) to the log. An entry is made at first use, so tens of thousands of idle partitions cost
 * nothing beside their metadata. It follows the committed metadata: leader epochs, settings, and deletions of topics and
 * of replicas, which are the only reasons for which data is removed (H28).
 */
export class PartitionTable {
  /** For metrics. */
  readonly isrChanges: IsrChanges;
  readonly #options: PartitionTableOptions;
  readonly #config: BrokerConfig;
  readonly #deps: PartitionTableDeps;
  readonly #image: MetadataImage;
  readonly #logs: LogStore;
  readonly #logger: Logger;
  readonly #topics = new Map<string, TopicEntry>();
  /** By name, the latest removal of files; a new topic of the same name waits for it (H24). */
  readonly #deletions = new Map<string, Promise<void>>();

  constructor(options: PartitionTableOptions, deps: PartitionTableDeps) {
    this.isrChanges = new IsrChanges(options.nodeId);
    this.#options = options;
    this.#config = options.config;
    this.#deps = deps;
    this.#image = deps.image;
    this.#logs = deps.logs;
    this.#logger = deps.logger;
  }

  /** The topic with its settings, or undefined when the cluster has none of this name. */
  topic(name: string): HostedTopic | undefined {
    return this.#entry(name);
  }

  /** The partition, or undefined when the cluster has none of this name and number. Allocates at first use only. */
  find(topic: string, partition: number): Partition | undefined {
    const entry = this.#topics.get(topic) ?? this.#entry(topic);
    return entry === undefined ? undefined : (entry.partitions[partition] ?? this.#make(entry, partition));
  }

  /**
   * Ends and size of a partition's log. Only one that holds records is opened for it, so that describing a topic of idle
   * partitions touches no file. @throws LograftError of the opening.
   */
  async measure(topic: string, partition: number): Promise<LogMeasure> {
    const entry = this.#entry(topic);
    const log = entry?.partitions[partition]?.openLog;
    if (log !== undefined) return log;
    const ends = this.#logs.ends({ topic, partition });
    if (ends === undefined || ends.logEndOffset === ends.logStartOffset)
      return { ...(ends ?? NEVER_WRITTEN), sizeBytes: 0 };
    return (await this.find(topic, partition)?.openedLog()) ?? { ...ends, sizeBytes: 0 };
  }

  /** Takes what was committed. Removed topics are unreadable when this returns; their files go behind it. */
  apply(delta: MetadataDelta): void {
    for (const topic of delta.removed) this.#remove(topic);
    for (const topic of delta.changed) {
      const entry = this.#topics.get(topic.name);
      if (entry === undefined) continue;
      this.isrChanges.note(entry.image, topic);
      entry.update(topic, this.#config);
    }
  }

  /** Removes the files of a topic whose deletion is committed; `apply` does so itself, this is for what a crash left. */
  deleteFiles(topic: string, topicId: TopicId, partitions: readonly number[]): void {
    this.#startDeletion(topic, topicId, partitions, []);
  }

  /**
   * Removes what this broker has of a partition that a committed reassignment took away from it; nothing happens when
   * there is nothing. A replica that comes back later begins anew, behind this (H23).
   */
  release(topic: TopicImage, number: number): void {
    const { name, topicId } = topic;
    const entry = this.#topics.get(name);
    const partition = entry?.partitions[number];
    if (partition?.hasLog !== true && this.#logs.ends({ topic: name, partition: number }) === undefined)
      return;
    if (entry !== undefined) entry.partitions[number] = undefined;
    partition?.remove();
    this.#startDeletion(name, topicId, [number], partition === undefined ? [] : [partition.settled]);
  }

  /** `isContactLost` has become true: who reads from this broker as the leader is told now, not at the next record. */
  contactLost(): void {
    for (const partition of this.inUse()) partition.contactLost();
  }

  /** This broker goes: who waits here for replicas is told that they may have it or not. */
  stopLeading(): void {
    for (const partition of this.inUse()) partition.stopLeading();
  }

  /** Those that somebody touched. */
  *inUse(): Iterable<Partition> {
    for (const { partitions } of this.#topics.values()) {
      for (const partition of partitions) if (partition !== undefined) yield partition;
    }
  }

  /** What clients sent and were sent, by the name of the topic. */
  *traffic(): Iterable<readonly [string, TopicTraffic]> {
    for (const [topic, { traffic }] of this.#topics) yield [topic, traffic];
  }

  /** High watermarks of the replicated partitions in use. */
  *highWatermarks(): Iterable<readonly [TopicPartition, Offset]> {
    for (const [topic, { partitions }] of this.#topics) {
      for (const [partition, state] of partitions.entries()) {
        if (state?.isReplicated === true) yield [{ topic, partition }, state.highWatermark];
      }
    }
  }

  /** Up to where the records of a partition are committed, as far as is known here; undefined while nobody uses it. */
  committedEndOf({ topic, partition }: TopicPartition): Offset | undefined {
    const state = this.#topics.get(topic)?.partitions[partition];
    return state?.isReplicated === true ? state.highWatermark : state?.openLog?.durableEndOffset;
  }

  /** Resolves when no deletion is under way. */
  async idle(): Promise<void> {
    while (this.#deletions.size > 0) await Promise.all(this.#deletions.values());
  }

  #entry(name: string): TopicEntry | undefined {
    const known = this.#topics.get(name);
    if (known !== undefined) return known;
    const image = this.#image.topic(name);
    if (image === undefined) return undefined;
    const entry = new TopicEntry(image, this.#config, this.#deps.clock);
    this.#topics.set(name, entry);
    return entry;
  }

  #make(entry: TopicEntry, number: number): Partition | undefined {
    const { name, topicId, partitions } = entry.image;
    const image = partitions[number];
    if (image === undefined) return undefined;
    const { clock, logger, onDamage, onIsrNews, highWatermarkOf, isContactLost } = this.#deps;
    const made = new Partition(
      {
        topic: name,
        partition: number,
        topicId,
        image,
        nodeId: this.#options.nodeId,
        highWatermark: highWatermarkOf({ topic: name, partition: number }),
        lagTimeMs: this.#config.replicaLagTimeMaxMs,
        sabotage: this.#options.sabotage,
        maxWaiting: MAX_WAITING_FOR_OPEN,
      },
      {
        clock,
        logger,
        onDamage,
        onIsrNews,
        isContactLost,
        traffic: entry.traffic,
        minInsyncReplicas: () => entry.config.minInsyncReplicas,
        pace: () => entry.pace,
        mayLoseCommitted: () => entry.config.uncleanLeaderElectionEnable,
        openLog: async () => {
          await this.#deletions.get(name);
          return this.#logs.open({ topic: name, partition: number }, topicId, () => entry.logConfig);
        },
      },
    );
    // Filled up to here, so that the array has no holes and stays a fast one.
    while (entry.partitions.length < number) entry.partitions.push(undefined);
    entry.partitions[number] = made;
    return made;
  }

  #remove(topic: TopicImage): void {
    const entry = this.#topics.get(topic.name);
    this.#topics.delete(topic.name);
    const used = entry?.partitions ?? [];
    for (const partition of used) partition?.remove();
    const numbers = topic.partitions.map((_state, number) => number);
    const openings = used.flatMap((partition) => (partition === undefined ? [] : [partition.settled]));
    this.#startDeletion(topic.name, topic.topicId, numbers, openings);
  }

  #startDeletion(
    topic: string,
    topicId: TopicId,
    partitions: readonly number[],
    openings: readonly Promise<void>[],
  ): void {
    const before = this.#deletions.get(topic);
    const run = this.#deleteFiles(
      topic,
      topicId,
      partitions,
      before === undefined ? openings : [...openings, before],
    );
    this.#deletions.set(topic, run);
    // It reports its failures and never rejects.
    void run.then(() => {
      if (this.#deletions.get(topic) === run) this.#deletions.delete(topic);
    });
  }

  async #deleteFiles(
    topic: string,
    topicId: TopicId,
    partitions: readonly number[],
    before: readonly Promise<void>[],
  ): Promise<void> {
    // An opening that began before the deletion ends first, or it would leave the directory behind.
    await Promise.all(before);
    for (const partition of partitions) {
      try {
        await this.#logs.delete({ topic, partition }, topicId);
      } catch (error: unknown) {
        // The delete record is committed: the next start finds the directory and tries again.
        this.#logger.error("a deleted partition could not be removed from the disk", {
          topic,
          partition,
          topicId,
          err: error,
        });
      }
    }
  }
}
