import * as fc from "fast-check";
import { expect, test } from "vitest";
import type { ReplyTo } from "../../../src/coordinator/shard.ts";
import type { DescribeGroupResponse, JoinGroupResponse } from "../../../src/coordinator/group/group-api.ts";
import type { GroupRecord } from "../../../src/coordinator/group/group-records.ts";
import { groupRecordCodec } from "../../../src/coordinator/group/group-record-codec.ts";
import { ShardBench } from "./shard-bench.ts";
import { deleteGroup, heartbeatRequest, joinRequest, leave, subscriptionTo } from "./shard-requests.ts";

const TOPICS = { orders: { seed: 1, partitions: 3 }, bills: { seed: 2, partitions: 2 } };
const WITHOUT_BILLS = { orders: TOPICS.orders };
const GROUPS = ["a", "b"] as const;

interface Step {
  readonly kind:
    | "join"
    | "sync"
    | "heartbeat"
    | "leave"
    | "modern"
    | "modernLeave"
    | "commit"
    | "commitAsMember"
    | "deleteOffsets"
    | "deleteGroup"
    | "metadata"
    | "pass";
  readonly groupId: (typeof GROUPS)[number];
  readonly member: number;
  readonly number: number;
}

const step: fc.Arbitrary<Step> = fc.record({
  kind: fc.constantFrom<Step["kind"]>(
    "join",
    "join",
    "sync",
    "sync",
    "heartbeat",
    "leave",
    "modern",
    "modern",
    "modern",
    "modernLeave",
    "commit",
    "commitAsMember",
    "deleteOffsets",
    "deleteGroup",
    "metadata",
    "pass",
  ),
  groupId: fc.constantFrom(...GROUPS),
  member: fc.nat({ max: 2 }),
  number: fc.nat({ max: 1_000 }),
});

/** Plays the members: knows what they were told last. */
class Players {
  readonly bench = new ShardBench(TOPICS, { initialRebalanceDelayMs: 100, offsetsRetentionMs: 60_000 });
  readonly #classic = new Map<string, { memberId: string; generationId: number }>();
  readonly #modern = new Map<string, number>();
  #hasBills = true;

  play({ kind, groupId, member, number }: Step): void {
    const { bench } = this;
    const name = `${groupId}${member}`;
    const { memberId, generationId } = this.#classic.get(name) ?? { memberId: "", generationId: -1 };
    const topics = number % 2 === 0 ? ["orders"] : ["bills", "orders"];
    const partitions = [{ topic: topics[0] ?? "", partition: number % 2, offset: number }];
    switch (kind) {
      case "join": {
        const request = joinRequest(groupId, {
          memberId,
          protocols: [{ name: "range", metadata: subscriptionTo(...topics) }],
          ...(member === 2 ? { groupInstanceId: "static" } : {}),
        });
        const to: ReplyTo<JoinGroupResponse> & { name: string } = { name };
        this.#act((context, effects) => {
          bench.shard.joinGroup(request, to, context, effects);
        });
        break;
      }
      case "sync": {
        const assignments = [...this.#classic.values()].map((each) => ({
          memberId: each.memberId,
          assignment: Buffer.from(`plan ${number}`),
        }));
        this.#act((context, effects) => {
          bench.shard.syncGroup({ groupId, memberId, generationId, assignments }, {}, context, effects);
        });
        break;
      }
      case "heartbeat":
        this.#act((context, effects) => {
          bench.shard.heartbeat({ groupId, memberId, generationId }, {}, context, effects);
        });
        break;
      case "leave":
        leave(bench, groupId, memberId);
        this.#classic.delete(name);
        break;
      case "modern":
        this.#heartbeat(name, groupId, topics);
        break;
      case "modernLeave":
        bench.ask(
          "consumerGroupHeartbeat",
          heartbeatRequest(groupId, name, { memberEpoch: -1, topicPartitions: undefined }),
        );
        this.#modern.delete(name);
        break;
      case "commit":
        bench.commit(groupId, partitions);
        break;
      case "commitAsMember":
        bench.commit(groupId, partitions, { memberId, generationIdOrMemberEpoch: generationId });
        break;
      case "deleteOffsets":
        bench.ask("deleteOffsets", { groupId, partitions });
        break;
      case "deleteGroup":
        deleteGroup(bench, groupId);
        break;
      case "metadata":
        this.#hasBills = !this.#hasBills;
        bench.metadata(this.#hasBills ? TOPICS : WITHOUT_BILLS);
        break;
      case "pass":
        this.#pass(number * 20);
        break;
    }
  }

  #heartbeat(name: string, groupId: string, topics: readonly string[]): void {
    const { bench } = this;
    const memberEpoch = this.#modern.get(name) ?? 0;
    const response = bench.ask(
      "consumerGroupHeartbeat",
      heartbeatRequest(groupId, name, {
        memberEpoch,
        subscribedTopicNames: topics,
        topicPartitions: memberEpoch === 0 ? [] : undefined,
      }),
    );
    if (response.error === "NONE") this.#modern.set(name, response.memberEpoch);
    else this.#modern.delete(name);
  }

  #pass(ms: number): void {
    const { bench } = this;
    const endMs = bench.nowMs + ms;
    while (bench.shard.nextDeadlineMs <= endMs) {
      const dueMs = Math.max(bench.nowMs, bench.shard.nextDeadlineMs);
      bench.wallMs += dueMs - bench.nowMs;
      bench.nowMs = dueMs;
      this.#act((context, effects) => {
        bench.shard.expire(context, effects);
      });
    }
  }

  #act(decide: Parameters<ShardBench["act"]>[0]): void {
    for (const [to, response] of this.bench.act(decide).answers) {
      if (!("name" in to) || typeof to.name !== "string") continue;
      const joined = response as { error: string; memberId: string; generationId: number };
      if (joined.error === "NONE") this.#classic.set(to.name, joined);
      else this.#classic.delete(to.name);
    }
  }
}

/** Everything that a new coordinator must know as the old one did. */
function everything(bench: ShardBench): unknown {
  return {
    groups: bench.list(),
    offsets: GROUPS.map((groupId) => bench.fetch(groupId).partitions),
    descriptions: GROUPS.map((groupId) => sorted(bench.describe(groupId))),
  };
}

function sorted(description: DescribeGroupResponse): unknown {
  const members = description.members.toSorted((a, b) => (a.memberId < b.memberId ? -1 : 1));
  return { ...description, members };
}

/** What is left when only the last record of each key is kept, as the compactor does. */
function compacted(log: readonly GroupRecord[]): GroupRecord[] {
  const last = new Map<string, number>();
  const keys = log.map((record) => groupRecordCodec.encode(record).key.toString("latin1"));
  for (const [index, key] of keys.entries()) last.set(key, index);
  return log.filter((_, index) => last.get(keys[index] ?? "") === index);
}

function loaded(log: readonly GroupRecord[], like: ShardBench): ShardBench {
  const bench = new ShardBench(TOPICS, { offsetsRetentionMs: 60_000 }, []);
  bench.image = like.image;
  bench.wallMs = like.wallMs;
  bench.nowMs = like.nowMs;
  for (const record of log) bench.shard.replay(record);
  return bench;
}

test("a shard that replays the log, compacted or not, holds what the first one has recorded", () => {
  const kinds = new Set<string>();
  fc.assert(
    fc.property(fc.array(step, { minLength: 10, maxLength: 60 }), (steps) => {
      const players = new Players();
      for (const each of steps) players.play(each);
      const { bench } = players;
      for (const { type, value } of bench.log) kinds.add(`${type} ${value === null ? "gone" : "set"}`);
      const whole = everything(loaded(bench.log, bench));
      expect(everything(loaded(compacted(bench.log), bench))).toEqual(whole);
      const offsets = GROUPS.map((groupId) => bench.fetch(groupId).partitions);
      expect(whole).toMatchObject({ offsets });
      for (const groupId of GROUPS) {
        const description = bench.describe(groupId);
        // Until a rebalance is complete, a classic group is in the log what it was before.
        if (description.state.endsWith("Rebalance")) continue;
        expect(sorted(loaded(bench.log, bench).describe(groupId))).toEqual(sorted(description));
      }
    }),
    { numRuns: 300 },
  );
  expect(kinds.size).toBe(14);
});
