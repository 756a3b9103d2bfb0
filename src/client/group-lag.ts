import { ProtocolError } from "../model/error-code.ts";
import { topicPartitionKey, type TopicPartitionKey } from "../model/topic-partition.ts";
import type { AdminCalls } from "./admin-calls.ts";
import type { AdminOptions } from "./admin-types.ts";
import type { TopicPartitionRef } from "./consumer-types.ts";
import type {
  GroupDetails,
  GroupLag,
  GroupMemberDetails,
  GroupOffset,
  GroupPartitionLag,
} from "./group-admin-types.ts";
import type { LeaderCalls, LookupPosition } from "./leader-calls.ts";
import { topicLeaders } from "./topic-leaders.ts";

/** A group and what it has committed. */
export interface GroupProgress {
  readonly group: GroupDetails;
  readonly offsets: readonly GroupOffset[];
}

interface LogBounds {
  readonly starts: ReadonlyMap<TopicPartitionKey, number>;
  readonly ends: ReadonlyMap<TopicPartitionKey, number>;
}

/** Compares what groups have committed with where the logs end now. Each log is asked for once, whoever reads it. */
export async function measureLags(
  groups: readonly GroupProgress[],
  deps: { readonly calls: AdminCalls; readonly leaders: LeaderCalls },
  options: AdminOptions,
): Promise<GroupLag[]> {
  const names = groups.map((progress) => new Set(topicsOf(progress)));
  const topics = await topicLeaders(deps.calls, new Set(names.flatMap((some) => [...some])), options);
  const led = [...topics.values()].flatMap(({ topic, leaderIds }) =>
    leaderIds.flatMap((leaderId, partition) => (leaderId < 0 ? [] : [{ topic, partition }])),
  );
  const [starts, ends] = await Promise.all([
    offsetsAt(deps.leaders, led, "beginning", options),
    offsetsAt(deps.leaders, led, "end", options),
  ]);
  return groups.map((progress, index) => {
    const own = [...(names[index] ?? [])];
    const partitions = own.flatMap((topic) =>
      (topics.get(topic)?.leaderIds ?? []).map((_leaderId, partition) => ({ topic, partition })),
    );
    return lagOf(progress, partitions, { starts, ends });
  });
}

/** Offsets by partition, without those that could not be found out. */
export async function offsetsAt(
  leaders: LeaderCalls,
  partitions: readonly TopicPartitionRef[],
  position: LookupPosition,
  options: AdminOptions,
): Promise<Map<TopicPartitionKey, number>> {
  const offsets = new Map<TopicPartitionKey, number>();
  if (partitions.length === 0) return offsets;
  for (const found of await leaders.listOffsets(partitions, position, options)) {
    if (found instanceof ProtocolError || found.offset < 0) continue;
    offsets.set(topicPartitionKey(found.topic, found.partition), found.offset);
  }
  return offsets;
}

function* topicsOf({ group, offsets }: GroupProgress): Generator<string> {
  for (const { topic } of offsets) yield topic;
  for (const { assignment } of group.members) for (const { topic } of assignment) yield topic;
}

/** @param known partitions of the topics that still exist. */
function lagOf({ group, offsets }: GroupProgress, known: TopicPartitionRef[], bounds: LogBounds): GroupLag {
  const commits = new Map(offsets.map((one) => [topicPartitionKey(one.topic, one.partition), one]));
  const owners = ownersOf(group);
  // What was committed for a topic that is gone is shown too.
  const wanted = new Map(known.map((one) => [topicPartitionKey(one.topic, one.partition), one]));
  for (const [key, { topic, partition }] of commits) wanted.set(key, { topic, partition });
  const partitions = [...wanted].map(([key, { topic, partition }]): GroupPartitionLag => {
    const committedOffset = commits.get(key)?.offset ?? -1;
    const logEndOffset = bounds.ends.get(key) ?? -1;
    const isKnown = committedOffset >= 0 && logEndOffset >= 0;
    return {
      topic,
      partition,
      committedOffset,
      metadata: commits.get(key)?.metadata ?? "",
      logStartOffset: bounds.starts.get(key) ?? -1,
      logEndOffset,
      // A commit may be newer than the end that was asked for a moment ago.
      lag: isKnown ? Math.max(0, logEndOffset - committedOffset) : -1,
      owner: owners.get(key),
    };
  });
  partitions.sort((a, b) => (a.topic < b.topic ? -1 : a.topic > b.topic ? 1 : a.partition - b.partition));
  return {
    group,
    partitions,
    totalLag: partitions.reduce((sum, { lag }) => sum + Math.max(0, lag), 0),
    uncommitted: partitions.filter(
      ({ committedOffset, logStartOffset, logEndOffset }) =>
        committedOffset < 0 && logEndOffset > logStartOffset,
    ).length,
  };
}

function ownersOf({ members }: GroupDetails): Map<TopicPartitionKey, GroupMemberDetails> {
  const owners = new Map<TopicPartitionKey, GroupMemberDetails>();
  for (const member of members) {
    for (const { topic, partitions } of member.assignment) {
      for (const partition of partitions) owners.set(topicPartitionKey(topic, partition), member);
    }
  }
  return owners;
}
