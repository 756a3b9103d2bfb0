import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { verifyPartition } from "../../src/log/verify-partition.ts";
import { CODECS } from "../../src/model/compression.ts";
import { batchSizeOf } from "../../src/model/record-batch.ts";
import {
  compact,
  COMPACTED,
  linesOf,
  put,
  recordsOf,
  seal,
  opened,
  reopened,
  namesIn,
} from "./compaction.ts";
import { append, at, DIRECTORY, readAll, SimMachine, time } from "./engine.ts";

describe("compaction", () => {
  test("leaves the last record of each key where it was, and takes the older ones", async () => {
    const { m, log } = await opened();
    for (let round = 0; round < 10; round++) {
      for (const key of ["a", "b", "c"]) await m.run(put(log, [{ key, value: `${key}${round}` }]));
    }
    await m.run(put(log, [{ key: "d", value: "once" }]));
    await m.run(seal(log));
    const before = log.sizeBytes;
    const segments = log.segmentCount;
    const report = await m.run(compact(log));
    expect(report).toMatchObject({ outcome: "done", keyCount: 5 });
    expect(report?.firstDirtyOffset).toBe(log.logEndOffset - 1);
    expect(await m.run(linesOf(log))).toEqual(["27 a=a9", "28 b=b9", "29 c=c9", "30 d=once"]);
    expect(log.sizeBytes).toBeLessThan(before);
    expect(log.segmentCount).toBeLessThan(segments);
    expect(log.logStartOffset).toBe(0);
    const again = await reopened(m, log);
    expect(await m.run(linesOf(again))).toEqual(["27 a=a9", "28 b=b9", "29 c=c9", "30 d=once"]);
    expect(again.logEndOffset).toBe(33);
    expect((await namesIn(m)).filter((name) => /cleaned|swap/.test(name))).toEqual([]);
  });

  test("takes parts of batches, in every codec, and reads from any offset still find what follows", async () => {
    for (const codec of CODECS) {
      const { m, log } = await opened();
      for (let round = 0; round < 6; round++) {
        const batch = ["a", "b", "c", `own${round}`].map((key) => ({ key, value: `${key}${round}` }));
        await m.run(put(log, batch, { codec }));
      }
      await m.run(seal(log));
      expect(await m.run(compact(log))).toMatchObject({ outcome: "done" });
      const left = await m.run(linesOf(log));
      expect(left).toEqual([
        ...[0, 1, 2, 3, 4].map((round) => `${round * 4 + 3} own${round}=own${round}${round}`),
        ...["a", "b", "c", "own5"].map((key, index) => `${20 + index} ${key}=${key}5`),
      ]);
      const all = await m.run(recordsOf(log));
      for (let from = 0; from < log.logEndOffset; from++) {
        const found = await m.run(readAll(log, from));
        expect(found.map(({ offset }) => offset)).toEqual(
          all.map(({ offset }) => offset).filter((offset) => offset >= from),
        );
      }
    }
  });

  test("keeps its hands off the active segment, what is behind the high watermark, and what is too young", async () => {
    const { m, log } = await opened({ minCompactionLagMs: 100 });
    const values = ["0", "1", "2", "3", "4", "5"];
    for (const value of values)
      await m.run(put(log, [{ key: "k", value, timestamp: 1000 + Number(value) * 10 }]));
    await m.run(seal(log));
    const all = values.map((value, offset) => `${offset} k=${value}`);
    expect(await m.run(compact(log, { nowMs: 1099 }))).toBeUndefined();
    expect(await m.run(compact(log, { nowMs: 5000, endOffset: 3 }))).toBeUndefined();
    expect(await m.run(linesOf(log))).toEqual(all);
    expect(await m.run(compact(log, { nowMs: 5000 }))).toMatchObject({ outcome: "done" });
    const left = await m.run(linesOf(log));
    expect(left.at(-1)).toBe("5 k=5");
    expect(left.length).toBeLessThan(3);
  });

  test("has nothing to do where no record is new, and only compares with what is", async () => {
    const { m, log } = await opened();
    for (let round = 0; round < 8; round++) await m.run(put(log, [{ key: "k", value: `${round}` }]));
    await m.run(seal(log));
    const first = await m.run(compact(log));
    expect(await m.run(compact(log, { firstDirtyOffset: first?.firstDirtyOffset }))).toBeUndefined();
    for (let round = 8; round < 12; round++) await m.run(put(log, [{ key: "k", value: `${round}` }]));
    await m.run(seal(log));
    const second = await m.run(compact(log, { firstDirtyOffset: first?.firstDirtyOffset }));
    expect(second?.outcome).toBe("done");
    expect((await m.run(linesOf(log))).at(-1)).toMatch(/k=11$/);
    expect(await m.run(linesOf(log))).toHaveLength(1);
  });

  test("of more keys than fit its memory goes on in the next rounds, and loses none", async () => {
    const { m, log } = await opened();
    for (let index = 0; index < 60; index++)
      await m.run(put(log, [{ key: `k${index % 40}`, value: `${index}` }]));
    await m.run(seal(log));
    let firstDirtyOffset: number | undefined;
    let rounds = 0;
    for (;;) {
      const report = await m.run(compact(log, { firstDirtyOffset, dedupeBytes: 24 * 18 }));
      if (report === undefined) break;
      expect(report.outcome).toBe("done");
      expect(report.firstDirtyOffset).toBeGreaterThan(firstDirtyOffset ?? 0);
      ({ firstDirtyOffset } = report);
      rounds++;
    }
    expect(rounds).toBeGreaterThan(2);
    const expected = Array.from({ length: 40 }, (_, index) => index + 20);
    expect(await m.run(linesOf(log))).toEqual(expected.map((index) => `${index} k${index % 40}=${index}`));
  });

  test("says that a batch has more keys than fit, and changes nothing", async () => {
    const { m, log } = await opened({ segmentBytes: 2000 });
    await m.run(
      put(
        log,
        Array.from({ length: 30 }, (_, index) => ({ key: `k${index}`, value: "v" })),
      ),
    );
    for (let index = 0; index < 6; index++) await m.run(seal(log));
    expect(await m.run(compact(log, { dedupeBytes: 24 }))).toMatchObject({ outcome: "full" });
    expect(await m.run(linesOf(log))).toHaveLength(30);
  });

  test("of a log whose records are searched by time finds those that are left", async () => {
    const { m, log } = await opened();
    for (let index = 0; index < 20; index++)
      await m.run(put(log, [{ key: `k${index % 3}`, value: `${index}`, timestamp: 1000 + index }]));
    await m.run(put(log, [{ key: "new", value: "1", timestamp: 9000 }]));
    await m.run(put(log, [{ key: "new", value: "2", timestamp: 3000 }]));
    await m.run(seal(log));
    await m.run(compact(log));
    expect(await m.run(log.offsetForTimestamp(time(1000)))).toMatchObject({ offset: 17, timestamp: 1017 });
    expect(await m.run(log.offsetForTimestamp(time(1018)))).toMatchObject({ offset: 18 });
    expect(await m.run(log.offsetOfMaxTimestamp())).toEqual({ offset: 21, timestamp: 3000 });
    const again = await reopened(m, log);
    expect(await m.run(again.offsetOfMaxTimestamp())).toEqual({ offset: 21, timestamp: 3000 });
  });

  test("of a topic that is deleted by age too lets retention take compacted segments", async () => {
    const { m, log } = await opened({ isDeleting: true, retentionMs: 10_000 });
    for (let index = 0; index < 20; index++) await m.run(put(log, [{ key: `k${index}`, value: "v" }]));
    await m.run(seal(log));
    await m.run(compact(log));
    expect(await m.run(log.applyRetention(20_000))).toBeGreaterThan(0);
    expect(await m.run(linesOf(log))).toEqual([]);
    expect((await m.run(recordsOf(log))).at(-1)?.key).toBe("filler");
  });

  test("closes the active segment when its first record is as old as compaction may wait", async () => {
    const { m, log } = await opened({ maxCompactionLagMs: 5000 });
    await m.run(put(log, [{ key: "a", value: "1" }]));
    const limits = { endOffset: at(100), firstDirtyOffset: undefined };
    expect(await m.run(log.compactRange({ ...limits, nowMs: m.clock.wallMs() }))).toBeUndefined();
    const nowMs = m.clock.wallMs() + 5000;
    expect(await m.run(log.compactRange({ ...limits, nowMs }))).toMatchObject({ dirtyRatio: 1 });
    expect(await m.run(log.compactRange({ ...limits, nowMs: nowMs + 2000 }))).toMatchObject({
      isOverdue: true,
    });
  });

  test("cut inside a gap ends there, also when it is opened again, and goes on from there", async () => {
    const { m, log } = await opened();
    for (let index = 0; index < 40; index++)
      await m.run(put(log, [{ key: `k${index % 3}`, value: `${index}` }]));
    await m.run(seal(log));
    await m.run(compact(log));
    expect(await m.run(linesOf(log))).toEqual(["37 k1=37", "38 k2=38", "39 k0=39"]);
    await m.run(log.truncateTo(at(20)));
    expect([log.logEndOffset, log.durableEndOffset, log.damage]).toEqual([20, 20, undefined]);
    await m.run(log.close());
    m.restartOn(m.disk.crashKeepingAll());
    const again = await m.open(COMPACTED, { exists: true, clean: true, expectedEndOffset: at(20) });
    expect([again.logEndOffset, again.damage]).toEqual([20, undefined]);
    expect(await m.run(put(again, [{ key: "k0", value: "new" }]))).toBe(20);
    expect(await m.run(linesOf(again))).toEqual(["20 k0=new"]);
  });

  test("a record without a key is refused", async () => {
    const { log } = await opened();
    expect(append(log, ["no key"])).toMatchObject({ ok: false, error: "INVALID_RECORD" });
  });

  test("a closing log waits for it to end, and keeps its records", async () => {
    const { m, log } = await opened();
    for (let index = 0; index < 30; index++)
      await m.run(put(log, [{ key: `k${index % 2}`, value: `${index}` }]));
    await m.run(seal(log));
    const compacting = compact(log).catch((error: unknown) => error);
    await m.run(log.close());
    await m.run(compacting);
    const again = await m.open(COMPACTED, { exists: true, clean: true });
    expect((await m.run(linesOf(again))).slice(-2)).toEqual(["28 k0=28", "29 k1=29"]);
  });
});

describe("a tombstone", () => {
  test("deletes its key at once, and goes itself when delete.retention.ms have passed since", async () => {
    const { m, log } = await opened();
    await m.run(put(log, [{ key: "a", value: "1" }]));
    await m.run(put(log, [{ key: "b", value: "1" }]));
    await m.run(put(log, [{ key: "a", value: null }]));
    await m.run(seal(log));
    let firstDirtyOffset = (await m.run(compact(log, { nowMs: 50_000 })))?.firstDirtyOffset;
    expect(await m.run(linesOf(log))).toEqual(["1 b=1", "2 a=null"]);
    for (const [nowMs, expected] of [
      [50_999, ["1 b=1", "2 a=null"]],
      [51_000, ["1 b=1"]],
    ] as const) {
      await m.run(seal(log));
      firstDirtyOffset = (await m.run(compact(log, { nowMs, firstDirtyOffset })))?.firstDirtyOffset;
      expect(await m.run(linesOf(log))).toEqual(expected);
    }
    const again = await reopened(m, log);
    expect(await m.run(linesOf(again))).toEqual(["1 b=1"]);
  });

  test("that was followed by a value takes nothing with it", async () => {
    const { m, log } = await opened();
    for (const value of ["1", null, "2"]) await m.run(put(log, [{ key: "a", value }]));
    await m.run(seal(log));
    await m.run(compact(log));
    expect(await m.run(linesOf(log))).toEqual(["2 a=2"]);
  });
});

describe("beside compaction", () => {
  test("reads from every offset, searches and appends never fail, and see each key's last value", async () => {
    await fc.assert(
      fc.asyncProperty(fc.integer({ min: 1, max: 1_000_000 }), async (seed) => {
        const m = new SimMachine({ latency: { minMs: 0, maxMs: 3 } }, { tailBytes: 1 }, seed);
        await m.prepare();
        const log = await m.open(COMPACTED);
        for (let index = 0; index < 60; index++)
          await m.run(put(log, [{ key: `k${index % 5}`, value: `${index}`, timestamp: 1000 + index }]));
        await m.run(seal(log));
        const expected = [55, 56, 57, 58, 59].map((index) => `${index} k${index % 5}=${index}`);
        let isDone = false;
        const compacting = compact(log).finally(() => {
          isDone = true;
        });
        let reads = 0;
        const reading = async (): Promise<void> => {
          while (!isDone) {
            const found = await linesOf(log);
            expect(found.slice(-5)).toEqual(expected);
            expect(await log.offsetForTimestamp(time(1059))).toMatchObject({ offset: 59 });
            await log.abortedTransactions(at(0), at(60));
            reads++;
          }
        };
        const writing = async (): Promise<void> => {
          while (!isDone) await put(log, [{ key: "filler", value: "y".repeat(100) }]);
        };
        await m.run(Promise.all([compacting, reading(), reading(), writing()]));
        expect(await compacting).toMatchObject({ outcome: "done" });
        expect(reads).toBeGreaterThan(0);
        expect(await m.run(linesOf(log))).toEqual(expected);
        expect(log.damage).toBeUndefined();
        await m.run(log.close());
      }),
      { numRuns: 25 },
    );
  });

  test("retention, truncation and the scrub leave a whole log", async () => {
    for (let seed = 1; seed <= 20; seed++) {
      const m = new SimMachine({ latency: { minMs: 0, maxMs: 3 } }, { tailBytes: 1 }, seed);
      await m.prepare();
      const log = await m.open({ ...COMPACTED, isDeleting: true, retentionMs: 1000 });
      for (let index = 0; index < 60; index++)
        await m.run(
          put(log, [{ key: `k${index % 5}`, value: `${index}`, timestamp: index < 20 ? 1 : 5000 }]),
        );
      await m.run(seal(log));
      const work = [
        compact(log),
        log.applyRetention(3000),
        log.scrub(),
        m.clock.sleep(seed).then(() => log.truncateTo(at(58))),
        m.clock.sleep(seed * 2).then(() => log.applyRetention(3001)),
        m.clock.sleep(seed * 3).then(() => compact(log)),
      ];
      await m.run(Promise.all(work));
      expect(log.damage, `seed ${seed}`).toBeUndefined();
      expect(log.state).toBe("open");
      const left = await m.run(linesOf(log));
      for (const index of [55, 56, 57])
        expect(left, `seed ${seed}`).toContain(`${index} k${index % 5}=${index}`);
      await m.run(log.close());
      expect((await m.run(verifyPartition(m.disk, DIRECTORY))).findings, `seed ${seed}`).toEqual([]);
    }
  });
});

describe("damage", () => {
  test("that compaction meets is noted, and no record is removed", async () => {
    const { m, log } = await opened({}, { tailBytes: 1 });
    for (let index = 0; index < 40; index++)
      await m.run(put(log, [{ key: `k${index % 3}`, value: `${index}` }]));
    await m.run(seal(log));
    const names = (await namesIn(m)).filter((name) => name.endsWith(".log"));
    const victim = `${DIRECTORY}/${names[3] ?? ""}`;
    const first = await m.run(m.disk.open(victim, "read"));
    const header = Buffer.alloc(61);
    await m.run(first.read(header, 0));
    m.disk.flipBit(victim, (batchSizeOf(header) + 70) * 8);
    const sizes = m.disk.snapshotFiles();
    expect(await m.run(compact(log))).toMatchObject({ outcome: "damaged" });
    expect(log.damage?.message).toContain(victim);
    expect(await m.run(compact(log))).toBeUndefined();
    for (const name of names)
      expect(m.disk.snapshotFiles().get(`${DIRECTORY}/${name}`)).toEqual(sizes.get(`${DIRECTORY}/${name}`));
    expect((await namesIn(m)).filter((name) => /cleaned|swap/.test(name))).toEqual([]);
  });

  test("of the disk, before anything was replaced, leaves the log as it was; it is compacted later", async () => {
    const { m, log } = await opened();
    for (let index = 0; index < 30; index++)
      await m.run(put(log, [{ key: `k${index % 3}`, value: `${index}` }]));
    await m.run(seal(log));
    const before = await m.run(linesOf(log));
    m.disk.faults.arm({ kind: "error", operations: ["write"], errno: "ENOSPC" });
    await expect(m.run(compact(log))).rejects.toMatchObject({ code: "DISK_FULL" });
    expect(log.state).toBe("open");
    expect(await m.run(linesOf(log))).toEqual(before);
    expect((await namesIn(m)).filter((name) => /cleaned|swap/.test(name))).toEqual([]);
    expect(await m.run(compact(log))).toMatchObject({ outcome: "done" });
    expect(await m.run(linesOf(log))).toHaveLength(3);
  });

  test("of a copy that is half in place is told at the opening, and nothing is touched", async () => {
    const { m, log } = await opened();
    for (let index = 0; index < 10; index++) await m.run(put(log, [{ key: "k", value: `${index}` }]));
    await m.run(log.close());
    const path = `${DIRECTORY}/00000000000000000000.log.swap`;
    const file = await m.run(m.disk.open(path, "create"));
    await m.run(file.write([Buffer.alloc(100, 1)], 0));
    const names = await namesIn(m);
    await expect(m.open(COMPACTED, { exists: true })).rejects.toMatchObject({ code: "METADATA_CORRUPT" });
    expect(await namesIn(m)).toEqual(names);
  });
});
