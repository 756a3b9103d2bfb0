import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { LograftClient } from "../../src/client/index.ts";
import { SeededRandom } from "../../src/platform/random.ts";
import { RPC_CODES } from "../../src/rpc/status.ts";
import { batch, record } from "../model/batches.ts";
import { AbusedBroker, expectRefused } from "./abused-broker.ts";
import { LANES, methodNames, type Calls, type Outcome } from "./calls.ts";
import { expectUnharmed } from "./neighbour.ts";

const MIB = 1024 * 1024;
const TOPIC = "bad-requests";
const OTHER = "other";

let abused: AbusedBroker;
let calls: Calls;
let client: LograftClient;

beforeAll(async () => {
  abused = await AbusedBroker.start();
  ({ calls, client } = abused);
  await client.admin().createTopics([{ name: TOPIC }, { name: OTHER, partitions: 5 }]);
  expect((await calls.produce({ topic: TOPIC, records: batch({ count: 3 }) })).error).toBe("NONE");
});

afterAll(() => abused[Symbol.asyncDispose]());

function partitionsOf(
  answer: Readonly<Record<string, unknown>>,
): readonly Readonly<Record<string, unknown>>[] {
  return answer["partitions"] as readonly Readonly<Record<string, unknown>>[];
}

describe("a topic name that cannot be", () => {
  const names = ["../x", "", "n".repeat(250), "a\u0000b", "line\nfeed", ".", "..", "a/b", "é"];

  test.each(names.map((name) => [JSON.stringify(name).slice(0, 20), name]))(
    "%s is refused everywhere, and makes nothing",
    async (_shown, name) => {
      const created = await calls.item("CreateTopics", { topics: [{ name, partitions: 1 }] }, "results");
      expectRefused(created, "INVALID_TOPIC_EXCEPTION", /name/);
      const metadata = await calls.item("Metadata", { topics: [name], allowAutoCreate: true }, "topics");
      expectRefused(metadata, "INVALID_TOPIC_EXCEPTION", /name/);
      const produced = await calls.produce({ topic: name, records: batch() });
      expectRefused(produced, "UNKNOWN_TOPIC_OR_PARTITION", /topic/);
      const published = await calls.item(
        "PublishUnary",
        { topic: name, records: [{ value: Buffer.from("v") }] },
        "results",
      );
      expect(published.error).toBe("UNKNOWN_TOPIC_OR_PARTITION");
      const subscribed = await calls.call("Subscribe", { topic: name, stopAtEnd: true });
      expect(subscribed.errorName).toBe("UNKNOWN_TOPIC_OR_PARTITION");
      for (const text of [created, metadata, produced, published].map((result) => result.errorMessage)) {
        // Names of strangers are shown cut and escaped.
        expect(text).not.toMatch(/\p{Cc}/u);
        expect(text.length).toBeLessThan(400);
      }
      await expect(client.admin().createTopics([{ name }])).rejects.toMatchObject({
        code: "INVALID_TOPIC_EXCEPTION",
      });
      await expect(client.producer().send(name, { value: "v" })).rejects.toMatchObject({
        code: "INVALID_TOPIC_EXCEPTION",
      });
    },
  );

  test("does not keep its client from learning of other topics", async () => {
    await using other = new LograftClient({ brokers: [abused.broker.address] });
    await expect(other.producer().send("../x", { value: "v" })).rejects.toThrow(/"\.\.\/x"/);
    await using consumer = other.consumer({ topics: [TOPIC] });
    expect((await consumer.messages().next()).value).toMatchObject({ topic: TOPIC, offset: 0 });
  });

  test("leaves the list of topics as it was", async () => {
    const topics = await client.admin().listTopics();
    expect(topics.map((topic) => topic.name).toSorted()).toEqual([TOPIC, OTHER, "neighbour"].toSorted());
  });
});

describe("something too large", () => {
  test("the SDK refuses a record above its limit before it sends anything", async () => {
    const refused = client.producer().send(TOPIC, { value: Buffer.alloc(2 * MIB) });
    await expect(refused).rejects.toMatchObject({ code: "MESSAGE_TOO_LARGE", outcome: "failed" });
    await expect(refused).rejects.toThrow(/1048576/);
  });

  test("the broker refuses a batch above message.max.bytes by its header", async () => {
    const large = batch({ records: [record({ value: Buffer.alloc(MIB + 1) })] });
    expectRefused(await calls.produce({ topic: TOPIC, records: large }), "MESSAGE_TOO_LARGE", /1048576/);
  });

  test.each(LANES)(
    "a message above the gRPC limit ends its stream with RESOURCE_EXHAUSTED (%s)",
    async (lane) => {
      const stream = calls.stream(lane, "Produce");
      stream.send({ correlationId: 1, partitions: [{ topic: TOPIC, records: Buffer.alloc(3 * MIB) }] });
      const { status } = await stream.outcome();
      expect(status.code).toBe(RPC_CODES.RESOURCE_EXHAUSTED);
      expect(status.message).toMatch(/larger|exceed|limit|max/i);
    },
  );

  test("a unary message above the gRPC limit is RESOURCE_EXHAUSTED", async () => {
    const { status } = await calls.call("ProduceUnary", {
      partitions: [{ topic: TOPIC, records: Buffer.alloc(3 * MIB) }],
    });
    expect(status.code).toBe(RPC_CODES.RESOURCE_EXHAUSTED);
  });

  test("plain records that make a batch above the limit are refused one by one", async () => {
    const published = await calls.item(
      "PublishUnary",
      { topic: TOPIC, records: [{ value: Buffer.alloc(MIB + 1) }] },
      "results",
    );
    expectRefused(published, "MESSAGE_TOO_LARGE", /1048576/);
  });
});

describe("an offset that is not there", () => {
  const future = 1_000_000;
  const huge = ["9007199254740992", "9007199254740993", "18446744073709551615"];

  test.each(LANES)("is OFFSET_OUT_OF_RANGE on a Fetch stream, which goes on (%s)", async (lane) => {
    const stream = calls.stream(lane, "Fetch");
    const add = { topic: TOPIC, partition: 0, leaderEpoch: -1 };
    stream.send({ creditBytes: MIB, add: [{ ...add, offset: future, generation: 1 }] });
    const refused = partitionsOf(await stream.answer(0));
    expect(refused).toMatchObject([{ errorCode: 1, generation: 1 }]);
    expect(refused[0]?.["errorMessage"]).toMatch(/1000000/);
    stream.send({ add: [{ ...add, offset: 0, generation: 2 }] });
    expect(partitionsOf(await stream.answer(1))[0]).toMatchObject({ errorCode: 0, generation: 2 });
    stream.stream.cancel();
  });

  test.each(LANES)("above 2^53 ends the Fetch stream with INVALID_ARGUMENT (%s)", async (lane) => {
    for (const offset of huge) {
      const stream = calls.stream(lane, "Fetch");
      stream.send({ creditBytes: MIB, add: [{ topic: TOPIC, offset, leaderEpoch: -1 }] });
      const { status } = await stream.outcome();
      expect(status.code, status.message).toBe(RPC_CODES.INVALID_ARGUMENT);
      expect(status.message).toMatch(/2\^53/);
    }
  });

  test("is OFFSET_OUT_OF_RANGE in FetchUnary", async () => {
    const fetched = await calls.item(
      "FetchUnary",
      { partitions: [{ topic: TOPIC, offset: future, leaderEpoch: -1 }] },
      "partitions",
    );
    expectRefused(fetched, "OFFSET_OUT_OF_RANGE", /1000000/);
  });

  test("is OFFSET_OUT_OF_RANGE in Subscribe and DeleteRecords", async () => {
    const subscribed = await calls.call("Subscribe", { topic: TOPIC, offset: future });
    expect(subscribed.errorName).toBe("OFFSET_OUT_OF_RANGE");
    for (const beforeOffset of [future, -2, -1_000_000]) {
      const partitions = [{ topic: TOPIC, beforeOffset }];
      const deleted = await calls.item("DeleteRecords", { partitions }, "results");
      expectRefused(deleted, "OFFSET_OUT_OF_RANGE", new RegExp(String(beforeOffset)));
    }
  });

  test("a time that cannot be is refused by ListOffsets and Subscribe", async () => {
    const listed = await calls.item(
      "ListOffsets",
      { partitions: [{ topic: TOPIC, timestampMs: -4 }] },
      "results",
    );
    expectRefused(listed, "INVALID_REQUEST", /-4/);
    const subscribed = await calls.call("Subscribe", { topic: TOPIC, timestampMs: -5 });
    expect(subscribed.status.code).toBe(RPC_CODES.INVALID_ARGUMENT);
    expect(subscribed.status.message).toMatch(/timestamp_ms/);
  });

  test.each<[string, (value: string) => [string, Record<string, unknown>]]>([
    ["FetchUnary.offset", (value) => ["FetchUnary", { partitions: [{ topic: TOPIC, offset: value }] }]],
    [
      "ListOffsets.timestamp_ms",
      (value) => ["ListOffsets", { partitions: [{ topic: TOPIC, timestampMs: value }] }],
    ],
    ["Subscribe.offset", (value) => ["Subscribe", { topic: TOPIC, offset: value }]],
    ["Subscribe.timestamp_ms", (value) => ["Subscribe", { topic: TOPIC, timestampMs: value }]],
    ["Subscribe.max_records", (value) => ["Subscribe", { topic: TOPIC, maxRecords: value, stopAtEnd: true }]],
    [
      "DeleteRecords.before_offset",
      (value) => ["DeleteRecords", { partitions: [{ topic: TOPIC, beforeOffset: value }] }],
    ],
    ["PublishRequest.correlation_id", (value) => ["PublishUnary", { topic: TOPIC, correlationId: value }]],
    ["ProduceRequest.correlation_id", (value) => ["ProduceUnary", { correlationId: value, acks: 1 }]],
    [
      "Record.timestamp_ms",
      (value) => [
        "PublishUnary",
        { topic: TOPIC, records: [{ value: Buffer.from("v"), timestampMs: value }] },
      ],
    ],
  ])(
    "%s above 2^53 is INVALID_ARGUMENT and names the field, never a rounded number",
    async (field, requestOf) => {
      for (const value of ["9007199254740993", "9223372036854775807"]) {
        const [method, request] = requestOf(value);
        const { status } = await calls.call(method, request);
        expect(status.code, `${method} ${value}: ${status.message}`).toBe(RPC_CODES.INVALID_ARGUMENT);
        expect(status.message).toContain(field.slice(field.indexOf(".") + 1));
      }
    },
  );
});

describe("a request that makes no sense", () => {
  test("an unknown partition is UNKNOWN_TOPIC_OR_PARTITION everywhere", async () => {
    for (const partition of [1, 77, -1, 0x7fff_ffff]) {
      const ref = { topic: TOPIC, partition };
      const unknown = "UNKNOWN_TOPIC_OR_PARTITION";
      expect((await calls.produce({ ...ref, records: batch() })).error).toBe(unknown);
      expect((await calls.item("FetchUnary", { partitions: [ref] }, "partitions")).error).toBe(unknown);
      expect((await calls.item("ListOffsets", { partitions: [ref] }, "results")).error).toBe(unknown);
      expect((await calls.item("DeleteRecords", { partitions: [ref] }, "results")).error).toBe(unknown);
      const records = [{ value: Buffer.from("v") }];
      expect((await calls.item("PublishUnary", { ...ref, records }, "results")).error).toBe(unknown);
      expect((await calls.call("Subscribe", { topic: TOPIC, partitions: [partition] })).errorName).toBe(
        unknown,
      );
      const stream = calls.stream("direct", "Fetch");
      stream.send({ creditBytes: 1, add: [ref] });
      expect((await stream.answer(0))["partitions"]).toMatchObject([{ errorCode: 3 }]);
      stream.stream.cancel();
    }
  });

  test("acks other than 0, 1 and -1 are INVALID_REQUIRED_ACKS, and nothing is appended", async () => {
    const [before] = await client.admin().listOffsets([{ topic: TOPIC, partition: 0 }], "end");
    for (const acks of [2, -2, 1000]) {
      const refused = await calls.produce({ topic: TOPIC, records: batch() }, { acks });
      expectRefused(refused, "INVALID_REQUIRED_ACKS", new RegExp(`acks=${acks}`));
      const records = [{ value: Buffer.from("v") }];
      const published = await calls.item("PublishUnary", { topic: TOPIC, records, acks }, "results");
      expect(published.error).toBe("INVALID_REQUIRED_ACKS");
    }
    expect(await client.admin().listOffsets([{ topic: TOPIC, partition: 0 }], "end")).toEqual([before]);
  });

  test("another leader epoch than the broker's is fenced or unknown", async () => {
    const [details] = await client.admin().describeTopics([TOPIC]);
    const epoch = details?.partitions[0]?.leaderEpoch ?? -1;
    const ahead = { topic: TOPIC, partition: 0, leaderEpoch: epoch + 5 };
    expectRefused(await calls.produce({ ...ahead, records: batch() }), "UNKNOWN_LEADER_EPOCH", /epoch/);
    const fetched = await calls.item("FetchUnary", { partitions: [ahead] }, "partitions");
    expectRefused(fetched, "UNKNOWN_LEADER_EPOCH", /epoch/);
    for (const lane of LANES) {
      const stream = calls.stream(lane, "Fetch");
      stream.send({ creditBytes: 1, add: [ahead] });
      expect((await stream.answer(0))["partitions"]).toMatchObject([{ errorCode: 75 }]);
      stream.stream.cancel();
    }
  });

  test.each(LANES)("a Fetch stream that begins without credit is told so (%s)", async (lane) => {
    const stream = calls.stream(lane, "Fetch");
    stream.send({ creditBytes: 0, add: [{ topic: TOPIC, leaderEpoch: -1 }] });
    const { status } = await stream.outcome();
    expect(status.code).toBe(RPC_CODES.INVALID_ARGUMENT);
    expect(status.message).toMatch(/credit_bytes/);
  });

  test.each(LANES)(
    "a partition that is added twice is read once, from the later place (%s)",
    async (lane) => {
      const stream = calls.stream(lane, "Fetch");
      const add = { topic: TOPIC, partition: 0, leaderEpoch: -1 };
      stream.send({
        creditBytes: MIB,
        add: [
          { ...add, offset: 0, generation: 1 },
          { ...add, offset: 0, generation: 2 },
        ],
      });
      const generations: unknown[] = [];
      let bytes = 0;
      for (let index = 0; bytes === 0; index++) {
        for (const data of partitionsOf(await stream.answer(index))) {
          generations.push(data["generation"]);
          bytes += (data["records"] as Buffer).length;
          if ((data["records"] as Buffer).length > 0) expect(data["generation"]).toBe(2);
        }
      }
      expect(generations).toContain(2);
      stream.stream.cancel();
    },
  );

  test("configurations, counts and settings that cannot be are refused by name", async () => {
    const create = (topic: Record<string, unknown>) =>
      calls.item("CreateTopics", { topics: [{ name: "never", ...topic }] }, "results");
    expectRefused(await create({ partitions: 4_000_000_000 }), "INVALID_PARTITIONS", /4000000000/);
    expectRefused(await create({ replicationFactor: 3 }), "INVALID_REPLICATION_FACTOR", /3 replicas/);
    expectRefused(await create({ configs: { "retention.mz": "1" } }), "INVALID_CONFIG", /retention\.ms/);
    expectRefused(await create({ configs: { "retention.ms": "soon" } }), "INVALID_CONFIG", /retention\.ms/);
    expectRefused(await create({ configs: { ["__proto__"]: "x" } }), "INVALID_CONFIG", /__proto__/);
    const alter = { name: TOPIC, set: { "flush.policy": "never" } };
    expectRefused(await calls.item("AlterTopicConfigs", alter, "result"), "INVALID_CONFIG", /flush\.policy/);
    const shrink = { name: OTHER, totalPartitions: 1 };
    expectRefused(await calls.item("CreatePartitions", shrink, "result"), "INVALID_PARTITIONS", /only grow/);
    const twice = await calls.call("DeleteTopics", { names: [TOPIC, TOPIC] });
    expect(twice.answers[0]?.["results"]).toMatchObject([{ errorCode: 42 }, { errorCode: 42 }]);
  });
});

describe("bytes that are no protobuf", () => {
  const random = new SeededRandom(11);
  const deep = Buffer.alloc(100_000, 0x0b);
  /** The library that reads the unary requests takes the last two kinds for something that they are not quite. */
  const garbage: readonly { readonly what: string; readonly bytes: Buffer; readonly isRefused: boolean }[] = [
    { what: "a field that is cut off", bytes: Buffer.from("0a", "hex"), isRefused: true },
    { what: "a number without end", bytes: Buffer.alloc(20, 0xff), isRefused: true },
    { what: "a wire type that is none", bytes: Buffer.from("0f", "hex"), isRefused: true },
    { what: "a length of 4 GiB", bytes: Buffer.from("0affffffff0f", "hex"), isRefused: false },
    { what: "groups nested 100,000 deep", bytes: deep, isRefused: false },
    { what: "noise", bytes: Buffer.from(random.bytes(4096)), isRefused: false },
  ];

  /** What counts is that a call ends, and with no more than a client's fault. */
  function expectContained(outcome: Outcome, what: string): void {
    expect(
      [RPC_CODES.DEADLINE_EXCEEDED, RPC_CODES.UNAVAILABLE],
      `${what}: ${outcome.status.message}`,
    ).not.toContain(outcome.status.code);
  }

  const streams = new Set(["Produce", "Fetch", "Publish"]);

  test.each(methodNames().map((name) => [name]))("%s answers with a status", async (name) => {
    for (const { what, bytes, isRefused } of garbage) {
      if (!streams.has(name)) {
        const outcome = await calls.callBytes(name, bytes);
        expectContained(outcome, what);
        if (isRefused) expect(outcome.status.code, `${name}, ${what}`).not.toBe(RPC_CODES.OK);
        continue;
      }
      for (const lane of LANES) {
        if (name === "Publish" && lane === "direct") continue;
        const stream = calls.stream(lane, name);
        stream.stream.send([bytes]);
        stream.stream.end();
        const outcome = await stream.outcome();
        expectContained(outcome, `${what} (${lane})`);
        if (isRefused) expect(outcome.status.code, `${name}, ${what}, ${lane}`).not.toBe(RPC_CODES.OK);
      }
    }
  });

  test("a method that does not exist on a lane is UNIMPLEMENTED", async () => {
    const stream = calls.stream("direct", "Publish");
    expect((await stream.outcome()).status.code).toBe(RPC_CODES.UNIMPLEMENTED);
  });
});

test("through all of it the neighbour lost nothing and the broker stayed what it was", async () => {
  await expectUnharmed(abused.neighbour);
});
