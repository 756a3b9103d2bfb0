import { abortable, deadlineSignal } from "../../src/base/abort.ts";
import { Deferred } from "../../src/base/deferred.ts";
import { type LograftError, operationError } from "../../src/base/errors.ts";
import { silentLogger } from "../../src/base/logger.ts";
import { ClassicMember, type ClassicMemberOptions } from "../../src/client/classic-member.ts";
import type { ClientContext } from "../../src/client/client-context.ts";
import type { TopicPartitionRef } from "../../src/client/consumer-types.ts";
import { CoordinatorCalls } from "../../src/client/coordinator-calls.ts";
import type { MembershipListener } from "../../src/client/group-membership.ts";
import type { ClientTransport, UnaryCallOptions, UnaryMethod, UnaryMethods } from "../../src/client/index.ts";
import { MetadataCache } from "../../src/client/metadata-cache.ts";
import type {
  GroupOutcome,
  JoinGroupResponse,
  LeaveGroupResponse,
  SyncGroupResponse,
} from "../../src/coordinator/group/group-api.ts";
import type { GroupEffects } from "../../src/coordinator/group/group-records.ts";
import type { DecisionContext, ReplyTo } from "../../src/coordinator/shard.ts";
import { errorCodeOf, type ErrorName } from "../../src/model/error-code.ts";
import type { Timer } from "../../src/platform/clock.ts";
import { SeededRandom } from "../../src/platform/random.ts";
import type * as wire from "../../src/rpc/group-messages.ts";
import { Scheduler } from "../../src/sim/scheduler.ts";
import { SimClock } from "../../src/sim/sim-clock.ts";
import { ShardBench } from "../coordinator/group/shard-bench.ts";
import { FakeCluster } from "./fake-cluster.ts";

const GROUP_METHODS = ["JoinGroup", "SyncGroup", "Heartbeat", "LeaveGroup"] as const;
type GroupMethod = (typeof GROUP_METHODS)[number];

/** Instead of the group's answer. "hang": none; "down": the connection fails before, "lost" after the request was heard; "slow": 5 s later. */
export type GroupFate = ErrorName | "hang" | "down" | "lost" | "slow" | undefined;

/**
 * Fake brokers whose group coordinator is the real decision code, with each decision committed at once, in virtual time;
 * errors on demand in front of it.
 */
export class ClassicCluster implements ClientTransport {
  readonly scheduler = new Scheduler();
  readonly clock = new SimClock({}, { scheduler: this.scheduler });
  readonly brokers: FakeCluster;
  /** Group methods as they came, with the member. */
  readonly seen: { readonly method: GroupMethod; readonly memberId: string; readonly atMs: number }[] = [];
  readonly joins: wire.JoinGroupRequest[] = [];
  readonly leaves: wire.LeaveGroupRequest[] = [];
  /** Partitions given to a member that another one still had. */
  readonly doubles: string[] = [];
  readonly owners = new Map<string, string>();
  fate: (method: GroupMethod, memberId: string) => GroupFate = () => undefined;
  readonly #bench: ShardBench;
  readonly #waiting = new Map<object, Deferred<unknown>>();
  #timer: Timer | undefined;

  constructor(topics: Readonly<Record<string, number>>) {
    this.brokers = new FakeCluster({ topics }, { clock: this.clock });
    this.#bench = new ShardBench({});
    const topicIds = new Set(Object.keys(topics));
    this.listed = topicIds;
    this.brokers.answers.ListTopics = () => ({
      topics: [...this.listed].map((name) => ({
        name,
        topicId: Buffer.alloc(16, 1),
        partitions: 1,
        replicationFactor: 1,
        isInternal: false,
      })),
    });
    this.brokers.answers.FindCoordinator = () => ({
      coordinators: [{ groupId: "g", errorCode: 0, errorMessage: "", nodeId: 0, host: "b0", port: 9092 }],
    });
  }

  /** What a listing of topics shows. */
  readonly listed: Set<string>;

  addTopic(name: string, partitions: number): void {
    this.brokers.addTopic(name, partitions);
    this.listed.add(name);
  }

  count(method: GroupMethod): number {
    return this.seen.filter((one) => one.method === method).length;
  }

  async call<M extends UnaryMethod>(
    address: string,
    method: M,
    request: UnaryMethods[M]["request"],
    options: UnaryCallOptions,
  ): Promise<UnaryMethods[M]["response"]> {
    const groupMethod = GROUP_METHODS.find((name) => name === method);
    if (groupMethod === undefined) return this.brokers.call(address, method, request, options);
    using deadline = deadlineSignal(this.clock, options.timeoutMs, options.signal);
    await this.clock.sleep(1, deadline.signal);
    const answer = this.#answer(groupMethod, request as never);
    return (await abortable(answer, deadline.signal)) as UnaryMethods[M]["response"];
  }

  openStream(): never {
    throw new Error("a classic member opens no stream");
  }

  close(): Promise<void> {
    return this.brokers.close();
  }

  /** A member of group "g" that has not been started. */
  member(name: string, options: Partial<ClassicMemberOptions> = {}, rack = ""): NotedMember {
    return new NotedMember(name, options, { cluster: this, rack });
  }

  /** Runs time until all are stable and nobody has what another one has. */
  async untilStable(...members: readonly NotedMember[]): Promise<void> {
    await this.scheduler.runUntil(() => members.every(({ member }) => member.state === "stable"), 600_000);
  }

  async #answer(method: GroupMethod, request: never): Promise<unknown> {
    const memberId = memberOf(request);
    this.seen.push({ method, memberId, atMs: this.clock.monotonicMs() });
    if (method === "JoinGroup") this.joins.push(request);
    const fate = this.fate(method, memberId);
    if (fate === "hang") return new Deferred().promise;
    if (fate === "slow") {
      const answer = await this.#decide(method, request);
      await this.clock.sleep(5000);
      return answer;
    }
    if (fate === "lost") void this.#decide(method, request);
    if (fate === "down" || fate === "lost") {
      throw operationError("CONNECTION_FAILED", "the connection was lost", { retriable: true });
    }
    if (fate !== undefined)
      return { errorCode: errorCodeOf(fate), errorMessage: "on demand", memberId, members: [] };
    return this.#decide(method, request);
  }

  #decide(method: GroupMethod, request: never): Promise<unknown> {
    switch (method) {
      case "JoinGroup": {
        const join: wire.JoinGroupRequest = request;
        return this.#ask<JoinGroupResponse>((to, context, effects) => {
          const more = {
            clientHost: "/1.2.3.4",
            requireKnownMemberId: true,
            supportsSkippingAssignment: true,
          };
          const protocols = join.protocols.map((one) => ({ ...one }));
          this.#bench.shard.joinGroup({ ...join, ...more, protocols }, to, context, effects);
        });
      }
      case "SyncGroup":
        return this.#ask<SyncGroupResponse>((to, context, effects) => {
          this.#bench.shard.syncGroup(request, to, context, effects);
        });
      case "Heartbeat":
        return this.#ask<GroupOutcome>((to, context, effects) => {
          this.#bench.shard.heartbeat(request, to, context, effects);
        });
      case "LeaveGroup":
        this.leaves.push(request);
        return this.#ask<LeaveGroupResponse>((to, context, effects) => {
          this.#bench.shard.leaveGroup(request, to, context, effects);
        });
    }
  }

  async #ask<R extends GroupOutcome>(
    decide: (to: ReplyTo<R>, context: DecisionContext, effects: GroupEffects) => void,
  ): Promise<unknown> {
    const to: ReplyTo<R> = {};
    const answer = new Deferred<unknown>();
    this.#waiting.set(to, answer);
    this.#act((context, effects) => {
      decide(to, context, effects);
    });
    const response = (await answer.promise) as R;
    return { ...response, errorCode: errorCodeOf(response.error) };
  }

  #act(decide: (context: DecisionContext, effects: GroupEffects) => void): void {
    this.#bench.nowMs = this.clock.monotonicMs();
    for (const [to, response] of this.#bench.act(decide).answers) {
      this.#waiting.get(to)?.resolve(response);
      this.#waiting.delete(to);
    }
    this.#timer?.cancel();
    const dueMs = this.#bench.shard.nextDeadlineMs;
    if (dueMs === Infinity) return;
    this.#timer = this.clock.setTimer(Math.max(0, dueMs - this.#bench.nowMs), () => {
      this.#act((context, effects) => {
        this.#bench.shard.expire(context, effects);
      });
    });
  }
}

/** A member, what it has, and what it was told, such as "assign t-0 t-1". */
export class NotedMember implements MembershipListener {
  readonly name: string;
  readonly member: ClassicMember;
  readonly calls: CoordinatorCalls;
  readonly context: ClientContext;
  readonly events: string[] = [];
  readonly has = new Set<string>();
  readonly errors: LograftError[] = [];
  fatal: LograftError | undefined;
  /** How long its handlers take when partitions go. */
  revoking: () => Promise<void> = () => Promise.resolve();
  readonly #cluster: ClassicCluster;

  constructor(
    name: string,
    options: Partial<ClassicMemberOptions>,
    { cluster, rack }: { readonly cluster: ClassicCluster; readonly rack: string },
  ) {
    const { clock } = cluster;
    const random = new SeededRandom(name.length + name.charCodeAt(0));
    const retry = { initialMs: 100, maxMs: 1000 };
    const shared = { clock, random, logger: silentLogger, transport: cluster };
    const metadata = new MetadataCache(
      { bootstrap: ["b0:9092"], maxAgeMs: 5000, requestTimeoutMs: 30_000, retry },
      shared,
    );
    this.name = name;
    this.#cluster = cluster;
    this.context = { ...shared, clientId: name, rack, requestTimeoutMs: 30_000, retry, metadata };
    this.calls = new CoordinatorCalls({ groupId: "g" }, { context: this.context });
    this.member = new ClassicMember(
      {
        groupId: "g",
        sessionTimeoutMs: 10_000,
        rebalanceTimeoutMs: 60_000,
        subscription: { topics: ["t"] },
        assignors: [],
        ...options,
      },
      { context: this.context, calls: this.calls, listener: this },
    );
  }

  /** Starts it and goes on. */
  started(): this {
    this.member.start();
    return this;
  }

  /** What it has, ascending. */
  get list(): string[] {
    return [...this.has].toSorted();
  }

  /** As after a crash: it says nothing any more. */
  kill(): void {
    this.calls.close();
    this.context.metadata.close();
    for (const key of this.has) this.#cluster.owners.delete(key);
    this.has.clear();
  }

  async onRevoke(partitions: readonly TopicPartitionRef[]): Promise<void> {
    this.#note("revoke", partitions);
    await this.revoking();
    this.#drop(partitions);
  }

  onAssign(partitions: readonly TopicPartitionRef[]): void {
    for (const key of this.#note("assign", partitions)) {
      const other = this.#cluster.owners.get(key);
      if (other !== undefined) this.#cluster.doubles.push(`${key}: ${other} and ${this.name}`);
      this.#cluster.owners.set(key, this.name);
      this.has.add(key);
    }
  }

  onLost(partitions: readonly TopicPartitionRef[]): void {
    this.#note("lost", partitions);
    this.#drop(partitions);
  }

  onRetriedError(error: LograftError): void {
    this.errors.push(error);
  }

  onFatal(error: LograftError): void {
    this.fatal = error;
  }

  #note(what: string, partitions: readonly TopicPartitionRef[]): string[] {
    const keys = partitions.map(({ topic, partition }) => `${topic}-${partition}`).toSorted();
    this.events.push([what, ...keys].join(" "));
    return keys;
  }

  #drop(partitions: readonly TopicPartitionRef[]): void {
    for (const { topic, partition } of partitions) {
      const key = `${topic}-${partition}`;
      if (!this.has.delete(key)) continue;
      if (this.#cluster.owners.get(key) === this.name) this.#cluster.owners.delete(key);
    }
  }
}

function memberOf(request: wire.HeartbeatRequest | wire.LeaveGroupRequest): string {
  return "members" in request ? (request.members[0]?.memberId ?? "") : request.memberId;
}
