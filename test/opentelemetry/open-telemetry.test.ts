import { context, propagation, SpanKind, SpanStatusCode, trace } from "@opentelemetry/api";
import type { TextMapPropagator } from "@opentelemetry/api";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { LograftClient } from "../../src/client/index.ts";
import type { ConsumedRecord, LograftClientOptions, LograftError } from "../../src/client/index.ts";
import { contextOfRecord, openTelemetry } from "../../src/opentelemetry/index.ts";
import type { OpenTelemetryOptions } from "../../src/opentelemetry/index.ts";
import type { RunningBroker } from "../../src/testing.ts";
import { startBroker } from "../../src/testing.ts";
import { activeSpan, Spans } from "./spans.ts";

let broker: RunningBroker;
let spans: Spans;
let topicCount = 0;

beforeAll(async () => {
  broker = await startBroker({ config: { "auto.create.topics.enable": "false" } });
  spans = new Spans();
});
afterAll(async () => {
  spans.close();
  await broker.close();
});
afterEach(() => {
  spans.clear();
  propagation.disable();
});

function newClient(
  options: OpenTelemetryOptions = {},
  more: Partial<LograftClientOptions> = {},
): LograftClient {
  const telemetry = openTelemetry({ tracerProvider: spans.provider, ...options });
  return new LograftClient({ brokers: [broker.address], clientId: "shop", telemetry, ...more });
}

async function newTopic(
  client: LograftClient,
  configs: Readonly<Record<string, string>> = {},
): Promise<string> {
  const name = `t${topicCount++}`;
  await client.admin().createTopics([{ name, partitions: 1, configs }]);
  return name;
}

/** The first `count` records, by a client that nobody watches. */
async function stored(topic: string, count: number): Promise<ConsumedRecord[]> {
  await using client = new LograftClient({ brokers: [broker.address] });
  await using consumer = client.consumer({ topics: [topic] });
  const records: ConsumedRecord[] = [];
  for await (const record of consumer.messages()) {
    records.push(record);
    if (records.length === count) break;
  }
  return records;
}

function header(record: ConsumedRecord | undefined, name: string): string | undefined {
  const found = record?.headers.find(({ key }) => key === name)?.value;
  return found === undefined || found === null ? undefined : Buffer.from(found).toString();
}

/** Handles `count` records and ends. */
async function handle(
  client: LograftClient,
  topic: string,
  count: number,
  handler: (record: ConsumedRecord) => Promise<void> | void = () => undefined,
): Promise<void> {
  await using consumer = client.consumer({ topics: [topic] });
  const done = new AbortController();
  let seen = 0;
  const run = consumer.run({
    signal: done.signal,
    eachMessage: async (record) => {
      seen++;
      if (seen === count) done.abort();
      await handler(record);
    },
  });
  await run.catch((error: unknown) => {
    if (!done.signal.aborted) throw error;
  });
}

describe("sending", () => {
  test("one record is one span with where it went, and its headers carry it", async () => {
    await using client = newClient();
    const topic = await newTopic(client);
    await using producer = client.producer({ lingerMs: 0 });
    await producer.send(topic, { value: "v", headers: [{ key: "own", value: "1" }] });
    const span = spans.one(`send ${topic}`);
    expect(span.kind).toBe(SpanKind.PRODUCER);
    expect(span.attributes).toEqual({
      "messaging.system": "lograft",
      "messaging.operation.name": "send",
      "messaging.operation.type": "send",
      "messaging.destination.name": topic,
      "messaging.client.id": "shop",
      "messaging.destination.partition.id": "0",
      "messaging.lograft.offset": 0,
    });
    const [record] = await stored(topic, 1);
    const { traceId, spanId } = span.spanContext();
    expect(record?.headers.map(({ key }) => key)).toEqual(["own", "traceparent"]);
    expect(header(record, "traceparent")).toBe(`00-${traceId}-${spanId}-01`);
  });

  test("the span is a child of the one that is active", async () => {
    await using client = newClient();
    const topic = await newTopic(client);
    await using producer = client.producer({ lingerMs: 0 });
    const parent = spans.provider.getTracer("app").startSpan("order");
    await context.with(trace.setSpan(context.active(), parent), () => producer.send(topic, { value: "v" }));
    parent.end();
    expect(spans.one(`send ${topic}`).parentSpanContext?.spanId).toBe(parent.spanContext().spanId);
  });

  test("many records are one span with their number, which all of them carry, in order", async () => {
    await using client = newClient();
    const topic = await newTopic(client);
    await using producer = client.producer({ lingerMs: 0 });
    await producer.sendBatch(topic, [{ value: "a" }, { value: "b" }, { value: "c" }]);
    await producer.sendBatch(topic, []);
    const span = spans.one(`send ${topic}`);
    expect(span.attributes["messaging.batch.message_count"]).toBe(3);
    const records = await stored(topic, 3);
    expect(records.map(({ value }) => String(value))).toEqual(["a", "b", "c"]);
    for (const record of records) expect(header(record, "traceparent")).toContain(span.spanContext().spanId);
  });

  test("a record that says where it was made keeps that, and the span links to it", async () => {
    await using client = newClient();
    const topic = await newTopic(client);
    await using producer = client.producer({ lingerMs: 0 });
    const traceparent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    await producer.send(topic, { value: "v", headers: [{ key: "traceparent", value: traceparent }] });
    const [record] = await stored(topic, 1);
    expect(record?.headers).toHaveLength(1);
    expect(header(record, "traceparent")).toBe(traceparent);
    expect(spans.one(`send ${topic}`).links.map((link) => link.context.spanId)).toEqual(["b7ad6b7169203331"]);
  });

  test("a failure is told by its code, and by the request that the broker's log names", async () => {
    await using client = newClient();
    const topic = await newTopic(client);
    await using producer = client.producer({ lingerMs: 0 });
    await producer.send(topic, { value: "v" });
    spans.clear();
    await client.admin().alterTopicConfigs(topic, { set: { "max.message.bytes": "1024" } });
    const sending = producer.send(topic, { value: "x".repeat(1500) });
    const error = (await sending.catch((caught: unknown) => caught)) as LograftError;
    const span = spans.one(`send ${topic}`);
    expect(span.status.code).toBe(SpanStatusCode.ERROR);
    expect(span.attributes["error.type"]).toBe("MESSAGE_TOO_LARGE");
    expect(span.attributes["lograft.request.id"]).toBe(error.requestId);
    expect(span.events.map(({ name }) => name)).toEqual(["exception"]);
  });

  test("an enqueued record has a span of its making, and none for the tries that were refused", async () => {
    await using client = newClient();
    const topic = await newTopic(client);
    await using producer = client.producer({ lingerMs: 0 });
    expect(producer.enqueue(topic, { value: "v" })).toBe(false);
    await producer.drained();
    expect(producer.enqueue(topic, { value: "v" })).toBe(true);
    await producer.flush();
    const span = spans.one(`create ${topic}`);
    expect(span.attributes["messaging.operation.type"]).toBe("create");
    const [record] = await stored(topic, 1);
    expect(header(record, "traceparent")).toContain(span.spanContext().spanId);
  });

  test("headers are those of the propagator that is registered", async () => {
    const other: TextMapPropagator = {
      inject: (_context, carrier, setter) => setter.set(carrier, "x-trace", "abc"),
      extract: (within) => within,
      fields: () => ["x-trace"],
    };
    propagation.setGlobalPropagator(other);
    await using client = newClient();
    const topic = await newTopic(client);
    await using producer = client.producer({ lingerMs: 0 });
    await producer.send(topic, { value: "v" });
    const [record] = await stored(topic, 1);
    expect(record?.headers.map(({ key }) => key)).toEqual(["x-trace"]);
  });
});

describe("processing", () => {
  test("a handler's call is a span that links to where the record was sent, and is active in it", async () => {
    await using client = newClient();
    const topic = await newTopic(client);
    await using producer = client.producer({ lingerMs: 0 });
    await producer.send(topic, { value: "v" });
    let inside: string | undefined;
    await handle(client, topic, 1, async () => {
      await Promise.resolve();
      inside = activeSpan();
    });
    const sent = spans.one(`send ${topic}`).spanContext();
    const span = spans.one(`process ${topic}`);
    expect(span.kind).toBe(SpanKind.CONSUMER);
    expect(span.attributes).toEqual({
      "messaging.system": "lograft",
      "messaging.operation.name": "process",
      "messaging.operation.type": "process",
      "messaging.destination.name": topic,
      "messaging.client.id": "shop",
      "messaging.destination.partition.id": "0",
      "messaging.lograft.offset": 0,
    });
    expect(span.links.map((link) => link.context.spanId)).toEqual([sent.spanId]);
    expect(span.parentSpanContext).toBeUndefined();
    expect(inside).toBe(span.spanContext().spanId);
  });

  test("on request the trace of the record goes on instead", async () => {
    await using client = newClient({ processSpans: "child" });
    const topic = await newTopic(client);
    await using producer = client.producer({ lingerMs: 0 });
    await producer.send(topic, { value: "v" });
    await handle(client, topic, 1);
    const sent = spans.one(`send ${topic}`).spanContext();
    const span = spans.one(`process ${topic}`);
    expect(span.parentSpanContext?.spanId).toBe(sent.spanId);
    expect(span.spanContext().traceId).toBe(sent.traceId);
  });

  test("each attempt of a handler is a span, with the error of those that failed", async () => {
    await using client = newClient();
    const topic = await newTopic(client);
    await using producer = client.producer({ lingerMs: 0 });
    await producer.send(topic, { value: "v" });
    await using consumer = client.consumer({ groupId: `${topic}-g`, topics: [topic] });
    const done = new AbortController();
    let calls = 0;
    const run = consumer.run({
      signal: done.signal,
      retry: { attempts: 3, backoff: { initialMs: 1, maxMs: 1 } },
      eachMessage: () => {
        calls++;
        if (calls === 1) throw new TypeError("not yet");
        done.abort();
      },
    });
    await run.catch(() => undefined);
    const attempts = spans.all.filter(({ name }) => name === `process ${topic}`);
    expect(attempts.map(({ status }) => status.code)).toEqual([SpanStatusCode.ERROR, SpanStatusCode.UNSET]);
    expect(attempts.map(({ attributes }) => attributes["error.type"])).toEqual(["TypeError", undefined]);
    for (const { attributes } of attempts)
      expect(attributes["messaging.consumer.group.name"]).toBe(`${topic}-g`);
  });

  test("a batch is one span that links once to each place where its records were made", async () => {
    await using client = newClient();
    const topic = await newTopic(client);
    await using producer = client.producer({ lingerMs: 50 });
    await Promise.all([
      producer.send(topic, { value: "a" }),
      producer.send(topic, { value: "b" }),
      producer.sendBatch(topic, [{ value: "c" }, { value: "d" }]),
    ]);
    await using consumer = client.consumer({ topics: [topic] });
    const done = new AbortController();
    let seen = 0;
    const run = consumer.run({
      signal: done.signal,
      eachBatch: (batch) => {
        seen += batch.recordCount;
        if (seen === 4) done.abort();
      },
    });
    await run.catch(() => undefined);
    const batches = spans.all.filter(({ name }) => name === `process ${topic}`);
    const links = batches.flatMap((span) => span.links.map((link) => link.context.spanId));
    const sent = spans.all.filter(({ name }) => name === `send ${topic}`);
    expect(links.toSorted()).toEqual(sent.map((span) => span.spanContext().spanId).toSorted());
    const counts = batches.map(({ attributes }) => Number(attributes["messaging.batch.message_count"]));
    expect(counts.reduce((sum, count) => sum + count, 0)).toBe(4);
  });

  test("a loop asks for the context of a record itself", async () => {
    await using client = newClient();
    const topic = await newTopic(client);
    await using producer = client.producer({ lingerMs: 0 });
    await producer.send(topic, { value: "v" });
    const [record] = await stored(topic, 1);
    if (record === undefined) throw new Error("no record");
    expect(trace.getSpanContext(contextOfRecord(record))).toMatchObject({
      spanId: spans.one(`send ${topic}`).spanContext().spanId,
      isRemote: true,
    });
    expect(trace.getSpanContext(contextOfRecord({ headers: [] }))).toBeUndefined();
  });
});

test("without a tracer of the application nothing is written into records", async () => {
  await using client = new LograftClient({ brokers: [broker.address], telemetry: openTelemetry() });
  const topic = await newTopic(client);
  await using producer = client.producer({ lingerMs: 0 });
  await producer.send(topic, { value: "v" });
  await handle(client, topic, 1);
  const [record] = await stored(topic, 1);
  expect(record?.headers).toEqual([]);
});
