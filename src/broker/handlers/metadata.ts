import type { ItemOutcome } from "../../controller/result.ts";
import { SUCCESS } from "../../controller/result.ts";
import { unknownTopic } from "../../controller/topics.ts";
import { clientAddressOf } from "../../metadata/client-address.ts";
import { isServing } from "../../metadata/image.ts";
import type { TopicImage } from "../../metadata/image.ts";
import type { BrokerConfig } from "../../model/configs.ts";
import type { ErrorName } from "../../model/error-code.ts";
import { NO_NODE, ZERO_TOPIC_ID } from "../../model/ids.ts";
import type { ClusterId, NodeId, TopicId } from "../../model/ids.ts";
import { INTERNAL_TOPICS } from "../../model/topic-partition.ts";
import type { MetadataCalls } from "../metadata-calls.ts";
import { overridesOf } from "../topic-configs.ts";
import type { TopicsHandler } from "./topics.ts";

export interface MetadataCall {
  readonly topics: readonly string[];
  /** All topics instead of those named. */
  readonly allTopics: boolean;
  /** Create the named ones that are missing, if the broker's configuration allows. */
  readonly allowAutoCreate: boolean;
  /** The listener that the client came in on: it is told the addresses of that one. Default: the first of each broker. */
  readonly listener?: string | undefined;
}

/** Where clients reach a broker. */
export interface AdvertisedBroker {
  readonly nodeId: NodeId;
  readonly host: string;
  readonly port: number;
  /** Empty: none. */
  readonly rack: string;
}

export interface PartitionMetadata {
  readonly error: ErrorName;
  readonly partition: number;
  readonly leaderId: number;
  readonly leaderEpoch: number;
  readonly replicas: readonly number[];
  readonly isr: readonly number[];
}

export interface TopicMetadata extends ItemOutcome {
  readonly name: string;
  readonly topicId: TopicId;
  readonly isInternal: boolean;
  readonly partitions: readonly PartitionMetadata[];
  readonly maxMessageBytes: number;
}

/** What a client needs to find its way. */
export interface ClusterMetadata {
  readonly clusterId: ClusterId;
  /** -1: none is known now. */
  readonly controllerId: NodeId;
  readonly brokers: readonly AdvertisedBroker[];
  readonly topics: readonly TopicMetadata[];
  /** What this broker can do: feature name to level. */
  readonly features: ReadonlyMap<string, number>;
  /** Largest batch, unless a topic says otherwise. */
  readonly maxBatchBytes: number;
}

/** Answers where topics are, from the committed image. */
export class MetadataHandler {
  readonly #config: BrokerConfig;
  readonly #metadata: MetadataCalls;
  readonly #topics: TopicsHandler;

  constructor(
    options: { readonly config: BrokerConfig },
    deps: { readonly metadata: MetadataCalls; readonly topics: TopicsHandler },
  ) {
    this.#config = options.config;
    this.#metadata = deps.metadata;
    this.#topics = deps.topics;
  }

  /** @throws as `MetadataCalls.call` when topics are to be created; NO_QUORUM before this broker belongs to a cluster. */
  async metadata(call: MetadataCall): Promise<ClusterMetadata> {
    const refusals = await this.#createMissing(call);
    const { image, clusterId, leaderId } = this.#metadata;
    const topics = call.allTopics
      ? Array.from(image.topics(), (topic) => this.#describe(topic))
      : call.topics.map((name) => {
          const topic = image.topic(name);
          return topic === undefined ? missingTopic(name, refusals.get(name)) : this.#describe(topic);
        });
    return {
      clusterId,
      controllerId: leaderId ?? NO_NODE,
      brokers: Array.from(image.brokers())
        .filter(isServing)
        .map((broker) => ({
          nodeId: broker.nodeId,
          ...clientAddressOf(broker, call.listener),
          rack: broker.rack ?? "",
        })),
      topics,
      features: image.features,
      maxBatchBytes: this.#config.messageMaxBytes,
    };
  }

  /** Creates what is named and missing. Answers why some could not be. */
  async #createMissing(call: MetadataCall): Promise<ReadonlyMap<string, ItemOutcome>> {
    const refusals = new Map<string, ItemOutcome>();
    if (call.allTopics || !call.allowAutoCreate || !this.#config.autoCreateTopicsEnable) return refusals;
    const missing = new Set(call.topics.filter((name) => this.#metadata.image.topic(name) === undefined));
    if (missing.size === 0) return refusals;
    const wishes = Array.from(missing, (name) => ({
      name,
      partitions: 0,
      replicationFactor: 0,
      configs: new Map<string, string>(),
    }));
    for (const result of await this.#topics.create({ topics: wishes, validateOnly: false })) {
      // Another caller may have been faster: then it exists, which was the wish.
      if (result.error !== "NONE" && result.error !== "TOPIC_ALREADY_EXISTS")
        refusals.set(result.name, result);
    }
    return refusals;
  }

  /** A batch must fit into a segment too. */
  #maxBatchBytes(topic: TopicImage): number {
    const { maxMessageBytes, segmentBytes } = overridesOf(topic);
    const { messageMaxBytes, logSegmentBytes } = this.#config;
    return Math.min(maxMessageBytes ?? messageMaxBytes, segmentBytes ?? logSegmentBytes);
  }

  #describe(topic: TopicImage): TopicMetadata {
    return {
      ...SUCCESS,
      name: topic.name,
      topicId: topic.topicId,
      isInternal: INTERNAL_TOPICS.has(topic.name),
      partitions: topic.partitions.map(({ leader, leaderEpoch, replicas, isr }, partition) => ({
        error: leader < 0 ? "LEADER_NOT_AVAILABLE" : "NONE",
        partition,
        leaderId: leader,
        leaderEpoch,
        replicas,
        isr,
      })),
      maxMessageBytes: this.#maxBatchBytes(topic),
    };
  }
}

function missingTopic(name: string, refusal: ItemOutcome | undefined): TopicMetadata {
  const { error, errorMessage } = refusal ?? unknownTopic(name);
  const isInternal = INTERNAL_TOPICS.has(name);
  return {
    error,
    errorMessage,
    name,
    topicId: ZERO_TOPIC_ID,
    isInternal,
    partitions: [],
    maxMessageBytes: 0,
  };
}
