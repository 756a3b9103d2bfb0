import { describe, expect, test } from "vitest";
import { silentLogger } from "../../src/base/logger.ts";
import type { LogFields, Logger } from "../../src/base/logger.ts";
import { DEFAULT_LOG_CONFIG } from "../../src/log/log-config.ts";
import type { LogConfig } from "../../src/log/log-config.ts";
import { LogManager } from "../../src/log/log-manager.ts";
import type { LogManagerDeps, LogManagerOptions } from "../../src/log/log-manager-options.ts";
import type { PartitionLog } from "../../src/log/partition-log.ts";
import { FILE_BYTES } from "../../src/log/scrub-pass.ts";
import { SeededRandom } from "../../src/platform/random.ts";
import { keepAll } from "../../src/sim/crash-policy.ts";
import { SimDisk } from "../../src/sim/sim-disk.ts";
import { accepted, append, at, SimMachine, TOPIC_ID } from "./engine.ts";

const CONFIG: LogConfig = {
  ...DEFAULT_LOG_CONFIG,
  segmentBytes: 1000,
  segmentMs: Number.POSITIVE_INFINITY,
  timestampAfterMaxMs: Number.POSITIVE_INFINITY,
  retentionMs: Number.POSITIVE_INFINITY,
};
const DAY = 86_400_000;
const tp = (partition: number) => ({ topic: "t", partition });
const segment = (partition: number, base = 0): string =>
  `/var/data/t-${partition}/${String(base).padStart(20, "0")}.log`;

/** A logger that keeps what is said at info and above. */
function listener(): { logger: Logger; lines: { message: string; fields: LogFields | undefined }[] } {
  const lines: { message: string; fields: LogFields | undefined }[] = [];
  const note = (message: string, fields?: LogFields): void => void lines.push({ message, fields });
  return { logger: { ...silentLogger, info: note, warn: note, error: note }, lines };
}

async function start(
  m: SimMachine,
  options: Partial<LogManagerOptions> = {},
  deps: Partial<LogManagerDeps> = {},
): Promise<LogManager> {
  return m.run(
    LogManager.open(
      { dataDirectory: "/var/data", nodeId: 1, defaultConfig: CONFIG, tailCacheBytes: 0, ...options },
      {
        clock: m.clock,
        disk: m.disk,
        random: new SeededRandom(5),
        logger: silentLogger,
        configOf: () => CONFIG,
        ...deps,
      },
    ),
  );
}

async function fill(
  m: SimMachine,
  manager: LogManager,
  partition: number,
  count = 30,
): Promise<PartitionLog> {
  const log = await m.run(manager.open(tp(partition), TOPIC_ID, () => CONFIG));
  for (let i = 0; i < count; i++) await m.run(accepted(append(log, [`${i}-${"x".repeat(100)}`])).done);
  return log;
}

const scrub = (m: SimMachine, manager: LogManager, limitMs = DAY): ReturnType<LogManager["scrub"]> =>
  m.run(manager.scrub(), limitMs);

describe("a pass", () => {
  test("reads every segment of open and closed logs and finds nothing in whole ones", async () => {
    const m = new SimMachine();
    const first = await start(m);
    const sizes = [(await fill(m, first, 0)).sizeBytes, (await fill(m, first, 1)).sizeBytes];
    await m.run(first.open(tp(2), TOPIC_ID, () => CONFIG));
    await m.run(first.close());
    const { logger, lines } = listener();
    const manager = await start(m, {}, { logger });
    const open = await m.run(manager.open(tp(0), TOPIC_ID, () => CONFIG));
    expect(open.segmentCount).toBeGreaterThan(3);
    const report = await scrub(m, manager);
    expect(report).toEqual({
      segments: open.segmentCount * 2,
      sizeBytes: (sizes[0] ?? 0) + (sizes[1] ?? 0),
      damagedLogs: 0,
      failedLogs: 0,
    });
    expect(manager.get(tp(1))).toBeUndefined();
    expect(lines.filter(({ message }) => message.includes("scrub"))).toEqual([
      {
        message: "all segments were scrubbed",
        fields: { ...report, elapsedMs: expect.any(Number) as number },
      },
    ]);
    await m.run(manager.close());
  });

  test("finds one flipped bit in any segment of an open and of a closed log, which is then open", async () => {
    const m = new SimMachine();
    const first = await start(m);
    await fill(m, first, 0);
    await fill(m, first, 1);
    await m.run(first.close());
    const image = m.disk;
    const bases = (await m.run(image.list("/var/data/t-0")))
      .filter(({ name }) => name.endsWith(".log"))
      .map(({ name }) => Number.parseInt(name, 10));
    expect(bases.length).toBeGreaterThan(3);
    for (const partition of [0, 1]) {
      for (const base of bases) {
        m.restartOn(image.imageAfter(keepAll));
        const manager = await start(m);
        await m.run(manager.open(tp(0), TOPIC_ID, () => CONFIG));
        m.disk.flipBit(segment(partition, base), 100 * 8);
        expect(await scrub(m, manager)).toMatchObject({ damagedLogs: 1, failedLogs: 0 });
        expect(manager.get(tp(partition))?.damage?.offset).toBe(base);
        await m.run(manager.close());
      }
    }
  });

  test("finds a flipped bit in the leader epoch of a batch, which no checksum covers", async () => {
    const m = new SimMachine();
    const first = await start(m);
    await fill(m, first, 0);
    await m.run(first.close());
    const image = m.disk;
    // Of the first batch of the log, with none before it: neither of a lower nor of a higher epoch.
    for (let bit = 0; bit < 32; bit++) {
      m.restartOn(image.imageAfter(keepAll));
      const manager = await start(m);
      await m.run(manager.open(tp(0), TOPIC_ID, () => CONFIG));
      m.disk.flipBit(segment(0, 0), 12 * 8 + bit);
      expect(await scrub(m, manager), `bit ${bit}`).toMatchObject({ damagedLogs: 1, failedLogs: 0 });
      expect(manager.get(tp(0))?.damage?.offset).toBe(0);
      await m.run(manager.close());
    }
  });

  test("names a damaged log that no topic owns, and leaves it alone (H28)", async () => {
    const m = new SimMachine();
    const first = await start(m);
    await fill(m, first, 0);
    await m.run(first.close());
    const { logger, lines } = listener();
    const manager = await start(m, {}, { logger, configOf: () => undefined });
    m.disk.flipBit(segment(0), 100 * 8);
    expect(await scrub(m, manager)).toMatchObject({ damagedLogs: 1 });
    expect(manager.get(tp(0))).toBeUndefined();
    expect(lines.find(({ message }) => message.includes("no topic owns"))?.fields).toEqual({
      directory: "/var/data/t-0",
    });
    await m.run(manager.close());
  });

  test("goes on past a log that cannot be read, and counts it", async () => {
    const m = new SimMachine();
    const manager = await start(m);
    await fill(m, manager, 0);
    const other = await fill(m, manager, 1);
    m.disk.faults.arm({
      kind: "error",
      operations: ["read"],
      errno: "EIO",
      path: (path) => path === segment(0),
    });
    const report = await scrub(m, manager);
    expect(report).toMatchObject({ failedLogs: 1, damagedLogs: 0, segments: other.segmentCount });
    await m.run(manager.close());
  });

  test("reads no faster than it may", async () => {
    for (const scrubBytesPerSecond of [4096, 20_000, 1_000_000]) {
      const m = new SimMachine();
      const manager = await start(m, { scrubBytesPerSecond });
      const log = await fill(m, manager, 0, 300);
      const begun = m.clock.monotonicMs();
      const report = await scrub(m, manager);
      const seconds = (m.clock.monotonicMs() - begun) / 1000;
      expect(report.sizeBytes).toBe(log.sizeBytes);
      // The last read need not be paid for any more.
      const atLeast = (report.sizeBytes - 1000) / scrubBytesPerSecond;
      expect(seconds).toBeGreaterThan(atLeast - 0.011);
      expect(seconds).toBeLessThan(atLeast * 1.5 + 1);
      await m.run(manager.close());
    }
  });

  test("counts a little file of a closed log as a page, so that thousands are not read at once", async () => {
    const m = new SimMachine();
    const first = await start(m);
    for (let partition = 0; partition < 20; partition++) await fill(m, first, partition, 1);
    await m.run(first.close());
    const manager = await start(m, { scrubBytesPerSecond: FILE_BYTES });
    const begun = m.clock.monotonicMs();
    expect(await scrub(m, manager)).toMatchObject({ segments: 20 });
    expect(m.clock.monotonicMs() - begun).toBeGreaterThan(19_000);
    await m.run(manager.close());
  });

  test("beside appends, truncation, retention and deletion finds no damage", async () => {
    const m = new SimMachine();
    const latency = { minMs: 0, maxMs: 3 };
    m.restartOn(new SimDisk({ latency }, { clock: m.clock, random: new SeededRandom(7) }));
    const { logger, lines } = listener();
    const manager = await start(m, { scrubBytesPerSecond: 200_000, scrubIntervalMs: 0 }, { logger });
    const logs = [await fill(m, manager, 0), await fill(m, manager, 1), await fill(m, manager, 2)];
    const random = new SeededRandom(9);
    const pick = (below: number): number => (random.bytes(1)[0] ?? 0) % below;
    let isOver = false;
    let cuts = 0;
    const disturb = async (log: PartitionLog): Promise<void> => {
      while (!isOver) {
        const length = log.logEndOffset - log.logStartOffset;
        const choice = pick(4);
        if (choice === 0 && length > 4) {
          cuts++;
          await log.truncateTo(at(log.logEndOffset - 1 - pick(Math.min(length, 12))));
        } else if (choice === 1 && length > 10) {
          await log.advanceLogStart(at(log.logStartOffset + pick(8)));
          await log.applyRetention(m.clock.wallMs());
        } else {
          for (let i = 0; i < 6; i++) {
            const result = append(log, [`${i}-${"y".repeat(80 + pick(60))}`]);
            if (result.ok) await result.done;
          }
        }
        await m.clock.sleep(pick(5));
      }
    };
    const work = Promise.all(logs.map(disturb));
    for (let pass = 0; pass < 25; pass++) {
      expect(await scrub(m, manager)).toMatchObject({ damagedLogs: 0, failedLogs: 0 });
    }
    isOver = true;
    await m.run(work);
    expect(cuts).toBeGreaterThan(50);
    const deleting = manager.scrub();
    await m.run(manager.delete(tp(0), TOPIC_ID));
    expect(await m.run(deleting, DAY)).toMatchObject({ damagedLogs: 0 });
    for (const log of logs) expect(log.damage).toBeUndefined();
    expect(lines.filter(({ message }) => message.includes("damaged"))).toEqual([]);
    await m.run(manager.close());
  });
});

describe("the schedule", () => {
  /** Retention, compaction and checkpoints sleep while the scrub is watched. */
  const QUIET = {
    checkpointIntervalMs: 1000 * DAY,
    retentionIntervalMs: 1000 * DAY,
    compactionIntervalMs: 1000 * DAY,
  };
  const passes = (lines: readonly { message: string }[]): number =>
    lines.filter(({ message }) => message === "all segments were scrubbed").length;

  test("off, which is 0, costs no timer", async () => {
    const m = new SimMachine();
    const before = m.scheduler.pendingCount;
    const manager = await start(m, { ...QUIET, scrubIntervalMs: 0 });
    expect(m.scheduler.pendingCount).toBe(before + 3);
    await m.run(manager.close());
  });

  test("begins ten minutes after the start, and again each interval from there, with one timer", async () => {
    const m = new SimMachine();
    const { logger, lines } = listener();
    const manager = await start(m, { ...QUIET, scrubIntervalMs: DAY }, { logger });
    await fill(m, manager, 0);
    await m.scheduler.advance(590_000);
    expect(passes(lines)).toBe(0);
    await m.scheduler.advance(20_000);
    expect([passes(lines), m.scheduler.pendingCount]).toEqual([1, 4]);
    await m.scheduler.advance(DAY - 20_000);
    expect(passes(lines)).toBe(1);
    await m.scheduler.advance(20_000);
    expect(passes(lines)).toBe(2);
    await m.run(manager.close());
    expect(m.scheduler.pendingCount).toBe(0);
  });

  test("with an interval below ten minutes begins after that", async () => {
    const m = new SimMachine();
    const { logger, lines } = listener();
    const manager = await start(m, { ...QUIET, scrubIntervalMs: 1000 }, { logger });
    await m.scheduler.advance(1500);
    expect(passes(lines)).toBe(1);
    await m.run(manager.close());
  });

  test("follows a pass that is longer than the interval with the next at once, and says so", async () => {
    const m = new SimMachine();
    const { logger, lines } = listener();
    const options = { ...QUIET, scrubIntervalMs: 500, scrubBytesPerSecond: 4096 };
    const manager = await start(m, options, { logger });
    await fill(m, manager, 0, 60);
    await m.scheduler.advance(20_000);
    const warned = lines.filter(({ message }) => message.includes("log.scrub.bytes.per.second"));
    expect(passes(lines)).toBeGreaterThan(3);
    expect(Math.abs(warned.length - passes(lines))).toBeLessThanOrEqual(1);
    await m.run(manager.close());
  });

  test("ends at once when the manager is closed during a pass, which is no failure", async () => {
    const m = new SimMachine();
    const { logger, lines } = listener();
    const options = { ...QUIET, scrubIntervalMs: DAY, scrubBytesPerSecond: 4096 };
    const manager = await start(m, options, { logger });
    await fill(m, manager, 0, 300);
    await m.scheduler.advance(601_000);
    const asked = manager.scrub();
    asked.catch(() => undefined);
    const begun = m.clock.monotonicMs();
    await m.run(manager.close());
    expect(m.clock.monotonicMs() - begun).toBeLessThan(10);
    await expect(asked).rejects.toMatchObject({ code: "CLOSED" });
    expect(lines.filter(({ message }) => /scrub/.test(message))).toEqual([]);
    expect(m.scheduler.pendingCount).toBe(0);
    await expect(m.run(manager.scrub())).rejects.toMatchObject({ code: "CLOSED" });
  });
});
