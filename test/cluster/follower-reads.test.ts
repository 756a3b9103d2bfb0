import { afterAll, beforeAll, expect, test } from "vitest";
import { silentLogger } from "../../src/base/logger.ts";
import { GrpcTransport } from "../../src/client/grpc-transport.ts";
import { LograftClient } from "../../src/client/index.ts";
import type { Consumer } from "../../src/client/index.ts";
import { createNodePlatform } from "../../src/platform/node/node-platform.ts";
import { FETCH_METHOD } from "../../src/rpc/method-names.ts";
import type { ByteStream } from "../../src/rpc/stream/byte-stream.ts";
import { startCluster } from "../../src/testing.ts";
import type { RunningCluster } from "../../src/testing.ts";

/** The real transport, which notes to whom fetch streams are opened: a broker without one serves no records. */
class NotingTransport extends GrpcTransport {
  readonly fetchedFrom = new Set<string>();

  override openStream(address: string, method: string): ByteStream {
    if (method === FETCH_METHOD) this.fetchedFrom.add(address);
    return super.openStream(address, method);
  }
}

const PARTITIONS = 6;
const PER_PARTITION = 20;

let cluster: RunningCluster;

beforeAll(async () => {
  cluster = await startCluster({
    racks: ["north", "south", "west"],
    config: { "raft.election.timeout.ms": "500" },
  });
});

afterAll(async () => {
  await cluster.close();
});

async function write(client: LograftClient, round: string): Promise<string[]> {
  await using producer = client.producer();
  const values = Array.from({ length: PARTITIONS * PER_PARTITION }, (_, n) => `${round} ${n}`);
  await Promise.all(values.map((value, n) => producer.send("t", { value, partition: n % PARTITIONS })));
  return values;
}

async function read(consumer: Consumer, count: number): Promise<string[]> {
  const found: string[] = [];
  for await (const { value } of consumer.messages({ signal: AbortSignal.timeout(20_000) })) {
    found.push(String(value));
    if (found.length === count) break;
  }
  return found;
}

test("records are read from the follower in the client's rack alone, and from the leaders when it is gone", async () => {
  const { clock, random } = createNodePlatform();
  const transport = new NotingTransport(
    { lane: "direct", clientId: "reader" },
    { clock, random, logger: silentLogger },
  );
  await using writer = new LograftClient({ brokers: cluster.addresses });
  await writer.admin().createTopics([{ name: "t", partitions: PARTITIONS, replicationFactor: 3 }]);
  const [details] = await writer.admin().describeTopics(["t"]);
  expect(new Set(details?.partitions.map(({ leaderId }) => leaderId))).toEqual(new Set([1, 2, 3]));
  const before = await write(writer, "before");

  await using reader = new LograftClient({ brokers: cluster.addresses, rack: "south", transport });
  await using consumer = reader.consumer({ topics: ["t"], readFrom: "closest" });
  expect((await read(consumer, before.length)).toSorted()).toEqual(before.toSorted());
  // What comes while it reads is pushed by the follower too.
  const during = read(consumer, before.length);
  const later = await write(writer, "later");
  expect((await during).toSorted()).toEqual(later.toSorted());
  expect([...transport.fetchedFrom]).toEqual([cluster.brokers[1]?.address]);

  transport.fetchedFrom.clear();
  await cluster.brokers[1]?.close();
  const after = await write(writer, "after");
  expect((await read(consumer, after.length)).toSorted()).toEqual(after.toSorted());
  expect(transport.fetchedFrom).toContain(cluster.brokers[0]?.address);
  expect(transport.fetchedFrom).toContain(cluster.brokers[2]?.address);
});
