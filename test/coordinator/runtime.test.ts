import * as fc from "fast-check";
import { describe, expect, test } from "vitest";

import { Deferred } from "../../src/base/deferred.ts";
import { operationError } from "../../src/base/errors.ts";
import { silentLogger } from "../../src/base/logger.ts";
import { CoordinatorRuntime } from "../../src/coordinator/runtime.ts";
import type { CoordinatorRuntimeOptions } from "../../src/coordinator/runtime.ts";
import { MetadataState } from "../../src/metadata/replay.ts";
import { leaderEpoch } from "../../src/model/offsets.ts";
import { Scheduler } from "../../src/sim/scheduler.ts";
import { SimClock } from "../../src/sim/sim-clock.ts";
import { counterCodec, CounterShard } from "./counter-shard.ts";
import type { CounterRecord } from "./counter-shard.ts";
import { FakeWriter } from "./fake-writer.ts";

type Outcome = number | string;

class Bench {
  readonly scheduler = new Scheduler();
  readonly clock = new SimClock({}, { scheduler: this.scheduler });
  readonly writer: FakeWriter;
  readonly shards: CounterShard[] = [];
  readonly runtime: CoordinatorRuntime<CounterRecord, CounterShard>;

  constructor(options: Partial<CoordinatorRuntimeOptions> & { readonly maxBatchBytes?: number } = {}) {
    this.writer = new FakeWriter(options.maxBatchBytes);
    this.runtime = new CoordinatorRuntime(
      { topic: "counters", ...options },
      {
        clock: this.clock,
        logger: silentLogger,
        writer: this.writer,
        codec: counterCodec,
        newShard: () => {
          const shard = new CounterShard();
          this.shards.push(shard);
          return shard;
        },
        image: new MetadataState(),
      },
    );
  }

  async loaded(epoch = 1): Promise<this> {
    this.runtime.load(0, leaderEpoch(epoch));
    await this.turn();
    return this;
  }

  /** Everything that is ready now, without time passing. */
  turn(): Promise<void> {
    return this.scheduler.advance(0);
  }

  add(...names: string[]): Promise<Outcome> {
    return outcomeOf(this.runtime.run(0, names, (shard, ...rest) => shard.add(...rest)));
  }

  read(name: string): Promise<Outcome> {
    return outcomeOf(this.runtime.run(0, name, (shard, ...rest) => shard.read(...rest)));
  }

  waitFor(name: string, atLeast: number, signal?: AbortSignal): Promise<Outcome> {
    const decided = this.runtime.run<{ name: string; atLeast: number }, number>(
      0,
      { name, atLeast },
      (shard, request, to) => shard.waitFor(request, to),
      signal,
    );
    return outcomeOf(decided);
  }

  keep(name: string, forMs: number): Promise<Outcome> {
    return outcomeOf(this.runtime.run(0, { name, forMs }, (shard, ...rest) => shard.keep(...rest)));
  }

  get shard(): CounterShard {
    const shard = this.shards.at(-1);
    if (shard === undefined) throw new Error("no shard was made");
    return shard;
  }
}

function outcomeOf(promise: Promise<number>): Promise<Outcome> {
  return promise.catch((error: unknown) =>
    error instanceof Error && "code" in error ? String(error.code) : String(error),
  );
}

/** What has been answered so far, in the order of the answers. */
function collect(promises: readonly Promise<Outcome>[]): Outcome[] {
  const answers: Outcome[] = [];
  for (const promise of promises) void promise.then((answer) => answers.push(answer));
  return answers;
}

describe("answers", () => {
  test("what is decided in one turn is one batch, and is answered in order when it is committed", async () => {
    const bench = await new Bench().loaded();
    bench.writer.isPrompt = false;
    const answers = collect([bench.add("a"), bench.add("a", "b"), bench.read("a")]);
    await bench.turn();
    expect(bench.writer.batches).toHaveLength(1);
    expect(bench.writer.batches[0]).toHaveLength(3);
    expect(answers).toEqual([]);
    bench.writer.commit();
    await bench.turn();
    expect(answers).toEqual([1, 3, 2]);
  });

  test("an answer that wrote nothing waits for what it has seen", async () => {
    const bench = await new Bench().loaded();
    bench.writer.isPrompt = false;
    const added = bench.add("a");
    await bench.turn();
    const answers = collect([added, bench.read("a")]);
    await bench.turn();
    expect(answers).toEqual([]);
    bench.writer.commit();
    await bench.turn();
    expect(answers).toEqual([1, 1]);
    expect(await bench.scheduler.settle(bench.read("a"), 0)).toBe(1);
  });

  test("batches are written ahead of commits; one that is reported early waits for those before it", async () => {
    const bench = await new Bench().loaded();
    bench.writer.isPrompt = false;
    const first = bench.add("a");
    await bench.turn();
    const answers = collect([first, bench.add("b")]);
    await bench.turn();
    const [, second] = bench.writer.pending;
    second?.settle({ ok: true });
    await bench.turn();
    expect(answers).toEqual([]);
    bench.writer.commit();
    await bench.turn();
    expect(answers).toEqual([1, 1]);
  });

  test("a parked answer goes out with the batch that brought it about", async () => {
    const bench = await new Bench().loaded();
    const answers = collect([bench.waitFor("a", 2)]);
    await bench.scheduler.settle(bench.add("a"), 0);
    expect(answers).toEqual([]);
    bench.writer.isPrompt = false;
    const raised = bench.add("a");
    await bench.turn();
    expect(answers).toEqual([]);
    bench.writer.commit();
    expect(await raised).toBe(2);
    expect(answers).toEqual([2]);
  });

  test("a caller that gives up is forgotten at once, and what the shard says later goes nowhere", async () => {
    const bench = await new Bench({ maxWaiting: 1 }).loaded();
    const caller = new AbortController();
    const waiting = bench.waitFor("a", 1, caller.signal);
    expect(await bench.waitFor("b", 1)).toBe("COORDINATOR_NOT_AVAILABLE");
    caller.abort(operationError("ABORTED", "the caller left"));
    expect(await waiting).toBe("ABORTED");
    expect(await bench.scheduler.settle(bench.add("a"), 0)).toBe(1);
    expect(await bench.waitFor("a", 5, caller.signal)).toBe("ABORTED");
  });
});

describe("batches", () => {
  test("are split between decisions, and within one only when it alone is too large", async () => {
    const bench = await new Bench({ maxBatchBytes: 100 }).loaded(); // Two records of 34 bytes, not three.
    await bench.scheduler.settle(Promise.all([bench.add("a"), bench.add("b", "c"), bench.add("d")]), 0);
    expect(bench.writer.batches.map(({ length }) => length)).toEqual([1, 2, 1]);
    await bench.scheduler.settle(bench.add("a", "b", "c", "d", "e"), 0);
    expect(bench.writer.batches.map(({ length }) => length)).toEqual([1, 2, 1, 2, 2, 1]);
  });

  test("beyond so many in flight the next ones wait and grow, and at the bound requests are refused", async () => {
    const bench = await new Bench({ maxInFlightBatches: 2, maxPendingBytes: 170 }).loaded();
    bench.writer.isPrompt = false;
    const answers: Promise<Outcome>[] = [];
    for (const name of ["a", "b", "c", "d", "e"]) {
      answers.push(bench.add(name));
      await bench.turn();
    }
    expect(bench.writer.batches).toHaveLength(2);
    expect(await bench.add("f")).toBe("COORDINATOR_NOT_AVAILABLE");
    bench.writer.commit();
    await bench.turn();
    expect(bench.writer.batches.map(({ length }) => length)).toEqual([1, 1, 3]);
    bench.writer.commit();
    bench.writer.commit();
    expect(await Promise.all(answers)).toEqual([1, 1, 1, 1, 1]);
    bench.writer.isPrompt = true;
    expect(await bench.scheduler.settle(bench.add("f"), 0)).toBe(1);
  });

  test("a record that fits no batch is refused for good, and the others try again", async () => {
    const bench = await new Bench({ maxBatchBytes: 100 }).loaded();
    const parked = bench.waitFor("a", 1);
    expect(await bench.add("x".repeat(100))).toBe("RECORD_LIST_TOO_LARGE");
    expect(await parked).toBe("COORDINATOR_NOT_AVAILABLE");
    await bench.scheduler.advance(100);
    expect(bench.shard.counts.size).toBe(0);
    expect(await bench.scheduler.settle(bench.add("a"), 0)).toBe(1);
  });
});

describe("failures", () => {
  test("a failed append answers everybody, and the log is read again", async () => {
    const bench = await new Bench().loaded();
    await bench.scheduler.settle(bench.add("a"), 0);
    bench.writer.isPrompt = false;
    const lost = [bench.waitFor("a", 9), bench.add("a"), bench.read("a")];
    await bench.turn();
    lost.push(bench.add("a"));
    await bench.turn();
    expect(bench.shard.counts.get("a")).toBe(3);
    bench.writer.lose();
    expect(await Promise.all(lost)).toEqual(lost.map(() => "COORDINATOR_NOT_AVAILABLE"));
    expect(await bench.read("a")).toBe("COORDINATOR_NOT_AVAILABLE");
    bench.writer.isPrompt = true;
    await bench.scheduler.advance(100);
    expect(bench.writer.loads).toBe(2);
    expect(await bench.read("a")).toBe(1);
  });

  test("what may have been written is there after the load", async () => {
    const bench = await new Bench().loaded();
    bench.writer.isPrompt = false;
    const answer = bench.add("a");
    await bench.turn();
    bench.writer.lose({ ok: false, error: "REQUEST_TIMED_OUT", message: "slow", mayBeWritten: true });
    expect(await answer).toBe("COORDINATOR_NOT_AVAILABLE");
    await bench.scheduler.advance(100);
    expect(await bench.read("a")).toBe(1);
  });

  test("an append that another leader refused sends everybody to it", async () => {
    const bench = await new Bench().loaded();
    bench.writer.isPrompt = false;
    const answers = [bench.add("a"), bench.waitFor("a", 9)];
    await bench.turn();
    bench.writer.lose({ ok: false, error: "FENCED_LEADER_EPOCH", message: "epoch 2", mayBeWritten: false });
    expect(await Promise.all(answers)).toEqual(["NOT_COORDINATOR", "NOT_COORDINATOR"]);
  });

  test("loads that fail are tried again at growing distances", async () => {
    const bench = new Bench();
    bench.writer.loadFailure = FakeWriter.notCoordinator;
    await bench.loaded();
    await bench.scheduler.advance(10_000);
    expect(bench.writer.loads).toBeGreaterThan(4);
    expect(bench.writer.loads).toBeLessThan(12);
    expect(await bench.read("a")).toBe("COORDINATOR_NOT_AVAILABLE");
    bench.writer.loadFailure = undefined;
    await bench.scheduler.advance(12_000);
    expect(await bench.read("a")).toBe(0);
  });

  test("a decision that fails half way leaves nothing behind", async () => {
    const bench = await new Bench().loaded();
    const failed = bench.runtime.run<string, number>(0, "a", (shard, ...rest) => shard.fail(...rest));
    await expect(failed).rejects.toMatchObject({ code: "UNKNOWN_SERVER_ERROR" });
    await bench.scheduler.advance(100);
    expect(bench.writer.batches).toEqual([]);
    expect(await bench.read("a")).toBe(0);
  });
});

describe("leadership", () => {
  test("until the log is read there are no answers (H59)", async () => {
    const bench = new Bench();
    bench.writer.log.push(counterCodec.encode({ name: "a", count: 7 }));
    bench.writer.log.push({ key: Buffer.from("from-the-future"), value: null });
    bench.writer.gate = new Deferred();
    expect(await bench.read("a")).toBe("NOT_COORDINATOR");
    await bench.loaded();
    expect(await bench.read("a")).toBe("COORDINATOR_LOAD_IN_PROGRESS");
    expect(bench.runtime.partitions).toEqual([{ partition: 0, isActive: false }]);
    await bench.scheduler.advance(50);
    bench.writer.gate.resolve();
    await bench.turn();
    expect(bench.shard.loadedAtMs).toBe(50);
    expect(await bench.read("a")).toBe(7);
    expect(bench.runtime.partitions).toEqual([{ partition: 0, isActive: true }]);
  });

  test("an unload answers all who wait, parked or held, and what is committed later answers nobody", async () => {
    const bench = await new Bench().loaded();
    bench.writer.isPrompt = false;
    const answers = [bench.add("a"), bench.waitFor("a", 9)];
    await bench.turn();
    bench.runtime.unload(0, leaderEpoch(2));
    expect(await Promise.all(answers)).toEqual(["NOT_COORDINATOR", "NOT_COORDINATOR"]);
    bench.writer.commit();
    await bench.turn();
    expect(await bench.read("a")).toBe("NOT_COORDINATOR");
    expect(bench.runtime.partitions).toEqual([]);
  });

  test("old news changes nothing; a newer epoch begins with a load of its own", async () => {
    const bench = await new Bench().loaded(5);
    bench.runtime.unload(0, leaderEpoch(4));
    bench.runtime.load(0, leaderEpoch(4));
    bench.runtime.load(0, leaderEpoch(5));
    await bench.turn();
    expect(bench.writer.loads).toBe(1);
    const parked = bench.waitFor("a", 1);
    bench.runtime.load(0, leaderEpoch(6));
    expect(await parked).toBe("NOT_COORDINATOR");
    await bench.turn();
    expect(bench.writer.loads).toBe(2);
    bench.writer.isPrompt = false;
    void bench.add("a");
    await bench.turn();
    expect(bench.writer.pending[0]?.leaderEpoch).toBe(6);
    bench.runtime.unload(0, leaderEpoch(7));
    bench.runtime.load(0, leaderEpoch(6));
    await bench.turn();
    expect(bench.writer.loads).toBe(2);
  });

  test("close answers who waits and ends loads, and what comes later is refused", async () => {
    const bench = await new Bench().loaded();
    const parked = bench.waitFor("a", 1);
    bench.writer.gate = new Deferred();
    bench.runtime.load(1, leaderEpoch(1));
    await bench.turn();
    await bench.runtime.close();
    expect(await parked).toBe("NOT_COORDINATOR");
    bench.runtime.load(0, leaderEpoch(9));
    expect(await bench.read("a")).toBe("NOT_COORDINATOR");
    expect(bench.scheduler.pendingCount).toBe(0);
  });

  test("shards hear of metadata once for all changes of a turn", async () => {
    const bench = await new Bench().loaded();
    bench.runtime.metadataChanged();
    bench.runtime.metadataChanged();
    expect(bench.shard.metadataNews).toBe(0);
    await bench.turn();
    expect(bench.shard.metadataNews).toBe(1);
  });
});

describe("deadlines", () => {
  test("what is due is done then, under the latest deadline", async () => {
    const bench = await new Bench().loaded();
    await bench.scheduler.settle(Promise.all([bench.add("a"), bench.keep("a", 100)]), 0);
    await bench.scheduler.advance(90);
    await bench.keep("a", 100);
    await bench.scheduler.advance(90);
    expect(await bench.read("a")).toBe(1);
    await bench.scheduler.advance(10);
    expect(await bench.read("a")).toBe(0);
    expect(bench.scheduler.pendingCount).toBe(0);
  });

  test("input that is ready goes first", async () => {
    const bench = await new Bench().loaded();
    await bench.scheduler.settle(Promise.all([bench.add("a"), bench.keep("a", 100)]), 0);
    bench.scheduler.schedule(100, () => bench.clock.defer(() => void bench.keep("a", 100)));
    await bench.scheduler.advance(150);
    expect(await bench.read("a")).toBe(1);
  });

  test("after a standstill everybody gets the time to be heard, once (H62)", async () => {
    const bench = await new Bench().loaded();
    const begun = [bench.add("a", "b"), bench.keep("a", 1000), bench.keep("b", 1000)];
    await bench.scheduler.settle(Promise.all(begun), 0);
    bench.clock.pause();
    await bench.scheduler.advance(60_000);
    bench.clock.resume();
    await bench.scheduler.advance(2000);
    expect(await bench.read("a")).toBe(1);
    await bench.keep("a", 5000);
    await bench.scheduler.advance(1500);
    expect(await bench.read("a")).toBe(1);
    expect(await bench.read("b")).toBe(0);
  });

  test("nothing expires in a shard that was unloaded", async () => {
    const bench = await new Bench().loaded();
    await bench.scheduler.settle(Promise.all([bench.add("a"), bench.keep("a", 100)]), 0);
    bench.runtime.unload(0, leaderEpoch(2));
    await bench.scheduler.advance(1000);
    expect(bench.writer.batches).toHaveLength(1);
    expect(bench.scheduler.pendingCount).toBe(0);
  });
});

describe("any schedule", () => {
  const step = fc.oneof(
    { weight: 6, arbitrary: fc.constantFrom("add", "read", "turn", "commit") },
    { weight: 1, arbitrary: fc.constantFrom("lose", "maybe", "newEpoch", "pass") },
  );

  test("everybody is answered once, no answer is taken back, and no reader sees what is not committed", async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 60 }), async (steps) => {
        const bench = await new Bench({ maxInFlightBatches: 3 }).loaded();
        bench.writer.isPrompt = false;
        const answers: Promise<void>[] = [];
        /** The highest value that anybody was told; what is told later must not be below it. */
        let told = 0;
        let epoch = 1;
        const inLog = (): number => Number(bench.writer.log.at(-1)?.value ?? 0);
        const take = (asked: number, answer: Outcome): void => {
          if (typeof answer !== "number") return;
          expect(answer).toBeGreaterThanOrEqual(asked);
          expect(inLog()).toBeGreaterThanOrEqual(answer);
          told = Math.max(told, answer);
        };
        for (const one of steps) {
          const asked = told;
          if (one === "add") answers.push(bench.add("a").then((answer) => take(asked + 1, answer)));
          else if (one === "read") answers.push(bench.read("a").then((answer) => take(asked, answer)));
          else if (one === "commit") bench.writer.commit();
          else if (one === "lose") bench.writer.lose();
          else if (one === "maybe")
            bench.writer.lose({ ok: false, error: "REQUEST_TIMED_OUT", message: "", mayBeWritten: true });
          else if (one === "newEpoch") bench.runtime.load(0, leaderEpoch(++epoch));
          await bench.scheduler.advance(one === "pass" ? 1000 : 0);
        }
        while (bench.writer.pending.length > 0) {
          bench.writer.commit();
          await bench.turn();
        }
        bench.writer.isPrompt = true;
        await bench.scheduler.advance(20_000);
        await Promise.all(answers);
        expect(await bench.read("a")).toBe(inLog());
      }),
      { numRuns: 150 },
    );
  });
});
