import { describe, expect, test } from "vitest";
import { silentLogger } from "../../src/base/logger.ts";
import type { Logger } from "../../src/base/logger.ts";
import { DEFAULT_LOG_CONFIG } from "../../src/log/log-config.ts";
import type { LogConfig } from "../../src/log/log-config.ts";
import { LogManager } from "../../src/log/log-manager.ts";
import type { LogManagerDeps, LogManagerOptions } from "../../src/log/log-manager-options.ts";
import type { PartitionLog } from "../../src/log/partition-log.ts";
import { SeededRandom } from "../../src/platform/random.ts";
import { COMPACTED, linesOf, put, seal } from "./compaction.ts";
import { at, SimMachine, TOPIC_ID } from "./engine.ts";

const DATA_DIRECTORY = "/var/data";
const CONFIG: LogConfig = {
  ...DEFAULT_LOG_CONFIG,
  timestampAfterMaxMs: Number.POSITIVE_INFINITY,
  unsavedSegmentBytes: 0,
  ...COMPACTED,
};
/** The default of a broker, which holds for every topic until the metadata is read. */
const DELETING: LogConfig = { ...CONFIG, isCompacting: false, isDeleting: true };
const tp = (partition: number) => ({ topic: "t", partition });
const HOUR = 3_600_000;

function start(
  m: SimMachine,
  options: Partial<LogManagerOptions> = {},
  deps: Partial<LogManagerDeps> = {},
): Promise<LogManager> {
  return m.run(
    LogManager.open(
      { dataDirectory: DATA_DIRECTORY, nodeId: 1, defaultConfig: DELETING, ...options },
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

/** A log with `count` records over three keys, all but the filler compactable. */
async function fill(m: SimMachine, manager: LogManager, partition = 0, count = 30): Promise<PartitionLog> {
  const log = await m.run(manager.open(tp(partition), TOPIC_ID, () => CONFIG));
  for (let index = 0; index < count; index++)
    await m.run(put(log, [{ key: `k${index % 3}`, value: `${index}` }]));
  await m.run(seal(log));
  return log;
}

async function textOf(m: SimMachine, name: string): Promise<string> {
  const file = await m.run(m.disk.open(`${DATA_DIRECTORY}/${name}`, "read"));
  const bytes = Buffer.alloc(await m.run(file.sizeBytes()));
  await m.run(file.read(bytes, 0));
  return bytes.toString();
}

const LAST_OF_30 = ["27 k0=27", "28 k1=28", "29 k2=29"];

describe("the pass", () => {
  test("compacts by itself, and notes in Kafka's form how far it came", async () => {
    const m = new SimMachine();
    const manager = await start(m, { compactionIntervalMs: 15_000 });
    const log = await fill(m, manager);
    await m.scheduler.advance(16_000);
    expect(await m.run(linesOf(log))).toEqual(LAST_OF_30);
    expect(await textOf(m, "cleaner-offset-checkpoint")).toBe(`0\n1\nt 0 ${log.logEndOffset - 1}\n`);
    await m.run(manager.close());
    expect(m.scheduler.pendingCount).toBe(0);
  });

  test("leaves logs alone that are too clean, unless a record has waited for too long", async () => {
    const m = new SimMachine();
    let config: LogConfig = { ...CONFIG, minCleanableDirtyRatio: 0.5, maxCompactionLagMs: HOUR };
    const manager = await start(m, {}, { configOf: () => config });
    const log = await m.run(manager.open(tp(0), TOPIC_ID, () => config));
    const nowMs = m.clock.wallMs();
    const write = (keys: number, base: number) =>
      m.run(
        (async () => {
          for (let index = 0; index < keys; index++)
            await put(log, [{ key: `k${base + index}`, value: "v".repeat(40), timestamp: nowMs }]);
          await seal(log, { timestamp: nowMs });
        })(),
      );
    await write(40, 0);
    expect(await m.run(manager.compact())).toMatchObject({ compactedLogs: 1 });
    await write(10, 0);
    expect(await m.run(manager.compact())).toMatchObject({ compactedLogs: 0, failedLogs: 0 });
    config = { ...config, minCleanableDirtyRatio: 0.1 };
    expect(await m.run(manager.compact())).toMatchObject({ compactedLogs: 1 });
    config = { ...config, minCleanableDirtyRatio: 1 };
    await write(4, 0);
    expect(await m.run(manager.compact())).toMatchObject({ compactedLogs: 0 });
    m.clock.sleep(HOUR + 1).catch(() => undefined);
    await m.scheduler.advance(HOUR + 1);
    await m.run(manager.compact());
    expect((await m.run(linesOf(log))).filter((line) => line.includes(" k0="))).toHaveLength(1);
    await m.run(manager.close());
  });

  test("takes nothing in place of which only uncommitted records would be left", async () => {
    const m = new SimMachine();
    let highWatermark: number | undefined;
    const highWatermarkOf = () => (highWatermark === undefined ? undefined : at(highWatermark));
    const manager = await start(m, {}, { highWatermarkOf });
    const log = await fill(m, manager);
    expect(await m.run(manager.compact())).toMatchObject({ compactedLogs: 0 });
    highWatermark = 1;
    expect(await m.run(manager.compact())).toMatchObject({ compactedLogs: 0 });
    highWatermark = 29;
    expect(await m.run(manager.compact())).toMatchObject({ compactedLogs: 1 });
    const left = await m.run(linesOf(log));
    expect(left.slice(-3)).toEqual(LAST_OF_30);
    expect(left.length).toBeGreaterThan(3);
    await m.run(manager.close());
  });

  test("opens what nobody asked for, if its topic is compacted", async () => {
    const m = new SimMachine();
    const first = await start(m, { compactionIntervalMs: 100 * HOUR });
    await fill(m, first, 0);
    await fill(m, first, 1);
    await m.run(first.close());
    const manager = await start(m);
    expect(manager.list().filter(({ isOpen }) => isOpen)).toEqual([]);
    expect(await m.run(manager.compact())).toMatchObject({ compactedLogs: 2 });
    await m.run(manager.close());
    const unknown = await start(m, {}, { configOf: () => undefined });
    expect(await m.run(unknown.compact())).toMatchObject({ compactedLogs: 0 });
    expect(unknown.list().filter(({ isOpen }) => isOpen)).toEqual([]);
    await m.run(unknown.close());
  });

  test("goes no faster than it may, and ends at once when the directory is closed", async () => {
    const m = new SimMachine();
    const manager = await start(m, { compactionBytesPerSecond: 500, compactionIntervalMs: 100 * HOUR });
    const log = await fill(m, manager);
    const startMs = m.clock.monotonicMs();
    expect(await m.run(manager.compact())).toMatchObject({ compactedLogs: 1 });
    const elapsedMs = m.clock.monotonicMs() - startMs;
    expect(elapsedMs).toBeGreaterThan(4000);
    expect(elapsedMs).toBeLessThan(60_000);
    for (let index = 0; index < 40; index++) await m.run(put(log, [{ key: "k0", value: `${index}` }]));
    await m.run(seal(log));
    const running = manager.compact().catch((error: unknown) => error);
    await m.scheduler.advance(100);
    const closingMs = m.clock.monotonicMs();
    await m.run(manager.close());
    expect(m.clock.monotonicMs() - closingMs).toBeLessThan(100);
    expect(await m.run(running)).toMatchObject({ code: "CLOSED" });
    await expect(m.run(manager.compact())).rejects.toMatchObject({ code: "CLOSED" });
  });

  test("does nothing while the wall clock is in doubt: a jump ahead would take tombstones too early (H51)", async () => {
    const m = new SimMachine();
    const warnings: string[] = [];
    const logger: Logger = { ...silentLogger, warn: (message) => void warnings.push(message) };
    const manager = await start(
      m,
      { compactionIntervalMs: 100 * HOUR, retentionIntervalMs: HOUR },
      { logger },
    );
    await fill(m, manager);
    m.clock.jumpWall(5 * HOUR);
    expect(await m.run(manager.compact())).toMatchObject({ compactedLogs: 0 });
    expect(warnings).toEqual(["the wall clock jumped; nothing is compacted for now"]);
    await m.scheduler.advance(2 * HOUR);
    expect(await m.run(manager.compact())).toMatchObject({ compactedLogs: 1 });
    await m.run(manager.close());
  });

  test("goes on with the others when one log fails", async () => {
    const m = new SimMachine();
    const manager = await start(m, { compactionIntervalMs: 100 * HOUR });
    await fill(m, manager, 0);
    const other = await fill(m, manager, 1);
    m.disk.faults.arm({
      kind: "error",
      operations: ["write"],
      errno: "ENOSPC",
      path: (path) => path.includes("/t-0/"),
      times: Number.POSITIVE_INFINITY,
    });
    expect(await m.run(manager.compact())).toMatchObject({ compactedLogs: 1, failedLogs: 1 });
    expect(await m.run(linesOf(other))).toEqual(LAST_OF_30);
    m.disk.faults.clear();
    await m.run(manager.close());
  });
});

describe("a log with gaps", () => {
  test("is recovered after a crash though the settings of its topic are not known yet", async () => {
    const m = new SimMachine();
    const manager = await start(m);
    await fill(m, manager);
    await m.run(manager.compact());
    m.restartOn(m.disk.crashDroppingAll());
    const known: { config?: LogConfig } = {};
    const again = await start(m, {}, { configOf: () => known.config });
    known.config = CONFIG;
    const log = await m.run(again.open(tp(0), TOPIC_ID, () => CONFIG));
    expect([log.state, log.damage]).toEqual(["open", undefined]);
    expect(await m.run(linesOf(log))).toEqual(LAST_OF_30);
    await m.run(again.close());
  });

  test("is read, scrubbed and recovered when its topic is compacted no more", async () => {
    const m = new SimMachine();
    const manager = await start(m);
    await fill(m, manager);
    await m.run(manager.compact());
    await m.run(manager.close());
    for (const isCrash of [false, true]) {
      const changed = await start(m, {}, { configOf: () => DELETING });
      const log = await m.run(changed.open(tp(0), TOPIC_ID, () => DELETING));
      expect(await m.run(linesOf(log))).toEqual(LAST_OF_30);
      expect(await m.run(changed.scrub())).toMatchObject({ damagedLogs: 0, failedLogs: 0 });
      expect(log.state).toBe("open");
      if (isCrash) break;
      m.restartOn(m.disk.crashDroppingAll());
    }
  });

  test("that is cut below what was compacted is compacted from there again", async () => {
    const m = new SimMachine();
    const manager = await start(m);
    const log = await fill(m, manager);
    await m.run(manager.compact());
    await m.run(log.truncateTo(at(29)));
    expect(await textOf(m, "cleaner-offset-checkpoint")).toBe("0\n1\nt 0 29\n");
    for (let index = 0; index < 4; index++) await m.run(put(log, [{ key: "k0", value: `new${index}` }]));
    await m.run(seal(log));
    await m.run(manager.compact());
    const left = await m.run(linesOf(log));
    expect(left.filter((line) => line.includes("k0="))).toEqual([`${log.logEndOffset - 3} k0=new3`]);
    await m.run(manager.close());
  });

  test("leaves nothing in the checkpoint when its topic is deleted", async () => {
    const m = new SimMachine();
    const manager = await start(m);
    await fill(m, manager);
    await m.run(manager.compact());
    await m.run(manager.delete(tp(0), TOPIC_ID));
    expect(await textOf(m, "cleaner-offset-checkpoint")).toBe("0\n0\n");
    await m.run(manager.close());
  });
});
