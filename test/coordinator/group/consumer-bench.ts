import { ConsumerGroup } from "../../../src/coordinator/group/consumer-group.ts";
import type { ConsumerGroupRecord } from "../../../src/coordinator/group/consumer-state.ts";
import type {
  ConsumerGroupHeartbeatRequest,
  ConsumerGroupHeartbeatResponse,
  GroupOutcome,
  LeaveGroupRequest,
  LeaveGroupResponse,
  MemberDescription,
  TopicPartitions,
} from "../../../src/coordinator/group/group-api.ts";
import { groupRecordCodec } from "../../../src/coordinator/group/group-record-codec.ts";
import type { GroupEffects, GroupRecord } from "../../../src/coordinator/group/group-records.ts";
import type { GroupOptions } from "../../../src/coordinator/group/group.ts";
import { rangeAssignor } from "../../../src/coordinator/group/range-assignor.ts";
import { uniformAssignor } from "../../../src/coordinator/group/uniform-assignor.ts";
import type { DecisionContext, OnGiven, ReplyTo } from "../../../src/coordinator/shard.ts";
import { topicIdOf } from "../../metadata/arbitrary-history.ts";
import { GROUP_OPTIONS, imageWith } from "./shard-bench.ts";
import type { BenchTopics } from "./shard-bench.ts";

type Heartbeat = Partial<ConsumerGroupHeartbeatRequest>;

/** A consumer group with a clock and topics of its own; every decision is committed at once, unless `hold` was called. */
export class ConsumerBench {
  group: ConsumerGroup;
  /** All that was recorded, in order. */
  readonly log: ConsumerGroupRecord[] = [];
  nowMs = 1_000;
  image;
  readonly #topics: BenchTopics;
  readonly #options: GroupOptions;
  readonly #answers = new Map<object, unknown>();
  readonly #held: OnGiven[] = [];
  #isHolding = false;

  constructor(topics: BenchTopics, options: Partial<GroupOptions> = {}) {
    this.image = imageWith(topics);
    this.#topics = topics;
    this.#options = { ...GROUP_OPTIONS, newId: () => "unused", ...options };
    this.group = this.#newGroup();
  }

  get context(): DecisionContext {
    return { nowMs: this.nowMs, wallMs: 1_700_000_000_000 + this.nowMs, image: this.image };
  }

  /** Joins with epoch 0. */
  join(memberId: string, fields: Heartbeat = {}): ConsumerGroupHeartbeatResponse {
    return this.beat(memberId, 0, {
      rebalanceTimeoutMs: 60_000,
      subscribedTopicNames: Object.keys(this.#topics),
      topicPartitions: [],
      ...fields,
    });
  }

  /** One heartbeat. */
  beat(memberId: string, memberEpoch: number, fields: Heartbeat = {}): ConsumerGroupHeartbeatResponse {
    const to: ReplyTo<ConsumerGroupHeartbeatResponse> = {};
    const request = {
      groupId: "g",
      memberId,
      memberEpoch,
      clientId: "client",
      clientHost: "/127.0.0.1",
      ...fields,
    };
    this.act((context, effects) => {
      this.group.heartbeat(request, to, context, effects);
    });
    return this.#answers.get(to) as ConsumerGroupHeartbeatResponse;
  }

  /** Parks a watch; asks whether it was answered since. */
  watch(memberId: string, memberEpoch: number): () => boolean {
    const to: ReplyTo<GroupOutcome> = {};
    this.act((context, effects) => {
      this.group.watch({ groupId: "g", memberId, memberEpoch }, to, context, effects);
    });
    return () => this.#answers.has(to);
  }

  disconnect(memberId: string): void {
    this.group.disconnected({ groupId: "g", memberId, memberEpoch: 0 }, this.context);
  }

  leave(...members: LeaveGroupRequest["members"]): LeaveGroupResponse {
    let response: LeaveGroupResponse | undefined;
    this.act((context, effects) => {
      response = this.group.leave({ groupId: "g", members }, context, effects);
    });
    if (response === undefined) throw new Error("not answered");
    return response;
  }

  /** Time goes by; all deadlines on the way are kept. */
  pass(ms: number): void {
    const endMs = this.nowMs + ms;
    while (this.group.nextDeadlineMs <= endMs) {
      this.nowMs = Math.max(this.nowMs, this.group.nextDeadlineMs);
      this.act((context, effects) => {
        this.group.expire(context, effects);
      });
    }
    this.nowMs = endMs;
  }

  /** These are the topics from now on. */
  metadata(topics: BenchTopics): void {
    this.image = imageWith(topics);
    this.act((context, effects) => {
      this.group.onMetadata(context, effects);
    });
  }

  /** Another coordinator takes over, which has only the log. */
  failover(): void {
    this.group = this.#newGroup();
    for (const record of this.log) {
      const read = groupRecordCodec.decode(groupRecordCodec.encode(record));
      if (read !== undefined) this.group.replay(ofConsumerGroup(read));
    }
    this.act((context, effects) => {
      this.group.onLoaded(context, effects);
    });
  }

  /** What the books say of a member. */
  member(memberId: string): MemberDescription {
    const found = this.group.describe(this.context).members.find((member) => member.memberId === memberId);
    if (found === undefined) throw new Error(`no member ${memberId}`);
    return found;
  }

  act(decide: (context: DecisionContext, effects: GroupEffects) => void): void {
    decide(this.context, {
      record: (record) => {
        const own = ofConsumerGroup(record);
        this.log.push(own);
        this.group.replay(own);
      },
      reply: (to, response, onGiven) => {
        if (this.#answers.has(to)) throw new Error("answered twice");
        this.#answers.set(to, response);
        if (onGiven !== undefined) this.#held.push(onGiven);
      },
    });
    if (!this.#isHolding) this.release();
  }

  /** From now on no answer goes out, as while nothing can be committed. */
  hold(): void {
    this.#isHolding = true;
  }

  /** The answers go out. */
  release(): void {
    this.#isHolding = false;
    for (const onGiven of this.#held.splice(0)) onGiven(this.nowMs);
  }

  #newGroup(): ConsumerGroup {
    return new ConsumerGroup("g", this.#options, { assignors: [uniformAssignor, rangeAssignor] });
  }
}

/** Partitions of the topic of this seed. */
export function part(seed: number, ...partitions: readonly number[]): TopicPartitions {
  return { topicId: topicIdOf(seed), partitions };
}

/** Narrows a record. */
function ofConsumerGroup(record: GroupRecord): ConsumerGroupRecord {
  if (record.type === "offset" || record.type === "classicGroup") throw new Error(`a record ${record.type}`);
  return record;
}

/** How many partitions a list names. */
export function countOf(assignment: readonly TopicPartitions[] | undefined): number {
  return (assignment ?? []).reduce((sum, { partitions }) => sum + partitions.length, 0);
}
