import { compareText } from "../../metadata/image.ts";
import type { TopicId } from "../../model/ids.ts";
import { shownTopic } from "../../model/topic-partition.ts";
import type { DecisionContext } from "../shard.ts";
import type {
  GroupOutcome,
  OffsetCommitPartition,
  OffsetFetchResponse,
  PartitionOutcome,
} from "./group-api.ts";
import type { CommittedOffset, GroupEffects } from "./group-records.ts";
import { refuse } from "./group-rules.ts";
import { GROUP_SUCCESS } from "./group.ts";

const MAX_LEADER_EPOCH = 0x7fff_ffff;

/** A partition of an answer to a fetch of offsets. */
export type FetchedOffset = OffsetFetchResponse["partitions"][number];

/** What a commit is held against, besides the group. */
export interface CommitRules {
  /** Bytes of UTF-8 that the metadata of one offset may have. */
  readonly metadataMaxBytes: number;
  /** The group's word on a partition; undefined: it may be committed. */
  readonly refusalOf: (partition: OffsetCommitPartition) => GroupOutcome | undefined;
}

/** Whether the group has come to its first offset of a topic, or lost its last one. */
export type TopicChange = "added" | "removed" | undefined;

/** What one group has committed. Changed by `replay` alone; the decisions here record what is to be replayed. */
export class GroupOffsets {
  readonly groupId: string;
  readonly #topics = new Map<string, Map<number, CommittedOffset>>();
  #size = 0;

  constructor(groupId: string) {
    this.groupId = groupId;
  }

  /** Partitions with a committed offset. */
  get size(): number {
    return this.#size;
  }

  get(topic: string, partition: number): CommittedOffset | undefined {
    return this.#topics.get(topic)?.get(partition);
  }

  /** Milliseconds since 1970 of the latest commit for a topic; -Infinity when there is none. */
  latestCommitMs(topic: string): number {
    let latest = -Infinity;
    for (const { commitTimestampMs } of this.#topics.get(topic)?.values() ?? []) {
      latest = Math.max(latest, commitTimestampMs);
    }
    return latest;
  }

  /** The topic of this name that was committed for; undefined without offsets, and where it was not noted. */
  topicIdOf(topic: string): TopicId | undefined {
    // Offsets of two topics of one name are never here together: those of the first go before the second has any.
    for (const { topicId } of this.#topics.get(topic)?.values() ?? []) return topicId;
    return undefined;
  }

  /** Takes a record: a committed offset, or null for one that is gone. */
  replay(topic: string, partition: number, value: CommittedOffset | null): TopicChange {
    const known = this.#topics.get(topic);
    if (value === null) return known === undefined ? undefined : this.#remove(known, topic, partition);
    const partitions = known ?? new Map<number, CommittedOffset>();
    const sizeBefore = partitions.size;
    partitions.set(partition, value);
    this.#size += partitions.size - sizeBefore;
    if (known !== undefined) return undefined;
    this.#topics.set(topic, partitions);
    return "added";
  }

  #remove(partitions: Map<number, CommittedOffset>, topic: string, partition: number): TopicChange {
    if (!partitions.delete(partition)) return undefined;
    this.#size--;
    if (partitions.size > 0) return undefined;
    this.#topics.delete(topic);
    return "removed";
  }

  /** Records the offsets that pass; answers for each partition, in the order of the request. */
  commit(
    partitions: readonly OffsetCommitPartition[],
    rules: CommitRules,
    context: DecisionContext,
    effects: GroupEffects,
  ): PartitionOutcome[] {
    return partitions.map((wanted) => {
      const { topic, partition, offset, leaderEpoch, metadata } = wanted;
      const refusal = checkCommitted(wanted, rules, context) ?? rules.refusalOf(wanted);
      if (refusal !== undefined) return { ...refusal, topic, partition };
      const topicId = context.image.topic(topic)?.topicId;
      const value = { offset, leaderEpoch, metadata, commitTimestampMs: context.wallMs, topicId };
      effects.record({ type: "offset", groupId: this.groupId, topic, partition, value });
      return { ...GROUP_SUCCESS, topic, partition };
    });
  }

  /** The offsets of these partitions, -1 where nothing was committed (H63); of all, sorted, when undefined. */
  fetch(
    partitions: readonly { readonly topic: string; readonly partition: number }[] | undefined,
  ): FetchedOffset[] {
    if (partitions === undefined) return this.#fetchAll();
    return partitions.map(({ topic, partition }) => fetched(topic, partition, this.get(topic, partition)));
  }

  #fetchAll(): FetchedOffset[] {
    const all: FetchedOffset[] = [];
    const topics = [...this.#topics].sort(([a], [b]) => compareText(a, b));
    for (const [topic, partitions] of topics) {
      const sorted = [...partitions].sort(([a], [b]) => a - b);
      for (const [partition, value] of sorted) all.push(fetched(topic, partition, value));
    }
    return all;
  }

  /** Forgets one offset; nothing happens when there is none. */
  delete(topic: string, partition: number, effects: GroupEffects): void {
    if (this.get(topic, partition) === undefined) return;
    effects.record({ type: "offset", groupId: this.groupId, topic, partition, value: null });
  }

  /** Forgets all offsets of a topic. */
  deleteTopic(topic: string, effects: GroupEffects): void {
    // The records take the entries away while they are walked, which a map allows.
    for (const partition of this.#topics.get(topic)?.keys() ?? []) this.delete(topic, partition, effects);
  }

  /** Forgets all offsets. */
  deleteAll(effects: GroupEffects): void {
    for (const topic of this.#topics.keys()) this.deleteTopic(topic, effects);
  }

  /** Forgets at most `limit` offsets that were committed at `cutoffMs` (since 1970) or before; answers how many. */
  expire(cutoffMs: number, limit: number, effects: GroupEffects): number {
    let expired = 0;
    for (const [topic, partitions] of this.#topics) {
      for (const [partition, { commitTimestampMs }] of partitions) {
        if (expired >= limit) return expired;
        if (commitTimestampMs > cutoffMs) continue;
        this.delete(topic, partition, effects);
        expired++;
      }
    }
    return expired;
  }
}

/** What an answer says of a partition. */
function fetched(topic: string, partition: number, value: CommittedOffset | undefined): FetchedOffset {
  return {
    ...GROUP_SUCCESS,
    topic,
    partition,
    offset: value?.offset ?? -1,
    leaderEpoch: value?.leaderEpoch ?? -1,
    metadata: value?.metadata ?? "",
  };
}

/** The answer of a group of which nothing is known. */
export function absentOffsets(
  partitions: readonly { readonly topic: string; readonly partition: number }[] | undefined,
): FetchedOffset[] {
  return (partitions ?? []).map(({ topic, partition }) => fetched(topic, partition, undefined));
}

function checkCommitted(
  wanted: OffsetCommitPartition,
  { metadataMaxBytes }: CommitRules,
  { image }: DecisionContext,
): GroupOutcome | undefined {
  const { topic, partition, offset, leaderEpoch, metadata } = wanted;
  const shown = `${shownTopic(topic)}-${partition}`;
  const metadataBytes = Buffer.byteLength(metadata, "utf8");
  if (metadataBytes > metadataMaxBytes) {
    const text = `the metadata for ${shown} has ${metadataBytes} bytes, and at most ${metadataMaxBytes} are taken (offset.metadata.max.bytes)`;
    return refuse("OFFSET_METADATA_TOO_LARGE", text);
  }
  if (!Number.isSafeInteger(offset) || offset < 0) {
    const text = `${offset} for ${shown} is no offset; commit the next one to be processed, which is 0 or more`;
    return refuse("INVALID_REQUEST", text);
  }
  if (!Number.isInteger(leaderEpoch) || leaderEpoch < -1 || leaderEpoch > MAX_LEADER_EPOCH) {
    const text = `${leaderEpoch} for ${shown} is no leader epoch; commit that of the last record, or -1`;
    return refuse("INVALID_REQUEST", text);
  }
  // Also for a topic that is new and not known here yet: the error is one that clients retry.
  if (image.topic(topic)?.partitions[partition] === undefined) {
    const text = `there is no ${shown}, or this broker does not know it yet; check the name, and retry if it is new`;
    return refuse("UNKNOWN_TOPIC_OR_PARTITION", text);
  }
  return undefined;
}
