import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { LograftClient } from "../../src/client/index.ts";
import { startCluster } from "../../src/testing.ts";
import type { RunningCluster } from "../../src/testing.ts";

let cluster: RunningCluster;
let client: LograftClient;

beforeAll(async () => {
  cluster = await startCluster({ config: { "raft.election.timeout.ms": "500" } });
  client = new LograftClient({ brokers: cluster.addresses });
});

afterAll(async () => {
  await client.close();
  await cluster.close();
});

describe("a cluster in one process", () => {
  test("has one cluster id, one controller, and every broker in service", async () => {
    expect(new Set(cluster.brokers.map(({ clusterId }) => clusterId)).size).toBe(1);
    const views = await Promise.all(
      cluster.addresses.map((address) => client.admin().describeCluster({ address })),
    );
    expect(new Set(views.map(({ controllerId }) => controllerId)).size).toBe(1);
    for (const { brokers } of views) expect(brokers.map(({ nodeId }) => nodeId)).toEqual([1, 2, 3]);
  });

  test("spreads partitions over the brokers, and each leader tells how far its own go", async () => {
    await client.admin().createTopics([{ name: "spread", partitions: 6 }]);
    await using producer = client.producer();
    for (let partition = 0; partition < 6; partition++) {
      for (let n = 0; n <= partition; n++) await producer.send("spread", { value: `${n}`, partition });
    }
    const [details] = await client.admin().describeTopics(["spread"]);
    expect(new Set(details?.partitions.map(({ leaderId }) => leaderId))).toEqual(new Set([1, 2, 3]));
    expect(details?.partitions.map(({ logEndOffset, error }) => [logEndOffset, error])).toEqual(
      [1, 2, 3, 4, 5, 6].map((end) => [end, undefined]),
    );
  });

  test("gives every record back, whoever has it", async () => {
    await client.admin().createTopics([{ name: "all", partitions: 9 }]);
    await using producer = client.producer();
    const sent = Array.from({ length: 300 }, (_, n) => `value ${n}`);
    await Promise.all(sent.map((value, n) => producer.send("all", { value, partition: n % 9 })));
    await using consumer = client.consumer({ topics: ["all"], from: "beginning" });
    const found: string[] = [];
    for await (const record of consumer.messages({ signal: AbortSignal.timeout(20_000) })) {
      found.push(String(record.value));
      if (found.length === sent.length) break;
    }
    expect(found.toSorted()).toEqual(sent.toSorted());
  });

  test("acknowledges a record of a replicated topic when all in-sync replicas have it on their disks", async () => {
    const configs = { "min.insync.replicas": "2" };
    await client.admin().createTopics([{ name: "replicated", partitions: 3, replicationFactor: 3, configs }]);
    await using producer = client.producer();
    const acks = await Promise.all(
      Array.from({ length: 30 }, (_, n) =>
        producer.send("replicated", { value: `value ${n}`, partition: n % 3 }),
      ),
    );
    for (const ack of acks) expect(ack).toMatchObject({ durability: "synced", replicas: 3 });
  });

  test("refuses more replicas than it has brokers, naming both", async () => {
    const wish = { name: "too-many", replicationFactor: 4 };
    await expect(client.admin().createTopics([wish])).rejects.toThrow(/4 replicas.*3 brokers/);
  });

  test("goes on without its controller: another one decides, and what was acknowledged is there", async () => {
    const { controllerId } = await client.admin().describeCluster();
    const gone = cluster.brokers.find(({ nodeId }) => nodeId === controllerId);
    await gone?.close();
    await client.admin().createTopics([{ name: "after", partitions: 2 }]);
    const left = cluster.brokers.filter((broker) => broker !== gone);
    for (const { address } of left) {
      await expect
        .poll(async () => (await client.admin().describeCluster({ address })).controllerId)
        .not.toBe(controllerId);
    }
    // What was acknowledged before is read from the leaders that there are now.
    await using consumer = client.consumer({ topics: ["replicated"], from: "beginning" });
    const found = new Set<string>();
    for await (const record of consumer.messages({ signal: AbortSignal.timeout(20_000) })) {
      found.add(String(record.value));
      if (found.size === 30) break;
    }
    await using producer = client.producer();
    for (let partition = 0; partition < 3; partition++) {
      const ack = await producer.send("replicated", { value: "later", partition });
      expect(ack).toMatchObject({ durability: "synced", replicas: 2, offset: 10 });
    }
    const names = (await client.admin().listTopics()).map(({ name }) => name);
    expect(names).toEqual(expect.arrayContaining(["spread", "all", "replicated", "after"]));
  });
});
