import type { TopicId } from "../../model/ids.ts";
import type { DecisionContext } from "../shard.ts";
import type { GroupEffects } from "./group-records.ts";
import type { GroupEntry, GroupTable } from "./group-table.ts";

/**
 * How old the last commit for a topic must be before the topic is taken for deleted by a coordinator that has never seen
 * it: longer than any broker takes to hear of a new topic.
 */
const UNSEEN_TOPIC_GRACE_MS = 60_000;

/**
 * Offsets of topics that were deleted. A topic is gone when it was in the metadata and is not any more, or has another id:
 * a new topic of an old name must not begin at the offsets of the old one. A topic that was in no metadata since this
 * coordinator took over was deleted before, unless its metadata are behind; so it is gone only when nobody has committed
 * for it lately. What is gone is recorded group by group, a slice at a time, and in any case before the group's offsets
 * are used again.
 */
export class GoneTopics {
  readonly #table: GroupTable;
  /** The id by which each topic with offsets was last seen. */
  readonly #seen = new Map<string, TopicId>();
  readonly #pending = new Map<GroupEntry, Set<string>>();

  constructor(table: GroupTable) {
    this.#table = table;
  }

  /** Offsets wait to be forgotten. */
  get hasPending(): boolean {
    return this.#pending.size > 0;
  }

  /** Compares all topics that have offsets with the metadata. Costs what topics there are, not what groups. */
  refresh(context: DecisionContext): void {
    for (const topic of this.#seen.keys()) {
      if (!this.#table.topics.has(topic)) this.#seen.delete(topic);
    }
    for (const topic of this.#table.topics.keys()) this.refreshTopic(topic, context);
  }

  /** Compares one topic; before offsets of it are committed, so that they are known to be of this very topic. */
  refreshTopic(topic: string, context: DecisionContext): void {
    const seen = this.#seen.get(topic);
    const topicId = context.image.topic(topic)?.topicId;
    if (topicId !== seen && seen !== undefined) this.#drop(topic);
    if (topicId !== undefined) {
      // The metadata that made this broker the coordinator know every topic that the one before knew.
      if (seen === undefined) this.#dropOthers(topic, topicId);
      this.#seen.set(topic, topicId);
      return;
    }
    this.#seen.delete(topic);
    if (seen === undefined && this.#isOld(topic, context.wallMs)) this.#drop(topic);
  }

  /** Records what this group is to forget. */
  settle(entry: GroupEntry, effects: GroupEffects): void {
    const topics = this.#pending.get(entry);
    if (topics === undefined) return;
    this.#pending.delete(entry);
    for (const topic of topics) entry.offsets.deleteTopic(topic, effects);
  }

  /** Goes on until nothing is left, or the table has replayed `until` records. */
  settleSome(until: number, effects: GroupEffects): void {
    for (const entry of this.#pending.keys()) {
      if (this.#table.replayed >= until) return;
      this.settle(entry, effects);
    }
  }

  #drop(topic: string): void {
    for (const entry of this.#table.topics.get(topic) ?? []) this.#dropOf(entry, topic);
  }

  /** Forgets what was committed for an older topic of this name, while there was no coordinator or another one. */
  #dropOthers(topic: string, topicId: TopicId): void {
    for (const entry of this.#table.topics.get(topic) ?? []) {
      const committed = entry.offsets.topicIdOf(topic);
      if (committed !== undefined && committed !== topicId) this.#dropOf(entry, topic);
    }
  }

  #dropOf(entry: GroupEntry, topic: string): void {
    const topics = this.#pending.get(entry);
    if (topics === undefined) this.#pending.set(entry, new Set([topic]));
    else topics.add(topic);
  }

  #isOld(topic: string, wallMs: number): boolean {
    for (const { offsets } of this.#table.topics.get(topic) ?? []) {
      if (offsets.latestCommitMs(topic) > wallMs - UNSEEN_TOPIC_GRACE_MS) return false;
    }
    return true;
  }
}
