import { ClassicGroup } from "../../../src/coordinator/group/classic-group.ts";
import type {
  GroupOutcome,
  JoinGroupRequest,
  JoinGroupResponse,
  LeaveGroupResponse,
  OffsetCommitRequest,
  SyncGroupRequest,
  SyncGroupResponse,
} from "../../../src/coordinator/group/group-api.ts";
import type {
  ClassicGroupValue,
  GroupEffects,
  GroupRecord,
} from "../../../src/coordinator/group/group-records.ts";
import type { GroupOptions } from "../../../src/coordinator/group/group.ts";
import type { DecisionContext, OnGiven, ReplyTo } from "../../../src/coordinator/shard.ts";
import { encodeAssignment } from "../../../src/model/consumer-protocol.ts";
import { MetadataState } from "../../../src/metadata/replay.ts";
import { GROUP_OPTIONS } from "./shard-bench.ts";
import { joinRequest } from "./shard-requests.ts";

export const GROUP = "payments";
/** Of requests, unless a test says otherwise. */
export const SESSION_MS = 10_000;
export const REBALANCE_MS = 60_000;

/** A call, and its answer as soon as there is one. */
export interface Pending<Response> {
  answer: Response | undefined;
  /** Answered more than once: a bug. */
  count: number;
}

/** A member as its client knows it after a join. */
export interface Joined {
  readonly memberId: string;
  readonly generationId: number;
}

/** Partition `partition` of "orders" for one member, as a leader writes it. */
export function partOf(...partitions: number[]): Buffer {
  return encodeAssignment({ partitions: [{ topic: "orders", partitions }], userData: undefined });
}

/** A classic group alone, with a clock that moves by hand; records are replayed at once and kept. */
export class ClassicBench {
  group: ClassicGroup;
  readonly values: ClassicGroupValue[] = [];
  readonly calls: Pending<unknown>[] = [];
  nowMs = 1_000;
  readonly #options: GroupOptions;
  readonly #pending = new Map<object, Pending<unknown>>();
  readonly #image = new MetadataState();
  readonly #held: OnGiven[] = [];
  #isHolding = false;
  #ids = 0;

  /** Without an initial delay unless it is given. */
  constructor(options: Partial<GroupOptions> = {}) {
    this.#options = {
      ...GROUP_OPTIONS,
      initialRebalanceDelayMs: 0,
      newId: () => `id-${this.#ids++}`,
      ...options,
    };
    this.group = new ClassicGroup(GROUP, this.#options);
  }

  get context(): DecisionContext {
    return { nowMs: this.nowMs, wallMs: 1_700_000_000_000 + this.nowMs, image: this.#image };
  }

  readonly effects: GroupEffects = {
    record: (record: GroupRecord) => {
      if (record.type !== "classicGroup") throw new Error(`a record of type ${record.type}`);
      if (record.value === null) return;
      this.values.push(record.value);
      this.group.replay(record.value);
    },
    reply: (to, response, onGiven) => {
      const pending = this.#pending.get(to);
      if (pending === undefined) throw new Error("an answer to nobody");
      pending.answer = response;
      pending.count++;
      if (onGiven === undefined) return;
      if (this.#isHolding) this.#held.push(onGiven);
      else onGiven(this.nowMs);
    },
  };

  /** From now on no answer goes out, as while nothing can be committed. */
  hold(): void {
    this.#isHolding = true;
  }

  /** The answers go out. */
  release(): void {
    this.#isHolding = false;
    for (const onGiven of this.#held.splice(0)) onGiven(this.nowMs);
  }

  join(fields: Partial<JoinGroupRequest> = {}): Pending<JoinGroupResponse> {
    const request = joinRequest(GROUP, { rebalanceTimeoutMs: REBALANCE_MS, ...fields });
    return this.#call((to: ReplyTo<JoinGroupResponse>) =>
      this.group.joinGroup(request, to, this.context, this.effects),
    );
  }

  sync(
    { memberId, generationId }: Joined,
    plan: Readonly<Record<string, Buffer>> = {},
    fields: Partial<SyncGroupRequest> = {},
  ): Pending<SyncGroupResponse> {
    const assignments = Object.entries(plan).map(([id, assignment]) => ({ memberId: id, assignment }));
    const request = { groupId: GROUP, memberId, generationId, assignments, ...fields };
    return this.#call((to: ReplyTo<SyncGroupResponse>) =>
      this.group.syncGroup(request, to, this.context, this.effects),
    );
  }

  heartbeat({ memberId, generationId }: Joined, groupInstanceId?: string): string | undefined {
    const request = { groupId: GROUP, memberId, generationId, groupInstanceId };
    return this.#call((to: ReplyTo<GroupOutcome>) =>
      this.group.heartbeat(request, to, this.context, this.effects),
    ).answer?.error;
  }

  /** "NONE" or why it may not. */
  commit({ memberId, generationId }: Joined, fields: Partial<OffsetCommitRequest> = {}): string {
    const request = {
      groupId: GROUP,
      memberId,
      generationIdOrMemberEpoch: generationId,
      requireOwned: false,
      partitions: [],
      ...fields,
    };
    return this.group.checkCommit(request, this.context)?.error ?? "NONE";
  }

  leave(...members: { readonly memberId?: string; readonly groupInstanceId?: string }[]): LeaveGroupResponse {
    const request = {
      groupId: GROUP,
      members: members.map((member) => ({ memberId: "", reason: "", ...member })),
    };
    return this.group.leave(request, this.context, this.effects);
  }

  /** Lets time pass and does what becomes due, at the moment at which it does. */
  pass(ms: number): void {
    const until = this.nowMs + ms;
    for (;;) {
      const due = this.group.nextDeadlineMs;
      if (due > until) break;
      this.nowMs = Math.max(this.nowMs, due);
      this.group.expire(this.context, this.effects);
      if (this.group.nextDeadlineMs <= this.nowMs) throw new Error("a deadline that does not go away");
    }
    this.nowMs = until;
  }

  /** Another broker becomes the coordinator: only the last record is left. */
  failOver(options: Partial<GroupOptions> = {}): void {
    this.group = new ClassicGroup(GROUP, { ...this.#options, ...options });
    for (const value of this.values) this.group.replay(structuredCloneOf(value));
    this.group.onLoaded(this.context, this.effects);
  }

  /** Members join (static ones by their names) and are given a partition each, in order; the first one leads. */
  stable(...fields: Partial<JoinGroupRequest>[]): Joined[] {
    const joins = fields.map((one) => this.join(one));
    const known = joins.map(({ answer }, at) => answer?.memberId ?? `parked-${at}`);
    // All but the last join wait for those who were here before to come again.
    const again = joins.map((join, at) =>
      this.group.state === "PreparingRebalance" && join.answer !== undefined
        ? this.join({ ...fields[at], memberId: known[at] ?? "" })
        : join,
    );
    const joined = again.map((join) => answered(join));
    const plan = Object.fromEntries(joined.map(({ memberId }, at) => [memberId, partOf(at)]));
    const leader = joined.find(({ leader: id, memberId }) => id === memberId);
    if (leader === undefined) throw new Error("nobody leads");
    this.sync(leader, plan);
    for (const member of joined) this.sync(member);
    return joined;
  }

  #call<Response>(act: (to: ReplyTo<Response>) => void): Pending<Response> {
    const to: ReplyTo<Response> = {};
    const pending: Pending<Response> = { answer: undefined, count: 0 };
    this.#pending.set(to, pending as Pending<unknown>);
    this.calls.push(pending as Pending<unknown>);
    act(to);
    return pending;
  }
}

/** The answer, which must have come without an error. */
export function answered<Response extends GroupOutcome>(call: Pending<Response>): Response {
  if (call.answer === undefined) throw new Error("not answered");
  if (call.answer.error !== "NONE") throw new Error(`${call.answer.error}: ${call.answer.errorMessage}`);
  return call.answer;
}

/** As it would come from the log: no memory is shared with the group that wrote it. */
function structuredCloneOf(value: ClassicGroupValue): ClassicGroupValue {
  return {
    ...value,
    members: value.members.map((member) => ({
      ...member,
      subscription: Buffer.from(member.subscription),
      assignment: Buffer.from(member.assignment),
    })),
  };
}
