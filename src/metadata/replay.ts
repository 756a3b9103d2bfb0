import { crc32c } from "../base/crc32c.ts";
import type { NodeId, TopicId } from "../model/ids.ts";
import { collisionForm } from "../model/topic-partition.ts";
import { differenceOf } from "./image-difference.ts";
import { recordsOfImage } from "./image.ts";
import type { BrokerImage, MetadataImage, TopicImage } from "./image.ts";
import type { MetadataDelta } from "./metadata-delta.ts";
import { metadataVersionOf } from "./metadata-version.ts";
import { encodeMetadataRecords } from "./record-codec.ts";
import type { MetadataRecord } from "./records.ts";
import { ReplayBatch } from "./replay-batch.ts";
import { ReplicaIndex } from "./replica-index.ts";

export type { MetadataDelta } from "./metadata-delta.ts";

/** A checksum of everything in the image; equal on all nodes that replayed the same records (H19). */
export function stateHash(image: MetadataImage): number {
  return crc32c(encodeMetadataRecords(recordsOfImage(image), metadataVersionOf(image)));
}

/** The image and the only code that changes it. One owner; everyone else gets it as a `MetadataImage`. */
export class MetadataState implements MetadataImage {
  #byName = new Map<string, TopicImage>();
  #byId = new Map<TopicId, TopicImage>();
  /** Collision form to name. One only, because a second is never created. */
  #forms = new Map<string, string>();
  #brokers = new Map<NodeId, BrokerImage>();
  #features = new Map<string, number>();
  #replicas = new ReplicaIndex();
  #nodeLists = new Map<string, readonly NodeId[]>();
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

  get features(): ReadonlyMap<string, number> {
    return this.#features;
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

  *topicsOn(nodeId: NodeId): Iterable<TopicImage> {
    for (const topicId of this.#replicas.topicsOn(nodeId)) {
      const topic = this.#byId.get(topicId);
      if (topic !== undefined) yield topic;
    }
  }

  broker(nodeId: NodeId): BrokerImage | undefined {
    return this.#brokers.get(nodeId);
  }

  brokers(): Iterable<BrokerImage> {
    return this.#brokers.values();
  }

  /** An independent state that equals this one, for decisions that run ahead of the commit. Topics and brokers are shared. */
  clone(): MetadataState {
    const copy = new MetadataState();
    copy.#byName = new Map(this.#byName);
    copy.#byId = new Map(this.#byId);
    copy.#forms = new Map(this.#forms);
    copy.#brokers = new Map(this.#brokers);
    copy.#features = new Map(this.#features);
    copy.#replicas = this.#replicas.clone();
    copy.#nodeLists = new Map(this.#nodeLists);
    copy.#partitionCount = this.#partitionCount;
    copy.#nextProducerId = this.#nextProducerId;
    return copy;
  }

  /**
   * Becomes what `next` is, as a node does that restores a snapshot, and tells what that changed. `next` must not be used
   * any more.
   */
  replaceWith(next: MetadataState): MetadataDelta {
    const delta = differenceOf(this, next);
    this.#byName = next.#byName;
    this.#byId = next.#byId;
    this.#forms = next.#forms;
    this.#brokers = next.#brokers;
    this.#features = next.#features;
    this.#replicas = next.#replicas;
    this.#nodeLists = next.#nodeLists;
    this.#partitionCount = next.#partitionCount;
    this.#nextProducerId = next.#nextProducerId;
    return delta;
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
    const topics = this.#commitTopics(batch);
    const brokers: BrokerImage[] = [];
    const removedBrokers: BrokerImage[] = [];
    for (const [nodeId, broker] of batch.brokers) {
      if (broker !== undefined) {
        this.#brokers.set(nodeId, broker);
        brokers.push(broker);
        continue;
      }
      const before = this.#brokers.get(nodeId);
      if (before === undefined) continue; // Registered and unregistered in one batch.
      this.#brokers.delete(nodeId);
      removedBrokers.push(before);
    }
    for (const [name, level] of batch.features) this.#features.set(name, level);
    this.#nextProducerId = batch.nextProducerId;
    return { ...topics, brokers, removedBrokers, features: batch.features };
  }

  #commitTopics(batch: ReplayBatch): Pick<MetadataDelta, "changed" | "removed"> {
    const removed: TopicImage[] = [];
    const changed: TopicImage[] = [];
    for (const [topicId, draft] of batch.topics) {
      const before = this.#byId.get(topicId);
      if (draft === undefined) {
        if (before === undefined) continue; // Created and removed in one batch.
        this.#forget(before);
        removed.push(before);
        continue;
      }
      const { name, partitions, configs, hasMoved } = draft;
      const topic: TopicImage = { name, topicId, partitions, configs };
      this.#byId.set(topicId, topic);
      this.#partitionCount += partitions.length - (before?.partitions.length ?? 0);
      if (hasMoved) this.#replicas.update(topicId, before?.partitions ?? [], partitions);
      changed.push(topic);
    }
    // Names after all removals, so that a name freed and taken again in one batch ends with its new owner.
    for (const topic of changed) {
      this.#byName.set(topic.name, topic);
      this.#forms.set(collisionForm(topic.name), topic.name);
    }
    return { changed, removed };
  }

  #forget({ name, topicId, partitions }: TopicImage): void {
    this.#partitionCount -= partitions.length;
    this.#replicas.update(topicId, partitions, []);
    this.#byId.delete(topicId);
    this.#byName.delete(name);
    this.#forms.delete(collisionForm(name));
  }
}
