import { describe, expect, test } from "vitest";
import type { ConsumerGroupHeartbeatRequest } from "../../src/broker/group-coordinator.ts";
import { groupPartition, OFFSETS_TOPIC } from "../../src/broker/offsets-topic.ts";
import { SimBroker } from "./sim-broker.ts";

const CONFIG = { "offsets.topic.num.partitions": "4" };

async function started(): Promise<SimBroker> {
  const machine = new SimBroker({ config: CONFIG });
  await machine.start();
  return machine;
}

/** A broker that knows the topic of the coordinators and has read it. */
async function coordinating(): Promise<SimBroker> {
  const machine = await started();
  await machine.run(machine.broker.groups.findCoordinator(["g"]));
  await machine.scheduler.advance(100);
  return machine;
}

function joining(fields: Partial<ConsumerGroupHeartbeatRequest> = {}): ConsumerGroupHeartbeatRequest {
  return {
    groupId: "g",
    memberId: "member-1",
    memberEpoch: 0,
    rebalanceTimeoutMs: 5000,
    subscribedTopicNames: ["orders"],
    topicPartitions: [],
    clientId: "test",
    clientHost: "127.0.0.1",
    ...fields,
  };
}

function commitOf(offset: number): Parameters<SimBroker["broker"]["groups"]["commitOffsets"]>[0] {
  return {
    groupId: "g",
    memberId: "",
    generationIdOrMemberEpoch: -1,
    requireOwned: true,
    partitions: [{ topic: "orders", partition: 0, offset, leaderEpoch: -1, metadata: "here" }],
  };
}

async function committed(machine: SimBroker): Promise<number | string | undefined> {
  const answer = await machine.run(
    machine.broker.groups.fetchOffsets({
      groupId: "g",
      partitions: [{ topic: "orders", partition: 0 }],
      requireStable: true,
    }),
  );
  return answer.error === "NONE" ? answer.partitions[0]?.offset : answer.error;
}

describe("the offsets topic", () => {
  test("is made by the first question for a coordinator, compacted, and stays closed to clients", async () => {
    const machine = await started();
    const groupIds = ["g", "", "h"];
    const found = await machine.run(machine.broker.groups.findCoordinator(groupIds));
    expect(found).toMatchObject([
      { groupId: "g", error: "NONE", nodeId: 1, host: "127.0.0.1", port: 9092 },
      { groupId: "", error: "INVALID_GROUP_ID", nodeId: -1 },
      { groupId: "h", error: "NONE", nodeId: 1 },
    ]);
    const topic = machine.broker.image.topic(OFFSETS_TOPIC);
    expect(topic?.partitions).toHaveLength(4);
    expect(Object.fromEntries(topic?.configs ?? [])).toMatchObject({
      "cleanup.policy": "compact",
      "segment.bytes": "8388608",
    });
    expect(await machine.produce(OFFSETS_TOPIC, ["x"])).toMatchObject({ error: "INVALID_TOPIC_EXCEPTION" });
    await expect(machine.create("__transaction_state")).rejects.toThrow(/internal/);
    await machine.stop();
  });

  test("places groups as Kafka does", () => {
    expect(groupPartition("my-group", 50)).toBe(javaPartition("my-group", 50));
    expect(groupPartition("console-consumer-1", 50)).toBe(javaPartition("console-consumer-1", 50));
    expect(groupPartition("", 50)).toBe(0);
    expect(groupPartition("polygenelubricants", 50)).toBe(0); // The hash is -2^31: nothing but the sign bit.
  });

  test("until it is there nobody coordinates anything, and the answers say so", async () => {
    const machine = await started();
    expect(await machine.run(machine.broker.groups.commitOffsets(commitOf(1)))).toMatchObject({
      partitions: [{ topic: "orders", partition: 0, error: "NOT_COORDINATOR" }],
    });
    expect(await committed(machine)).toBe("NOT_COORDINATOR");
    await machine.stop();
  });
});

describe("groups", () => {
  test("commits survive a clean stop and a power cut", async () => {
    const machine = await coordinating();
    await machine.create("orders", 2);
    expect(await committed(machine)).toBe(-1);
    expect(await machine.run(machine.broker.groups.commitOffsets(commitOf(7)))).toMatchObject({
      partitions: [{ error: "NONE" }],
    });
    await machine.stop();
    await machine.start();
    await machine.scheduler.advance(100);
    expect(await committed(machine)).toBe(7);
    await machine.run(machine.broker.groups.commitOffsets(commitOf(8)));
    machine.cutPower();
    await machine.start();
    await machine.scheduler.advance(100);
    expect(await committed(machine)).toBe(8);
    await machine.stop();
  });

  test("a member is given partitions, hears of new ones through its watch, and is described", async () => {
    const machine = await coordinating();
    await machine.create("orders", 2);
    const { groups } = machine.broker;
    const joined = await machine.run(groups.consumerGroupHeartbeat(joining()));
    expect(joined).toMatchObject({ error: "NONE", memberId: "member-1" });
    expect(joined.assignment?.[0]?.partitions).toEqual([0, 1]);
    const { memberEpoch } = joined;
    const member = { groupId: "g", memberId: "member-1", memberEpoch };
    await machine.run(
      groups.consumerGroupHeartbeat({ ...joining(), memberEpoch, topicPartitions: joined.assignment }),
    );
    const watch = groups.watchMember(member, new AbortController().signal);
    const grown = machine.broker.createPartitions({
      name: "orders",
      totalPartitions: 3,
      validateOnly: false,
    });
    expect(await machine.run(grown)).toMatchObject({ error: "NONE" });
    expect(await machine.run(watch)).toMatchObject({ error: "NONE" });
    const [description] = await machine.run(groups.describeGroups(["g"]));
    expect(description).toMatchObject({
      error: "NONE",
      type: "consumer",
      members: [{ memberId: "member-1" }],
    });
    expect((await machine.run(groups.listGroups())).groups).toMatchObject([
      { groupId: "g", type: "consumer" },
    ]);
    expect(await machine.run(groups.deleteGroups(["g"]))).toMatchObject([{ error: "NON_EMPTY_GROUP" }]);
    await machine.stop();
  });

  test("who waits when the broker stops is told to look for another coordinator", async () => {
    const machine = await coordinating();
    await machine.create("orders", 2);
    const { groups } = machine.broker;
    const { memberEpoch } = await machine.run(groups.consumerGroupHeartbeat(joining()));
    const member = { groupId: "g", memberId: "member-1", memberEpoch };
    const watch = groups.watchMember(member, new AbortController().signal);
    await machine.stop();
    expect(await watch).toMatchObject({ error: "NOT_COORDINATOR" });
    expect(await groups.heartbeat({ groupId: "g", generationId: 1, memberId: "m" })).toMatchObject({
      error: "NOT_COORDINATOR",
    });
  });
});

/** By the definition: abs of the hash code, where the abs of the least integer is 0, as Kafka's clients have it. */
function javaPartition(text: string, partitions: number): number {
  let hash = 0n;
  for (const character of text) hash = BigInt.asIntN(32, hash * 31n + BigInt(character.codePointAt(0) ?? 0));
  return Number(BigInt.asUintN(31, hash) % BigInt(partitions));
}
