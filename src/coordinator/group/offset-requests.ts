import type { DecisionContext, ReplyTo } from "../shard.ts";
import type { GoneTopics } from "./gone-topics.ts";
import type {
  GroupOutcome,
  OffsetCommitPartition,
  OffsetCommitRequest,
  OffsetCommitResponse,
  OffsetDeleteRequest,
  OffsetDeleteResponse,
  OffsetFetchRequest,
  OffsetFetchResponse,
} from "./group-api.ts";
import type { GroupEffects } from "./group-records.ts";
import {
  checkGroupId,
  isFromOutside,
  refuse,
  shownGroup,
  tooManyGroups,
  unknownGroup,
  unknownMember,
} from "./group-rules.ts";
import type { GroupEntry, GroupTable } from "./group-table.ts";
import { GROUP_SUCCESS, type Group, type GroupOptions } from "./group.ts";
import { absentOffsets } from "./offsets.ts";

type OffsetRequestOptions = Pick<GroupOptions, "maxGroups" | "offsetMetadataMaxBytes" | "sabotage">;

/** The requests about committed offsets: checked by the group, if there is one, and then by what was committed. */
export class OffsetRequests {
  readonly #options: OffsetRequestOptions;
  readonly #table: GroupTable;
  readonly #gone: GoneTopics;

  constructor(
    options: OffsetRequestOptions,
    deps: { readonly table: GroupTable; readonly goneTopics: GoneTopics },
  ) {
    this.#options = options;
    this.#table = deps.table;
    this.#gone = deps.goneTopics;
  }

  commit(
    request: OffsetCommitRequest,
    to: ReplyTo<OffsetCommitResponse>,
    context: DecisionContext,
    effects: GroupEffects,
  ): void {
    const refusal = checkGroupId(request.groupId) ?? this.#checkCommit(request, context);
    if (refusal !== undefined) {
      const partitions = request.partitions.map(({ topic, partition }) => ({ ...refusal, topic, partition }));
      effects.reply(to, { partitions });
      return;
    }
    for (const topic of new Set(request.partitions.map((wanted) => wanted.topic))) {
      this.#gone.refreshTopic(topic, context);
    }
    const entry = this.#table.obtain(request.groupId);
    this.#gone.settle(entry, effects);
    // Forgetting a deleted topic may have taken the last that was known of the group: look again.
    const { offsets } = this.#table.obtain(request.groupId);
    const rules = {
      metadataMaxBytes: this.#options.offsetMetadataMaxBytes,
      refusalOf: this.#ownership(request, entry.group, context),
    };
    const partitions = offsets.commit(request.partitions, rules, context, effects);
    this.#dropBare(request.groupId);
    effects.reply(to, { partitions });
  }

  #checkCommit(request: OffsetCommitRequest, context: DecisionContext): GroupOutcome | undefined {
    const { groupId, memberId } = request;
    const entry = this.#table.get(groupId);
    const group = entry?.group;
    if (!isFromOutside(request)) {
      if (this.#options.sabotage === "acceptStaleCommits") return undefined;
      if (group !== undefined) return group.checkCommit(request, context);
      if (memberId !== "") return unknownMember(groupId, memberId);
      const text = `${shownGroup(groupId)} has no generation ${request.generationIdOrMemberEpoch}; join it again`;
      return refuse("ILLEGAL_GENERATION", text);
    }
    if (group?.isEmpty === false) {
      const text = `${shownGroup(groupId)} has members, and only they commit its offsets; stop them first, or commit as a member`;
      return refuse("UNKNOWN_MEMBER_ID", text);
    }
    const isFull = entry === undefined && this.#table.size >= this.#options.maxGroups;
    return isFull ? tooManyGroups(groupId, this.#options.maxGroups) : undefined;
  }

  #ownership(
    request: OffsetCommitRequest,
    group: Group | undefined,
    context: DecisionContext,
  ): (partition: OffsetCommitPartition) => GroupOutcome | undefined {
    const isChecked = request.requireOwned && this.#options.sabotage !== "acceptStaleCommits";
    if (group === undefined || !isChecked || isFromOutside(request)) return () => undefined;
    return (partition) => group.checkOwned(request, partition, context);
  }

  /** Nothing is committed in transactions, so every offset is stable and `requireStable` asks for no more. */
  fetch(request: OffsetFetchRequest, to: ReplyTo<OffsetFetchResponse>, effects: GroupEffects): void {
    const { groupId, partitions } = request;
    const entry = this.#table.get(groupId);
    const refusal = checkGroupId(groupId) ?? checkFetch(request, entry);
    if (refusal !== undefined) {
      effects.reply(to, { ...refusal, partitions: [] });
      return;
    }
    if (entry !== undefined) this.#gone.settle(entry, effects);
    const found = entry === undefined ? absentOffsets(partitions) : entry.offsets.fetch(partitions);
    effects.reply(to, { ...GROUP_SUCCESS, partitions: found });
  }

  delete(
    request: OffsetDeleteRequest,
    to: ReplyTo<OffsetDeleteResponse>,
    context: DecisionContext,
    effects: GroupEffects,
  ): void {
    const entry = this.#table.get(request.groupId);
    const refusal = checkGroupId(request.groupId) ?? checkOffsetDelete(request.groupId, entry);
    if (refusal !== undefined || entry === undefined) {
      effects.reply(to, { ...(refusal ?? unknownGroup(request.groupId)), partitions: [] });
      return;
    }
    const { offsets } = entry;
    const group: Group | undefined = entry.group;
    const partitions = request.partitions.map(({ topic, partition }) => {
      if (group?.isEmpty === false && group.isSubscribedTo(topic, context)) {
        const text = `${shownGroup(request.groupId)} has members that subscribe to ${topic}; stop them first`;
        return { ...refuse("GROUP_SUBSCRIBED_TO_TOPIC", text), topic, partition };
      }
      offsets.delete(topic, partition, effects);
      return { ...GROUP_SUCCESS, topic, partition };
    });
    effects.reply(to, { ...GROUP_SUCCESS, partitions });
  }

  #dropBare(groupId: string): void {
    const entry = this.#table.get(groupId);
    if (entry !== undefined) this.#table.dropBare(entry);
  }
}

/** Fetches that name a member are checked by its group. */
function checkFetch(
  { groupId, memberId = "", memberEpoch = -1 }: OffsetFetchRequest,
  entry: GroupEntry | undefined,
): GroupOutcome | undefined {
  if (memberId === "" && memberEpoch < 0) return undefined;
  if (entry?.group === undefined) return unknownMember(groupId, memberId);
  return entry.group.checkFetch(memberId, memberEpoch);
}

/** Members of a protocol other than "consumer" subscribe in a way that the broker cannot read: all their topics are in use. */
function checkOffsetDelete(groupId: string, entry: GroupEntry | undefined): GroupOutcome | undefined {
  if (entry === undefined) return unknownGroup(groupId);
  const { group } = entry;
  if (group === undefined || group.isEmpty || group.type === "consumer" || group.protocolType === "consumer")
    return undefined;
  return refuse("NON_EMPTY_GROUP", `${shownGroup(groupId)} has members; stop them first`);
}
