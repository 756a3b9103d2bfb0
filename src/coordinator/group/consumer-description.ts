import type { MetadataImage } from "../../metadata/image.ts";
import { compareText } from "../../metadata/image.ts";
import type { GroupState, MemberDescription } from "./group-api.ts";
import type { PartitionSet } from "./consumer-partitions.ts";
import { heldBy } from "./consumer-state.ts";
import type { ConsumerState } from "./consumer-state.ts";

/** The state of a group as those see it who look at it. */
export function consumerGroupState(state: ConsumerState): GroupState {
  if (state.members.size === 0) return "Empty";
  if (state.targetEpoch < state.epoch) return "Assigning";
  return state.isSettled ? "Stable" : "Reconciling";
}

/** The members by id. The assignment includes what a member has not given up yet, for it may still consume that. */
export function describeMembers(state: ConsumerState, image: MetadataImage): readonly MemberDescription[] {
  return [...state.members]
    .sort(([a], [b]) => compareText(a, b))
    .map(([memberId, member]) => {
      const current = state.current(memberId);
      return {
        memberId,
        groupInstanceId: member.instanceId ?? undefined,
        rackId: member.rackId ?? undefined,
        clientId: member.clientId,
        clientHost: member.clientHost,
        memberEpoch: current.memberEpoch,
        topics: member.subscribedTopicNames,
        topicRegex: member.subscribedTopicRegex === "" ? undefined : member.subscribedTopicRegex,
        assignment: byName(heldBy(current), image),
        target: byName(state.target(memberId), image),
      };
    });
}

/** Topics that are deleted have no name and are left out. */
function byName(set: PartitionSet, image: MetadataImage): MemberDescription["assignment"] {
  return set
    .flatMap(({ topicId, partitions }) => {
      const topic = image.topicById(topicId)?.name;
      return topic === undefined ? [] : [{ topic, partitions }];
    })
    .sort((a, b) => compareText(a.topic, b.topic));
}
