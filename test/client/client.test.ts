import { describe, expect, test } from "vitest";
import { isLograftError, LograftClient, ProtocolError } from "../../src/client/index.ts";
import { failureOf, harness } from "./harness.ts";

test("options are refused by name, value and bounds", () => {
  expect(() => new LograftClient({ brokers: [] })).toThrow(/brokers is empty/);
  expect(() => new LograftClient({ brokers: ["host:99999"] })).toThrow(/not a broker address/);
  const { client } = harness({ topics: {} });
  expect(() => client.producer({ lingerMs: -1 })).toThrow(/lingerMs is -1; it must be between 0/);
  expect(() => client.producer({ maxInFlight: 6 })).toThrow(/between 1 and 5/);
  expect(() => client.consumer({ topics: ["t"], maxPrefetchBytes: 1 })).toThrow(/maxPrefetchBytes/);
});

test("nothing is asked before it is needed, and ready says which cluster it is", async () => {
  const { client, cluster, settle } = harness({ topics: { t: 1 } });
  client.producer();
  client.consumer({ topics: ["t"] });
  expect(cluster.calls).toEqual([]);
  expect(await settle(client.ready())).toEqual({ clusterId: "fake" });
});

test("an abort of the client's signal closes it and leaves no listener and no timer", async () => {
  const controller = new AbortController();
  const { client, cluster, settle, scheduler } = harness({ topics: { t: 1 } }, { signal: controller.signal });
  const producer = client.producer();
  await settle(producer.send("t", { value: "a" }));
  controller.abort();
  await settle(client.close());
  expect(cluster.isClosed).toBe(true);
  expect(() => client.producer()).toThrow(/closed/);
  await scheduler.advance(10);
  expect(scheduler.pendingCount).toBe(0);
});

describe("admin", () => {
  test("an item's error is thrown, or left in the results", async () => {
    const { client, settle } = harness({ topics: { t: 1 } });
    const admin = client.admin();
    const error = await settle(
      failureOf(admin.createTopics([{ name: "new", partitions: 1 }, { name: "t" }])),
    );
    expect(error).toBeInstanceOf(ProtocolError);
    expect(error).toMatchObject({ code: "TOPIC_ALREADY_EXISTS", retriable: false });
    expect(error.message).toBe("topic t exists");
    const results = await settle(
      admin.createTopics([{ name: "t" }, { name: "newer", partitions: 2 }], { throwOnError: false }),
    );
    expect(results.map(({ name, error: itsError }) => [name, itsError?.code])).toEqual([
      ["t", "TOPIC_ALREADY_EXISTS"],
      ["newer", undefined],
    ]);
  });

  test("a change is sent once, to a broker that has just answered", async () => {
    const { client, cluster, settle } = harness(
      { topics: {}, brokers: 1 },
      { brokers: ["b1:9092", "b0:9092"] },
    );
    cluster.down.add(1);
    await settle(client.admin().createTopics([{ name: "t", partitions: 1 }]));
    expect(cluster.calls.filter((method) => method === "CreateTopics")).toHaveLength(1);
    cluster.callError = (method) => (method === "CreateTopics" ? new Error("lost") : undefined);
    expect((await settle(failureOf(client.admin().createTopics([{ name: "u" }])))).message).toBe("lost");
    expect(cluster.calls.filter((method) => method === "CreateTopics")).toHaveLength(2);
  });

  test("offsets are asked of the leaders and come in the order asked", async () => {
    const { client, settle } = harness({ topics: { t: 4 }, brokers: 3 });
    const producer = client.producer();
    for (const partition of [0, 1, 1, 2, 2, 2]) await settle(producer.send("t", { value: "x", partition }));
    const asked = [3, 2, 0, 1].map((partition) => ({ topic: "t", partition }));
    const ends = await settle(client.admin().listOffsets(asked, "end"));
    expect(ends.map(({ partition, offset }) => [partition, offset])).toEqual([
      [3, 0],
      [2, 3],
      [0, 1],
      [1, 2],
    ]);
    const starts = await settle(client.admin().listOffsets(asked, "beginning"));
    expect(starts.every(({ offset }) => offset === 0)).toBe(true);
    const error = await settle(failureOf(client.admin().listOffsets([{ topic: "t", partition: 9 }], "end")));
    expect(isLograftError(error)).toBe(true);
    expect(error.message).toContain("0 to 3");
  });

  test("a question ends at its time limit and by its signal", async () => {
    const { client, cluster, settle, scheduler } = harness({ topics: {} });
    cluster.down.add(0);
    const startedMs = scheduler.nowMs;
    const error = await settle(failureOf(client.admin().listTopics({ timeoutMs: 150 })));
    expect(isLograftError(error) && error.retriable).toBe(true);
    expect(scheduler.nowMs - startedMs).toBeLessThan(200);
    const controller = new AbortController();
    const aborted = failureOf(client.admin().listTopics({ signal: controller.signal }));
    controller.abort(new Error("stop"));
    expect((await settle(aborted)).message).toBe("stop");
  });
});
