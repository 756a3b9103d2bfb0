import { describe, expect, test } from "vitest";
import type { GroupOutcome } from "../../../src/coordinator/group/group-api.ts";
import type { ReplyTo } from "../../../src/coordinator/shard.ts";
import { GROUP_SUCCESS } from "../../../src/coordinator/group/group.ts";
import { ShardBench } from "./shard-bench.ts";
import {
  deleteGroup,
  enterClassic,
  enterConsumer,
  heartbeatRequest,
  joinRequest,
  leave,
  subscriptionTo,
} from "./shard-requests.ts";

const TOPICS = { orders: { seed: 1, partitions: 4 }, bills: { seed: 2, partitions: 1 } };
const COMMIT = [{ topic: "orders", partition: 1, offset: 5 }];

function bench(options: ConstructorParameters<typeof ShardBench>[1] = {}): ShardBench {
  return new ShardBench(TOPICS, { initialRebalanceDelayMs: 0, ...options });
}

describe("group ids", () => {
  test("an id that is empty, too long or has control characters is refused by every request", () => {
    const at = bench();
    for (const groupId of ["", "g".repeat(250), "a\u0000b", "a\u0085b", "tab\t"]) {
      const member = { groupId, memberId: "m" };
      const errors = [
        at.ask("joinGroup", joinRequest(groupId)),
        at.ask("syncGroup", { ...member, generationId: 1, assignments: [] }),
        at.ask("heartbeat", { ...member, generationId: 1 }),
        leave(at, groupId, "m"),
        enterConsumer(at, groupId, "m"),
        at.ask("watchMember", { ...member, memberEpoch: 1 }),
        at.ask("memberDisconnected", { ...member, memberEpoch: 1 }),
        at.fetch(groupId),
        at.ask("deleteOffsets", { groupId, partitions: COMMIT }),
        at.describe(groupId),
        deleteGroup(at, groupId),
      ].map(({ error }) => error);
      expect(new Set(errors), JSON.stringify(groupId)).toEqual(new Set(["INVALID_GROUP_ID"]));
      expect(at.commit(groupId, COMMIT)).toEqual(["INVALID_GROUP_ID"]);
    }
    expect(at.list()).toEqual([]);
    expect(at.log).toEqual([]);
  });

  test("249 characters of any printable kind are a group id", () => {
    const at = bench();
    const groupId = 'ä b"'.repeat(62) + "!";
    expect(groupId.length).toBe(249);
    expect(at.commit(groupId, COMMIT)).toEqual(["NONE"]);
    expect(at.offsets(groupId)).toEqual({ "orders-1": 5 });
  });

  test("names beyond all measure are refused before they reach a record (H62)", () => {
    const at = bench({ maxMemberBytes: 1_000_000 });
    const long = "x".repeat(4_097);
    const joins = [{ clientId: long }, { groupInstanceId: long }, { protocolType: long }, { memberId: long }];
    for (const fields of [...joins, { protocols: [{ name: long, metadata: Buffer.alloc(0) }] }]) {
      expect(at.ask("joinGroup", joinRequest("g", fields)).error).toBe("INVALID_REQUEST");
    }
    for (const fields of [
      { instanceId: long },
      { rackId: long },
      { clientHost: long },
      { serverAssignor: long },
    ]) {
      expect(enterConsumer(at, "g", "m", fields).error).toBe("INVALID_REQUEST");
    }
    expect(at.list()).toEqual([]);
  });
});

describe("offsets", () => {
  test("a commit from outside makes a group that has only offsets", () => {
    const at = bench();
    expect(at.commit("g", COMMIT)).toEqual(["NONE"]);
    expect(at.list()).toEqual([{ groupId: "g", type: "classic", state: "Empty", protocolType: "" }]);
    expect(at.describe("g")).toEqual({
      ...GROUP_SUCCESS,
      groupId: "g",
      type: "classic",
      state: "Empty",
      protocolType: "",
      protocol: "",
      epoch: 0,
      members: [],
    });
    expect(at.fetch("g", [{ topic: "orders", partition: 0 }]).partitions[0]).toMatchObject({
      offset: -1,
      error: "NONE",
    });
  });

  test("a commit of which nothing is accepted leaves no group", () => {
    const at = bench();
    expect(at.commit("g", [{ topic: "unknown" }])).toEqual(["UNKNOWN_TOPIC_OR_PARTITION"]);
    expect(at.list()).toEqual([]);
    expect(at.describe("g")).toMatchObject({ error: "GROUP_ID_NOT_FOUND", state: "Dead" });
  });

  test("a member that the group does not know commits nothing (H60)", () => {
    const at = bench();
    const asMember = { memberId: "m", generationIdOrMemberEpoch: 3 };
    expect(at.commit("g", COMMIT, asMember)).toEqual(["UNKNOWN_MEMBER_ID"]);
    expect(at.commit("g", COMMIT, { generationIdOrMemberEpoch: 3 })).toEqual(["ILLEGAL_GENERATION"]);
    expect(at.commit("g", COMMIT, { memberId: "m" })).toEqual(["UNKNOWN_MEMBER_ID"]);
    enterClassic(at, "g");
    expect(at.commit("g", COMMIT, asMember)).toEqual(["UNKNOWN_MEMBER_ID"]);
    expect(at.offsets("g")).toEqual({});
  });

  test("a group with members takes commits of its members only, of the generation that they are in", () => {
    const at = bench();
    const { memberId, generationId } = enterClassic(at, "g");
    expect(at.commit("g", COMMIT)).toEqual(["UNKNOWN_MEMBER_ID"]);
    const asMember = { memberId, generationIdOrMemberEpoch: generationId };
    expect(at.commit("g", COMMIT, asMember)).toEqual(["NONE"]);
    expect(at.commit("g", COMMIT, { ...asMember, generationIdOrMemberEpoch: generationId - 1 })).toEqual([
      "ILLEGAL_GENERATION",
    ]);
    leave(at, "g", memberId);
    expect(at.commit("g", [{ topic: "orders", partition: 1, offset: 2 }])).toEqual(["NONE"]);
    expect(at.offsets("g")).toEqual({ "orders-1": 2 });
  });

  test("consumer groups say which partitions a member may commit, and who may fetch", () => {
    const at = bench();
    const { memberEpoch } = enterConsumer(at, "g", "m");
    const asMember = { memberId: "m", generationIdOrMemberEpoch: memberEpoch };
    const both = [...COMMIT, { topic: "bills" }];
    expect(at.commit("g", both, { ...asMember, requireOwned: true })).toEqual([
      "NONE",
      expect.not.stringMatching(/^NONE$/),
    ]);
    expect(at.commit("g", both, asMember)).toEqual(["NONE", "NONE"]);
    const request = { groupId: "g", partitions: undefined, requireStable: false };
    const fetchAs = (memberId: string, epoch: number): string =>
      at.ask("fetchOffsets", { ...request, memberId, memberEpoch: epoch }).error;
    expect(fetchAs("m", memberEpoch)).toBe("NONE");
    expect(fetchAs("m", memberEpoch + 1)).not.toBe("NONE");
    expect(fetchAs("nobody", 1)).toBe("UNKNOWN_MEMBER_ID");
  });

  test("a fetch that names a member of no group is refused, one that names none is not", () => {
    const at = bench();
    const request = { groupId: "g", partitions: COMMIT, requireStable: false };
    expect(at.ask("fetchOffsets", { ...request, memberId: "m", memberEpoch: 1 }).error).toBe(
      "UNKNOWN_MEMBER_ID",
    );
    expect(at.ask("fetchOffsets", { ...request, memberId: "", memberEpoch: -1 })).toMatchObject({
      error: "NONE",
      partitions: [{ topic: "orders", partition: 1, offset: -1 }],
    });
  });

  test("offsets are deleted, but not those of topics that members subscribe to", () => {
    const at = bench();
    const deleteOf = (groupId: string): { error: string; partitions: string[] } => {
      const response = at.ask("deleteOffsets", {
        groupId,
        partitions: [...COMMIT, { topic: "bills", partition: 0 }],
      });
      return { error: response.error, partitions: response.partitions.map(({ error }) => error) };
    };
    expect(deleteOf("g")).toEqual({ error: "GROUP_ID_NOT_FOUND", partitions: [] });
    at.commit("g", [...COMMIT, { topic: "bills" }, { topic: "orders", partition: 0 }]);
    const { memberId } = enterClassic(at, "g");
    expect(deleteOf("g")).toEqual({ error: "NONE", partitions: ["GROUP_SUBSCRIBED_TO_TOPIC", "NONE"] });
    expect(at.offsets("g")).toEqual({ "orders-0": 1, "orders-1": 5 });
    leave(at, "g", memberId);
    expect(deleteOf("g")).toEqual({ error: "NONE", partitions: ["NONE", "NONE"] });
    expect(at.offsets("g")).toEqual({ "orders-0": 1 });
  });

  test("what members of another protocol type read is not known, so all their offsets are in use", () => {
    const at = bench();
    at.commit("g", COMMIT);
    enterClassic(at, "g", {
      protocolType: "connect",
      protocols: [{ name: "v1", metadata: subscriptionTo("bills") }],
    });
    expect(at.ask("deleteOffsets", { groupId: "g", partitions: COMMIT }).error).toBe("NON_EMPTY_GROUP");
  });
});

describe("who is not in a group", () => {
  test("gets UNKNOWN_MEMBER_ID, and makes no group", () => {
    const at = bench();
    const member = { groupId: "g", memberId: "m" };
    const errors = [
      at.ask("joinGroup", joinRequest("g", { memberId: "m" })),
      at.ask("syncGroup", { ...member, generationId: 1, assignments: [] }),
      at.ask("heartbeat", { ...member, generationId: 1 }),
      leave(at, "g", "m").members[0]!,
      enterConsumer(at, "g", "m", { memberEpoch: 4 }),
      enterConsumer(at, "g", "m", { memberEpoch: -1 }),
      at.ask("watchMember", { ...member, memberEpoch: 1 }),
      at.ask("memberDisconnected", { ...member, memberEpoch: 1 }),
    ].map(({ error }) => error);
    expect(new Set(errors)).toEqual(new Set(["UNKNOWN_MEMBER_ID"]));
    expect(at.list()).toEqual([]);
  });

  test("and who speaks the other protocol is not in it either", () => {
    const at = bench();
    enterClassic(at, "classic");
    enterConsumer(at, "modern", "m");
    const inModern = { groupId: "modern", memberId: "m" };
    expect(at.ask("heartbeat", { ...inModern, generationId: 1 }).error).toBe("UNKNOWN_MEMBER_ID");
    expect(at.ask("syncGroup", { ...inModern, generationId: 1, assignments: [] }).error).toBe(
      "UNKNOWN_MEMBER_ID",
    );
    const inClassic = { groupId: "classic", memberId: "m", memberEpoch: 1 };
    expect(at.ask("watchMember", inClassic).error).toBe("UNKNOWN_MEMBER_ID");
  });
});

describe("the two protocols", () => {
  test("a group with members admits nobody of the other protocol", () => {
    const at = bench();
    enterClassic(at, "classic");
    enterConsumer(at, "modern", "m");
    expect(enterConsumer(at, "classic", "m").error).toBe("INCONSISTENT_GROUP_PROTOCOL");
    expect(at.ask("joinGroup", joinRequest("modern")).error).toBe("INCONSISTENT_GROUP_PROTOCOL");
    expect(at.list().map(({ groupId, type }) => [groupId, type])).toEqual([
      ["classic", "classic"],
      ["modern", "consumer"],
    ]);
  });

  test("an empty group changes its protocol and keeps its offsets, there and back, also in the log", () => {
    const at = bench();
    at.commit("g", COMMIT);
    const { memberId } = enterClassic(at, "g");
    leave(at, "g", memberId);
    expect(enterConsumer(at, "g", "m").error).toBe("NONE");
    expect(at.describe("g")).toMatchObject({ type: "consumer", members: [{ memberId: "m" }] });
    expect(at.offsets("g")).toEqual({ "orders-1": 5 });
    expect(at.log).toContainEqual({ type: "classicGroup", groupId: "g", value: null });
    expect(new ShardBench(TOPICS, {}, [...at.log]).describe("g")).toMatchObject({ type: "consumer" });

    enterConsumer(at, "g", "m", { memberEpoch: -1 });
    const classic = enterClassic(at, "g");
    expect(at.describe("g")).toMatchObject({ type: "classic", state: "Stable" });
    expect(at.offsets("g")).toEqual({ "orders-1": 5 });
    const loaded = new ShardBench(TOPICS, {}, [...at.log]);
    expect(loaded.describe("g")).toMatchObject({ type: "classic", state: "Stable" });
    expect(loaded.offsets("g")).toEqual({ "orders-1": 5 });
    expect(at.log).toContainEqual({ type: "consumerGroup", groupId: "g", value: null });

    leave(loaded, "g", classic.memberId);
    deleteGroup(loaded, "g");
    expect(new ShardBench(TOPICS, {}, [...loaded.log]).list()).toEqual([]);
  });

  test("a group that has only offsets becomes one of either protocol", () => {
    const at = bench();
    at.commit("a", COMMIT);
    at.commit("b", COMMIT);
    enterClassic(at, "a");
    enterConsumer(at, "b", "m");
    expect(at.list().map(({ type }) => type)).toEqual(["classic", "consumer"]);
    expect([at.offsets("a"), at.offsets("b")]).toEqual([{ "orders-1": 5 }, { "orders-1": 5 }]);
  });
});

describe("how many groups there are (H62)", () => {
  test("at the limit new groups are refused, and the others go on", () => {
    const at = bench({ maxGroups: 2 });
    at.commit("a", COMMIT);
    const member = enterClassic(at, "b");
    expect(at.commit("c", COMMIT)).toEqual(["GROUP_MAX_SIZE_REACHED"]);
    expect(at.ask("joinGroup", joinRequest("c")).error).toBe("GROUP_MAX_SIZE_REACHED");
    expect(enterConsumer(at, "c", "m").error).toBe("GROUP_MAX_SIZE_REACHED");
    expect(at.ask("heartbeat", member)).toEqual(GROUP_SUCCESS);
    expect(at.commit("a", COMMIT)).toEqual(["NONE"]);
    expect(enterConsumer(at, "a", "m").error).toBe("NONE");
    expect(at.list().length).toBe(2);
  });

  test("a join that is refused leaves no group behind, and takes no offsets with it", () => {
    const at = bench();
    at.commit("b", COMMIT);
    for (const groupId of ["a", "b"]) {
      const refused = at.ask("joinGroup", joinRequest(groupId, { sessionTimeoutMs: 1 }));
      expect(refused.error).toBe("INVALID_SESSION_TIMEOUT");
      expect(enterConsumer(at, groupId, "m", { serverAssignor: "none" }).error).toBe("UNSUPPORTED_ASSIGNOR");
    }
    expect(at.list()).toEqual([{ groupId: "b", type: "classic", state: "Empty", protocolType: "" }]);
    expect(at.offsets("b")).toEqual({ "orders-1": 5 });
  });

  test("a member id that nobody came back with does not hold a group for ever (KIP-394)", () => {
    const at = bench();
    const first = at.ask("joinGroup", joinRequest("g", { requireKnownMemberId: true }));
    expect(first.error).toBe("MEMBER_ID_REQUIRED");
    expect(at.list().length).toBe(1);
    at.pass(10_000);
    expect(at.log).toEqual([]);
    expect(at.list()).toEqual([]);
  });
});

describe("deleting a group", () => {
  test("takes its offsets along; one with members, or none at all, is an error", () => {
    const at = bench();
    expect(deleteGroup(at, "g").error).toBe("GROUP_ID_NOT_FOUND");
    const { memberId, generationId } = enterClassic(at, "g");
    at.commit("g", COMMIT, { memberId, generationIdOrMemberEpoch: generationId });
    expect(deleteGroup(at, "g").error).toBe("NON_EMPTY_GROUP");
    leave(at, "g", memberId);
    expect(deleteGroup(at, "g")).toEqual(GROUP_SUCCESS);
    expect(at.list()).toEqual([]);
    expect(at.offsets("g")).toEqual({});
    expect(new ShardBench(TOPICS, {}, [...at.log]).list()).toEqual([]);
  });

  test("works for consumer groups and for those that only have offsets", () => {
    const at = bench();
    at.commit("a", COMMIT);
    enterConsumer(at, "b", "m");
    enterConsumer(at, "b", "m", { memberEpoch: -1 });
    expect([deleteGroup(at, "a"), deleteGroup(at, "b")]).toEqual([GROUP_SUCCESS, GROUP_SUCCESS]);
    expect(at.list()).toEqual([]);
    expect(new ShardBench(TOPICS, {}, [...at.log]).list()).toEqual([]);
  });
});

describe("deadlines", () => {
  test("a shard without groups has none", () => {
    expect(bench().shard.nextDeadlineMs).toBe(Infinity);
  });

  test("a member that is not heard of is gone after its session, in groups of either protocol", () => {
    const at = bench({ consumerSessionTimeoutMs: 12_000 });
    const quiet = enterClassic(at, "quiet");
    const alive = enterClassic(at, "alive");
    enterConsumer(at, "modern", "m");
    at.pass(9_000);
    expect(at.ask("heartbeat", alive)).toEqual(GROUP_SUCCESS);
    at.pass(2_000);
    expect(at.describe("quiet").members).toEqual([]);
    expect(at.describe("alive").members.length).toBe(1);
    expect(at.describe("modern").members.length).toBe(1);
    at.pass(2_000);
    expect(at.describe("modern").members).toEqual([]);
    expect(at.ask("heartbeat", quiet).error).toBe("UNKNOWN_MEMBER_ID");
  });

  test("after a load every member has a full session (H62)", () => {
    const at = bench();
    const member = enterClassic(at, "g");
    at.pass(9_000);
    const loaded = new ShardBench(TOPICS, {}, [...at.log]);
    loaded.nowMs = at.nowMs + 1_000_000;
    loaded.act((context, effects) => {
      loaded.shard.onLoaded(context, effects);
    });
    loaded.pass(9_000);
    expect(loaded.ask("heartbeat", member)).toEqual(GROUP_SUCCESS);
    loaded.pass(11_000);
    expect(loaded.ask("heartbeat", member).error).toBe("UNKNOWN_MEMBER_ID");
  });

  test("when all members expire at once, it is done in slices", () => {
    const at = bench({ maxGroups: 5_000 });
    for (let i = 0; i < 2_500; i++) enterClassic(at, `g${i}`);
    at.nowMs += 20_000;
    const slices: number[] = [];
    while (at.shard.nextDeadlineMs <= at.nowMs) slices.push(at.expire().length);
    expect(slices.length).toBeGreaterThan(1);
    expect(Math.max(...slices)).toBeLessThanOrEqual(1_001);
    expect(at.list().every(({ state }) => state === "Empty")).toBe(true);
  });
});

test("a watch of a consumer group's member is answered when something is new", () => {
  const at = bench();
  const { memberEpoch } = enterConsumer(at, "g", "m1");
  const to: ReplyTo<GroupOutcome> = {};
  const watched = at.act((context, effects) => {
    at.shard.watchMember({ groupId: "g", memberId: "m1", memberEpoch }, to, context, effects);
  });
  expect(watched.answers.size).toBe(0);
  const joined = at.act((context, effects) => {
    at.shard.consumerGroupHeartbeat(heartbeatRequest("g", "m2"), {}, context, effects);
  });
  expect(joined.answers.has(to)).toBe(true);
});
