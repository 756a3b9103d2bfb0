import { describe, expect, test } from "vitest";
import type { LeaderEpoch, ProducerEpoch, ProducerId } from "../../src/model/offsets.ts";
import {
  accepted,
  append,
  at,
  DATA,
  DIRECTORY,
  NEW_LOG,
  readAll,
  records,
  recordsIn,
  SimMachine,
  time,
} from "./engine.ts";

const client = (epoch = 0) => ({ leaderEpoch: epoch as LeaderEpoch, origin: "client" }) as const;
const producer = (baseSequence: number, producerId = 5, producerEpoch = 0, isTransactional = false) => ({
  producer: {
    producerId: producerId as ProducerId,
    producerEpoch: producerEpoch as ProducerEpoch,
    baseSequence,
    isTransactional,
  },
});

describe("append", () => {
  test("gives contiguous offsets, patches the epoch and answers when synced", async () => {
    const m = new SimMachine();
    const log = await m.open();
    const first = accepted(append(log, ["a", "b"], 3));
    const second = accepted(append(log, ["c"], 3));
    expect([first.baseOffset, first.endOffset, second.baseOffset]).toEqual([0, 2, 2]);
    expect(first.durability).toBe("synced");
    expect([log.logEndOffset, log.durableEndOffset]).toEqual([0, 0]);
    await m.run(Promise.all([first.done, second.done]));
    expect([log.logEndOffset, log.durableEndOffset, log.latestEpoch]).toEqual([3, 3, 3]);
    expect(await m.run(readAll(log))).toEqual([
      { offset: 0, value: "a" },
      { offset: 1, value: "b" },
      { offset: 2, value: "c" },
    ]);
    expect(log.endOffsetForEpoch(3 as LeaderEpoch)).toEqual({ epoch: 3, endOffset: 3 });
  });

  test("a log that was never written has no directory", async () => {
    const m = new SimMachine();
    await m.run(m.disk.makeDir(DATA));
    const log = await m.open();
    expect(log.hasDirectory).toBe(false);
    await m.run(log.close());
    expect(await m.run(m.disk.list(DATA))).toEqual([]);
  });

  test("all appends of one turn are one write, and those during a sync share the next", async () => {
    const m = new SimMachine({ latency: { minMs: 1, maxMs: 1 } });
    const log = await m.open();
    await m.run(accepted(append(log, ["warm"])).done);
    const before = Object.fromEntries(m.disk.operationCounts);
    const done = [accepted(append(log, ["a"])).done, accepted(append(log, ["b"])).done];
    // The write of both has ended and their sync runs when these come.
    await m.scheduler.advance(1.5);
    for (let i = 0; i < 20; i++) done.push(accepted(append(log, [`c${i}`])).done);
    await m.run(Promise.all(done));
    const after = Object.fromEntries(m.disk.operationCounts);
    expect((after["write"] ?? 0) - (before["write"] ?? 0)).toBe(2);
    expect((after["sync"] ?? 0) - (before["sync"] ?? 0)).toBe(2);
    expect(log.durableEndOffset).toBe(23);
  });

  test("is refused when too much waits for the disk, naming the limit", async () => {
    const m = new SimMachine({ latency: { minMs: 1, maxMs: 1 } }, { maxPendingBytes: 1000 });
    const log = await m.open();
    const first = accepted(append(log, ["x".repeat(800)]));
    const second = append(log, ["y".repeat(800)]);
    expect(second).toMatchObject({ ok: false, error: "THROTTLING_QUOTA_EXCEEDED" });
    expect(second.ok ? "" : second.message).toContain("1000");
    await m.run(first.done);
    await m.run(accepted(append(log, ["y".repeat(800)])).done);
    expect(log.pendingBytes).toBe(0);
  });

  test("refuses damaged batches, batches larger than a segment and older leader epochs", async () => {
    const m = new SimMachine();
    const log = await m.open({ segmentBytes: 500 });
    const damaged = records(["a"]);
    damaged[damaged.length - 1] = 0x55;
    expect(log.append(damaged, client())).toMatchObject({ ok: false, error: "CORRUPT_MESSAGE" });
    expect(append(log, ["x".repeat(600)])).toMatchObject({ ok: false, error: "RECORD_LIST_TOO_LARGE" });
    await m.run(accepted(append(log, ["a"], 4)).done);
    expect(append(log, ["a"], 3)).toMatchObject({ ok: false, error: "FENCED_LEADER_EPOCH" });
    expect(log.logEndOffset).toBe(1);
  });

  test("under LogAppendTime the broker's clock is in the answer and the batch", async () => {
    const m = new SimMachine();
    const log = await m.open({ timestampType: "LogAppendTime" });
    const result = accepted(append(log, ["a"]));
    await m.run(result.done);
    expect(result.logAppendTimeMs).toBe(m.clock.wallMs());
    expect(await m.run(log.offsetOfMaxTimestamp())).toEqual({ offset: 0, timestamp: m.clock.wallMs() });
  });
});

describe("flush policies", () => {
  test("os answers when written and never syncs by itself", async () => {
    const m = new SimMachine();
    const log = await m.open({ flushPolicy: "os" });
    const result = accepted(append(log, ["a"]));
    expect(result.durability).toBe("written");
    await m.run(result.done);
    expect([log.durableEndOffset, log.recoveryPoint]).toEqual([1, 0]);
    expect(m.machine.deps.syncs.stats.completed).toBe(0);
    await m.run(log.flush());
    expect(log.recoveryPoint).toBe(1);
  });

  test("interval answers when written and asks for one sync within flush.ms", async () => {
    const m = new SimMachine();
    const log = await m.open({ flushPolicy: "interval", flushMs: 250 });
    await m.run(accepted(append(log, ["a"])).done);
    expect(log.durableEndOffset).toBe(1);
    expect(m.host.dirty.map(({ withinMs }) => withinMs)).toEqual([250]);
    await m.run(m.host.dirty[0]?.log.flush());
    expect(m.machine.deps.syncs.stats.completed).toBe(1);
    await m.run(log.flush());
    expect(m.machine.deps.syncs.stats.completed).toBe(1);
  });
});

describe("read", () => {
  test("at the tail is synchronous and gives the very bytes that the disk has", async () => {
    const m = new SimMachine();
    const log = await m.open();
    await m.run(Promise.all([accepted(append(log, ["a"])).done, accepted(append(log, ["b", "c"])).done]));
    const cached = log.read(at(0), 1000);
    expect(cached).not.toBeInstanceOf(Promise);
    await m.run(log.close());
    m.restartOn(m.disk);
    const again = await m.open({}, { exists: true, clean: true });
    const fromDisk = again.read(at(0), 1000);
    expect(fromDisk).toBeInstanceOf(Promise);
    const [a, b] = [await cached, await m.run(fromDisk)];
    if (!a.ok || !b.ok) throw new Error("a read was refused");
    expect(Buffer.concat([...b.chunks]).equals(Buffer.concat([...a.chunks]))).toBe(true);
    expect([a.firstOffset, a.nextOffset, a.sizeBytes]).toEqual([b.firstOffset, b.nextOffset, b.sizeBytes]);
  });

  test("begins with the batch that holds the offset, keeps to maxBytes, gives at least one batch", async () => {
    for (const tailBytes of [0, 1024 * 1024]) {
      const m = new SimMachine({}, { tailBytes });
      const log = await m.open();
      for (let i = 0; i < 30; i++)
        await m.run(accepted(append(log, [`${i}a`, `${i}b`, "x".repeat(200)])).done);
      const one = await m.run(log.read(at(4), 1));
      if (!one.ok) throw new Error(one.message);
      expect([one.firstOffset, one.nextOffset]).toEqual([3, 6]);
      const size = one.sizeBytes;
      const three = await m.run(log.read(at(4), size * 3 + 10));
      if (!three.ok) throw new Error(three.message);
      expect([three.firstOffset, three.nextOffset]).toEqual([3, 12]);
      expect(recordsIn(three.chunks)[0]).toEqual({ offset: 3, value: "1a" });
    }
  });

  test("never passes the end it is given, and is empty at the end", async () => {
    for (const tailBytes of [0, 1024 * 1024]) {
      const m = new SimMachine({}, { tailBytes });
      const log = await m.open();
      for (let i = 0; i < 5; i++) await m.run(accepted(append(log, ["a", "b"])).done);
      const read = await m.run(log.read(at(0), 100_000, { endOffset: at(5) }));
      expect(read).toMatchObject({ ok: true, nextOffset: 4 });
      expect(await m.run(log.read(at(4), 1000, { endOffset: at(5) }))).toMatchObject({
        ok: true,
        chunks: [],
      });
      expect(await m.run(log.read(at(10), 1000))).toMatchObject({ ok: true, chunks: [], nextOffset: 10 });
      expect(await m.run(log.read(at(11), 1000))).toMatchObject({ ok: false, error: "OFFSET_OUT_OF_RANGE" });
    }
  });

  test("goes on across segments", async () => {
    const m = new SimMachine({}, { tailBytes: 0 });
    const log = await m.open({ segmentBytes: 400 });
    for (let i = 0; i < 40; i++) await m.run(accepted(append(log, [`${i}`])).done);
    expect(log.segmentCount).toBeGreaterThan(5);
    const values = (await m.run(readAll(log))).map(({ value }) => value);
    expect(values).toEqual(Array.from({ length: 40 }, (_, i) => `${i}`));
  });

  test("of a damaged batch is refused, names file and position, cuts nothing; what lies below is served", async () => {
    const m = new SimMachine({}, { tailBytes: 0 });
    const log = await m.open();
    for (let i = 0; i < 4; i++) await m.run(accepted(append(log, ["value"])).done);
    const path = `${DIRECTORY}/00000000000000000000.log`;
    const size = log.sizeBytes / 4;
    m.disk.flipBit(path, (size * 2 + 70) * 8);
    expect(await m.run(log.read(at(0), 10_000))).toMatchObject({ ok: true, nextOffset: 2 });
    const refused = await m.run(log.read(at(2), 10_000));
    expect(refused).toMatchObject({ ok: false, error: "CORRUPT_MESSAGE" });
    expect(refused.ok ? "" : refused.message).toContain(`${path} is damaged at byte ${size * 2}`);
    expect((await m.run(m.disk.stat(path)))?.sizeBytes).toBe(size * 4);
  });

  test("with a wrong index builds it again instead of answering from the wrong place", async () => {
    const m = new SimMachine({}, { tailBytes: 0 });
    const log = await m.open({ indexIntervalBytes: 100, segmentBytes: 4000 });
    for (let i = 0; i < 60; i++) await m.run(accepted(append(log, [`v${i}`])).done);
    await m.run(log.close());
    const index = `${DIRECTORY}/00000000000000000000.index`;
    const file = await m.run(m.disk.open(index, "write"));
    const bytes = Buffer.alloc(1000);
    const size = await m.run(file.read(bytes, 0));
    // Positions that grow, inside the log, and point into the middle of batches.
    for (let i = 4; i < size; i += 8) bytes.writeInt32BE(bytes.readInt32BE(i) + 1, i);
    await m.run(file.write([bytes.subarray(0, size)], 0));
    const again = await m.open({ indexIntervalBytes: 100 }, { exists: true, clean: true });
    const values = (await m.run(readAll(again, 0, 100))).map(({ value }) => value);
    expect(values).toEqual(Array.from({ length: 60 }, (_, i) => `v${i}`));
  });
});

describe("timestamps", () => {
  test("are found by the first record at or after them, in every segment", async () => {
    const m = new SimMachine();
    const log = await m.open({ segmentBytes: 500, indexIntervalBytes: 100 });
    for (let i = 0; i < 50; i++) await m.run(accepted(append(log, [`${i}`], 0, 1000 + i * 10)).done);
    expect(await m.run(log.offsetForTimestamp(time(0)))).toEqual({ offset: 0, timestamp: 1000 });
    expect(await m.run(log.offsetForTimestamp(time(1235)))).toEqual({ offset: 24, timestamp: 1240 });
    expect(await m.run(log.offsetForTimestamp(time(1490)))).toEqual({ offset: 49, timestamp: 1490 });
    expect(await m.run(log.offsetForTimestamp(time(1491)))).toBeUndefined();
    expect(await m.run(log.offsetOfMaxTimestamp())).toEqual({ offset: 49, timestamp: 1490 });
    await m.run(log.truncateTo(at(30)));
    expect(await m.run(log.offsetOfMaxTimestamp())).toEqual({ offset: 29, timestamp: 1290 });
  });
});

describe("idempotent producers", () => {
  test("a duplicate, also of a batch on its way, gets the original's offset and its end", async () => {
    const m = new SimMachine({ latency: { minMs: 1, maxMs: 1 } });
    const log = await m.open();
    const original = accepted(log.append(records(["a", "b"], producer(0)), client()));
    const copy = accepted(log.append(records(["a", "b"], producer(0)), client()));
    expect(copy).toMatchObject({ duplicate: true, baseOffset: 0, endOffset: 2 });
    let isCopyDone = false;
    const watched = copy.done.then(() => {
      isCopyDone = true;
    });
    await m.run(original.done);
    await m.run(watched);
    expect(isCopyDone).toBe(true);
    expect(log.logEndOffset).toBe(2);
    const late = accepted(log.append(records(["a", "b"], producer(0)), client()));
    await late.done;
    expect(log.append(records(["x"], producer(7)), client())).toMatchObject({
      ok: false,
      error: "OUT_OF_ORDER_SEQUENCE_NUMBER",
    });
  });

  test("are remembered through a clean restart, a crash and a roll", async () => {
    const m = new SimMachine();
    await m.prepare();
    let log = await m.open({ segmentBytes: 300 });
    for (let i = 0; i < 12; i++)
      await m.run(accepted(log.append(records([`${i}`], producer(i)), client())).done);
    await m.run(log.close());
    log = await m.open({ segmentBytes: 300 }, { exists: true, clean: true });
    expect(accepted(log.append(records(["11"], producer(11)), client())).duplicate).toBe(true);
    await m.run(accepted(log.append(records(["12"], producer(12)), client())).done);
    m.restartOn(m.disk.crashDroppingAll());
    log = await m.open({ segmentBytes: 300 }, { exists: true });
    expect(accepted(log.append(records(["12"], producer(12)), client()))).toMatchObject({
      duplicate: true,
      baseOffset: 12,
    });
  });

  test("the state after a truncation is that of what is left", async () => {
    const m = new SimMachine();
    const log = await m.open({ segmentBytes: 300 });
    for (let i = 0; i < 12; i++)
      await m.run(accepted(log.append(records([`${i}`], producer(i)), client())).done);
    await m.run(log.truncateTo(at(7)));
    expect(log.append(records(["11"], producer(11)), client())).toMatchObject({ ok: false });
    expect(accepted(log.append(records(["6"], producer(6)), client())).duplicate).toBe(true);
    const next = accepted(log.append(records(["7!"], producer(7)), client()));
    expect(next).toMatchObject({ duplicate: false, baseOffset: 7 });
    await m.run(next.done);
  });
});

describe("truncate, log start, reset", () => {
  test("cutting inside a batch takes the whole batch; later offsets are given out again", async () => {
    const m = new SimMachine();
    const log = await m.open({ segmentBytes: 400 });
    for (let i = 0; i < 20; i++)
      await m.run(accepted(append(log, [`${i}a`, `${i}b`], Math.floor(i / 10))).done);
    await m.run(log.truncateTo(at(13)));
    expect([log.logEndOffset, log.durableEndOffset, log.latestEpoch]).toEqual([12, 12, 0]);
    await m.run(accepted(append(log, ["new"], 2)).done);
    expect((await m.run(readAll(log))).at(-1)).toEqual({ offset: 12, value: "new" });
    expect(log.endOffsetForEpoch(0 as LeaderEpoch)).toEqual({ epoch: 0, endOffset: 12 });
    await m.run(log.close());
    const again = await m.open({ segmentBytes: 400 }, { exists: true });
    expect((await m.run(readAll(again))).map(({ offset: o }) => o)).toEqual(
      Array.from({ length: 13 }, (_, i) => i),
    );
  });

  test("waits for appends on their way and refuses new ones meanwhile", async () => {
    const m = new SimMachine({ latency: { minMs: 1, maxMs: 2 } });
    const log = await m.open();
    const first = accepted(append(log, ["a"]));
    const second = accepted(append(log, ["b"]));
    const cut = log.truncateTo(at(1));
    expect(append(log, ["c"])).toMatchObject({ ok: false, error: "KAFKA_STORAGE_ERROR" });
    await m.run(Promise.all([first.done, second.done, cut]));
    expect(log.logEndOffset).toBe(1);
    expect(accepted(append(log, ["d"])).baseOffset).toBe(1);
    await m.run(log.close());
  });

  test("a read that the truncation overtakes does not see what was cut", async () => {
    const m = new SimMachine({ latency: { minMs: 2, maxMs: 2 } }, { tailBytes: 0 });
    const log = await m.open();
    await m.run(accepted(append(log, ["a"])).done);
    await m.run(accepted(append(log, ["old"])).done);
    // This one, and not those of the truncation.
    m.disk.faults.arm({ kind: "slow", operations: ["read"], delayMs: 1_000, times: 1 });
    const reading = Promise.resolve(log.read(at(1), 1000));
    const cut = log.truncateTo(at(1)).then(() => accepted(append(log, ["new"])).done);
    const result = await m.run(reading);
    await m.run(cut);
    expect(result.ok && result.chunks.some((chunk) => chunk.includes("old"))).toBe(false);
    expect((await m.run(readAll(log))).map(({ value }) => value)).toEqual(["a", "new"]);
  });

  test("advancing the log start is durable first, and reads below are out of range", async () => {
    const m = new SimMachine();
    const log = await m.open();
    for (let i = 0; i < 4; i++) await m.run(accepted(append(log, [`${i}`])).done);
    let calls = 0;
    log.onAdvance(() => calls++);
    await m.run(log.advanceLogStart(at(2)));
    expect([log.logStartOffset, m.host.logStarts.get("t-0"), calls]).toEqual([2, 2, 1]);
    expect(log.read(at(1), 100)).toMatchObject({ ok: false, error: "OFFSET_OUT_OF_RANGE" });
    expect((await m.run(readAll(log))).map(({ value }) => value)).toEqual(["2", "3"]);
  });

  test("a reset begins anew at the offset and takes replicated batches there", async () => {
    const m = new SimMachine();
    const log = await m.open({ segmentBytes: 300 });
    for (let i = 0; i < 10; i++) await m.run(accepted(append(log, [`${i}`])).done);
    await m.run(log.resetTo(at(100)));
    expect([log.logStartOffset, log.logEndOffset, log.sizeBytes]).toEqual([100, 100, 0]);
    await m.run(accepted(append(log, ["x"], 1)).done);
    await m.run(log.close());
    const again = await m.open({}, { exists: true, logStartOffset: at(100) });
    expect(await m.run(readAll(again))).toEqual([{ offset: 100, value: "x" }]);
  });
});

describe("life cycle", () => {
  test("closing beside appends and truncations ends in order, and afterwards everything is refused", async () => {
    const m = new SimMachine({ latency: { minMs: 1, maxMs: 3 } });
    const log = await m.open();
    const first = accepted(append(log, ["a"]));
    const results = [first.done, log.truncateTo(at(5)), log.close(), log.close()];
    expect(append(log, ["b"])).toMatchObject({ ok: false, error: "KAFKA_STORAGE_ERROR" });
    await m.run(Promise.allSettled(results));
    expect(log.state).toBe("closed");
    expect(append(log, ["c"])).toMatchObject({ ok: false, error: "KAFKA_STORAGE_ERROR" });
    expect(log.read(at(0), 10)).toMatchObject({ ok: false, error: "KAFKA_STORAGE_ERROR" });
    expect(m.machine.deps.files.openCount).toBe(0);
    const again = await m.open({}, { ...NEW_LOG, exists: true, clean: true });
    expect(await m.run(readAll(again))).toEqual([{ offset: 0, value: "a" }]);
  });

  test("an idle log holds no file in use, no timer and no cached index of a sealed segment", async () => {
    const m = new SimMachine();
    const log = await m.open({ segmentBytes: 300 });
    for (let i = 0; i < 10; i++) await m.run(accepted(append(log, [`${i}`])).done);
    await m.scheduler.drain();
    expect(m.scheduler.pendingCount).toBe(0);
    await m.run(m.machine.deps.files.close());
    expect(m.machine.deps.files.openCount).toBe(0);
    await m.run(accepted(append(log, ["again"])).done);
  });
});
