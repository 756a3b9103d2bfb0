import type { AlterConfigsCommand } from "../../controller/configs.ts";
import type { ItemOutcome } from "../../controller/result.ts";
import { SUCCESS } from "../../controller/result.ts";
import { unknownTopic } from "../../controller/topics.ts";
import type { AddPartitionsCommand, NewTopic, TopicResult } from "../../controller/topics.ts";
import type { PartitionImage, TopicImage } from "../../metadata/image.ts";
import { describeTopicConfig } from "../../model/configs.ts";
import type { ConfigRow, ParsedBrokerConfig } from "../../model/configs.ts";
import { ZERO_TOPIC_ID } from "../../model/ids.ts";
import type { TopicId } from "../../model/ids.ts";
import { offset } from "../../model/offsets.ts";
import { INTERNAL_TOPICS } from "../../model/topic-partition.ts";
import type { MetadataCalls } from "../metadata-calls.ts";
import { outcomeOfError } from "../outcome.ts";
import type { LogMeasure, PartitionTable } from "../partition-table.ts";
import { overridesOf } from "../topic-configs.ts";

export type { NewTopic, TopicResult } from "../../controller/topics.ts";

export interface TopicListing {
  readonly name: string;
  readonly topicId: TopicId;
  readonly partitions: number;
  readonly replicationFactor: number;
  readonly isInternal: boolean;
}

export interface PartitionDescription extends ItemOutcome, LogMeasure {
  readonly partition: number;
  readonly leaderId: number;
  readonly leaderEpoch: number;
  readonly replicas: readonly number[];
  readonly isr: readonly number[];
}

export interface TopicDescription extends ItemOutcome {
  readonly name: string;
  readonly topicId: TopicId;
  readonly isInternal: boolean;
  readonly partitions: readonly PartitionDescription[];
  readonly configs: readonly ConfigRow[];
}

export interface TopicsDeps {
  readonly metadata: MetadataCalls;
  readonly table: PartitionTable;
}

/** Topics: created, deleted, grown, configured by the controller; listed and described from the image. */
export class TopicsHandler {
  readonly #config: ParsedBrokerConfig;
  readonly #metadata: MetadataCalls;
  readonly #table: PartitionTable;

  constructor(options: { readonly config: ParsedBrokerConfig }, deps: TopicsDeps) {
    this.#config = options.config;
    this.#metadata = deps.metadata;
    this.#table = deps.table;
  }

  /** One result for each topic, in order; all that succeed come into being in one commit. @throws as `MetadataCalls.call`. */
  async create(call: {
    readonly topics: readonly NewTopic[];
    readonly validateOnly: boolean;
  }): Promise<readonly TopicResult[]> {
    return (await this.#metadata.call({ type: "createTopics", ...call })).result;
  }

  /** @throws as `MetadataCalls.call`. */
  async delete(names: readonly string[]): Promise<readonly TopicResult[]> {
    return (await this.#metadata.call({ type: "deleteTopics", names })).result;
  }

  /** @throws as `MetadataCalls.call`. */
  async addPartitions(
    call: Pick<AddPartitionsCommand, "name" | "totalPartitions" | "validateOnly">,
  ): Promise<TopicResult> {
    return (await this.#metadata.call({ type: "addPartitions", ...call })).result;
  }

  /** @throws as `MetadataCalls.call`. */
  async alterConfigs(call: AlterConfigsCommand): Promise<TopicResult> {
    return (await this.#metadata.call({ type: "alterConfigs", ...call })).result;
  }

  /** All topics by name. */
  list(call: { readonly includeInternal: boolean }): readonly TopicListing[] {
    const listings: TopicListing[] = [];
    for (const { name, topicId, partitions } of this.#metadata.image.topics()) {
      const isInternal = INTERNAL_TOPICS.has(name);
      if (isInternal && !call.includeInternal) continue;
      const replicationFactor = partitions[0]?.replicas.length ?? 0;
      listings.push({ name, topicId, partitions: partitions.length, replicationFactor, isInternal });
    }
    return listings.sort((a, b) => (a.name < b.name ? -1 : 1));
  }

  /** One description for each name, in order. Logs that were never written are not opened for it. */
  async describe(names: readonly string[]): Promise<readonly TopicDescription[]> {
    const descriptions: TopicDescription[] = [];
    for (const name of names) descriptions.push(await this.#describeOne(name));
    return descriptions;
  }

  async #describeOne(name: string): Promise<TopicDescription> {
    const isInternal = INTERNAL_TOPICS.has(name);
    const topic = this.#metadata.image.topic(name);
    if (topic === undefined) {
      return { name, topicId: ZERO_TOPIC_ID, isInternal, partitions: [], configs: [], ...unknownTopic(name) };
    }
    const partitions: PartitionDescription[] = [];
    // A few at a time, since some may have to be opened.
    for (let from = 0; from < topic.partitions.length; from += DESCRIBED_TOGETHER) {
      const some = topic.partitions.slice(from, from + DESCRIBED_TOGETHER);
      partitions.push(
        ...(await Promise.all(
          some.map((state, index) => this.#describePartition(topic, from + index, state)),
        )),
      );
    }
    return {
      name,
      topicId: topic.topicId,
      isInternal,
      partitions,
      configs: describeTopicConfig(this.#config, overridesOf(topic)),
      ...SUCCESS,
    };
  }

  async #describePartition(
    { name }: TopicImage,
    partition: number,
    { leader, leaderEpoch, replicas, isr }: PartitionImage,
  ): Promise<PartitionDescription> {
    const placed = { partition, leaderId: leader, leaderEpoch, replicas, isr };
    try {
      const { logStartOffset, logEndOffset, sizeBytes } = await this.#table.measure(name, partition);
      return { ...placed, logStartOffset, logEndOffset, sizeBytes, ...SUCCESS };
    } catch (error: unknown) {
      return {
        ...placed,
        logStartOffset: NOWHERE,
        logEndOffset: NOWHERE,
        sizeBytes: 0,
        ...outcomeOfError(error),
      };
    }
  }
}

/** Partitions of one topic that are looked at together. */
const DESCRIBED_TOGETHER = 64;
const NOWHERE = offset(0);
