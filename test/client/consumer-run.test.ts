import { describe, expect, test } from "vitest";
import type { ConsumedRecord, RunOptions } from "../../src/client/index.ts";
import { groupHarness, until } from "./group-harness.ts";
import { failureOf, harness } from "./harness.ts";

const text = (record: ConsumedRecord): string => String(record.value);

describe("a handler that fails", () => {
  test("is called again after pauses that grow; what comes before and after keeps its order", async () => {
    const h = groupHarness({ partitions: 1 });
    await h.fill(0, 3);
    const { consumer, errors } = h.member();
    const calls: string[] = [];
    const times: number[] = [];
    const run = consumer.run({
      retry: { attempts: 5, backoff: { initialMs: 1000, maxMs: 4000, jitter: 0 } },
      eachMessage: (record) => {
        calls.push(text(record));
        if (record.offset !== 1) return;
        times.push(h.clock.monotonicMs());
        if (times.length < 4) throw new Error("not now");
      },
    });
    await until(h, () => h.group.offsets.get("t-0") === 3);
    expect(calls).toEqual(["0:0", "0:1", "0:1", "0:1", "0:1", "0:2"]);
    expect(times.map((time, index) => Math.round(time - (times[index - 1] ?? time)))).toEqual([
      0, 1000, 2000, 4000,
    ]);
    expect(errors).toHaveLength(3);
    expect(errors[0]?.message).toMatch(/failed on offset 1 of t-0 \(it is tried again\): not now/);
    await h.settle(consumer.close());
    await h.settle(run);
  });

  test("stop: the run ends with its error, and the next one begins with that record", async () => {
    const h = groupHarness({ partitions: 1 });
    await h.fill(0, 3);
    const { consumer } = h.member();
    let calls = 0;
    const options: RunOptions = {
      retry: { attempts: 2, backoff: { initialMs: 10 } },
      eachMessage: ({ offset }) => {
        calls++;
        if (offset === 1) throw new Error("broken");
      },
    };
    const error = await h.settle(failureOf(consumer.run(options)));
    expect(error.message).toBe("broken");
    expect(calls).toBe(4);
    await h.scheduler.advance(1000);
    expect(h.group.offsets.get("t-0")).toBe(1);
    const { value } = await h.settle(consumer.messages().next());
    expect((value as ConsumedRecord).offset).toBe(1);
  });

  test("skip: it counts as processed, and an event tells of it", async () => {
    const h = groupHarness({ partitions: 1 });
    await h.fill(0, 3);
    const { consumer, errors } = h.member();
    const run = consumer.run({
      onError: "skip",
      eachBatch: ({ firstOffset }) => {
        if (firstOffset === 1) throw new Error("broken");
      },
    });
    await until(h, () => h.group.offsets.get("t-0") === 3);
    expect(errors.map(({ message }) => message)).toEqual([
      expect.stringMatching(/batch of t-0 from offset 1 \(it is left behind/),
    ]);
    await h.settle(consumer.close());
    await h.settle(run);
  });

  test.each(["skip", "stop", "retry"] as const)(
    "%s: one that fails because the run ends is not processed, and the run ends as it was told to",
    async (onError) => {
      const h = groupHarness({ partitions: 1 });
      await h.fill(0, 2);
      const { consumer, errors } = h.member();
      let calls = 0;
      const run = consumer.run({
        onError,
        eachMessage: async (_, { signal }) => {
          calls++;
          await h.clock.sleep(60_000, signal);
        },
      });
      await until(h, () => calls === 1);
      await h.settle(consumer.close());
      await h.settle(run);
      expect(calls).toBe(1);
      expect(h.group.offsets.get("t-0")).toBe(0);
      expect(errors.map(({ message }) => message)).toEqual([
        expect.stringMatching(/failed on offset 0 of t-0 \(it is left: the run ends/),
      ]);
    },
  );

  test("retry: other partitions go on meanwhile, and a close does not wait for the next attempt", async () => {
    const h = groupHarness({ partitions: 2 });
    await h.fill(0, 1);
    await h.fill(1, 20);
    const { consumer } = h.member();
    let attempts = 0;
    const run = consumer.run({
      onError: "retry",
      concurrency: 2,
      retry: { attempts: 0, backoff: { initialMs: 60_000, maxMs: 60_000 } },
      eachMessage: ({ partition }) => {
        if (partition === 1) return;
        attempts++;
        throw new Error("never");
      },
    });
    await until(h, () => h.group.offsets.get("t-1") === 20);
    const startMs = h.clock.monotonicMs();
    await h.settle(consumer.close());
    expect(h.clock.monotonicMs() - startMs).toBeLessThan(1000);
    await h.settle(run);
    expect(attempts).toBe(1);
    expect(h.group.offsets.get("t-0")).toBe(0);
  });

  test("a partition that is taken away does not wait for the next attempt either", async () => {
    const h = groupHarness({ partitions: 2 });
    await h.fill(1, 1);
    const first = h.member();
    let attempts = 0;
    const run = first.consumer.run({
      onError: "retry",
      retry: { attempts: 0, backoff: { initialMs: 60_000, maxMs: 60_000 } },
      eachMessage: () => {
        attempts++;
        throw new Error("never");
      },
    });
    await until(h, () => attempts === 1);
    const second = h.member();
    const { value } = await h.settle(second.consumer.messages().next(), 5000);
    expect(text(value as ConsumedRecord)).toBe("1:0");
    await h.settle(first.consumer.close());
    await h.settle(run);
  });
});

describe("order by key", () => {
  test("keys of one partition run beside each other, each in order; commits never pass what is not done", async () => {
    const h = groupHarness({ partitions: 1 });
    const keys = ["a", "b", "a", "c", "b", "a", "slow", "c", "a", "b"];
    await h.fill(0, keys.length, keys);
    const { consumer } = h.member();
    const running = new Set<string>();
    const order = new Map<string, number[]>();
    const done = new Set<number>();
    let most = 0;
    let isOverlapping = false;
    let isPassed = false;
    const run = consumer.run({
      orderBy: "key",
      keyConcurrency: 3,
      eachMessage: async (record) => {
        const key = String(record.key);
        isOverlapping ||= running.has(key);
        running.add(key);
        most = Math.max(most, running.size);
        order.set(key, [...(order.get(key) ?? []), record.offset]);
        await h.clock.sleep(key === "slow" ? 5000 : 100);
        running.delete(key);
        done.add(record.offset);
      },
    });
    await until(h, () => {
      const committed = h.group.offsets.get("t-0") ?? 0;
      for (let offset = 0; offset < committed; offset++) isPassed ||= !done.has(offset);
      return done.size === 9;
    });
    await h.scheduler.advance(500);
    expect(h.group.offsets.get("t-0")).toBe(6);
    await until(h, () => h.group.offsets.get("t-0") === 10);
    expect({ isOverlapping, isPassed, most }).toEqual({ isOverlapping: false, isPassed: false, most: 3 });
    expect(order.get("a")).toEqual([0, 2, 5, 8]);
    expect(order.get("b")).toEqual([1, 4, 9]);
    await h.settle(consumer.close());
    await h.settle(run);
  });

  test("a partition that always has more does not keep the others waiting", async () => {
    const h = groupHarness({ partitions: 2 });
    const keysOf = (count: number): string[] => Array.from({ length: count }, (_, index) => `k-${index}`);
    await h.fill(0, 300, keysOf(300));
    await h.fill(1, 20, keysOf(20));
    const { consumer } = h.member();
    const handled = [0, 0];
    const run = consumer.run({
      orderBy: "key",
      keyConcurrency: 2,
      eachMessage: async ({ partition }) => {
        await h.clock.sleep(10);
        handled[partition] = (handled[partition] ?? 0) + 1;
      },
    });
    await until(h, () => handled[1] === 20);
    expect(handled[0]).toBeGreaterThan(0);
    expect(handled[0]).toBeLessThan(250);
    await until(h, () => handled[0] === 300);
    await h.settle(consumer.close());
    await h.settle(run);
  });

  test("what was done behind a failure is done again, and nothing is left out", async () => {
    const h = groupHarness({ partitions: 1 });
    await h.fill(0, 6, ["a", "b", "c", "d", "e", "f"]);
    const { consumer } = h.member();
    let isBroken = true;
    const handled: number[] = [];
    const options: RunOptions = {
      orderBy: "key",
      eachMessage: async ({ offset }) => {
        await h.clock.sleep(offset === 2 ? 500 : 10);
        if (offset === 2 && isBroken) throw new Error("broken");
        handled.push(offset);
      },
    };
    expect((await h.settle(failureOf(consumer.run(options)))).message).toBe("broken");
    await h.scheduler.advance(1000);
    expect(h.group.offsets.get("t-0")).toBe(2);
    isBroken = false;
    handled.length = 0;
    const run = consumer.run(options);
    await until(h, () => h.group.offsets.get("t-0") === 6);
    expect(handled.sort((a, b) => a - b)).toEqual([2, 3, 4, 5]);
    await h.settle(consumer.close());
    await h.settle(run);
  });

  test("what waits for its key is not begun once the partition is to go", async () => {
    const h = groupHarness({ partitions: 2 });
    await h.fill(1, 4, ["k", "k", "k", "k"]);
    const first = h.member();
    const seen: string[] = [];
    const run = first.consumer.run({
      orderBy: "key",
      eachMessage: async (record) => {
        seen.push(`one ${record.offset}`);
        await h.clock.sleep(2000);
      },
    });
    await until(h, () => seen.length === 1);
    const second = h.member();
    const other = second.consumer.run({ eachMessage: ({ offset }) => void seen.push(`two ${offset}`) });
    await until(h, () => seen.length === 4);
    expect(seen).toEqual(["one 0", "two 1", "two 2", "two 3"]);
    await h.settle(h.client.close());
    await h.settle(Promise.all([run, other]));
  });

  test("a seek in the middle begins anew there, without a group too", async () => {
    const h = harness({ topics: { t: 1 } });
    const producer = h.client.producer({ lingerMs: 0 });
    for (let index = 0; index < 5; index++)
      await h.settle(producer.send("t", { value: `${index}`, key: "k" }));
    await h.settle(producer.close());
    const consumer = h.client.consumer({ topics: ["t"] });
    const handled: number[] = [];
    let hasSought = false;
    const run = consumer.run({
      orderBy: "key",
      eachMessage: async ({ offset }) => {
        handled.push(offset);
        await h.clock.sleep(50);
        if (offset !== 1 || hasSought) return;
        hasSought = true;
        consumer.seek({ topic: "t", partition: 0 }, 0);
      },
    });
    await until(h, () => handled.length === 7);
    expect(handled).toEqual([0, 1, 0, 1, 2, 3, 4]);
    await h.settle(consumer.close());
    await h.settle(run);
  });
});

test("options that do not go together are refused", async () => {
  const h = groupHarness({ partitions: 1 });
  const { consumer } = h.member();
  const refusalOf = async (options: unknown): Promise<string> =>
    (await h.settle(failureOf(consumer.run(options as RunOptions)))).message;
  const eachMessage = (): void => undefined;
  expect(await refusalOf({})).toMatch(/one handler/);
  expect(await refusalOf({ eachMessage, eachBatch: eachMessage })).toMatch(/one handler/);
  expect(await refusalOf({ eachBatch: eachMessage, orderBy: "key" })).toMatch(/eachMessage/);
  expect(await refusalOf({ eachMessage, keyConcurrency: 2 })).toMatch(/orderBy "key"/);
  expect(await refusalOf({ eachMessage, orderBy: "key", keyConcurrency: 0 })).toMatch(/keyConcurrency/);
  expect(await refusalOf({ eachMessage, retry: { attempts: -1 } })).toMatch(/retry.attempts/);
});
