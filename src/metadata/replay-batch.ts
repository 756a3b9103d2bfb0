import { assertNever } from "../base/assert.ts";
import { operationError } from "../base/errors.ts";
import type { LograftError } from "../base/errors.ts";
import type { NodeId, TopicId } from "../model/ids.ts";
import type { BrokerImage, MetadataImage, PartitionImage, TopicImage } from "./image.ts";
import { checkPartition } from "./partition-check.ts";
import type {
  BrokerChangeRecord,
  BrokerRegistrationRecord,
  MetadataRecord,
  PartitionRecord,
} from "./records.ts";

/** Shared by all topics without configuration of their own: an empty map of each would be most of their memory. */
const NO_CONFIGS: ReadonlyMap<string, string> = new Map();

/** A topic that the batch creates or changes. */
export interface TopicDraft {
  readonly name: string;
  readonly topicId: TopicId;
  readonly partitions: PartitionImage[];
  configs: ReadonlyMap<string, string>;
  /** A partition was added or has other replicas. */
  hasMoved: boolean;
}

/** The drafts of one batch: they become visible together, and a topic of many partitions is copied once. */
export class ReplayBatch {
  /** Undefined: removed. */
  readonly topics = new Map<TopicId, TopicDraft | undefined>();
  /** Undefined: removed. */
  readonly brokers = new Map<NodeId, BrokerImage | undefined>();
  readonly features = new Map<string, number>();
  nextProducerId: number;
  readonly #image: MetadataImage;
  readonly #nodeLists: Map<string, readonly NodeId[]>;
  /** Names that this batch gave (a topic id) or freed (undefined). */
  readonly #names = new Map<string, TopicId | undefined>();
  /** Lists as they were given, to the shared ones that equal them. */
  readonly #shared = new Map<readonly NodeId[], readonly NodeId[]>();
  readonly #isRegistered = (nodeId: NodeId): boolean => this.#broker(nodeId) !== undefined;
  #latest: TopicDraft | undefined;

  constructor(image: MetadataImage, nodeLists: Map<string, readonly NodeId[]>) {
    this.#image = image;
    this.#nodeLists = nodeLists;
    this.nextProducerId = image.nextProducerId;
  }

  /** @throws LograftError METADATA_CORRUPT when the record cannot follow; the batch is of no use then. */
  apply(record: MetadataRecord): void {
    switch (record.type) {
      case "BrokerRegistration":
        this.#register(record);
        return;
      case "BrokerChange":
        this.#changeBroker(record);
        return;
      case "UnregisterBroker":
        this.#unregister(record.nodeId);
        return;
      case "Topic":
        this.#createTopic(record.name, record.topicId);
        return;
      case "Partition":
        this.#setPartition(record);
        return;
      case "TopicConfig":
        this.#setConfig(record.topicId, record.key, record.value);
        return;
      case "RemoveTopic": {
        const { name } = this.#draft(record.topicId, record.type);
        this.topics.set(record.topicId, undefined);
        this.#names.set(name, undefined);
        this.#latest = undefined;
        return;
      }
      case "ProducerIds":
        // Ids below were given out; going back would give them out again (H57).
        if (record.nextProducerId < this.nextProducerId) {
          throw corrupt("a producer id block goes back", { ...record, current: this.nextProducerId });
        }
        this.nextProducerId = record.nextProducerId;
        return;
      case "FeatureLevel":
        this.features.set(record.name, record.level);
        return;
      default:
        assertNever(record);
    }
  }

  #broker(nodeId: NodeId): BrokerImage | undefined {
    return this.brokers.has(nodeId) ? this.brokers.get(nodeId) : this.#image.broker(nodeId);
  }

  #register(record: BrokerRegistrationRecord): void {
    const { type: _, ...registration } = record;
    const { nodeId, brokerEpoch } = record;
    const before = this.#broker(nodeId);
    // Epochs are metadata offsets: an equal or smaller one is a registration from before the present one (H26).
    if (before !== undefined && brokerEpoch <= before.brokerEpoch) {
      throw corrupt(`broker ${nodeId} goes back in its epoch`, {
        nodeId,
        brokerEpoch,
        current: before.brokerEpoch,
      });
    }
    this.brokers.set(nodeId, {
      ...registration,
      isFenced: true,
      isShuttingDown: false,
      // Somebody wanted it empty: a restart does not change that.
      isDrained: before?.isDrained ?? false,
    });
  }

  #changeBroker(record: BrokerChangeRecord): void {
    const { nodeId, brokerEpoch, isFenced, isShuttingDown, isDrained } = record;
    const before = this.#registered(nodeId, record.type);
    if (brokerEpoch !== before.brokerEpoch) {
      throw corrupt(`a BrokerChange record is about another registration of broker ${nodeId}`, {
        nodeId,
        brokerEpoch,
        current: before.brokerEpoch,
      });
    }
    this.brokers.set(nodeId, { ...before, isFenced, isShuttingDown, isDrained });
  }

  #unregister(nodeId: NodeId): void {
    this.#registered(nodeId, "UnregisterBroker");
    for (const topic of this.#topicsThatMayBeOn(nodeId)) {
      for (const [partition, { isr, elr, lastKnownElr }] of topic.partitions.entries()) {
        if (![isr, elr, lastKnownElr].some((list) => list.includes(nodeId))) continue;
        throw corrupt(`broker ${nodeId} is unregistered and still counts for ${topic.name}-${partition}`, {
          nodeId,
          isr,
          elr,
          lastKnownElr,
        });
      }
    }
    this.brokers.set(nodeId, undefined);
  }

  /** As this batch leaves them so far. */
  *#topicsThatMayBeOn(nodeId: NodeId): Iterable<Pick<TopicImage, "name" | "partitions">> {
    for (const topic of this.#image.topicsOn(nodeId)) {
      if (!this.topics.has(topic.topicId)) yield topic;
    }
    for (const draft of this.topics.values()) {
      if (draft !== undefined) yield draft;
    }
  }

  #registered(nodeId: NodeId, recordType: MetadataRecord["type"]): BrokerImage {
    const broker = this.#broker(nodeId);
    if (broker !== undefined) return broker;
    throw corrupt(`a ${recordType} record names broker ${nodeId}, which is not registered`, { nodeId });
  }

  #createTopic(name: string, topicId: TopicId): void {
    const known = this.topics.has(topicId) ? this.topics.get(topicId) : this.#image.topicById(topicId);
    const holder = this.#names.has(name) ? this.#names.get(name) : this.#image.topic(name)?.topicId;
    if (known !== undefined || holder !== undefined) {
      throw corrupt(`topic ${name} is created twice`, { name, topicId, holder: holder ?? topicId });
    }
    const draft: TopicDraft = { name, topicId, partitions: [], configs: NO_CONFIGS, hasMoved: true };
    this.topics.set(topicId, draft);
    this.#names.set(name, topicId);
    this.#latest = draft;
  }

  #setConfig(topicId: TopicId, key: string, value: string | null): void {
    const draft = this.#draft(topicId, "TopicConfig");
    const configs = new Map(draft.configs);
    if (value === null) configs.delete(key);
    else configs.set(key, value);
    draft.configs = configs.size === 0 ? NO_CONFIGS : configs;
  }

  #setPartition(record: PartitionRecord): void {
    const draft = this.#draft(record.topicId, record.type);
    const { name, partitions } = draft;
    const { partition, leader, leaderEpoch, partitionEpoch } = record;
    if (partition > partitions.length) {
      throw corrupt(`partition ${name}-${partition} leaves a hole`, {
        name,
        partition,
        count: partitions.length,
      });
    }
    const before = partitions[partition];
    const after: PartitionImage = {
      replicas: this.#share(record.replicas),
      addingReplicas: this.#share(record.addingReplicas),
      removingReplicas: this.#share(record.removingReplicas),
      isr: this.#share(record.isr),
      elr: this.#share(record.elr),
      lastKnownElr: this.#share(record.lastKnownElr),
      leader,
      leaderEpoch,
      partitionEpoch,
    };
    const fault = checkPartition(before, after, this.#isRegistered);
    if (fault !== undefined) throw corrupt(`partition ${name}-${partition} ${fault}`, { before, after });
    if (before?.replicas !== after.replicas) draft.hasMoved = true;
    partitions[partition] = after;
  }

  #draft(topicId: TopicId, recordType: MetadataRecord["type"]): TopicDraft {
    if (this.#latest?.topicId === topicId) return this.#latest;
    let draft = this.topics.get(topicId);
    if (draft === undefined) {
      const current = this.topics.has(topicId) ? undefined : this.#image.topicById(topicId);
      if (current === undefined) {
        throw corrupt(`a ${recordType} record names topic ${topicId}, which does not exist`, { topicId });
      }
      const { name, partitions, configs } = current;
      draft = { name, topicId, partitions: [...partitions], configs, hasMoved: false };
      this.topics.set(topicId, draft);
    }
    this.#latest = draft;
    return draft;
  }

  #share(nodes: readonly NodeId[]): readonly NodeId[] {
    const known = this.#shared.get(nodes);
    if (known !== undefined) return known;
    const key = nodes.join(",");
    let shared = this.#nodeLists.get(key);
    if (shared === undefined) {
      shared = nodes;
      this.#nodeLists.set(key, shared);
    }
    this.#shared.set(nodes, shared);
    return shared;
  }
}

function corrupt(message: string, context: Readonly<Record<string, unknown>>): LograftError {
  return operationError("METADATA_CORRUPT", `${message}; the metadata log does not follow from itself`, {
    context,
  });
}
