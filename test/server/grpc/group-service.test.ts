import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { Deferred } from "../../../src/base/deferred.ts";
import { silentLogger } from "../../../src/base/logger.ts";
import { GrpcTransport } from "../../../src/client/grpc-transport.ts";
import type { UnaryMethod, UnaryMethods } from "../../../src/client/transport.ts";
import { errorCodeOf } from "../../../src/model/error-code.ts";
import { createNodePlatform } from "../../../src/platform/node/node-platform.ts";
import { NodeRandom } from "../../../src/platform/node/node-random.ts";
import type {
  ConsumerGroupHeartbeatRequest,
  ConsumerGroupHeartbeatResponse,
} from "../../../src/rpc/group-messages.ts";
import { decodeHeartbeatResponse, encodeHeartbeatRequest } from "../../../src/rpc/membership-codec.ts";
import { MEMBERSHIP_METHOD } from "../../../src/rpc/method-names.ts";
import type { RpcStatus } from "../../../src/rpc/status.ts";
import type { ByteStream } from "../../../src/rpc/stream/byte-stream.ts";
import { startBroker } from "../../../src/testing.ts";
import type { RunningBroker } from "../../../src/testing.ts";

let broker: RunningBroker;
let transport: GrpcTransport;

beforeAll(async () => {
  broker = await startBroker();
  const { clock } = createNodePlatform();
  transport = new GrpcTransport(
    { lane: "direct", clientId: "test" },
    { clock, logger: silentLogger, random: new NodeRandom() },
  );
  await call("CreateTopics", {
    topics: [{ name: "orders", partitions: 2, replicationFactor: 1, configs: {} }],
    validateOnly: false,
  });
  await call("FindCoordinator", { groupIds: ["g"] });
  await loaded();
});

afterAll(async () => {
  await transport.close();
  await broker.close();
});

function call<M extends UnaryMethod>(
  method: M,
  request: UnaryMethods[M]["request"],
): Promise<UnaryMethods[M]["response"]> {
  return transport.call(broker.address, method, request, { timeoutMs: 10_000 });
}

/** Until the coordinator has read its log. */
async function loaded(): Promise<void> {
  for (;;) {
    const { errorCode } = await call("ListGroups", {});
    if (errorCode === 0) return;
  }
}

/** A member's end of a stream. */
class Member {
  readonly stream: ByteStream;
  readonly closed = new Deferred<RpcStatus>();
  readonly #messages: ConsumerGroupHeartbeatResponse[] = [];
  #waiting: ((message: ConsumerGroupHeartbeatResponse) => void) | undefined;

  constructor() {
    this.stream = transport.openStream(broker.address, MEMBERSHIP_METHOD);
    this.stream.onMessage((bytes) => {
      const message = decodeHeartbeatResponse(bytes);
      const waiting = this.#waiting;
      this.#waiting = undefined;
      if (waiting === undefined) this.#messages.push(message);
      else waiting(message);
    });
    this.stream.onEnd(() => undefined);
    this.stream.onClose((status) => this.closed.resolve(status));
  }

  send(request: Partial<ConsumerGroupHeartbeatRequest>): void {
    this.stream.send([
      encodeHeartbeatRequest({ groupId: "g", memberId: "m1", clientId: "test", ...request }),
    ]);
  }

  next(): Promise<ConsumerGroupHeartbeatResponse> {
    const message = this.#messages.shift();
    if (message !== undefined) return Promise.resolve(message);
    return new Promise((resolve) => {
      this.#waiting = resolve;
    });
  }
}

const JOIN = {
  memberEpoch: 0,
  rebalanceTimeoutMs: 5000,
  subscribedTopics: { names: ["orders"] },
  owned: { topics: [] },
};

describe("membership", () => {
  test("a member joins, is nudged when a second one comes, and its dead stream gives its partitions away", async () => {
    const first = new Member();
    first.send(JOIN);
    const joined = await first.next();
    expect(joined.errorCode).toBe(0);
    expect(joined.assignment?.topics).toMatchObject([{ topic: "orders", partitions: [0, 1] }]);
    const second = new Member();
    second.send({ ...JOIN, memberId: "m2" });
    const entered = await second.next();
    expect(entered.errorCode).toBe(0);
    expect(await first.next()).toMatchObject({ heartbeatNow: true });
    const owned = joined.assignment ?? { topics: [] };
    first.send({ memberEpoch: joined.memberEpoch, owned });
    const told = await first.next();
    expect(told.assignment?.topics[0]?.partitions).toHaveLength(1);
    const { groups } = await call("DescribeGroups", { groupIds: ["g"] });
    expect(groups[0]?.members.map(({ clientHost }) => clientHost)).toEqual(["127.0.0.1", "127.0.0.1"]);
    first.stream.cancel();
    let epoch = entered.memberEpoch;
    for (let partitions = 0; partitions < 2;) {
      const message = await second.next();
      expect(message.errorCode).toBe(0);
      if (message.heartbeatNow) second.send({ memberId: "m2", memberEpoch: epoch });
      else epoch = message.memberEpoch;
      partitions = message.assignment?.topics[0]?.partitions.length ?? partitions;
    }
    second.send({ memberId: "m2", memberEpoch: -1 });
    expect((await second.next()).memberEpoch).toBe(-1);
    second.stream.end();
    expect((await second.closed.promise).code).toBe(0);
  });

  test("a stream serves one member", async () => {
    const member = new Member();
    member.send({ ...JOIN, memberId: "m3" });
    await member.next();
    member.send({ ...JOIN, memberId: "m4" });
    expect((await member.closed.promise).message).toContain("one member");
  });

  test("bytes that are no heartbeat end the stream", async () => {
    const member = new Member();
    member.stream.send([Buffer.from([0x0f])]);
    expect((await member.closed.promise).code).not.toBe(0);
  });
});

describe("classic groups and offsets", () => {
  test("a classic member joins with the id it was given, syncs, commits and leaves", async () => {
    await call("FindCoordinator", { groupIds: ["classic"] });
    const join = {
      groupId: "classic",
      memberId: "",
      sessionTimeoutMs: 10_000,
      rebalanceTimeoutMs: 10_000,
      protocolType: "consumer",
      protocols: [{ name: "range", metadata: Buffer.from("me") }],
      clientId: "test",
    };
    const { errorCode, memberId } = await call("JoinGroup", join);
    expect(errorCode).toBe(errorCodeOf("MEMBER_ID_REQUIRED"));
    const joined = await call("JoinGroup", { ...join, memberId });
    expect(joined).toMatchObject({ errorCode: 0, leader: memberId, protocolName: "range" });
    const { generationId } = joined;
    const assignments = [{ memberId, assignment: Buffer.from("all") }];
    const identity = { groupId: "classic", generationId, memberId };
    const synced = await call("SyncGroup", {
      ...identity,
      protocolType: "consumer",
      protocolName: "range",
      assignments,
    });
    expect(synced).toMatchObject({ errorCode: 0, assignment: Buffer.from("all") });
    expect(await call("Heartbeat", identity)).toMatchObject({ errorCode: 0 });
    const offsets = [{ topic: "orders", partition: 1, offset: 5, leaderEpoch: 0, metadata: "m" }];
    const commit = { groupId: "classic", memberId, generationIdOrMemberEpoch: generationId, offsets };
    expect(await call("CommitOffsets", commit)).toMatchObject({ results: [{ errorCode: 0 }] });
    const stale = await call("CommitOffsets", { ...commit, generationIdOrMemberEpoch: generationId - 1 });
    expect(stale.results[0]?.errorCode).toBe(errorCodeOf("ILLEGAL_GENERATION"));
    const fetched = await call("FetchOffsets", { groupId: "classic", allPartitions: true, partitions: [] });
    expect(fetched.offsets).toMatchObject([{ topic: "orders", partition: 1, offset: 5, metadata: "m" }]);
    const none = {
      groupId: "classic",
      allPartitions: false,
      partitions: [{ topic: "orders", partition: 0 }],
    };
    expect((await call("FetchOffsets", none)).offsets).toMatchObject([{ offset: -1, errorCode: 0 }]);
    const left = await call("LeaveGroup", { groupId: "classic", members: [{ memberId, reason: "done" }] });
    expect(left).toMatchObject({ errorCode: 0, members: [{ memberId, errorCode: 0 }] });
    expect(await call("DeleteGroups", { groupIds: ["classic", "nobody"] })).toMatchObject({
      results: [{ errorCode: 0 }, { errorCode: errorCodeOf("GROUP_ID_NOT_FOUND") }],
    });
  });

  test("what a request cannot mean is refused as a whole", async () => {
    const offsets = [{ topic: "orders", partition: 1, offset: 2 ** 60, leaderEpoch: 0, metadata: "" }];
    const commit = { groupId: "g", memberId: "", generationIdOrMemberEpoch: -1, offsets };
    await expect(call("CommitOffsets", commit)).rejects.toMatchObject({ code: "INVALID_ARGUMENT" });
    const owned = { topics: [{ topicId: Buffer.alloc(3), topic: "", partitions: [0] }] };
    const heartbeat = { groupId: "g", memberId: "m9", memberEpoch: 0, clientId: "", owned };
    await expect(call("ConsumerGroupHeartbeat", heartbeat)).rejects.toMatchObject({
      code: "INVALID_ARGUMENT",
    });
  });
});
