import { describe, expect, test } from "vitest";
import { ProtocolError } from "../../src/client/index.ts";
import { errorCodeOf, type ErrorName } from "../../src/model/error-code.ts";
import type { CommitOffsetsRequest } from "../../src/rpc/group-messages.ts";
import { failureOf, harness, type Harness } from "./harness.ts";

const GROUP = {
  errorCode: 0,
  errorMessage: "",
  groupId: "g",
  type: "classic",
  state: "Empty",
  protocolType: "consumer",
  protocol: "",
  epoch: 3,
  members: [] as unknown[],
};

const MEMBER = {
  memberId: "m-1",
  clientId: "app",
  clientHost: "10.0.0.1",
  memberEpoch: -1,
  topics: ["t"],
  assignment: [{ topicId: Buffer.alloc(16), topic: "t", partitions: [1] }],
  target: [],
};

interface Scene extends Harness {
  readonly commits: CommitOffsetsRequest[];
  group: typeof GROUP;
  committed: Record<number, number>;
  commitError: ErrorName;
}

/** One broker; group "g" without members, "t" with partitions 0 to 2 that hold 0 to 5, 0 to 5 and 0 to 5. */
function scene(): Scene {
  const base = harness({ topics: { t: 3 } });
  const it: Scene = { ...base, commits: [], group: GROUP, committed: { 0: 2, 1: 4 }, commitError: "NONE" };
  const { cluster } = base;
  cluster.answers.FindCoordinator = (request) => ({
    coordinators: (request as { groupIds: string[] }).groupIds.map((groupId) => ({
      groupId,
      errorCode: 0,
      errorMessage: "",
      nodeId: 0,
      host: "b0",
      port: 9092,
    })),
  });
  cluster.answers.DescribeGroups = () => ({ groups: [it.group] });
  cluster.answers.FetchOffsets = () => ({
    errorCode: 0,
    errorMessage: "",
    offsets: Object.entries(it.committed).map(([partition, offset]) => ({
      topic: "t",
      partition: Number(partition),
      errorCode: 0,
      errorMessage: "",
      offset,
      leaderEpoch: -1,
      metadata: "",
    })),
  });
  cluster.answers.ListOffsets = (request) => ({
    results: (
      request as { partitions: { topic: string; partition: number; timestampMs: number }[] }
    ).partitions.map(({ topic, partition, timestampMs }) => ({
      topic,
      partition,
      errorCode: 0,
      errorMessage: "",
      offset: timestampMs === -1 ? 6 : timestampMs === -2 ? 1 : partition === 0 ? 3 : -1,
      timestampMs: -1,
      leaderEpoch: 0,
    })),
  });
  cluster.answers.CommitOffsets = (request) => {
    const commit = request as CommitOffsetsRequest;
    it.commits.push(commit);
    return {
      results: commit.offsets.map(({ topic, partition }) => ({
        topic,
        partition,
        errorCode: errorCodeOf(it.commitError),
        errorMessage: "",
      })),
    };
  };
  return it;
}

describe("resetGroupOffsets", () => {
  test.each([
    ["earliest", [1, 1, 1]],
    ["latest", [6, 6, 6]],
    [{ timestamp: 5 }, [3, 6, 6]],
    [{ offset: 5 }, [5, 5, 5]],
    [{ shiftBy: 1 }, [3, 5, -1]],
    [{ shiftBy: -100 }, [1, 1, -1]],
    [{ shiftBy: 100 }, [6, 6, -1]],
    ["current", [2, 4, -1]],
  ] as const)("to %j plans %j and commits nothing by default", async (to, next) => {
    const it = scene();
    const rows = await it.settle(it.client.admin().resetGroupOffsets({ groupId: "g", to, topics: ["t"] }));
    expect(rows.map((row) => row.next)).toEqual(next);
    expect(rows.map((row) => row.current)).toEqual([2, 4, -1]);
    expect(it.commits).toEqual([]);
  });

  test("commits only what changes, as nobody's commit", async () => {
    const it = scene();
    const to = { offset: 2 };
    await it.settle(it.client.admin().resetGroupOffsets({ groupId: "g", to, all: true, dryRun: false }));
    const offsets = [{ topic: "t", partition: 1, offset: 2, leaderEpoch: -1, metadata: "" }];
    expect(it.commits).toEqual([{ groupId: "g", memberId: "", generationIdOrMemberEpoch: -1, offsets }]);
  });

  test("takes an offset for each partition", async () => {
    const it = scene();
    const to = { offsets: [{ topic: "t", partition: 2, offset: 4 }] };
    const rows = await it.settle(it.client.admin().resetGroupOffsets({ groupId: "g", to }));
    expect(rows).toEqual([{ topic: "t", partition: 2, current: -1, next: 4, reason: "", error: undefined }]);
  });

  test.each([0, 7])("refuses offset %i, which is not in the log, unless told to clamp", async (offset) => {
    const it = scene();
    const reset = { groupId: "g", to: { offset }, topics: ["t"] };
    const error = await it.settle(
      failureOf(it.client.admin().resetGroupOffsets({ ...reset, dryRun: false })),
    );
    expect(error).toMatchObject({ code: "OFFSET_OUT_OF_RANGE" });
    expect(error.message).toContain("t-0, which holds 1 to 6");
    expect(it.commits).toEqual([]);
    const rows = await it.settle(it.client.admin().resetGroupOffsets({ ...reset, outOfRange: "clamp" }));
    expect(rows[0]?.next).toBe(offset === 0 ? 1 : 6);
  });

  test("refuses a group with members, before anything is asked of the log", async () => {
    const it = scene();
    it.group = { ...GROUP, state: "Stable", members: [MEMBER] };
    const reset = { groupId: "g", to: "earliest", all: true, dryRun: false } as const;
    const error = await it.settle(failureOf(it.client.admin().resetGroupOffsets(reset)));
    expect(error).toMatchObject({
      code: "NON_EMPTY_GROUP",
      message: "group g has a member at work; stop them all, then try again",
    });
    expect(it.cluster.calls).not.toContain("ListOffsets");
  });

  test("a member that joins before the commit is the same refusal", async () => {
    const it = scene();
    it.commitError = "UNKNOWN_MEMBER_ID";
    const reset = { groupId: "g", to: "earliest", all: true, dryRun: false } as const;
    const error = await it.settle(failureOf(it.client.admin().resetGroupOffsets(reset)));
    expect(error).toMatchObject({ code: "NON_EMPTY_GROUP" });
  });

  test("refuses an unknown group, unless it may be new", async () => {
    const it = scene();
    it.group = { ...GROUP, errorCode: errorCodeOf("GROUP_ID_NOT_FOUND") };
    it.committed = {};
    const reset = { groupId: "g", to: "latest", topics: ["t"] } as const;
    const error = await it.settle(failureOf(it.client.admin().resetGroupOffsets(reset)));
    expect(error).toMatchObject({ code: "GROUP_ID_NOT_FOUND" });
    const rows = await it.settle(it.client.admin().resetGroupOffsets({ ...reset, allowNewGroup: true }));
    expect(rows.map(({ next }) => next)).toEqual([6, 6, 6]);
  });

  test.each([
    [{ topics: ["gone"] }, "UNKNOWN_TOPIC_OR_PARTITION"],
    [{ partitions: [{ topic: "t", partition: 3 }] }, "UNKNOWN_TOPIC_OR_PARTITION"],
    [{}, "INVALID_ARGUMENT"],
  ])("of %j fails with %s", async (scope, code) => {
    const it = scene();
    const reset = { groupId: "g", to: "latest", ...scope } as const;
    expect(await it.settle(failureOf(it.client.admin().resetGroupOffsets(reset)))).toMatchObject({ code });
  });
});

describe("groupLags", () => {
  test("counts what is behind commits, and apart from it partitions without one (H63)", async () => {
    const it = scene();
    it.group = { ...GROUP, state: "Stable", members: [MEMBER] };
    const [lag] = await it.settle(it.client.admin().groupLags(["g"]));
    expect(lag).toMatchObject({ totalLag: 6, uncommitted: 1 });
    const rows = lag?.partitions.map((one) => [
      one.committedOffset,
      one.logEndOffset,
      one.lag,
      one.owner?.memberId,
    ]);
    expect(rows).toEqual([
      [2, 6, 4, undefined],
      [4, 6, 2, "m-1"],
      [-1, 6, -1, undefined],
    ]);
  });
});

describe("listGroups", () => {
  const listing = (groupId: string) => ({ groupId, type: "classic", state: "Empty", protocolType: "" });

  test("merges all brokers and names those that cannot answer", async () => {
    const { client, cluster, settle } = harness({ topics: {}, brokers: 3 });
    cluster.answers.ListGroups = (_request, address) => ({
      errorCode: address === "b2:9092" ? errorCodeOf("COORDINATOR_LOAD_IN_PROGRESS") : 0,
      errorMessage: "",
      groups: [listing(address === "b2:9092" ? "a" : "z")],
    });
    cluster.callError = (method, address) =>
      method === "ListGroups" && address === "b1:9092"
        ? new ProtocolError("NETWORK_EXCEPTION", "b1 is gone")
        : undefined;
    const { groups, missing } = await settle(client.admin().listGroups());
    expect(groups.map(({ groupId }) => groupId)).toEqual(["a", "z"]);
    expect(missing.map(({ nodeId, error }) => [nodeId, error.message])).toEqual([
      [1, "b1 is gone"],
      [2, "groups of broker 2: COORDINATOR_LOAD_IN_PROGRESS"],
    ]);
  });
});

test("an empty group id is refused before any broker is asked", async () => {
  const { client, cluster, settle } = harness({ topics: {} });
  const error = await settle(failureOf(client.admin().describeGroups([""])));
  expect(error).toMatchObject({ code: "INVALID_GROUP_ID" });
  expect(cluster.calls).toEqual([]);
});
