import { assertNever } from "../base/assert.ts";
import { crc32c } from "../base/crc32c.ts";
import { operationError } from "../base/errors.ts";
import type { LograftError } from "../base/errors.ts";
import type { NodeId, TopicId } from "../model/ids.ts";
import { leaderEpoch } from "../model/offsets.ts";
import { collisionForm } from "../model/topic-partition.ts";
import { recordsOfImage } from "./image.ts";
import type { BrokerImage, MetadataImage, PartitionImage, TopicImage } from "./image.ts";
import { encodeMetadataRecords } from "./record-codec.ts";
import type { MetadataRecord, PartitionRecord } from "./records.ts";

/** What one replay changed, for those who act on it: logs to fence or delete, sessions to end. */
export interface MetadataDelta {
  /** Created or changed, as they are now. */
  readonly changed: readonly TopicImage[];
  /** As they were. */
  readonly removed: readonly TopicImage[];
}

/** A checksum of everything in the image; equal on all nodes that replayed the same records (H19). */
export function stateHash(image: MetadataImage): number {
  return crc32c(encodeMetadataRecords(recordsOfImage(image)));
}

/** Shared by all topics without configuration of their own: an empty map of each would be most of their memory. */
const NO_CONFIGS: ReadonlyMap<string, string> = new Map();

interface TopicDraft {
  readonly name: string;
  readonly topicId: TopicId;
  readonly partitions: PartitionImage[];
  readonly configs: Map<string, string>;
}

/** The image and the only code that changes it. One owner; everyone else gets it as a `MetadataImage`. */
export class MetadataState implements MetadataImage {
  readonly #byName = new Map<string, TopicImage>();
  readonly #byId = new Map<TopicId, TopicImage>();
  /** Collision form to name. One only, because a second is never created. */
  readonly #forms = new Map<string, string>();
  readonly #brokers = new Map<NodeId, BrokerImage>();
  readonly #nodeLists = new Map<string, readonly NodeId[]>();
  #partitionCount = 0;
  #nextProducerId = 0;

  get topicCount(): number {
    return this.#byId.size;
  }

  get partitionCount(): number {
    return this.#partitionCount;
  }

  get nextProducerId(): number {
    return this.#nextProducerId;
  }

  topic(name: string): TopicImage | undefined {
    return this.#byName.get(name);
  }

  topicById(topicId: TopicId): TopicImage | undefined {
    return this.#byId.get(topicId);
  }

  collidingName(name: string): string | undefined {
    const holder = this.#forms.get(collisionForm(name));
    return holder === name ? undefined : holder;
  }

  topics(): Iterable<TopicImage> {
    return this.#byId.values();
  }

  broker(nodeId: NodeId): BrokerImage | undefined {
    return this.#brokers.get(nodeId);
  }

  brokers(): Iterable<BrokerImage> {
    return this.#brokers.values();
  }

  /**
   * Applies the records of one log entry, all or none. A function of the state and the records alone (H19), so that
   * leader, follower and restart come to the same image. @throws LograftError METADATA_CORRUPT, with the image
   * unchanged, when a record cannot follow from the ones before it.
   */
  replay(records: readonly MetadataRecord[]): MetadataDelta {
    return this.prepare(records)();
  }

  /**
   * The first half of `replay`: finds out whether the records can be applied, and answers the function that does it.
   * Whoever logs records asks first, because an entry that cannot be replayed would stop every later start. Valid until
   * the next change of the image.
   */
  prepare(records: readonly MetadataRecord[]): () => MetadataDelta {
    const batch = new ReplayBatch(this, this.#nodeLists);
    for (const record of records) batch.apply(record);
    return () => this.#commit(batch);
  }

  #commit(batch: ReplayBatch): MetadataDelta {
    const removed: TopicImage[] = [];
    const changed: TopicImage[] = [];
    for (const [topicId, draft] of batch.topics) {
      const before = this.#byId.get(topicId);
      if (before !== undefined) {
        this.#partitionCount -= before.partitions.length;
        if (draft === undefined) removed.push(before);
      }
      if (draft === undefined) {
        this.#forget(topicId, before);
        continue;
      }
      const { name, partitions, configs } = draft;
      const topic: TopicImage = {
        name,
        topicId,
        partitions,
        configs: configs.size === 0 ? NO_CONFIGS : configs,
      };
      this.#byId.set(topicId, topic);
      this.#partitionCount += partitions.length;
      changed.push(topic);
    }
    // Names after all removals, so that a name freed and taken again in one batch ends with its new owner.
    for (const topic of changed) {
      this.#byName.set(topic.name, topic);
      this.#forms.set(collisionForm(topic.name), topic.name);
    }
    for (const broker of batch.brokers.values()) this.#brokers.set(broker.nodeId, broker);
    this.#nextProducerId = batch.nextProducerId;
    return { changed, removed };
  }

  #forget(topicId: TopicId, before: TopicImage | undefined): void {
    if (before === undefined) return; // Created and removed in one batch.
    this.#byId.delete(topicId);
    this.#byName.delete(before.name);
    this.#forms.delete(collisionForm(before.name));
  }
}

/** The drafts of one batch: they become visible together, and a topic of many partitions is copied once. */
class ReplayBatch {
  /** Undefined: removed. */
  readonly topics = new Map<TopicId, TopicDraft | undefined>();
  readonly brokers = new Map<NodeId, BrokerImage>();
  nextProducerId: number;
  readonly #image: MetadataImage;
  readonly #nodeLists: Map<string, readonly NodeId[]>;
  /** Names that this batch gave (a topic id) or freed (undefined). */
  readonly #names = new Map<string, TopicId | undefined>();
  #latest: TopicDraft | undefined;
  #lastList: { readonly given: readonly NodeId[]; readonly shared: readonly NodeId[] } | undefined;

  constructor(image: MetadataImage, nodeLists: Map<string, readonly NodeId[]>) {
    this.#image = image;
    this.#nodeLists = nodeLists;
    this.nextProducerId = image.nextProducerId;
  }

  apply(record: MetadataRecord): void {
    switch (record.type) {
      case "BrokerRegistration": {
        const { nodeId, incarnationId, directoryId, clean } = record;
        this.brokers.set(nodeId, { nodeId, incarnationId, directoryId, clean });
        if (!clean) this.#raiseEpochs(nodeId);
        return;
      }
      case "Topic":
        this.#createTopic(record.name, record.topicId);
        return;
      case "Partition":
        this.#setPartition(record);
        return;
      case "TopicConfig": {
        const { configs } = this.#draft(record.topicId, record.type);
        if (record.value === null) configs.delete(record.key);
        else configs.set(record.key, record.value);
        return;
      }
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
      default:
        assertNever(record);
    }
  }

  #createTopic(name: string, topicId: TopicId): void {
    const known = this.topics.has(topicId) ? this.topics.get(topicId) : this.#image.topicById(topicId);
    const holder = this.#names.has(name) ? this.#names.get(name) : this.#image.topic(name)?.topicId;
    if (known !== undefined || holder !== undefined) {
      throw corrupt(`topic ${name} is created twice`, { name, topicId, holder: holder ?? topicId });
    }
    const draft: TopicDraft = { name, topicId, partitions: [], configs: new Map() };
    this.topics.set(topicId, draft);
    this.#names.set(name, topicId);
    this.#latest = draft;
  }

  #setPartition(record: PartitionRecord): void {
    const { partition, leader, leaderEpoch: epoch, partitionEpoch } = record;
    const { name, partitions } = this.#draft(record.topicId, record.type);
    const before = partitions[partition];
    if (partition > partitions.length) {
      throw corrupt(`partition ${name}-${partition} leaves a hole`, {
        name,
        partition,
        count: partitions.length,
      });
    }
    if (before !== undefined && (epoch < before.leaderEpoch || partitionEpoch <= before.partitionEpoch)) {
      throw corrupt(`partition ${name}-${partition} goes back in its epochs`, {
        leaderEpoch: epoch,
        partitionEpoch,
        currentLeaderEpoch: before.leaderEpoch,
        currentPartitionEpoch: before.partitionEpoch,
      });
    }
    partitions[partition] = {
      replicas: this.#share(record.replicas),
      isr: this.#share(record.isr),
      leader,
      leaderEpoch: epoch,
      partitionEpoch,
    };
  }

  /**
   * A leader that came back without a clean shutdown may have lost records that others have read, so the offsets it
   * will give again belong to another epoch: (epoch, offset) never means two contents.
   */
  #raiseEpochs(nodeId: NodeId): void {
    for (const topic of this.#image.topics()) this.#raiseEpochsOf(topic, nodeId);
    for (const draft of this.topics.values()) {
      if (draft !== undefined && this.#image.topicById(draft.topicId) === undefined)
        this.#raiseEpochsOf(draft, nodeId);
    }
  }

  #raiseEpochsOf(topic: TopicImage, nodeId: NodeId): void {
    const current = this.topics.has(topic.topicId) ? this.topics.get(topic.topicId) : topic;
    if (current === undefined || !current.partitions.some((state) => state.leader === nodeId)) return;
    const { partitions } = this.#draft(topic.topicId, "BrokerRegistration");
    for (const [partition, state] of partitions.entries()) {
      if (state.leader !== nodeId) continue;
      partitions[partition] = {
        ...state,
        leaderEpoch: leaderEpoch(state.leaderEpoch + 1),
        partitionEpoch: state.partitionEpoch + 1,
      };
    }
  }

  #draft(topicId: TopicId, recordType: MetadataRecord["type"]): TopicDraft {
    if (this.#latest?.topicId === topicId) return this.#latest;
    let draft = this.topics.get(topicId);
    if (draft === undefined) {
      const current = this.topics.has(topicId) ? undefined : this.#image.topicById(topicId);
      if (current === undefined) {
        throw corrupt(`a ${recordType} record names topic ${topicId}, which does not exist`, { topicId });
      }
      draft = { ...current, partitions: [...current.partitions], configs: new Map(current.configs) };
      this.topics.set(topicId, draft);
    }
    this.#latest = draft;
    return draft;
  }

  #share(nodes: readonly NodeId[]): readonly NodeId[] {
    if (this.#lastList?.given === nodes) return this.#lastList.shared;
    const key = nodes.join(",");
    let shared = this.#nodeLists.get(key);
    if (shared === undefined) {
      shared = nodes;
      this.#nodeLists.set(key, shared);
    }
    this.#lastList = { given: nodes, shared };
    return shared;
  }
}

function corrupt(message: string, context: Readonly<Record<string, unknown>>): LograftError {
  return operationError("METADATA_CORRUPT", `${message}; the metadata log does not follow from itself`, {
    context,
  });
}
