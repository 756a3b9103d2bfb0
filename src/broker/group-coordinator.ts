import { errorMessage, operationError } from "../base/errors.ts";
import type { Logger } from "../base/logger.ts";
import type { CoordinatorSabotage } from "../coordinator/coordinator-sabotage.ts";
import type {
  ConsumerGroupHeartbeatRequest,
  ConsumerGroupHeartbeatResponse,
  DescribeGroupResponse,
  GroupListing,
  GroupOutcome,
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
} from "../coordinator/group/group-api.ts";
import { groupRecordCodec } from "../coordinator/group/group-record-codec.ts";
import { reportingCodec } from "../coordinator/group/group-report.ts";
import type { GroupRecord } from "../coordinator/group/group-records.ts";
import {
  checkGroupId,
  describeWithoutMembers,
  refusedHeartbeat,
  refusedJoin,
  refusedSync,
} from "../coordinator/group/group-rules.ts";
import { GroupShard } from "../coordinator/group/group-shard.ts";
import { GROUP_SUCCESS } from "../coordinator/group/group.ts";
import { rangeAssignor } from "../coordinator/group/range-assignor.ts";
import { uniformAssignor } from "../coordinator/group/uniform-assignor.ts";
import { CoordinatorRuntime } from "../coordinator/runtime.ts";
import type { Decide } from "../coordinator/runtime.ts";
import { clientAddressOf } from "../metadata/client-address.ts";
import { isServing } from "../metadata/image.ts";
import type { MetadataDelta } from "../metadata/metadata-delta.ts";
import type { BrokerConfig } from "../model/configs.ts";
import { ProtocolError } from "../model/error-code.ts";
import { NO_NODE } from "../model/ids.ts";
import type { NodeId } from "../model/ids.ts";
import type { Clock } from "../platform/clock.ts";
import type { Random } from "../platform/random.ts";
import { groupOptionsOf } from "./group-options.ts";
import type { MetadataCalls } from "./metadata-calls.ts";
import { OffsetsLog } from "./offsets-log.ts";
import { groupPartition, OFFSETS_TOPIC, OffsetsTopic } from "./offsets-topic.ts";
import { outcomeOfError } from "./outcome.ts";
import type { PartitionTable } from "./partition-table.ts";
import { TopicSizes } from "./topic-sizes.ts";

export type * from "../coordinator/group/group-api.ts";

/** Where the coordinator of a group is. */
export interface CoordinatorLocation extends GroupOutcome {
  readonly groupId: string;
  /** -1 on an error. */
  readonly nodeId: number;
  readonly host: string;
  readonly port: number;
}

/** The groups of which this broker is the coordinator. */
export interface GroupListings extends GroupOutcome {
  readonly groups: readonly GroupListing[];
}

/** What became of a group that was to be deleted. */
export interface DeletedGroup extends GroupOutcome {
  readonly groupId: string;
}

export interface GroupCoordinatorDeps {
  readonly metadata: MetadataCalls;
  readonly table: PartitionTable;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
}

/**
 * The groups whose partition of `__consumer_offsets` this broker leads, and the way to those of others. Whatever happens to
 * a group is an outcome in the answer; only a caller that gives up is answered by a throw, with the reason of its signal.
 */
export class GroupCoordinator {
  readonly #nodeId: NodeId;
  readonly #config: BrokerConfig;
  readonly #deps: GroupCoordinatorDeps;
  readonly #topic: OffsetsTopic;
  readonly #runtime: CoordinatorRuntime<GroupRecord, GroupShard>;
  readonly #closing = new AbortController();
  readonly #topicSizes = new TopicSizes();
  #isStarted = false;

  constructor(
    options: {
      readonly nodeId: NodeId;
      readonly config: BrokerConfig;
      readonly sabotage?: CoordinatorSabotage | undefined;
    },
    deps: GroupCoordinatorDeps,
  ) {
    const { config, nodeId, sabotage } = options;
    const { clock, logger, metadata, random, table } = deps;
    this.#nodeId = nodeId;
    this.#config = config;
    this.#deps = deps;
    this.#topic = new OffsetsTopic({ config }, { metadata, clock });
    const groupOptions = groupOptionsOf(config, random, sabotage);
    const writer = new OffsetsLog(
      {
        nodeId,
        topic: OFFSETS_TOPIC,
        timeoutMs: config.offsetsCommitTimeoutMs,
        messageMaxBytes: config.messageMaxBytes,
      },
      { table, clock },
    );
    this.#runtime = new CoordinatorRuntime(
      { topic: OFFSETS_TOPIC, sabotage },
      {
        clock,
        logger,
        writer,
        codec: reportingCodec(groupRecordCodec, logger),
        newShard: () => new GroupShard(groupOptions, { assignors: [uniformAssignor, rangeAssignor] }),
        image: metadata.image,
      },
    );
  }

  /** The metadata has reached this broker's registration: what it leads from now on it coordinates. */
  start(): void {
    this.#isStarted = true;
    this.#topicSizes.reset(this.#deps.metadata.image.topics());
    this.#follow();
  }

  /** Takes what was committed, behind the partition table. */
  apply(delta: MetadataDelta): void {
    if (!this.#isStarted || this.#closing.signal.aborted) return;
    for (const topic of delta.removed) {
      if (topic.name !== OFFSETS_TOPIC) continue;
      for (const partition of topic.partitions.keys()) this.#runtime.unload(partition);
    }
    if (delta.changed.some(({ name }) => name === OFFSETS_TOPIC)) this.#follow();
    if (this.#topicSizes.apply(delta)) this.#runtime.metadataChanged();
  }

  /** Everybody who waits is told to look for another coordinator. Idempotent. */
  async close(): Promise<void> {
    this.#closing.abort(
      operationError("CLOSED", "the broker is stopping; ask another one", { retriable: true }),
    );
    await this.#runtime.close();
  }

  /**
   * One answer for each group, in order, with addresses of the listener that the client came in on (default: the first of
   * each broker). The first call of a cluster makes the offsets topic. Where `unreachable` is named still, the answer waits
   * for a moment: the caller was there and found nobody, so there may be another one soon.
   */
  async findCoordinator(
    groupIds: readonly string[],
    {
      listener,
      unreachable = NO_NODE,
    }: { readonly listener?: string | undefined; readonly unreachable?: number | undefined } = {},
  ): Promise<readonly CoordinatorLocation[]> {
    return Promise.all(groupIds.map((groupId) => this.#locate(groupId, { listener, unreachable })));
  }

  joinGroup(request: JoinGroupRequest, signal?: AbortSignal): Promise<JoinGroupResponse> {
    return this.#run<JoinGroupRequest, JoinGroupResponse>(
      request,
      (shard, ...rest) => shard.joinGroup(...rest),
      (outcome) => refusedJoin(request.memberId, outcome),
      signal,
    );
  }

  syncGroup(request: SyncGroupRequest, signal?: AbortSignal): Promise<SyncGroupResponse> {
    return this.#run<SyncGroupRequest, SyncGroupResponse>(
      request,
      (shard, ...rest) => shard.syncGroup(...rest),
      refusedSync,
      signal,
    );
  }

  heartbeat(request: HeartbeatRequest, signal?: AbortSignal): Promise<GroupOutcome> {
    return this.#run<HeartbeatRequest, GroupOutcome>(
      request,
      (shard, ...rest) => shard.heartbeat(...rest),
      asIs,
      signal,
    );
  }

  leaveGroup(request: LeaveGroupRequest, signal?: AbortSignal): Promise<LeaveGroupResponse> {
    return this.#run<LeaveGroupRequest, LeaveGroupResponse>(
      request,
      (shard, ...rest) => shard.leaveGroup(...rest),
      (outcome) => ({ ...outcome, members: [] }),
      signal,
    );
  }

  consumerGroupHeartbeat(
    request: ConsumerGroupHeartbeatRequest,
    signal?: AbortSignal,
  ): Promise<ConsumerGroupHeartbeatResponse> {
    const { groupConsumerHeartbeatIntervalMs } = this.#config;
    return this.#run<ConsumerGroupHeartbeatRequest, ConsumerGroupHeartbeatResponse>(
      request,
      (shard, ...rest) => shard.consumerGroupHeartbeat(...rest),
      (outcome) => refusedHeartbeat(request.memberId, groupConsumerHeartbeatIntervalMs, outcome),
      signal,
    );
  }

  /** Waits until a heartbeat of the member would bring something new. */
  watchMember(request: WatchMemberRequest, signal: AbortSignal): Promise<GroupOutcome> {
    return this.#run<WatchMemberRequest, GroupOutcome>(
      request,
      (shard, ...rest) => shard.watchMember(...rest),
      asIs,
      signal,
    );
  }

  memberDisconnected(request: MemberDisconnectedRequest): Promise<GroupOutcome> {
    return this.#run<MemberDisconnectedRequest, GroupOutcome>(
      request,
      (shard, ...rest) => shard.memberDisconnected(...rest),
      asIs,
    );
  }

  commitOffsets(request: OffsetCommitRequest, signal?: AbortSignal): Promise<OffsetCommitResponse> {
    return this.#run<OffsetCommitRequest, OffsetCommitResponse>(
      request,
      (shard, ...rest) => shard.commitOffsets(...rest),
      (outcome) => ({ partitions: request.partitions.map((one) => ({ ...named(one), ...outcome })) }),
      signal,
    );
  }

  fetchOffsets(request: OffsetFetchRequest, signal?: AbortSignal): Promise<OffsetFetchResponse> {
    return this.#run<OffsetFetchRequest, OffsetFetchResponse>(
      request,
      (shard, ...rest) => shard.fetchOffsets(...rest),
      (outcome) => ({ ...outcome, partitions: [] }),
      signal,
    );
  }

  deleteOffsets(request: OffsetDeleteRequest, signal?: AbortSignal): Promise<OffsetDeleteResponse> {
    return this.#run<OffsetDeleteRequest, OffsetDeleteResponse>(
      request,
      (shard, ...rest) => shard.deleteOffsets(...rest),
      (outcome) => ({
        ...outcome,
        partitions: request.partitions.map((one) => ({ ...named(one), ...outcome })),
      }),
      signal,
    );
  }

  /** Those that this broker coordinates, by partition and group id; with an error when a part is still being loaded. */
  async listGroups(signal?: AbortSignal): Promise<GroupListings> {
    const groups: GroupListing[] = [];
    let outcome: GroupOutcome = GROUP_SUCCESS;
    for (const { partition } of this.#runtime.partitions) {
      try {
        const some = await this.#runtime.run<Readonly<Record<string, never>>, readonly GroupListing[]>(
          partition,
          {},
          (shard, ...rest) => shard.listGroups(...rest),
          signal,
        );
        for (const listing of some) groups.push(listing);
      } catch (error: unknown) {
        outcome = refusalOf(error, signal);
      }
    }
    return { ...outcome, groups };
  }

  /** One description for each group, in order. */
  describeGroups(
    groupIds: readonly string[],
    signal?: AbortSignal,
  ): Promise<readonly DescribeGroupResponse[]> {
    return Promise.all(
      groupIds.map((groupId) =>
        this.#run<{ readonly groupId: string }, DescribeGroupResponse>(
          { groupId },
          (shard, ...rest) => shard.describeGroup(...rest),
          (outcome) => describeWithoutMembers(groupId, outcome),
          signal,
        ),
      ),
    );
  }

  /** One result for each group, in order. */
  deleteGroups(groupIds: readonly string[], signal?: AbortSignal): Promise<readonly DeletedGroup[]> {
    return Promise.all(
      groupIds.map(async (groupId) => {
        const outcome = await this.#run<{ readonly groupId: string }, GroupOutcome>(
          { groupId },
          (shard, ...rest) => shard.deleteGroup(...rest),
          asIs,
          signal,
        );
        return { groupId, ...outcome };
      }),
    );
  }

  /** Loads what this broker leads, and lets the rest go. */
  #follow(): void {
    for (const [partition, { leader, leaderEpoch }] of this.#topic.image?.partitions.entries() ?? []) {
      if (leader === this.#nodeId) this.#runtime.load(partition, leaderEpoch);
      else this.#runtime.unload(partition, leaderEpoch);
    }
    this.#topic.changed();
  }

  async #locate(
    groupId: string,
    { listener, unreachable }: { readonly listener: string | undefined; readonly unreachable: number },
  ): Promise<CoordinatorLocation> {
    try {
      const refusal = checkGroupId(groupId);
      if (refusal !== undefined) return { groupId, ...refusal, ...NOWHERE };
      const { signal } = this.#closing;
      const { partitions } = await this.#topic.create(signal);
      const partition = groupPartition(groupId, partitions.length);
      const nodeId = await this.#topic.leaderOf(partition, { unreachable, signal });
      const broker = this.#deps.metadata.image.broker(nodeId as NodeId);
      if (broker !== undefined && isServing(broker)) {
        return { groupId, ...GROUP_SUCCESS, nodeId, ...clientAddressOf(broker, listener) };
      }
      const text = `broker ${nodeId}, the coordinator of the group, is down; try again`;
      return { groupId, error: "COORDINATOR_NOT_AVAILABLE", errorMessage: text, ...NOWHERE };
    } catch (error: unknown) {
      return { groupId, ...refusalOf(error), ...NOWHERE };
    }
  }

  async #run<Request extends { readonly groupId: string }, Response>(
    request: Request,
    decide: Decide<GroupRecord, GroupShard, Request, Response>,
    refused: (outcome: GroupOutcome) => Response,
    signal?: AbortSignal,
  ): Promise<Response> {
    const { groupId } = request;
    const invalid = checkGroupId(groupId);
    if (invalid !== undefined) return refused(invalid);
    const count = this.#topic.image?.partitions.length ?? 0;
    const partition = count === 0 ? 0 : groupPartition(groupId, count);
    const elsewhere = this.#elsewhere(groupId, partition);
    if (elsewhere !== undefined) return refused(elsewhere);
    try {
      return await this.#runtime.run(partition, request, decide, signal);
    } catch (error: unknown) {
      return refused(refusalOf(error, signal));
    }
  }

  /** Why this broker is not the group's coordinator, and who is. */
  #elsewhere(groupId: string, partition: number): GroupOutcome | undefined {
    const name = JSON.stringify(groupId);
    const leader = this.#topic.image?.partitions[partition]?.leader ?? NO_NODE;
    if (leader === this.#nodeId && this.#isStarted) {
      // Who was cut off from the controller may have a successor that has gone on (H31).
      const isDoubtful = this.#deps.table.find(OFFSETS_TOPIC, partition)?.isDoubtful === true;
      if (!isDoubtful) return undefined;
      return notCoordinator(
        `broker ${this.#nodeId} has lost its controller and may have a successor for group ${name}`,
      );
    }
    if (leader === NO_NODE || leader === this.#nodeId)
      return notCoordinator(
        `broker ${this.#nodeId} does not coordinate group ${name}, and nobody does at the moment`,
      );
    return notCoordinator(`broker ${this.#nodeId} does not coordinate group ${name}, broker ${leader} does`);
  }
}

const NOWHERE = { nodeId: NO_NODE, host: "", port: 0 } as const;

function asIs(outcome: GroupOutcome): GroupOutcome {
  return outcome;
}

function named({ topic, partition }: { readonly topic: string; readonly partition: number }): {
  readonly topic: string;
  readonly partition: number;
} {
  return { topic, partition };
}

function notCoordinator(text: string): GroupOutcome {
  return { error: "NOT_COORDINATOR", errorMessage: `${text}; look the coordinator up and try again` };
}

/** @throws the reason of `signal` when that is why there is no answer. */
function refusalOf(error: unknown, signal?: AbortSignal): GroupOutcome {
  signal?.throwIfAborted();
  if (error instanceof ProtocolError) return { error: error.code, errorMessage: errorMessage(error) };
  const { error: name, errorMessage: text } = outcomeOfError(error);
  return { error: name === "LEADER_NOT_AVAILABLE" ? "COORDINATOR_NOT_AVAILABLE" : name, errorMessage: text };
}
