import { describe, expect, test } from "vitest";
import { silentLogger } from "../../src/base/logger.ts";
import { DEFAULT_LOG_CONFIG } from "../../src/log/log-config.ts";
import type { LogConfig } from "../../src/log/log-config.ts";
import { LogManager } from "../../src/log/log-manager.ts";
import type { PartitionLog } from "../../src/log/partition-log.ts";
import { baseOffsetOf, batchSizeOf, lastOffsetOf } from "../../src/model/record-batch.ts";
import { SeededRandom } from "../../src/platform/random.ts";
import { dropAll, keepAll } from "../../src/sim/crash-policy.ts";
import { SimDisk } from "../../src/sim/sim-disk.ts";
import { COMPACTED, linesOf, put, recordsOf, seal } from "./compaction.ts";
import { at, DATA, SimMachine, TOPIC_ID } from "./engine.ts";

/* A lost stretch of a compacted log is damage, unless it lies where the log was compacted. */

const CONFIG: LogConfig = {
  ...DEFAULT_LOG_CONFIG,
  timestampAfterMaxMs: Number.POSITIVE_INFINITY,
  unsavedSegmentBytes: 0,
  ...COMPACTED,
  segmentBytes: 800,
};
const TP = { topic: "t", partition: 0 };
const GAPS = `${DATA}/gap-offset-checkpoint`;

function start(m: SimMachine, disk: SimDisk = m.disk): Promise<LogManager> {
  return LogManager.open(
    { dataDirectory: DATA, nodeId: 1, defaultConfig: { ...CONFIG, isCompacting: false, isDeleting: true } },
    { clock: m.clock, disk, random: new SeededRandom(5), logger: silentLogger, configOf: () => CONFIG },
  );
}

const open = (manager: LogManager): Promise<PartitionLog> => manager.open(TP, TOPIC_ID, () => CONFIG);

/** Records over three keys, a few of keys of their own among them, in several segments; the last is the active one. */
async function fill(log: PartitionLog, count = 60): Promise<void> {
  for (let index = 0; index < count; index++)
    await put(log, [{ key: index % 4 === 1 ? `own${index}` : `k${index % 3}`, value: `${index}` }]);
  await seal(log);
}

/** A compacted log with dirty segments behind, closed by a crash that keeps all. */
async function compactedAndDirty(): Promise<{ m: SimMachine; bound: number }> {
  const m = new SimMachine();
  await m.prepare();
  const manager = await m.run(start(m));
  const log = await m.run(open(manager));
  await m.run(fill(log));
  await m.run(manager.compact());
  const bound = log.gapsBelow;
  expect(bound).toBeGreaterThan(20);
  await m.run(fill(log));
  await m.run(manager.checkpoint());
  m.restartOn(m.disk.crashKeepingAll());
  return { m, bound };
}

interface Place {
  readonly path: string;
  readonly base: number;
  readonly position: number;
  readonly size: number;
  readonly next: number;
}

/** Every batch in the files, in order. */
function places(disk: SimDisk): Place[] {
  const found: Place[] = [];
  const segments = [...disk.snapshotFiles()].filter(([path]) => path.endsWith(".log"));
  for (const [path, content] of segments.sort(([a], [b]) => (a < b ? -1 : 1))) {
    const bytes = Buffer.from(content);
    for (let position = 0; position < bytes.length; position += batchSizeOf(bytes, position)) {
      const size = batchSizeOf(bytes, position);
      const next = lastOffsetOf(bytes, position) + 1;
      found.push({ path, base: baseOffsetOf(bytes, position), position, size, next });
    }
  }
  return found;
}

/** Takes the bytes of a batch out of its file, those behind it close up. */
async function lose(m: SimMachine, { path, position, size }: Place): Promise<void> {
  const file = await m.disk.open(path, "write");
  const rest = Buffer.alloc((await file.sizeBytes()) - position - size);
  await file.read(rest, position + size);
  await file.write([rest], position);
  await file.truncate(position + rest.length);
  await file.sync();
  await file.close();
}

const isInside = (all: readonly Place[], at: number): boolean =>
  all[at - 1]?.path === all[at]?.path && all[at + 1]?.path === all[at]?.path;

describe("a stretch that a compacted log has lost", () => {
  test("is damage above the offset up to which it was compacted, at the first offset that is missing", async () => {
    const { m, bound } = await compactedAndDirty();
    const all = places(m.disk);
    const lost = all.findIndex(({ base }, index) => base > bound && isInside(all, index));
    const victim = all[lost];
    if (victim === undefined) throw new Error("no batch to lose");
    await m.run(lose(m, victim));
    const manager = await m.run(start(m));
    expect(await m.run(manager.scrub())).toMatchObject({ damagedLogs: 1 });
    const log = await m.run(open(manager));
    expect(log.damage?.offset).toBe(victim.base);
    const read = await m.run(log.read(at(victim.base), 10_000));
    expect(read).toMatchObject({ ok: false, error: "CORRUPT_MESSAGE" });
    await m.run(manager.close());
  });

  test("is found by whoever reads on, also by a compaction, which does not make it a gap of its own", async () => {
    const { m, bound } = await compactedAndDirty();
    const all = places(m.disk);
    const victim = all.find(({ base }, index) => base > bound && isInside(all, index));
    if (victim === undefined) throw new Error("no batch to lose");
    await m.run(lose(m, victim));
    for (const how of ["read", "compaction"] as const) {
      const twin = new SimMachine();
      twin.restartOn(m.disk.imageAfter(keepAll));
      const manager = await twin.run(start(twin));
      const log = await twin.run(open(manager));
      if (how === "read") await expect(twin.run(recordsOf(log))).rejects.toThrow("CORRUPT_MESSAGE");
      else expect(await twin.run(manager.compact())).toMatchObject({ compactedLogs: 0, failedLogs: 1 });
      expect([log.damage?.offset, log.gapsBelow], how).toEqual([victim.base, bound]);
    }
  });

  test("is damage wherever it is a whole segment: each ends where the next one begins", async () => {
    const { m } = await compactedAndDirty();
    const paths = [...new Set(places(m.disk).map(({ path }) => path))];
    expect(paths.length).toBeGreaterThan(4);
    for (const path of paths.slice(1, -1)) {
      const twin = new SimMachine();
      twin.restartOn(m.disk.imageAfter(keepAll));
      await twin.run(twin.disk.remove(path));
      const manager = await twin.run(start(twin));
      await twin.run(manager.scrub());
      const log = await twin.run(open(manager));
      expect(log.damage?.offset, path).toBe(Number(path.split("/").at(-1)?.slice(0, -4)));
    }
  });

  test("is not told from what was compacted below that offset, inside a segment", async () => {
    const { m, bound } = await compactedAndDirty();
    const all = places(m.disk);
    const victim = all.find(({ next }, index) => next < bound && all[index + 1]?.path === all[index]?.path);
    if (victim === undefined) throw new Error("no batch to lose");
    await m.run(lose(m, victim));
    const manager = await m.run(start(m));
    expect(await m.run(manager.scrub())).toMatchObject({ damagedLogs: 0, failedLogs: 0 });
    await m.run(manager.close());
  });
});

/** What is left at the end of two rounds of nine records. */
const LAST = ["16 own5=5", "17 k0=6", "18 k1=7", "19 k2=8"];

describe("where gaps may be", () => {
  test("is known after a crash at every operation of a compaction", async () => {
    const play = async (failAfterOperations?: number) => {
      const m = new SimMachine();
      const disk = new SimDisk(failAfterOperations === undefined ? {} : { failAfterOperations }, {
        clock: m.clock,
        random: new SeededRandom(11),
      });
      const span = { from: 0, to: 0 };
      const work = async (): Promise<void> => {
        await disk.makeDir(DATA);
        await disk.syncDir("/");
        const manager = await start(m, disk);
        const log = await open(manager);
        for (let round = 0; round < 2; round++) {
          await fill(log, 9);
          await manager.checkpoint();
          span.from = disk.mutationCount;
          await manager.compact();
          span.to = disk.mutationCount;
        }
      };
      await m.run(work().catch(() => undefined));
      return { m, disk, span };
    };
    const { span } = await play();
    expect(span.to - span.from).toBeGreaterThan(20);
    for (let n = span.from; n <= span.to; n++) {
      const { m, disk } = await play(n);
      for (const policy of [keepAll, dropAll]) {
        const image = disk.imageAfter(policy, { clock: m.clock, random: new SeededRandom(1) });
        const manager = await m.run(start(m, image));
        const log = await m.run(open(manager));
        const label = `crash after operation ${n}, ${policy === keepAll ? "all" : "nothing"} kept`;
        expect(await m.run(manager.scrub()), label).toMatchObject({ damagedLogs: 0, failedLogs: 0 });
        expect((await m.run(linesOf(log))).slice(-4), label).toEqual(LAST);
        expect(log.gapsBelow, label).toBeLessThanOrEqual(log.logEndOffset);
        await m.run(manager.close());
      }
    }
  });

  test("is taken from how far the log was compacted when its own file is lost", async () => {
    const { m, bound } = await compactedAndDirty();
    await m.run(m.disk.remove(GAPS));
    const manager = await m.run(start(m));
    expect(await m.run(manager.scrub())).toMatchObject({ damagedLogs: 0, failedLogs: 0 });
    const log = await m.run(open(manager));
    expect(log.damage).toBeUndefined();
    expect(log.gapsBelow).toBeGreaterThanOrEqual(bound);
    expect(log.gapsBelow).toBeLessThan(log.logEndOffset);
    await m.run(manager.close());
  });

  test("is nowhere when that file is lost, too: in doubt it is damage, which loses nothing", async () => {
    const { m } = await compactedAndDirty();
    const [first] = places(m.disk).filter(({ base }, index, all) => base !== (all[index - 1]?.next ?? 0));
    for (const name of [GAPS, `${DATA}/cleaner-offset-checkpoint`]) await m.run(m.disk.remove(name));
    const manager = await m.run(start(m));
    expect(await m.run(manager.scrub())).toMatchObject({ damagedLogs: 1 });
    const log = await m.run(open(manager));
    expect(log.damage?.offset).toBeLessThan(first?.base ?? 0);
    expect(log.sizeBytes).toBeGreaterThan(0);
    await m.run(manager.close());
  });

  test("ends where the log is cut, which ends with a batch, and what comes there is held to have no gap", async () => {
    const { m, bound } = await compactedAndDirty();
    const all = places(m.disk);
    const ends = all.map(({ base }, index) => ({ base, end: all[index - 1]?.next ?? 0 }));
    const cuts = ends
      .filter(({ base, end }) => base > end)
      .flatMap(({ base, end }) => [base, base - 1, end + 1].map((offset) => ({ offset, end })));
    expect(cuts.length).toBeGreaterThan(8);
    for (const { offset, end } of cuts) {
      const twin = new SimMachine();
      twin.restartOn(m.disk.imageAfter(keepAll));
      let manager = await twin.run(start(twin));
      let log = await twin.run(open(manager));
      expect(log.gapsBelow).toBe(bound);
      await twin.run(log.truncateTo(at(offset)));
      expect([log.logEndOffset, log.gapsBelow], `cut at ${offset}`).toEqual([end, end]);
      for (let index = 0; index < 3; index++) await twin.run(put(log, [{ key: "new", value: `${index}` }]));
      const noted = [log.logEndOffset, log.gapsBelow];
      twin.restartOn(twin.disk.crashDroppingAll());
      manager = await twin.run(start(twin));
      log = await twin.run(open(manager));
      expect([log.damage, log.logEndOffset, log.gapsBelow]).toEqual([undefined, ...noted]);
      await twin.run(manager.close());
    }
  });

  test("is never behind the end that a log is opened with", async () => {
    const { m } = await compactedAndDirty();
    const file = await m.run(m.disk.open(GAPS, "write"));
    await m.run(file.write([Buffer.from("0\n1\nt 0 9000\n")], 0));
    await m.run(file.sync());
    await m.run(file.close());
    const manager = await m.run(start(m));
    const log = await m.run(open(manager));
    expect(log.gapsBelow).toBe(log.logEndOffset);
    m.restartOn(m.disk.crashDroppingAll());
    const again = await m.run(open(await m.run(start(m))));
    expect(again.gapsBelow).toBe(again.logEndOffset);
  });
});
