import { rangeAssignor } from "../../../src/coordinator/group/range-assignor.ts";
import { uniformAssignor } from "../../../src/coordinator/group/uniform-assignor.ts";
import { groupRecordCodec } from "../../../src/coordinator/group/group-record-codec.ts";
import type { GroupEffects, GroupRecord } from "../../../src/coordinator/group/group-records.ts";
import { GroupShard } from "../../../src/coordinator/group/group-shard.ts";
import type { GroupOptions } from "../../../src/coordinator/group/group.ts";
import type {
  DescribeGroupResponse,
  GroupListing,
  OffsetCommitPartition,
  OffsetCommitRequest,
  OffsetFetchResponse,
} from "../../../src/coordinator/group/group-api.ts";
import type { DecisionContext, OnGiven, ReplyTo } from "../../../src/coordinator/shard.ts";
import { MetadataState } from "../../../src/metadata/replay.ts";
import { partitionOf, topicIdOf, unfencedBrokers } from "../../metadata/arbitrary-history.ts";

export const GROUP_OPTIONS: Omit<GroupOptions, "newId"> = {
  minSessionTimeoutMs: 6_000,
  maxSessionTimeoutMs: 1_800_000,
  initialRebalanceDelayMs: 3_000,
  consumerSessionTimeoutMs: 45_000,
  consumerHeartbeatIntervalMs: 5_000,
  reconnectGraceMs: 500,
  maxSize: 100,
  maxGroups: 100,
  maxMemberBytes: 65_536,
  offsetMetadataMaxBytes: 100,
  offsetsRetentionMs: 7 * 86_400_000,
};

/** Topics by name: their seed (the id follows from it) and how many partitions they have. */
export type BenchTopics = Readonly<Record<string, { readonly seed: number; readonly partitions: number }>>;

/** The requests of a shard. */
type Method =
  | "joinGroup"
  | "syncGroup"
  | "heartbeat"
  | "leaveGroup"
  | "consumerGroupHeartbeat"
  | "watchMember"
  | "memberDisconnected"
  | "commitOffsets"
  | "fetchOffsets"
  | "deleteOffsets"
  | "describeGroup"
  | "deleteGroup"
  | "listGroups";

type RequestOf<M extends Method> = Parameters<GroupShard[M]>[0];
type ResponseOf<M extends Method> = Parameters<GroupShard[M]>[1] extends ReplyTo<infer R> ? R : never;

/** A metadata image with these topics. */
export function imageWith(topics: BenchTopics): MetadataState {
  const state = new MetadataState();
  state.replay(unfencedBrokers(1, 2));
  for (const [name, { seed, partitions }] of Object.entries(topics)) {
    state.replay([{ type: "Topic", name, topicId: topicIdOf(seed) }]);
    for (let i = 0; i < partitions; i++) state.replay([partitionOf(seed, i)]);
  }
  return state;
}

/** One shard with a clock and an image of its own; every decision is committed at once. */
export class ShardBench {
  readonly shard: GroupShard;
  /** All that was recorded, in order. */
  readonly log: GroupRecord[];
  nowMs = 1_000;
  wallMs = 1_700_000_000_000;
  image: MetadataState;
  #ids = 0;

  /** A shard that is loaded from `log`, which it goes on writing. */
  constructor(topics: BenchTopics, options: Partial<GroupOptions> = {}, log: GroupRecord[] = []) {
    this.image = imageWith(topics);
    this.log = log;
    this.shard = new GroupShard(
      { ...GROUP_OPTIONS, newId: () => `id-${this.#ids++}`, ...options },
      { assignors: [uniformAssignor, rangeAssignor] },
    );
    for (const record of log) {
      // Through its bytes, as a real load.
      const read = groupRecordCodec.decode(groupRecordCodec.encode(record));
      if (read !== undefined) this.shard.replay(read);
    }
    this.act((context, effects) => {
      this.shard.onLoaded(context, effects);
    });
  }

  get context(): DecisionContext {
    return { nowMs: this.nowMs, wallMs: this.wallMs, image: this.image };
  }

  /** Runs a decision; answers what it recorded and whom it answered. */
  act(decide: (context: DecisionContext, effects: GroupEffects) => void): Acted {
    const acted: Acted = { records: [], answers: new Map() };
    const given: OnGiven[] = [];
    decide(this.context, {
      record: (record) => {
        acted.records.push(record);
        this.log.push(record);
        this.shard.replay(record);
      },
      reply: (to, response, onGiven) => {
        if (acted.answers.has(to)) throw new Error("answered twice");
        acted.answers.set(to, response);
        if (onGiven !== undefined) given.push(onGiven);
      },
    });
    for (const onGiven of given) onGiven(this.nowMs);
    return acted;
  }

  /** The answer to a request that is answered at once. */
  ask<M extends Method>(method: M, request: RequestOf<M>): ResponseOf<M> {
    const to: ReplyTo<ResponseOf<M>> = {};
    const { answers } = this.act((context, effects) => {
      this.shard[method](request as never, to as never, context, effects);
    });
    if (!answers.has(to)) throw new Error("not answered");
    return answers.get(to) as ResponseOf<M>;
  }

  /** Time goes by on both clocks; all deadlines on the way are kept. Answers what was recorded. */
  pass(ms: number): GroupRecord[] {
    const endMs = this.nowMs + ms;
    const records: GroupRecord[] = [];
    for (;;) {
      const dueMs = Math.max(this.nowMs, this.shard.nextDeadlineMs);
      if (dueMs > endMs) break;
      this.#to(dueMs);
      records.push(...this.expire());
      // Work that is left for another turn.
      if (this.shard.nextDeadlineMs <= this.nowMs) continue;
    }
    this.#to(endMs);
    return records;
  }

  /** One call of `expire`. */
  expire(): GroupRecord[] {
    return this.act((context, effects) => {
      this.shard.expire(context, effects);
    }).records;
  }

  /** These are the topics from now on. */
  metadata(topics: BenchTopics): GroupRecord[] {
    this.image = imageWith(topics);
    return this.act((context, effects) => {
      this.shard.onMetadata(context, effects);
    }).records;
  }

  /** A commit from outside of the group; the error of each partition. */
  commit(
    groupId: string,
    partitions: readonly (Partial<OffsetCommitPartition> & { topic: string })[],
    member: Partial<OffsetCommitRequest> = {},
  ): string[] {
    const response = this.ask("commitOffsets", {
      groupId,
      memberId: "",
      generationIdOrMemberEpoch: -1,
      requireOwned: false,
      ...member,
      partitions: partitions.map((wanted) => ({
        partition: 0,
        offset: 1,
        leaderEpoch: -1,
        metadata: "",
        ...wanted,
      })),
    });
    return response.partitions.map(({ error }) => error);
  }

  /** All committed offsets as "topic-partition" to offset. */
  offsets(groupId: string): Record<string, number> {
    const response = this.fetch(groupId);
    return Object.fromEntries(
      response.partitions.map(({ topic, partition, offset }) => [`${topic}-${partition}`, offset]),
    );
  }

  fetch(
    groupId: string,
    partitions?: readonly { readonly topic: string; readonly partition: number }[],
  ): OffsetFetchResponse {
    return this.ask("fetchOffsets", { groupId, partitions, requireStable: true });
  }

  list(): readonly GroupListing[] {
    return this.ask("listGroups", {});
  }

  describe(groupId: string): DescribeGroupResponse {
    return this.ask("describeGroup", { groupId });
  }

  #to(nowMs: number): void {
    this.wallMs += nowMs - this.nowMs;
    this.nowMs = nowMs;
  }
}

/** What a decision did. */
export interface Acted {
  readonly records: GroupRecord[];
  readonly answers: Map<object, unknown>;
}
