import { readdir } from "node:fs/promises";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { LograftClient } from "../../src/client/index.ts";
import type { PartitionState } from "../../src/client/index.ts";
import { startCluster } from "../../src/testing.ts";
import type { RunningCluster } from "../../src/testing.ts";

let cluster: RunningCluster;
let client: LograftClient;

beforeAll(async () => {
  cluster = await startCluster({ brokers: 4, config: { "raft.election.timeout.ms": "500" } });
  client = new LograftClient({ brokers: cluster.addresses });
});

afterAll(async () => {
  await client.close();
  await cluster.close();
});

async function partitionsOf(topic: string): Promise<PartitionState[]> {
  return client.admin().listPartitions({ topics: [topic] });
}

async function move(topic: string, replicas: readonly number[]): Promise<void> {
  const partitions = (await partitionsOf(topic)).map(({ partition }) => ({ topic, partition, replicas }));
  await client.admin().reassignPartitions(partitions);
}

async function expectThere(topic: string, replicas: readonly number[]): Promise<void> {
  await expect
    .poll(
      async () => {
        const states = await partitionsOf(topic);
        return states.map((state) => [state.replicas, state.isr.toSorted((a, b) => a - b)]);
      },
      { timeout: 20_000 },
    )
    .toEqual((await partitionsOf(topic)).map(() => [replicas, replicas.toSorted((a, b) => a - b)]));
  await expect.poll(() => client.admin().listReassignments()).toEqual([]);
}

/** Directories of the topic's partitions in a broker's data directory. */
async function directoriesOn(node: number, topic: string): Promise<string[]> {
  const directory = cluster.brokers[node - 1]!.dataDirectory;
  return (await readdir(directory)).filter((name) => new RegExp(`^${topic}-\\d+$`).test(name)).toSorted();
}

async function valuesOf(topic: string, count: number): Promise<string[]> {
  await using consumer = client.consumer({ topics: [topic], from: "beginning" });
  const found: string[] = [];
  for await (const record of consumer.messages({ signal: AbortSignal.timeout(20_000) })) {
    found.push(String(record.value));
    if (found.length === count) break;
  }
  return found;
}

describe("a topic that moves to other brokers", () => {
  test("keeps all that was acknowledged, before and on the way; the broker that it left has nothing of it", async () => {
    await client.admin().createTopics([{ name: "moved", partitions: 3, replicationFactor: 3 }]);
    await move("moved", [1, 2, 3]);
    await expectThere("moved", [1, 2, 3]);
    await using producer = client.producer();
    const sent: string[] = [];
    const send = async (): Promise<void> => {
      const value = `value ${sent.length}`;
      await producer.send("moved", { value, partition: sent.push(value) % 3 });
    };
    for (let n = 0; n < 60; n++) await send();
    expect(await directoriesOn(1, "moved")).toEqual(["moved-0", "moved-1", "moved-2"]);

    await move("moved", [2, 3, 4]);
    let isThere = false;
    const arrival = expectThere("moved", [2, 3, 4]).finally(() => (isThere = true));
    while (!isThere) await send();
    await arrival;
    for (let n = 0; n < 30; n++) await send();

    for (const { leaderId } of await partitionsOf("moved")) expect([2, 3, 4]).toContain(leaderId);
    expect((await valuesOf("moved", sent.length)).toSorted()).toEqual(sent.toSorted());
    await expect.poll(() => directoriesOn(1, "moved")).toEqual([]);
    expect(await directoriesOn(4, "moved")).toEqual(["moved-0", "moved-1", "moved-2"]);
  });

  test("comes back to a broker that had it, where it begins anew", async () => {
    await move("moved", [1, 4]);
    await expectThere("moved", [1, 4]);
    await using producer = client.producer();
    const ack = await producer.send("moved", { value: "last", partition: 0 });
    expect(ack).toMatchObject({ replicas: 2 });
    expect(await directoriesOn(1, "moved")).toEqual(["moved-0", "moved-1", "moved-2"]);
    await expect.poll(() => directoriesOn(2, "moved")).toEqual([]);
  });

  test("loses nothing when a replica goes and comes back in one breath (H23)", async () => {
    await client.admin().createTopics([{ name: "back", partitions: 1, replicationFactor: 3 }]);
    await move("back", [1, 2, 3]);
    await expectThere("back", [1, 2, 3]);
    await using producer = client.producer();
    const sent: string[] = [];
    const send = async (): Promise<void> => {
      const value = `value ${sent.length}`;
      sent.push(value);
      await producer.send("back", { value, partition: 0 });
    };
    for (let round = 0; round < 5; round++) {
      await send();
      await move("back", [1, 2]);
      await move("back", [1, 2, 3]);
      await send();
      // A move that is under way keeps the next one out.
      await expectThere("back", [1, 2, 3]);
    }
    // Only the replica that went and came is left: it has everything.
    await move("back", [3]);
    await expectThere("back", [3]);
    expect(await valuesOf("back", sent.length)).toEqual(sent);
    await client.admin().deleteTopics(["back"]);
  });

  test("is copied no faster than its throttle says, tells how far it is, and goes on at full speed when that is lifted", async () => {
    const throttle = "reassignment.throttle.bytes.per.second";
    await client.admin().createTopics([{ name: "slow", partitions: 1, replicationFactor: 2 }]);
    await move("slow", [1, 2]);
    await expectThere("slow", [1, 2]);
    await using producer = client.producer({ batchSize: 20_000 });
    const value = "x".repeat(10_000);
    await Promise.all(Array.from({ length: 200 }, () => producer.send("slow", { value })));

    await client.admin().alterTopicConfigs("slow", { set: { [throttle]: "100KiB" } });
    await move("slow", [1, 3]);
    const measured = async (): Promise<number> => {
      const [copy] = await client.admin().measureCopies(await client.admin().listReassignments());
      return copy === undefined ? 0 : copy.sizeBytes / copy.leaderSizeBytes;
    };
    await expect.poll(measured).toBeGreaterThan(0.02);
    // The rest would take 19 s.
    expect(await measured()).toBeLessThan(0.5);
    await client.admin().alterTopicConfigs("slow", { unset: [throttle] });
    await expectThere("slow", [1, 3]);
    expect(await valuesOf("slow", 200)).toHaveLength(200);
    await client.admin().deleteTopics(["slow"]);
  });

  test("goes from one replica to three and back to one, and is read to its end each time", async () => {
    await client.admin().createTopics([{ name: "single", partitions: 1, replicationFactor: 1 }]);
    await move("single", [1]);
    await expectThere("single", [1]);
    await using producer = client.producer();
    const sent: string[] = [];
    const send = async (): Promise<void> => {
      const value = `value ${sent.length}`;
      sent.push(value);
      await producer.send("single", { value, partition: 0 });
    };
    for (const replicas of [[1], [1, 2, 3], [1]]) {
      await move("single", replicas);
      await expectThere("single", replicas);
      await send();
      expect(await valuesOf("single", sent.length)).toEqual(sent);
    }
  });

  test("is refused a broker that there is not, and nothing moves", async () => {
    const before = await partitionsOf("moved");
    await expect(move("moved", [1, 9])).rejects.toMatchObject({
      code: "INVALID_REPLICA_ASSIGNMENT",
      message: expect.stringMatching(/moved-0 cannot be on \[1, 9\]: broker 9 is not registered/) as string,
    });
    expect(await partitionsOf("moved")).toEqual(before);
  });
});

describe("a drained broker", () => {
  test("leads nothing, keeps its copies, and gets no new ones, until it is given back to use", async () => {
    await client.admin().createTopics([{ name: "kept", partitions: 8, replicationFactor: 3 }]);
    const before = await partitionsOf("kept");
    const led = before.filter(({ leaderId }) => leaderId === 3).length;
    expect(led).toBeGreaterThan(0);
    const { movedLeaders, ledPartitions } = await client.admin().drainNode(3);
    expect(movedLeaders).toBeGreaterThanOrEqual(led);
    expect(ledPartitions).toBe(0);
    await using producer = client.producer();
    for (let partition = 0; partition < 8; partition++) {
      expect(await producer.send("kept", { value: "x", partition })).toMatchObject({ replicas: 3 });
    }
    const after = await partitionsOf("kept");
    expect(after.map(({ replicas }) => replicas)).toEqual(before.map(({ replicas }) => replicas));
    expect(after.map(({ leaderId }) => leaderId)).not.toContain(3);
    await client.admin().createTopics([{ name: "later", partitions: 8, replicationFactor: 3 }]);
    expect((await partitionsOf("later")).flatMap(({ replicas }) => replicas)).not.toContain(3);
    const { brokers } = await client.admin().describeCluster();
    expect(brokers.filter(({ isDrained }) => isDrained).map(({ nodeId }) => nodeId)).toEqual([3]);

    await client.admin().undrainNode(3);
    await client.admin().electLeaders({ topics: ["kept"] });
    const given = await partitionsOf("kept");
    expect(given.map(({ leaderId }) => leaderId)).toEqual(given.map(({ replicas }) => replicas[0]));
  });
});
