import { describe, expect, test } from "vitest";
import { ClockGuard, countExpired } from "../../src/log/retention.ts";
import type { SegmentAge } from "../../src/log/retention.ts";
import { SeededRandom } from "../../src/platform/random.ts";
import { randomCrash } from "../../src/sim/crash-policy.ts";
import { accepted, append, at, DIRECTORY, machineOn, openLog, readAll, SimMachine, time } from "./engine.ts";

const segment = (endOffset: number, maxTimestamp: number, sizeBytes = 100): SegmentAge => ({
  endOffset: at(endOffset),
  maxTimestamp: time(maxTimestamp),
  sizeBytes,
  createdMs: 5000,
});
const rules = {
  logStartOffset: at(0),
  endOffset: at(1000),
  nowMs: 10_000,
  retentionMs: Number.POSITIVE_INFINITY,
  retentionBytes: Number.POSITIVE_INFINITY,
  sizeBytes: 400,
};

describe("which segments go", () => {
  test("by age: the greatest timestamp decides, and the first that stays keeps the rest", () => {
    const sealed = [segment(10, 1000), segment(20, 9000), segment(30, 1000)];
    expect(countExpired(sealed, { ...rules, retentionMs: 5000 })).toBe(1);
    expect(countExpired(sealed, { ...rules, retentionMs: 500 })).toBe(3);
    expect(countExpired(sealed, rules)).toBe(0);
  });

  test("by age without timestamps: the age of the file", () => {
    expect(countExpired([segment(10, -1)], { ...rules, retentionMs: 4999 })).toBe(1);
    expect(countExpired([segment(10, -1)], { ...rules, retentionMs: 5001 })).toBe(0);
  });

  test("by size: as long as what is left still has retention.bytes", () => {
    const sealed = [segment(10, 1), segment(20, 1), segment(30, 1)];
    expect(countExpired(sealed, { ...rules, retentionBytes: 250 })).toBe(1);
    expect(countExpired(sealed, { ...rules, retentionBytes: 200 })).toBe(2);
    expect(countExpired(sealed, { ...rules, retentionBytes: 401 })).toBe(0);
  });

  test("below the log start, but never at or behind the high watermark", () => {
    const sealed = [segment(10, 1), segment(20, 1), segment(30, 1)];
    expect(countExpired(sealed, { ...rules, logStartOffset: at(20) })).toBe(2);
    expect(countExpired(sealed, { ...rules, logStartOffset: at(20), endOffset: at(15) })).toBe(1);
    expect(countExpired(sealed, { ...rules, retentionBytes: 0, endOffset: at(29) })).toBe(2);
  });
});

describe("the clock guard", () => {
  test("does not trust a clock that jumped, until it has been steady for a while (H51)", () => {
    const guard = new ClockGuard({ maxJumpMs: 1000, settleMs: 5000 });
    expect(guard.check(100_000, 0).isTrusted).toBe(true);
    expect(guard.check(101_500, 1000)).toEqual({ isTrusted: true, jumpMs: 500 });
    expect(guard.check(1_102_500, 2000)).toEqual({ isTrusted: false, jumpMs: 1_000_000 });
    expect(guard.check(1_104_500, 4000).isTrusted).toBe(false);
    expect(guard.check(105_500, 5000).isTrusted).toBe(false);
    expect(guard.check(110_500, 10_000).isTrusted).toBe(true);
  });
});

describe("retention of a log", () => {
  async function filled(
    config: object,
    failAfterOperations = Number.POSITIVE_INFINITY,
  ): Promise<{ m: SimMachine; log: Awaited<ReturnType<SimMachine["open"]>> }> {
    const m = new SimMachine({ failAfterOperations });
    await m.prepare();
    const log = await m.open({ segmentBytes: 400, ...config });
    for (let i = 0; i < 20; i++) {
      await m.run(accepted(append(log, [`${i}`], 0, m.clock.wallMs())).done);
      await m.scheduler.advance(1000);
    }
    return { m, log };
  }

  test("by age makes the log start durable, renames, and leaves removal to later", async () => {
    const { m, log } = await filled({ retentionMs: 10_500 });
    const removed = await m.run(log.applyRetention(m.clock.wallMs()));
    expect(removed).toBe(2);
    expect([log.logStartOffset, m.host.logStarts.get("t-0")]).toEqual([10, 10]);
    expect(m.host.removals).toHaveLength(1);
    expect(m.host.removals[0]?.delayMs).toBe(60_000);
    const names = (await m.run(m.disk.list(DIRECTORY))).map(({ name }) => name);
    expect(names).toContain("00000000000000000000.log.deleted");
    expect(names).not.toContain("00000000000000000000.log");
    expect((await m.run(readAll(log))).map(({ value }) => value)).toEqual(
      Array.from({ length: 10 }, (_, i) => `${i + 10}`),
    );
    expect(await m.run(log.applyRetention(m.clock.wallMs()))).toBe(0);
  });

  test("by size keeps at least retention.bytes", async () => {
    const { m, log } = await filled({ retentionBytes: 700, retentionMs: Number.POSITIVE_INFINITY });
    await m.run(log.applyRetention(m.clock.wallMs()));
    expect(log.sizeBytes).toBeGreaterThanOrEqual(700);
    expect(log.sizeBytes).toBeLessThan(1100);
  });

  test("never takes the active segment by age unless segment.ms closed it first", async () => {
    const { m, log } = await filled({ retentionMs: 1000, segmentBytes: 100_000, segmentMs: 3_600_000 });
    await m.scheduler.advance(100_000);
    expect(await m.run(log.applyRetention(m.clock.wallMs()))).toBe(0);
    await m.scheduler.advance(3_600_000);
    expect(await m.run(log.applyRetention(m.clock.wallMs()))).toBe(1);
    expect([log.logStartOffset, log.logEndOffset, log.sizeBytes]).toEqual([20, 20, 0]);
    const next = accepted(append(log, ["next"]));
    expect(next.baseOffset).toBe(20);
    await m.run(next.done);
    await m.run(log.close());
    const again = await m.open({}, { exists: true, logStartOffset: at(20), clean: true });
    expect(await m.run(readAll(again))).toEqual([{ offset: 20, value: "next" }]);
  });

  test("knows the age of a segment that was closed after a restart without another append", async () => {
    const m = new SimMachine();
    await m.prepare();
    const config = { segmentMs: 10_000, retentionMs: 50_000 };
    let log = await m.open(config);
    for (let i = 0; i < 5; i++) await m.run(accepted(append(log, [`${i}`], 0, m.clock.wallMs() + i)).done);
    const newest = await m.run(log.offsetOfMaxTimestamp());
    await m.run(log.close());
    await m.scheduler.advance(11_000);
    log = await m.open(config, { exists: true, clean: true });
    expect(await m.run(log.applyRetention(m.clock.wallMs()))).toBe(0);
    expect(log.segmentCount).toBe(2);
    await m.run(log.close());
    log = await m.open(config, { exists: true, clean: true });
    expect(await m.run(log.offsetOfMaxTimestamp())).toEqual(newest);
    expect(await m.run(log.applyRetention(m.clock.wallMs()))).toBe(0);
    await m.scheduler.advance(50_000);
    expect(await m.run(log.applyRetention(m.clock.wallMs()))).toBe(1);
  });

  test("by age is left out while the clock is in doubt; the log start still counts", async () => {
    const { m, log } = await filled({ retentionMs: 1 });
    expect(await m.run(log.applyRetention(m.clock.wallMs(), { isClockTrusted: false }))).toBe(0);
    await m.run(log.advanceLogStart(at(12)));
    expect(await m.run(log.applyRetention(m.clock.wallMs(), { isClockTrusted: false }))).toBe(2);
    expect(log.logStartOffset).toBe(12);
  });

  test("goes no further than the end it is given", async () => {
    const { m, log } = await filled({ retentionMs: 1 });
    expect(await m.run(log.applyRetention(m.clock.wallMs(), { endOffset: at(7) }))).toBe(1);
    expect(log.logStartOffset).toBe(5);
  });

  test("lets a read that began before it end with the right records or say out of range", async () => {
    const m = new SimMachine({ latency: { minMs: 1, maxMs: 4 } }, { tailBytes: 0 });
    await m.prepare();
    const log = await m.open({ segmentBytes: 400, retentionBytes: 0 });
    for (let i = 0; i < 20; i++) await m.run(accepted(append(log, [`${i}`])).done);
    const reading = Promise.resolve(log.read(at(2), 1000));
    const trimming = log.applyRetention(m.clock.wallMs());
    const result = await m.run(reading);
    await m.run(trimming);
    if (result.ok) expect(result.firstOffset).toBe(2);
    else expect(result.error).toBe("OFFSET_OUT_OF_RANGE");
  });

  test("survives a crash at any of its operations: the log is whole from its durable start on", async () => {
    const { m: clean } = await filled({ retentionBytes: 500 });
    const before = clean.disk.mutationCount;
    let completed = 0;
    for (let extra = 0; completed === 0; extra++) {
      const { m, log } = await filled({ retentionBytes: 500 }, before + extra);
      await m.run(log.applyRetention(m.clock.wallMs())).then(
        () => completed++,
        () => undefined,
      );
      const start = at(m.host.logStarts.get("t-0") ?? 0);
      for (let seed = 0; seed < 5; seed++) {
        const image = m.disk.imageAfter(randomCrash(new SeededRandom(seed)));
        const again = await m.run(
          openLog(machineOn(image, m.clock), { segmentBytes: 400 }, { exists: true, logStartOffset: start }),
        );
        expect(again.state, `after ${extra} operations`).toBe("open");
        const found = await m.run(readAll(again));
        expect(found.map(({ value }) => value)).toEqual(
          Array.from({ length: 20 - again.logStartOffset }, (_, i) => `${i + again.logStartOffset}`),
        );
        expect(again.logStartOffset).toBe(start);
      }
      expect(extra).toBeLessThan(100);
    }
  });
});
