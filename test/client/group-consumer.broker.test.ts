import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { silentLogger } from "../../src/base/logger.ts";
import { GrpcTransport } from "../../src/client/grpc-transport.ts";
import type {
  ClientTransport,
  Consumer,
  ConsumerOptions,
  UnaryCallOptions,
  UnaryMethod,
  UnaryMethods,
} from "../../src/client/index.ts";
import { LograftClient, rangeAssignor } from "../../src/client/index.ts";
import { NodeClock } from "../../src/platform/node/node-clock.ts";
import { NodeRandom } from "../../src/platform/node/node-random.ts";
import type { ByteStream } from "../../src/rpc/stream/byte-stream.ts";
import type { RunningBroker } from "../../src/testing.ts";
import { startBroker } from "../../src/testing.ts";
import { QUICK_RETRY } from "./wire-harness.ts";

/* Members of a group over the real wire, with a real coordinator on a real disk. */

/** Nothing listens there. */
const NOWHERE = "127.0.0.1:1";

let broker: RunningBroker;
const clients = new Set<LograftClient>();

beforeAll(async () => {
  broker = await startBroker({
    config: { "auto.create.topics.enable": "false", "group.initial.rebalance.delay.ms": "0" },
  });
});

afterAll(async () => {
  await Promise.all([...clients].map((client) => client.close()));
  await broker.close();
});

function connect(): LograftClient {
  const client = new LograftClient({ brokers: [broker.address], retry: QUICK_RETRY });
  clients.add(client);
  return client;
}

async function topicWith(name: string, partitions: number, perPartition: number): Promise<string[]> {
  const client = connect();
  await client.admin().createTopics([{ name, partitions, replicationFactor: 1 }]);
  return write(client, name, partitions, perPartition, "a");
}

async function write(
  client: LograftClient,
  topic: string,
  partitions: number,
  perPartition: number,
  mark: string,
): Promise<string[]> {
  await using producer = client.producer({ lingerMs: 0 });
  const records = Array.from({ length: partitions * perPartition }, (_, index) => ({
    value: `${mark}${index}`,
    partition: index % partitions,
  }));
  await producer.sendBatch(topic, records);
  return records.map(({ value }) => value);
}

/** A member that notes what it handles, until it is closed. */
function start(client: LograftClient, options: ConsumerOptions, seen: string[]): Consumer {
  const consumer = client.consumer(options);
  const run = consumer.run({
    eachMessage: (record) => {
      seen.push(String(record.value));
    },
  });
  run.catch((error: unknown) => seen.push(`failed: ${String(error)}`));
  return consumer;
}

function eventually(check: () => void | Promise<void>): Promise<void> {
  return expect
    .poll(
      async () => {
        try {
          await check();
          return "yes";
        } catch (error: unknown) {
          return String(error);
        }
      },
      { timeout: 20_000, interval: 20 },
    )
    .toBe("yes");
}

describe.each(["consumer", "classic"] as const)("a group of protocol %s", (groupProtocol) => {
  const topicOf = (name: string): string => `${groupProtocol}-${name}`;
  const assignors = groupProtocol === "classic" ? { assignors: [rangeAssignor] } : {};
  const optionsOf = (name: string): ConsumerOptions => ({
    groupId: `${groupProtocol}-${name}`,
    topics: [topicOf(name)],
    groupProtocol,
    ...assignors,
  });

  test("shares four partitions between two members; one leaves, the other goes on where it was", async () => {
    const first = await topicWith(topicOf("leave"), 4, 25);
    const [one, two] = [connect(), connect()];
    const seen: string[] = [];
    const leaving = start(one, optionsOf("leave"), seen);
    const staying = start(two, optionsOf("leave"), seen);
    await eventually(() => {
      expect(leaving.assignment).toHaveLength(2);
      expect(staying.assignment).toHaveLength(2);
      expect(seen.length).toBeGreaterThanOrEqual(100);
    });
    await leaving.close();
    const more = await write(two, topicOf("leave"), 4, 5, "b");
    await eventually(() => {
      expect(staying.assignment).toHaveLength(4);
      expect([...seen].sort()).toEqual([...first, ...more].sort());
    });
  });

  test("commits outlive the members", async () => {
    const written = await topicWith(topicOf("again"), 2, 10);
    const client = connect();
    const seen: string[] = [];
    const before = start(client, optionsOf("again"), seen);
    await eventually(() => expect(seen).toHaveLength(20));
    await before.close();
    const more = await write(client, topicOf("again"), 2, 3, "b");
    const after = start(client, optionsOf("again"), seen);
    await eventually(() => expect(seen).toHaveLength(26));
    expect([...seen].sort()).toEqual([...written, ...more].sort());
    await eventually(async () => {
      const committed = await after.committed();
      expect(committed.map(({ offset }) => offset)).toEqual([13, 13]);
    });
  });
});

/** A way to the broker that can be lost, as when the process or its network dies. */
class LosableTransport implements ClientTransport {
  readonly #deps = {
    clock: new NodeClock({ keepsAlive: false }),
    logger: silentLogger,
    random: new NodeRandom(),
  };
  #inner = this.#connect();
  #isLost = false;

  call<M extends UnaryMethod>(
    address: string,
    method: M,
    request: UnaryMethods[M]["request"],
    options: UnaryCallOptions,
  ): Promise<UnaryMethods[M]["response"]> {
    return this.#inner.call(this.#isLost ? NOWHERE : address, method, request, options);
  }

  openStream(address: string, method: string): ByteStream {
    return this.#inner.openStream(this.#isLost ? NOWHERE : address, method);
  }

  async lose(): Promise<void> {
    const before = this.#inner;
    this.#isLost = true;
    this.#inner = this.#connect();
    await before.close();
  }

  close(): Promise<void> {
    return this.#inner.close();
  }

  #connect(): GrpcTransport {
    return new GrpcTransport({ lane: "direct", clientId: "test" }, this.#deps);
  }
}

test("the partitions of a member that is cut off are read by the other one at once, and nothing is lost", async () => {
  const transport = new LosableTransport();
  const one = new LograftClient({ brokers: [broker.address], retry: QUICK_RETRY, transport });
  clients.add(one);
  const two = connect();
  const written = await topicWith("cut", 4, 25);
  const [seenByOne, seen]: [string[], string[]] = [[], []];
  const options: ConsumerOptions = { groupId: "cut", topics: ["cut"] };
  const cut = start(one, options, seenByOne);
  const staying = start(two, options, seen);
  await eventually(() => {
    expect(cut.assignment).toHaveLength(2);
    expect(staying.assignment).toHaveLength(2);
    expect(seen.length + seenByOne.length).toBeGreaterThanOrEqual(100);
  });
  const cutAtMs = performance.now();
  await transport.lose();
  const more = await write(two, "cut", 4, 5, "b");
  await eventually(() => expect(staying.assignment).toHaveLength(4));
  // By the end of its stream, long before its session of 45 s.
  expect(performance.now() - cutAtMs).toBeLessThan(30_000);
  await eventually(() => {
    for (const value of more) expect(seen).toContain(value);
  });
  expect(new Set([...seen, ...seenByOne])).toEqual(new Set([...written, ...more]));
  expect(cut.status.lastHeartbeatAgoMs).toBeGreaterThan(0);
  await cut.close({ timeoutMs: 100 });
});

test("a pattern takes topics that come later", async () => {
  const client = connect();
  const seen: string[] = [];
  const consumer = start(client, { groupId: "pattern", topics: [/late-[a-z]+/] }, seen);
  await eventually(() => expect(consumer.status.state).toBe("stable"));
  const written = await topicWith("late-eu", 1, 3);
  await eventually(() => expect(seen).toEqual(written));
});

test("one client has more members than a connection takes streams, and its calls go on", async () => {
  await topicWith("crowd", 2, 1);
  const client = connect();
  const members = Array.from({ length: 120 }, (_, index) =>
    client.consumer({ groupId: `crowd-${index}`, topics: ["crowd"] }),
  );
  await Promise.all(members.map((member) => member.ready()));
  await Promise.all(members.map((member) => member.commitOffsets()));
  const { groups } = await client.admin().listGroups();
  expect(groups.filter(({ groupId }) => groupId.startsWith("crowd-"))).toHaveLength(120);
  await Promise.all(members.map((member) => member.close()));
});
