import { compareText } from "../../metadata/image.ts";
import type { DecisionContext, ReplyTo, Shard } from "../shard.ts";
import type { ServerAssignor } from "./assignor.ts";
import { ClassicGroup } from "./classic-group.ts";
import { ConsumerGroup } from "./consumer-group.ts";
import { GoneTopics } from "./gone-topics.ts";
import type {
  ConsumerGroupHeartbeatRequest,
  ConsumerGroupHeartbeatResponse,
  DeleteGroupRequest,
  DescribeGroupRequest,
  DescribeGroupResponse,
  GroupListing,
  GroupOutcome,
  GroupType,
  HeartbeatRequest,
  JoinGroupRequest,
  JoinGroupResponse,
  LeaveGroupRequest,
  LeaveGroupResponse,
  MemberDisconnectedRequest,
  OffsetCommitRequest,
  OffsetCommitResponse,
  OffsetDeleteRequest,
  OffsetDeleteResponse,
  OffsetFetchRequest,
  OffsetFetchResponse,
  SyncGroupRequest,
  SyncGroupResponse,
  WatchMemberRequest,
} from "./group-api.ts";
import type { GroupEffects, GroupRecord } from "./group-records.ts";
import {
  checkGroupId,
  checkHeartbeatTexts,
  checkJoinTexts,
  describeWithoutMembers,
  nobodyLeft,
  otherProtocol,
  refuse,
  refusedHeartbeat,
  refusedJoin,
  refusedSync,
  shownGroup,
  tooManyGroups,
  unknownGroup,
  unknownMember,
} from "./group-rules.ts";
import { GroupTable } from "./group-table.ts";
import { GROUP_SUCCESS, type Group, type GroupOptions } from "./group.ts";
import { OffsetRequests } from "./offset-requests.ts";
import { RetentionSweep } from "./retention-sweep.ts";

/** Records after which `expire` stops; what is left is due again at once. */
const MAX_EXPIRY_RECORDS = 1_000;

/**
 * The groups of one partition of `__consumer_offsets`. Checks group ids and the number of groups, finds the group that a
 * request is for, makes it when the request may, and keeps who is due next. What happens within a group is its own affair.
 */
export class GroupShard implements Shard<GroupRecord> {
  readonly #options: GroupOptions;
  readonly #table: GroupTable;
  readonly #goneTopics: GoneTopics;
  readonly #sweep: RetentionSweep;
  readonly #offsets: OffsetRequests;
  #goneTopicsDueMs = Infinity;

  /** `assignors`: those of consumer groups, the first is the default. */
  constructor(options: GroupOptions, deps: { readonly assignors: readonly ServerAssignor[] }) {
    this.#options = options;
    this.#table = new GroupTable(options, deps);
    this.#goneTopics = new GoneTopics(this.#table);
    this.#sweep = new RetentionSweep(this.#table, options.offsetsRetentionMs);
    this.#offsets = new OffsetRequests(options, { table: this.#table, goneTopics: this.#goneTopics });
  }

  replay(record: GroupRecord): void {
    this.#table.replay(record);
  }

  onLoaded(context: DecisionContext, effects: GroupEffects): void {
    for (const { groupId, group } of this.#table.entries()) {
      group?.onLoaded(context, effects);
      this.#noteDeadline(groupId);
    }
    this.#sweep.start(context.nowMs);
    this.#forgetGoneTopics(context, effects);
  }

  onMetadata(context: DecisionContext, effects: GroupEffects): void {
    this.#forgetGoneTopics(context, effects);
    for (const { groupId, group } of this.#table.entries()) {
      group?.onMetadata(context, effects);
      this.#noteDeadline(groupId);
    }
  }

  get nextDeadlineMs(): number {
    return Math.min(this.#table.deadlines.earliestMs, this.#goneTopicsDueMs, this.#sweep.dueMs);
  }

  expire(context: DecisionContext, effects: GroupEffects): void {
    const until = this.#table.replayed + MAX_EXPIRY_RECORDS;
    this.#expireGroups(until, context, effects);
    if (this.#table.replayed < until) this.#forgetSome(until, context, effects);
    if (this.#table.replayed < until && this.#sweep.dueMs <= context.nowMs) {
      this.#sweep.run(until, context, effects);
      if (this.#sweep.dueMs > context.nowMs) this.#goneTopics.refresh(context);
      this.#noteGoneTopics(context);
    }
  }

  joinGroup(
    request: JoinGroupRequest,
    to: ReplyTo<JoinGroupResponse>,
    context: DecisionContext,
    effects: GroupEffects,
  ): void {
    const { groupId, memberId } = request;
    const refusal =
      checkGroupId(groupId) ??
      checkJoinTexts(request) ??
      this.#checkEntry(groupId, "classic", memberId, memberId !== "");
    if (refusal !== undefined) {
      effects.reply(to, refusedJoin(memberId, refusal));
      return;
    }
    this.#table.enterClassic(groupId, effects).joinGroup(request, to, context, effects);
    this.#noteDeadline(groupId);
  }

  syncGroup(
    request: SyncGroupRequest,
    to: ReplyTo<SyncGroupResponse>,
    context: DecisionContext,
    effects: GroupEffects,
  ): void {
    const group = this.#groupOf(request.groupId);
    if (!(group instanceof ClassicGroup)) {
      effects.reply(to, refusedSync(this.#notAMember(request)));
      return;
    }
    group.syncGroup(request, to, context, effects);
    this.#noteDeadline(request.groupId);
  }

  heartbeat(
    request: HeartbeatRequest,
    to: ReplyTo<GroupOutcome>,
    context: DecisionContext,
    effects: GroupEffects,
  ): void {
    const group = this.#groupOf(request.groupId);
    if (!(group instanceof ClassicGroup)) {
      effects.reply(to, this.#notAMember(request));
      return;
    }
    group.heartbeat(request, to, context, effects);
    this.#noteDeadline(request.groupId);
  }

  /** For groups of either protocol: members leave, or an operator removes them. */
  leaveGroup(
    request: LeaveGroupRequest,
    to: ReplyTo<LeaveGroupResponse>,
    context: DecisionContext,
    effects: GroupEffects,
  ): void {
    const refusal = checkGroupId(request.groupId);
    if (refusal !== undefined) {
      effects.reply(to, { ...refusal, members: [] });
      return;
    }
    const group = this.#groupOf(request.groupId);
    effects.reply(to, group?.leave(request, context, effects) ?? nobodyLeft(request));
    this.#noteDeadline(request.groupId);
  }

  consumerGroupHeartbeat(
    request: ConsumerGroupHeartbeatRequest,
    to: ReplyTo<ConsumerGroupHeartbeatResponse>,
    context: DecisionContext,
    effects: GroupEffects,
  ): void {
    const { groupId, memberId, memberEpoch } = request;
    const refusal =
      checkGroupId(groupId) ??
      checkHeartbeatTexts(request) ??
      this.#checkEntry(groupId, "consumer", memberId, memberEpoch !== 0);
    if (refusal !== undefined) {
      const { consumerHeartbeatIntervalMs } = this.#options;
      effects.reply(to, refusedHeartbeat(memberId, consumerHeartbeatIntervalMs, refusal));
      return;
    }
    this.#table.enterConsumer(groupId, effects).heartbeat(request, to, context, effects);
    this.#noteDeadline(groupId);
  }

  watchMember(
    request: WatchMemberRequest,
    to: ReplyTo<GroupOutcome>,
    context: DecisionContext,
    effects: GroupEffects,
  ): void {
    const group = this.#groupOf(request.groupId);
    if (!(group instanceof ConsumerGroup)) {
      effects.reply(to, this.#notAMember(request));
      return;
    }
    group.watch(request, to, context, effects);
    this.#noteDeadline(request.groupId);
  }

  memberDisconnected(
    request: MemberDisconnectedRequest,
    to: ReplyTo<GroupOutcome>,
    context: DecisionContext,
    effects: GroupEffects,
  ): void {
    const group = this.#groupOf(request.groupId);
    if (!(group instanceof ConsumerGroup)) {
      effects.reply(to, this.#notAMember(request));
      return;
    }
    group.disconnected(request, context);
    this.#noteDeadline(request.groupId);
    effects.reply(to, GROUP_SUCCESS);
  }

  commitOffsets(
    request: OffsetCommitRequest,
    to: ReplyTo<OffsetCommitResponse>,
    context: DecisionContext,
    effects: GroupEffects,
  ): void {
    this.#offsets.commit(request, to, context, effects);
    this.#noteGoneTopics(context);
    this.#noteDeadline(request.groupId);
  }

  fetchOffsets(
    request: OffsetFetchRequest,
    to: ReplyTo<OffsetFetchResponse>,
    _context: DecisionContext,
    effects: GroupEffects,
  ): void {
    this.#offsets.fetch(request, to, effects);
  }

  deleteOffsets(
    request: OffsetDeleteRequest,
    to: ReplyTo<OffsetDeleteResponse>,
    context: DecisionContext,
    effects: GroupEffects,
  ): void {
    this.#offsets.delete(request, to, context, effects);
  }

  /** Sorted by group id. */
  listGroups(
    _request: Readonly<Record<string, never>>,
    to: ReplyTo<readonly GroupListing[]>,
    _context: DecisionContext,
    effects: GroupEffects,
  ): void {
    const listings: GroupListing[] = [];
    for (const { groupId, group } of this.#table.entries()) {
      const { type, state, protocolType } = group ?? describeWithoutMembers(groupId, GROUP_SUCCESS);
      listings.push({ groupId, type, state, protocolType });
    }
    effects.reply(
      to,
      listings.sort((a, b) => compareText(a.groupId, b.groupId)),
    );
  }

  describeGroup(
    { groupId }: DescribeGroupRequest,
    to: ReplyTo<DescribeGroupResponse>,
    context: DecisionContext,
    effects: GroupEffects,
  ): void {
    const entry = this.#table.get(groupId);
    if (entry?.group !== undefined) {
      effects.reply(to, entry.group.describe(context));
      return;
    }
    const outcome = checkGroupId(groupId) ?? (entry === undefined ? unknownGroup(groupId) : GROUP_SUCCESS);
    effects.reply(to, describeWithoutMembers(groupId, outcome));
  }

  deleteGroup(
    { groupId }: DeleteGroupRequest,
    to: ReplyTo<GroupOutcome>,
    _context: DecisionContext,
    effects: GroupEffects,
  ): void {
    const entry = this.#table.get(groupId);
    const refusal = checkGroupId(groupId) ?? (entry === undefined ? unknownGroup(groupId) : undefined);
    if (entry === undefined || refusal !== undefined) {
      effects.reply(to, refusal ?? unknownGroup(groupId));
      return;
    }
    if (entry.group?.isEmpty === false) {
      const text = `${shownGroup(groupId)} has members; stop them first`;
      effects.reply(to, refuse("NON_EMPTY_GROUP", text));
      return;
    }
    entry.offsets.deleteAll(effects);
    entry.group?.remove(effects);
    effects.reply(to, GROUP_SUCCESS);
  }

  #groupOf(groupId: string): Group | undefined {
    return this.#table.get(groupId)?.group;
  }

  /** Why this member cannot enter the group of this id; one that claims to be in it already makes no new group. */
  #checkEntry(
    groupId: string,
    type: GroupType,
    memberId: string,
    isMemberAlready: boolean,
  ): GroupOutcome | undefined {
    const group = this.#groupOf(groupId);
    if (group?.type === type) return undefined;
    if (group?.isEmpty === false) return otherProtocol(groupId, group.type);
    if (isMemberAlready) return unknownMember(groupId, memberId);
    const { maxGroups } = this.#options;
    const isFull = this.#table.get(groupId) === undefined && this.#table.size >= maxGroups;
    return isFull ? tooManyGroups(groupId, maxGroups) : undefined;
  }

  #notAMember({ groupId, memberId }: { readonly groupId: string; readonly memberId: string }): GroupOutcome {
    return checkGroupId(groupId) ?? unknownMember(groupId, memberId);
  }

  /** After anything that a group has done: it may be due at another time, or be of no use (a refused join made it). */
  #noteDeadline(groupId: string): void {
    const entry = this.#table.get(groupId);
    if (entry === undefined) return;
    this.#table.dropUnused(entry);
    if (entry.group !== undefined) this.#table.deadlines.note(entry, entry.group.nextDeadlineMs);
  }

  #expireGroups(until: number, context: DecisionContext, effects: GroupEffects): void {
    const { deadlines } = this.#table;
    for (;;) {
      if (this.#table.replayed >= until) return;
      const entry = deadlines.takeDue(context.nowMs);
      if (entry === undefined) return;
      const { group } = entry;
      if (group === undefined) continue;
      if (group.nextDeadlineMs <= context.nowMs) group.expire(context, effects);
      this.#table.dropUnused(entry);
      // A group that is still due has done what it could for now; it must not hold up the others.
      if (entry.group !== undefined) {
        deadlines.note(entry, Math.max(entry.group.nextDeadlineMs, context.nowMs + 1));
      }
    }
  }

  #forgetGoneTopics(context: DecisionContext, effects: GroupEffects): void {
    this.#goneTopics.refresh(context);
    this.#forgetSome(this.#table.replayed + MAX_EXPIRY_RECORDS, context, effects);
  }

  #forgetSome(until: number, context: DecisionContext, effects: GroupEffects): void {
    this.#goneTopics.settleSome(until, effects);
    this.#noteGoneTopics(context);
  }

  #noteGoneTopics({ nowMs }: DecisionContext): void {
    this.#goneTopicsDueMs = this.#goneTopics.hasPending ? nowMs : Infinity;
  }
}
