import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import { silentLogger } from "../../src/base/logger.ts";
import { GrpcTransport } from "../../src/client/grpc-transport.ts";
import type { Consumer, ConsumerOptions } from "../../src/client/index.ts";
import { LograftClient, rangeAssignor, roundRobinAssignor } from "../../src/client/index.ts";
import { errorNameOf } from "../../src/model/error-code.ts";
import { NodeClock } from "../../src/platform/node/node-clock.ts";
import { NodeRandom } from "../../src/platform/node/node-random.ts";
import type { RunningBroker } from "../../src/testing.ts";
import { startBroker } from "../../src/testing.ts";
import { failureOf } from "./harness.ts";
import { QUICK_RETRY } from "./wire-harness.ts";

/* What a group refuses: a typed error that says what to do, and no other member notices. */

const transport = new GrpcTransport(
  { lane: "direct", clientId: "test" },
  { clock: new NodeClock({ keepsAlive: false }), logger: silentLogger, random: new NodeRandom() },
);
let broker: RunningBroker;
const clients: LograftClient[] = [];
let serial = 0;

beforeAll(async () => {
  broker = await startBroker({
    config: { "auto.create.topics.enable": "false", "group.initial.rebalance.delay.ms": "0" },
  });
});

afterAll(async () => {
  await Promise.all(clients.map((client) => client.close()));
  await transport.close();
  await broker.close();
});

function connect(): LograftClient {
  const client = new LograftClient({ brokers: [broker.address], retry: QUICK_RETRY });
  clients.push(client);
  return client;
}

/** A member that has joined, with what it tells. */
async function member(groupId: string, topic: string, more: Partial<ConsumerOptions> = {}) {
  const consumer = connect().consumer({ groupId, topics: [topic], ...more });
  const told: string[] = [];
  for (const what of ["assigned", "revoked", "lost"] as const) consumer.on(what, () => told.push(what));
  consumer.on("error", ({ code }) => told.push(code));
  await consumer.ready();
  return { consumer, told };
}

/** A group and a topic of its own, without a member. */
async function fresh(partitions: number) {
  serial++;
  const client = connect();
  const topic = `t-${serial}`;
  await client.admin().createTopics([{ name: topic, partitions, replicationFactor: 1 }]);
  return { groupId: `g-${serial}`, topic, client };
}

/** Two members of one group that share two partitions with a record in each; `told` is empty. */
async function pair(groupProtocol: "classic" | "consumer") {
  const { groupId, topic, client } = await fresh(2);
  await using producer = client.producer();
  for (const partition of [0, 1]) await producer.send(topic, { value: "1", partition });
  const assignors = groupProtocol === "classic" ? { assignors: [rangeAssignor] } : {};
  const one = await member(groupId, topic, { groupProtocol, ...assignors });
  const two = await member(groupId, topic, { groupProtocol, ...assignors });
  await eventually(() => [one, two].map(({ consumer }) => consumer.assignment.length), [1, 1]);
  await eventually(() => [one, two].map(({ consumer }) => consumer.status.state), ["stable", "stable"]);
  one.told.length = 0;
  two.told.length = 0;
  return {
    groupId,
    topic,
    client,
    one: one.consumer,
    two: two.consumer,
    toldOne: one.told,
    toldTwo: two.told,
  };
}

function eventually(probe: () => unknown, expected: unknown): Promise<void> {
  return expect.poll(probe, { timeout: 25_000, interval: 20 }).toEqual(expected);
}

/** The coordinator's word on a commit that the SDK would not send. */
async function rawCommit(
  groupId: string,
  who: { readonly memberId: string; readonly epoch: number },
  where: { readonly topic: string; readonly partition: number; readonly offset?: number },
): Promise<{ readonly name: string; readonly text: string }> {
  const request = {
    groupId,
    memberId: who.memberId,
    generationIdOrMemberEpoch: who.epoch,
    offsets: [
      {
        topic: where.topic,
        partition: where.partition,
        offset: where.offset ?? 1,
        leaderEpoch: -1,
        metadata: "",
      },
    ],
  };
  const { results } = await transport.call(broker.address, "CommitOffsets", request, { timeoutMs: 10_000 });
  return { name: errorNameOf(results[0]?.errorCode ?? 0), text: results[0]?.errorMessage ?? "" };
}

function whoIs({ status }: Consumer): { readonly memberId: string; readonly epoch: number } {
  return { memberId: status.memberId ?? "", epoch: status.memberEpoch ?? -1 };
}

function partitionOf({ assignment }: Consumer): { readonly topic: string; readonly partition: number } {
  const [only] = assignment;
  if (only === undefined) throw new Error("nothing is assigned");
  return only;
}

vi.setConfig({ testTimeout: 60_000 });

describe.each(["consumer", "classic"] as const)("a group of protocol %s", (groupProtocol) => {
  let made: ReturnType<typeof pair> | undefined;
  /** The same for all: that nothing becomes of what is refused is the point. */
  const group = (): ReturnType<typeof pair> => (made ??= pair(groupProtocol));

  test("refuses commits of an older epoch, of unknown members and of nobody", async () => {
    const { groupId, one, toldOne, toldTwo } = await group();
    const who = whoIs(one);
    const where = partitionOf(one);
    const older = await rawCommit(groupId, { ...who, epoch: who.epoch - 1 }, where);
    expect(older.name).toBe(groupProtocol === "classic" ? "ILLEGAL_GENERATION" : "STALE_MEMBER_EPOCH");
    expect(older.text).toMatch(/; \S+/);
    const unknown = await rawCommit(groupId, { memberId: "nobody-knows-it", epoch: who.epoch }, where);
    expect(unknown.name).toBe("UNKNOWN_MEMBER_ID");
    expect(unknown.text).toMatch(/nobody-knows-it.*; \S+/);
    const nobody = await rawCommit(groupId, { memberId: "", epoch: -1 }, where);
    expect(nobody.name).toBe("UNKNOWN_MEMBER_ID");
    expect(nobody.text).toMatch(/has members.*stop them/);
    expect((await one.committed([where]))[0]?.offset ?? 0).toBe(0);
    expect([toldOne, toldTwo]).toEqual([[], []]);
  });

  test("refuses commits of a partition that another one has, and past the end", async () => {
    const { one, two, toldOne, toldTwo } = await group();
    const theirs = partitionOf(two);
    const other = await failureOf(one.commitOffsets([{ ...theirs, offset: 1 }]));
    expect(other).toMatchObject({ code: "UNKNOWN_MEMBER_ID", retriable: false });
    expect(other.message).toMatch(/not assigned to this member.*; commit only what/);
    const own = partitionOf(one);
    const past = await failureOf(one.commitOffsets([{ ...own, offset: 2 }]));
    expect(past).toMatchObject({ code: "OFFSET_OUT_OF_RANGE", retriable: false });
    expect(past.message).toMatch(/offset 2 is past the end.*which is 1; commit the offset/);
    await one.commitOffsets([{ ...own, offset: 1 }]);
    expect([toldOne, toldTwo]).toEqual([[], []]);
  });

  test("refuses a reset and a deletion while members are there", async () => {
    const { client, groupId, topic, one, toldOne, toldTwo } = await group();
    const before = await one.committed();
    const reset = { groupId, topics: [topic], to: { offset: 1 }, dryRun: false } as const;
    for (const refused of [client.admin().resetGroupOffsets(reset), client.admin().deleteGroups([groupId])]) {
      const error = await failureOf(refused);
      expect(error).toMatchObject({ code: "NON_EMPTY_GROUP", retriable: false });
      expect(error.message).toMatch(/member.*stop/);
    }
    expect(await one.committed()).toEqual(before);
    expect([toldOne, toldTwo]).toEqual([[], []]);
  });

  test("refuses to remove a member that it does not have", async () => {
    const { client, groupId, toldOne, toldTwo } = await group();
    const error = await failureOf(client.admin().removeMembers(groupId, [{ memberId: "nobody-knows-it" }]));
    expect(error).toMatchObject({ code: "UNKNOWN_MEMBER_ID" });
    expect(error.message).toMatch(/nobody-knows-it/);
    expect([toldOne, toldTwo]).toEqual([[], []]);
  });

  test("refuses members of the other protocol", async () => {
    const { groupId, topic, toldOne, toldTwo } = await group();
    const other = groupProtocol === "classic" ? "consumer" : "classic";
    const error = await failureOf(member(groupId, topic, { groupProtocol: other }));
    expect(error).toMatchObject({ code: "INCONSISTENT_GROUP_PROTOCOL", retriable: false });
    expect(error.message).toMatch(/; \S+/);
    expect([toldOne, toldTwo]).toEqual([[], []]);
  });
});

test("a server-side group takes no commit of a partition that is another member's, whoever sends it", async () => {
  const { groupId, one, two, toldOne, toldTwo } = await pair("consumer");
  const refused = await rawCommit(groupId, whoIs(one), partitionOf(two));
  expect(refused.name).toBe("INVALID_REQUEST");
  expect(refused.text).toMatch(/belongs to member.*commit only what is assigned/);
  expect([toldOne, toldTwo]).toEqual([[], []]);
});

test("a second living member of one static name waits and is told; the first one goes on", async () => {
  const { groupId, topic } = await fresh(1);
  const first = await member(groupId, topic, { instanceId: "i" });
  await eventually(() => first.consumer.assignment.length, 1);
  const second = connect().consumer({ groupId, topics: [topic], instanceId: "i" });
  const errors: Error[] = [];
  second.on("error", (error) => errors.push(error));
  const joining = failureOf(second.ready());
  await eventually(() => errors.length > 0, true);
  expect(errors[0]).toMatchObject({ code: "UNRELEASED_INSTANCE_ID" });
  expect(errors[0]?.message).toMatch(/instance "i".*still there; stop it first/);
  expect(first.told).toEqual(["assigned"]);
  expect(first.consumer.status.state).toBe("stable");
  await second.close();
  expect(await joining).toMatchObject({ code: "CLOSED" });
});

test("of two classic members of one static name the first is told that it was replaced", async () => {
  const { groupId, topic } = await fresh(1);
  const options = { groupProtocol: "classic", instanceId: "i", sessionTimeoutMs: 6000 } as const;
  const first = await member(groupId, topic, options);
  const iterating = failureOf(first.consumer.messages().next());
  const second = await member(groupId, topic, options);
  await eventually(() => second.consumer.assignment.length, 1);
  const error = await iterating;
  expect(error).toMatchObject({ code: "FENCED_INSTANCE_ID", retriable: false });
  expect(error.message).toMatch(/; \S+/);
});

test("classic members whose assignors do not agree: the second one is refused", async () => {
  const { groupId, topic, toldOne, toldTwo } = await pair("classic");
  const error = await failureOf(
    member(groupId, topic, { groupProtocol: "classic", assignors: [roundRobinAssignor] }),
  );
  expect(error).toMatchObject({ code: "INCONSISTENT_GROUP_PROTOCOL", retriable: false });
  expect(error.message).toMatch(/assignor|protocol/);
  expect(error.message).toMatch(/; \S+/);
  expect([toldOne, toldTwo]).toEqual([[], []]);
});

test.each(["", "x".repeat(250)])(
  "a group id of a wrong length (%#) is refused by the SDK and by the broker",
  async (groupId) => {
    const client = connect();
    expect(() => client.consumer({ groupId, topics: ["t"] })).toThrow(
      /groupId has (0|250) characters; it needs 1 to 249/,
    );
    const refused = await rawCommit(groupId, { memberId: "", epoch: -1 }, { topic: "t", partition: 0 });
    expect(refused.name).toBe("INVALID_GROUP_ID");
    expect(refused.text).not.toBe("");
    const error = await failureOf(client.admin().describeGroups([groupId]));
    expect(error).toMatchObject({ code: "INVALID_GROUP_ID" });
  },
);
