import type { BrokerExposition } from "./broker-exposition.ts";
import type { GroupSurvey, SurveyedOffset } from "./group-survey.ts";

/** The groups that this broker coordinates. */
export function addGroupMetrics(
  to: BrokerExposition,
  { listings, groups }: GroupSurvey,
  { isPartitionLevel }: { readonly isPartitionLevel: boolean },
): void {
  const states = new Map<string, number>();
  for (const { state } of listings) states.set(state, (states.get(state) ?? 0) + 1);
  for (const [state, count] of states) to.add("lograft_groups", { state }, count);
  for (const { groupId: group, state, members, epoch, offsets } of groups) {
    to.add("lograft_group_members", { group }, members);
    to.add("lograft_group_state", { group, state }, 1);
    to.add("lograft_group_rebalances_total", { group }, Math.max(0, epoch));
    if (isPartitionLevel) addPartitions(to, group, offsets);
    else addTopics(to, group, offsets);
  }
}

function addPartitions(to: BrokerExposition, group: string, offsets: readonly SurveyedOffset[]): void {
  for (const { topic, partition, offset, lag } of offsets) {
    to.add("lograft_group_committed_offset", { group, topic, partition }, offset);
    if (lag !== undefined) to.add("lograft_group_lag", { group, topic, partition }, lag);
  }
}

function addTopics(to: BrokerExposition, group: string, offsets: readonly SurveyedOffset[]): void {
  for (const [topic, { lag }] of sumsByTopic(offsets)) {
    if (lag !== undefined) to.add("lograft_group_lag", { group, topic, partition: undefined }, lag);
  }
}

/** Sums over the partitions of a topic; a lag that is not known for one is not known for their sum. */
export function sumsByTopic(
  offsets: readonly SurveyedOffset[],
): ReadonlyMap<string, { readonly offset: number; readonly lag: number | undefined }> {
  const sums = new Map<string, { readonly offset: number; readonly lag: number | undefined }>();
  for (const { topic, offset, lag } of offsets) {
    const before = sums.get(topic) ?? { offset: 0, lag: 0 };
    const isKnown = lag !== undefined && before.lag !== undefined;
    sums.set(topic, {
      offset: before.offset + offset,
      lag: isKnown ? (before.lag ?? 0) + lag : undefined,
    });
  }
  return sums;
}
