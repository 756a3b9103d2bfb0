import { ProtocolError } from "../model/error-code.ts";
import type { OffsetToCommit } from "../rpc/group-messages.ts";
import { checkedInt64OrMinusOne } from "../rpc/convert.ts";
import { checked, itemError } from "./admin-calls.ts";
import type { AdminCalls } from "./admin-calls.ts";
import type { AdminOptions, ItemOptions } from "./admin-types.ts";
import type { ClientContext } from "./client-context.ts";
import { ClusterAdmin } from "./cluster-admin.ts";
import type { TopicPartitionRef } from "./consumer-types.ts";
import { CoordinatorCalls } from "./coordinator-calls.ts";
import { isLograftError } from "./errors.ts";
import type {
  DeletedGroup,
  GroupCoordinator,
  GroupDetails,
  GroupLag,
  GroupList,
  GroupOffset,
  GroupSummary,
  MemberRef,
  PartitionChange,
  RemovedMember,
  ResetOptions,
  ResetRow,
} from "./group-admin-types.ts";
import { groupDetails, missingPart, nonEmpty, shownGroup } from "./group-details.ts";
import { measureLags } from "./group-lag.ts";
import type { LeaderCalls } from "./leader-calls.ts";
import { planReset } from "./offset-reset.ts";
import type { UnaryMethod, UnaryMethods } from "./transport.ts";

/** Groups, or brokers, that are asked at the same time. */
const TOGETHER = 16;
/** A broker that is up answers from memory; one that is not must not hold up the list of the others. */
const LIST_TIMEOUT_MS = 5000;

/** The part of `Admin` about groups. Every call about one group goes to its coordinator, wherever that moves. */
export class GroupAdmin extends ClusterAdmin {
  readonly #context: ClientContext;
  readonly #calls: AdminCalls;
  readonly #leaders: LeaderCalls;

  constructor(deps: {
    readonly context: ClientContext;
    readonly calls: AdminCalls;
    readonly leaders: LeaderCalls;
  }) {
    super(deps);
    this.#context = deps.context;
    this.#calls = deps.calls;
    this.#leaders = deps.leaders;
  }

  /** The groups of all brokers; brokers that cannot tell theirs are named in `missing`, and the others still count. */
  async listGroups(options: AdminOptions = {}): Promise<GroupList> {
    const nothing = { topics: [], allTopics: false, allowAutoCreate: false };
    const { brokers } = await this.#calls.ask("Metadata", nothing, options);
    const groups = new Map<string, GroupSummary>();
    const missing: { readonly nodeId: number; readonly error: Error }[] = [];
    await together(brokers, async ({ nodeId, host, port }) => {
      const bounds = this.#calls.bounds(options);
      const timeoutMs = Math.min(bounds.timeoutMs, LIST_TIMEOUT_MS);
      try {
        const address = host.includes(":") ? `[${host}]:${port}` : `${host}:${port}`;
        const answer = await this.#context.transport.call(
          address,
          "ListGroups",
          {},
          { ...bounds, timeoutMs },
        );
        for (const { groupId, type, state, protocolType } of answer.groups) {
          groups.set(groupId, { groupId, type, state, protocolType });
        }
        const error = itemError(answer.errorCode, answer.errorMessage, `groups of broker ${nodeId}`);
        if (error !== undefined) missing.push({ nodeId, error });
      } catch (error: unknown) {
        if (!isLograftError(error) || options.signal?.aborted === true) throw error;
        missing.push({ nodeId, error });
      }
    });
    return {
      groups: [...groups.values()].sort((a, b) => (a.groupId < b.groupId ? -1 : 1)),
      missing: missing.sort((a, b) => a.nodeId - b.nodeId),
    };
  }

  /** Which broker coordinates each group, in the order asked. @throws ProtocolError INVALID_GROUP_ID, COORDINATOR_NOT_AVAILABLE. */
  async findCoordinators(
    groupIds: readonly string[],
    options: ItemOptions = {},
  ): Promise<GroupCoordinator[]> {
    for (const groupId of groupIds) checkGroupId(groupId);
    const { coordinators } = await this.#calls.ask("FindCoordinator", { groupIds }, options);
    const found = coordinators.map(({ errorCode, errorMessage, ...coordinator }): GroupCoordinator => ({
      ...coordinator,
      error: itemError(errorCode, errorMessage, shownGroup(coordinator.groupId)),
    }));
    return checked(found, options);
  }

  /** Members, assignments and state, in the order asked. @throws ProtocolError GROUP_ID_NOT_FOUND, INVALID_GROUP_ID. */
  async describeGroups(groupIds: readonly string[], options: ItemOptions = {}): Promise<GroupDetails[]> {
    const details = await together(groupIds, async (groupId) => {
      const { groups } = await this.#callCoordinator(
        groupId,
        "DescribeGroups",
        { groupIds: [groupId] },
        options,
      );
      return groupDetails(groupId, groups.find((group) => group.groupId === groupId) ?? groups[0]);
    });
    return checked(details, options);
  }

  /**
   * Deletes groups without members, with all that they committed. @throws ProtocolError NON_EMPTY_GROUP,
   * GROUP_ID_NOT_FOUND, INVALID_GROUP_ID.
   */
  async deleteGroups(groupIds: readonly string[], options: ItemOptions = {}): Promise<DeletedGroup[]> {
    const deleted = await together(groupIds, async (groupId): Promise<DeletedGroup> => {
      const { results } = await this.#callCoordinator(
        groupId,
        "DeleteGroups",
        { groupIds: [groupId] },
        options,
      );
      const [result] = results;
      if (result === undefined) return { groupId, error: missingPart(groupId) };
      const error = itemError(result.errorCode, result.errorMessage, shownGroup(groupId));
      return { groupId, error: error?.code === "NON_EMPTY_GROUP" ? nonEmpty(groupId) : error };
    });
    return checked(deleted, options);
  }

  /**
   * Takes members out of a group: what they have goes to the others. A member that is alive joins again by itself.
   * @throws ProtocolError UNKNOWN_MEMBER_ID, GROUP_ID_NOT_FOUND, INVALID_GROUP_ID.
   */
  async removeMembers(
    groupId: string,
    members: readonly MemberRef[],
    options: ItemOptions & {
      /** For the coordinator's log. */
      readonly reason?: string;
    } = {},
  ): Promise<RemovedMember[]> {
    const { reason = "removed by an administrator" } = options;
    const leaving = members.map((member) =>
      "memberId" in member
        ? { memberId: member.memberId, reason }
        : { memberId: "", groupInstanceId: member.groupInstanceId, reason },
    );
    const answer = await this.#callCoordinator(groupId, "LeaveGroup", { groupId, members: leaving }, options);
    const failure = itemError(answer.errorCode, answer.errorMessage, shownGroup(groupId));
    if (failure !== undefined) throw failure;
    const removed = answer.members.map(
      ({ memberId, groupInstanceId, errorCode, errorMessage }): RemovedMember => {
        const name = memberId === "" ? (groupInstanceId ?? "") : memberId;
        const error = itemError(
          errorCode,
          errorMessage,
          `member ${JSON.stringify(name)} of ${shownGroup(groupId)}`,
        );
        return { memberId, groupInstanceId, error };
      },
    );
    return checked(removed, options);
  }

  /**
   * What a group has committed: for the partitions named, in their order, or for all. @throws ProtocolError
   * INVALID_GROUP_ID; of a partition that cannot be told (UNSTABLE_OFFSET_COMMIT).
   */
  async fetchGroupOffsets(
    groupId: string,
    options: AdminOptions & { readonly partitions?: readonly TopicPartitionRef[] } = {},
  ): Promise<GroupOffset[]> {
    const { partitions } = options;
    const request = { groupId, allPartitions: partitions === undefined, partitions: partitions ?? [] };
    const answer = await this.#callCoordinator(groupId, "FetchOffsets", request, options);
    const failure = itemError(answer.errorCode, answer.errorMessage, shownGroup(groupId));
    if (failure !== undefined) throw failure;
    return answer.offsets.map(
      ({ errorCode, errorMessage, topic, partition, offset, leaderEpoch, metadata }) => {
        const error = itemError(errorCode, errorMessage, `${topic}-${partition} of ${shownGroup(groupId)}`);
        if (error !== undefined) throw error;
        return {
          topic,
          partition,
          offset: checkedInt64OrMinusOne(offset, "offset"),
          leaderEpoch,
          metadata,
        };
      },
    );
  }

  /**
   * Forgets what a group committed for partitions whose topic no member reads. @throws ProtocolError
   * GROUP_SUBSCRIBED_TO_TOPIC, GROUP_ID_NOT_FOUND, INVALID_GROUP_ID.
   */
  async deleteGroupOffsets(
    groupId: string,
    partitions: readonly TopicPartitionRef[],
    options: ItemOptions = {},
  ): Promise<PartitionChange[]> {
    const answer = await this.#callCoordinator(groupId, "DeleteOffsets", { groupId, partitions }, options);
    const failure = itemError(answer.errorCode, answer.errorMessage, shownGroup(groupId));
    if (failure !== undefined) throw failure;
    const results = answer.results.map(({ topic, partition, errorCode, errorMessage }): PartitionChange => ({
      topic,
      partition,
      error: itemError(errorCode, errorMessage, `${topic}-${partition} of ${shownGroup(groupId)}`),
    }));
    return checked(results, options);
  }

  /**
   * How far groups are, in the order asked: what they committed against where the logs end now. @throws as
   * `describeGroups`; with `throwOnError: false` a group that cannot be described has its error and no partitions.
   */
  async groupLags(groupIds: readonly string[], options: ItemOptions = {}): Promise<GroupLag[]> {
    const groups = await this.describeGroups(groupIds, options);
    const progress = await together(groups, async (group) => ({
      group,
      offsets: group.error === undefined ? await this.fetchGroupOffsets(group.groupId, options) : [],
    }));
    return measureLags(progress, { calls: this.#calls, leaders: this.#leaders }, options);
  }

  /**
   * Moves what a group without members has committed. Answers the plan; commits it only with `dryRun: false`, and then a
   * row that failed has its error. @throws ProtocolError NON_EMPTY_GROUP, GROUP_ID_NOT_FOUND, INVALID_GROUP_ID,
   * OFFSET_OUT_OF_RANGE, UNKNOWN_TOPIC_OR_PARTITION; LograftError INVALID_ARGUMENT.
   */
  async resetGroupOffsets(reset: ResetOptions): Promise<ResetRow[]> {
    const { groupId, dryRun = true } = reset;
    await this.#checkIdle(reset);
    const committed = await this.fetchGroupOffsets(groupId, bare(reset));
    const rows = await planReset(reset, committed, { calls: this.#calls, leaders: this.#leaders });
    const changed = rows.filter(({ current, next }) => next !== current);
    if (dryRun || changed.length === 0) return rows;
    const errors = await this.#commit(groupId, changed, reset);
    return rows.map((row) => ({ ...row, error: errors.get(`${row.topic}-${row.partition}`) }));
  }

  /** Members would go on from where they are and commit over the reset. */
  async #checkIdle(reset: ResetOptions): Promise<void> {
    const { groupId } = reset;
    const [group] = await this.describeGroups([groupId], { ...bare(reset), throwOnError: false });
    if (group === undefined) throw missingPart(groupId);
    const isNew = group.error?.code === "GROUP_ID_NOT_FOUND";
    if (group.error !== undefined && !(isNew && reset.allowNewGroup === true)) throw group.error;
    if (group.members.length > 0) throw nonEmpty(groupId, group.members.length);
  }

  /** Answers what failed, by "topic-partition". */
  async #commit(
    groupId: string,
    rows: readonly ResetRow[],
    options: AdminOptions,
  ): Promise<ReadonlyMap<string, ProtocolError>> {
    const offsets = rows.map(({ topic, partition, next }): OffsetToCommit => ({
      topic,
      partition,
      offset: next,
      leaderEpoch: -1,
      metadata: "",
    }));
    // The commit of nobody: the coordinator takes it only while the group has no members.
    const request = { groupId, memberId: "", generationIdOrMemberEpoch: -1, offsets };
    const { results } = await this.#callCoordinator(groupId, "CommitOffsets", request, options);
    const errors = new Map<string, ProtocolError>();
    for (const { topic, partition, errorCode, errorMessage } of results) {
      const error = itemError(errorCode, errorMessage, `${topic}-${partition} of ${shownGroup(groupId)}`);
      // A member has joined since the group was looked at.
      if (error?.code === "UNKNOWN_MEMBER_ID") throw nonEmpty(groupId);
      if (error !== undefined) errors.set(`${topic}-${partition}`, error);
    }
    return errors;
  }

  async #callCoordinator<M extends UnaryMethod>(
    groupId: string,
    method: M,
    request: UnaryMethods[M]["request"],
    options: AdminOptions,
  ): Promise<UnaryMethods[M]["response"]> {
    checkGroupId(groupId);
    const coordinator = new CoordinatorCalls({ groupId }, { context: this.#context });
    return coordinator.call(method, request, this.#calls.bounds(options));
  }
}

/** Every item's answer, in their order, some items at a time. */
async function together<I, R>(items: readonly I[], ask: (item: I) => Promise<R>): Promise<R[]> {
  const results: R[] = [];
  for (let from = 0; from < items.length; from += TOGETHER) {
    results.push(...(await Promise.all(items.slice(from, from + TOGETHER).map(ask))));
  }
  return results;
}

/** Only what every admin call takes. */
function bare({ timeoutMs, signal }: AdminOptions): AdminOptions {
  return { ...(timeoutMs === undefined ? {} : { timeoutMs }), ...(signal === undefined ? {} : { signal }) };
}

/** @throws ProtocolError INVALID_GROUP_ID: an empty id has no coordinator to refuse it. */
function checkGroupId(groupId: string): void {
  if (groupId !== "") return;
  throw new ProtocolError("INVALID_GROUP_ID", "the group id is empty; name a group, see: lograft group list");
}
