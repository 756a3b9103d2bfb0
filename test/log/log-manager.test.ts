import { describe, expect, test } from "vitest";
import { DEFAULT_LOG_CONFIG } from "../../src/log/log-config.ts";
import type { LogConfig } from "../../src/log/log-config.ts";
import { LogManager } from "../../src/log/log-manager.ts";
import type { LogManagerDeps, LogManagerOptions } from "../../src/log/log-manager-options.ts";
import type { PartitionLog } from "../../src/log/partition-log.ts";
import { silentLogger } from "../../src/base/logger.ts";
import { randomTopicId } from "../../src/model/ids.ts";
import { SeededRandom } from "../../src/platform/random.ts";
import { dropAll, keepAll, randomCrash } from "../../src/sim/crash-policy.ts";
import type { SimDisk } from "../../src/sim/sim-disk.ts";
import { accepted, append, at, readAll, SimMachine, TOPIC_ID } from "./engine.ts";

const CONFIG: LogConfig = { ...DEFAULT_LOG_CONFIG, timestampAfterMaxMs: Number.POSITIVE_INFINITY };
const OTHER_ID = randomTopicId(new Uint8Array(16).fill(9));
const tp = (partition: number, topic = "t") => ({ topic, partition });

async function start(
  m: SimMachine,
  options: Partial<LogManagerOptions> = {},
  deps: Partial<LogManagerDeps> = {},
): Promise<LogManager> {
  return m.run(
    LogManager.open(
      { dataDirectory: "/var/data", nodeId: 1, defaultConfig: CONFIG, ...options },
      { clock: m.clock, disk: m.disk, random: new SeededRandom(5), logger: silentLogger, ...deps },
    ),
  );
}

async function openAndFill(
  m: SimMachine,
  manager: LogManager,
  partition: number,
  count = 3,
): Promise<PartitionLog> {
  const log = await m.run(manager.open(tp(partition), TOPIC_ID, () => CONFIG));
  for (let i = 0; i < count; i++) await m.run(accepted(append(log, [`p${partition}-${i}`])).done);
  return log;
}

async function put(m: SimMachine, path: string, text: string): Promise<void> {
  const file = await m.run(m.disk.open(path, "create"));
  await m.run(file.truncate(0));
  await m.run(file.write([Buffer.from(text)], 0));
}

function crashed(m: SimMachine, disk: SimDisk): void {
  m.restartOn(disk);
}

test("records whose topic id cannot be read are not deleted, by nobody's word (H28)", async () => {
  const m = new SimMachine();
  const manager = await start(m);
  await openAndFill(m, manager, 0);
  await put(m, "/var/data/t-0/partition.metadata", "unreadable");
  await expect(m.run(manager.delete(tp(0), TOPIC_ID))).rejects.toMatchObject({ code: "METADATA_CORRUPT" });
  expect(await m.run(m.disk.stat("/var/data/t-0/00000000000000000000.log"))).toBeDefined();
  await m.run(manager.close());
});

describe("the data directory", () => {
  test("is used by one process at a time", async () => {
    const m = new SimMachine();
    const manager = await start(m);
    await expect(start(m)).rejects.toMatchObject({ code: "DATA_DIR_LOCKED" });
    await m.run(manager.close());
    await m.run((await start(m)).close());
  });

  test("keeps its identity, and is refused to another node, another cluster and an older release", async () => {
    const m = new SimMachine();
    const first = await start(m, { clusterId: "c1" });
    const { directoryId } = first;
    expect(first.clusterId).toBeUndefined(); // It has joined none yet, whatever it is to join.
    await m.run(first.joinCluster("c1"));
    await expect(m.run(first.joinCluster("c2"))).rejects.toMatchObject({ code: "CONFIG_INVALID" });
    await m.run(first.close());
    const second = await start(m);
    expect([second.directoryId, second.clusterId]).toEqual([directoryId, "c1"]);
    await m.run(second.close());
    await expect(start(m, { nodeId: 2 })).rejects.toMatchObject({ code: "CONFIG_INVALID" });
    await expect(start(m, { clusterId: "c2" })).rejects.toMatchObject({ code: "CONFIG_INVALID" });
    await put(m, "/var/data/meta.properties", "version=2\nnode.id=1\n");
    await expect(start(m)).rejects.toMatchObject({
      code: "DATA_DIR_VERSION",
      message: expect.stringMatching(/version 2.*version 1.*newer/) as string,
    });
    await put(m, "/var/data/meta.properties", "vers");
    await expect(start(m)).rejects.toMatchObject({ code: "METADATA_CORRUPT" });
  });

  test("with partitions and no identity stops the start and touches nothing", async () => {
    const m = new SimMachine();
    const manager = await start(m);
    await openAndFill(m, manager, 0);
    await m.run(manager.close());
    await m.run(m.disk.remove("/var/data/meta.properties"));
    const before = [...m.disk.snapshotFiles().keys()].filter((path) => !path.endsWith(".lock"));
    await expect(start(m)).rejects.toMatchObject({ code: "METADATA_CORRUPT" });
    expect([...m.disk.snapshotFiles().keys()].filter((path) => !path.endsWith(".lock"))).toEqual(before);
  });
});

describe("partitions", () => {
  test("are made lazily, shared by concurrent calls, and have no directory before their first append", async () => {
    const m = new SimMachine();
    const manager = await start(m);
    const opening = [0, 1, 2].map(() => manager.open(tp(0), TOPIC_ID, () => CONFIG));
    const [a, b, c] = await m.run(Promise.all(opening));
    expect(a === b && b === c && manager.get(tp(0)) === a).toBe(true);
    expect(await m.run(m.disk.stat("/var/data/t-0"))).toBeUndefined();
    await openAndFill(m, manager, 0, 1);
    expect(await m.run(m.disk.stat("/var/data/t-0"))).toMatchObject({ isDirectory: true });
    await m.run(manager.close());
  });

  test("of another topic id are refused and left alone (H24)", async () => {
    const m = new SimMachine();
    const first = await start(m);
    await openAndFill(m, first, 0);
    await expect(m.run(first.open(tp(0), OTHER_ID, () => CONFIG))).rejects.toMatchObject({
      code: "INCONSISTENT_TOPIC_ID",
    });
    await m.run(first.close());
    const second = await start(m);
    await expect(m.run(second.open(tp(0), OTHER_ID, () => CONFIG))).rejects.toMatchObject({
      code: "INCONSISTENT_TOPIC_ID",
    });
    await m.run(second.delete(tp(0), OTHER_ID));
    const log = await m.run(second.open(tp(0), TOPIC_ID, () => CONFIG));
    expect(await m.run(readAll(log))).toHaveLength(3);
    await m.run(second.close());
  });

  test("whose names cannot be directories are refused", async () => {
    const m = new SimMachine();
    const manager = await start(m);
    for (const topic of ["..", "a/b", "", "x".repeat(250), "a\0b"]) {
      await expect(m.run(manager.open(tp(0, topic), TOPIC_ID, () => CONFIG))).rejects.toMatchObject({
        code: "INVALID_ARGUMENT",
      });
    }
    await m.run(manager.close());
  });

  test("deleted by name and id are renamed at once and removed after the delay; the name is free at once", async () => {
    const m = new SimMachine();
    const manager = await start(m);
    await openAndFill(m, manager, 0);
    await m.run(manager.get(tp(0))?.advanceLogStart(at(2)) ?? Promise.resolve());
    await m.run(manager.delete(tp(0), TOPIC_ID));
    expect(manager.get(tp(0))).toBeUndefined();
    expect(manager.ends(tp(0))).toBeUndefined();
    const trash = (await m.run(m.disk.list("/var/data"))).filter(({ name }) => name.endsWith("-delete"));
    expect(trash).toHaveLength(1);
    const next = await m.run(manager.open(tp(0), OTHER_ID, () => CONFIG));
    expect([next.logStartOffset, next.logEndOffset]).toEqual([0, 0]);
    await m.scheduler.advance(60_001);
    expect((await m.run(m.disk.list("/var/data"))).filter(({ name }) => name.endsWith("-delete"))).toEqual(
      [],
    );
    await m.run(manager.close());
  });

  test("deleted before a crash are removed after the next start", async () => {
    const m = new SimMachine();
    const manager = await start(m);
    await openAndFill(m, manager, 0);
    await m.run(manager.delete(tp(0), TOPIC_ID));
    crashed(m, m.disk.crashDroppingAll());
    const again = await start(m);
    expect(again.list()).toEqual([]);
    await m.scheduler.advance(60_001);
    expect((await m.run(m.disk.list("/var/data"))).filter(({ isDirectory }) => isDirectory)).toEqual([]);
    await m.run(again.close());
  });
});

describe("a clean stop", () => {
  test("leaves a marker, and the next start reads no partition until it is asked for", async () => {
    const m = new SimMachine();
    const manager = await start(m);
    for (let p = 0; p < 20; p++) await openAndFill(m, manager, p);
    await m.run(manager.close({ brokerEpoch: 77 }));
    const before = Object.fromEntries(m.disk.operationCounts);
    const again = await start(m);
    const after = Object.fromEntries(m.disk.operationCounts);
    expect((after["list"] ?? 0) - (before["list"] ?? 0)).toBe(1);
    expect((after["open"] ?? 0) - (before["open"] ?? 0)).toBeLessThan(8);
    expect([again.wasCleanShutdown, again.previousBrokerEpoch]).toEqual([true, 77]);
    expect(again.ends(tp(7))).toMatchObject({ logStartOffset: 0, logEndOffset: 3 });
    expect(again.list()).toHaveLength(20);
    const log = await m.run(again.open(tp(7), TOPIC_ID, () => CONFIG));
    expect((await m.run(readAll(log))).map(({ value }) => value)).toEqual(["p7-0", "p7-1", "p7-2"]);
    await m.run(again.close());
    // What was not opened in between is still known.
    const third = await start(m);
    expect(third.ends(tp(3))).toMatchObject({ logEndOffset: 3 });
    await m.run(third.close());
  });

  test("is not believed twice: the marker is gone durably before anything can be appended (H27)", async () => {
    const m = new SimMachine();
    await m.run((await start(m)).close());
    await start(m);
    crashed(m, m.disk.crashDroppingAll());
    expect((await start(m)).wasCleanShutdown).toBe(false);
  });

  test("is not claimed when a log failed", async () => {
    const m = new SimMachine();
    const offline: Error[] = [];
    const manager = await start(m, {}, { onDirectoryOffline: (error) => offline.push(error) });
    const log = await openAndFill(m, manager, 0);
    m.disk.faults.arm({ kind: "error", operations: ["sync"], errno: "EIO", path: (p) => p.endsWith(".log") });
    await m.run(accepted(append(log, ["x"])).done.catch(() => undefined));
    expect([offline.length, manager.isOffline]).toEqual([1, true]);
    await m.run(manager.close());
    const again = await start(m);
    expect(again.wasCleanShutdown).toBe(false);
    await m.run(again.close());
  });

  test("whose log ends elsewhere than noted is walked as after a crash", async () => {
    const m = new SimMachine();
    const manager = await start(m);
    await openAndFill(m, manager, 0);
    await m.run(manager.close());
    const file = await m.run(m.disk.open("/var/data/t-0/00000000000000000000.log", "write"));
    await m.run(file.truncate(((await m.run(file.sizeBytes())) / 3) * 2));
    const again = await start(m);
    const log = await m.run(again.open(tp(0), TOPIC_ID, () => CONFIG));
    expect(log.state).toBe("offline");
    expect((await m.run(readAll(log))).length).toBe(2);
    await m.run(again.close());
  });
});

describe("after a crash", () => {
  test("every partition is recovered before the start ends, and what was acknowledged is there", async () => {
    const m = new SimMachine();
    const manager = await start(m);
    for (let p = 0; p < 9; p++) await openAndFill(m, manager, p, p + 1);
    crashed(m, m.disk.crash());
    const again = await start(m);
    expect(again.wasCleanShutdown).toBe(false);
    for (let p = 0; p < 9; p++) {
      expect(again.ends(tp(p))).toMatchObject({ logStartOffset: 0, logEndOffset: p + 1 });
      const log = await m.run(again.open(tp(p), TOPIC_ID, () => CONFIG));
      expect(await m.run(readAll(log))).toHaveLength(p + 1);
    }
    await m.run(again.close());
  });

  test("a damaged partition does not keep the others from starting, and nothing is deleted (H28)", async () => {
    const m = new SimMachine();
    const manager = await start(m);
    const log = await openAndFill(m, manager, 0, 6);
    await openAndFill(m, manager, 1);
    const size = log.sizeBytes / 6;
    crashed(m, m.disk.crashKeepingAll());
    m.disk.flipBit("/var/data/t-0/00000000000000000000.log", (size + 70) * 8);
    const before = [...m.disk.snapshotFiles().keys()];
    const again = await start(m);
    const damaged = await m.run(again.open(tp(0), TOPIC_ID, () => CONFIG));
    const whole = await m.run(again.open(tp(1), TOPIC_ID, () => CONFIG));
    expect([damaged.state, whole.state]).toEqual(["offline", "open"]);
    expect([...m.disk.snapshotFiles().keys()]).toEqual(expect.arrayContaining(before));
    await m.run(again.close());
  });

  test("recovery begins at the last recovery point, which is written regularly", async () => {
    const m = new SimMachine();
    const manager = await start(m, { checkpointIntervalMs: 1000 });
    await openAndFill(m, manager, 0, 5);
    await m.scheduler.advance(1001);
    const text = Buffer.from(
      m.disk.snapshotFiles("durable").get("/var/data/recovery-point-offset-checkpoint") ?? [],
    );
    expect(text.toString()).toBe("0\n1\nt 0 5\n");
    crashed(m, m.disk.crashDroppingAll());
    // Damage below the point is loss, not a torn write.
    const size = (await m.run(m.disk.stat("/var/data/t-0/00000000000000000000.log")))?.sizeBytes ?? 0;
    m.disk.flipBit("/var/data/t-0/00000000000000000000.log", (size - 2) * 8);
    const again = await start(m);
    expect((await m.run(again.open(tp(0), TOPIC_ID, () => CONFIG))).state).toBe("offline");
    await m.run(again.close());
  });

  test("at any operation of start, work and stop the directory opens again with what was acknowledged", async () => {
    const life = async (m: SimMachine): Promise<number> => {
      let acknowledged = 0;
      const manager = await start(m);
      const log = await m.run(manager.open(tp(0), TOPIC_ID, () => ({ ...CONFIG, segmentBytes: 300 })));
      for (let i = 0; i < 8; i++) {
        const result = append(log, [`p0-${i}`]);
        if (!result.ok) break;
        const isKept = await m.run(result.done.then(() => true).catch(() => false));
        if (!isKept) break;
        acknowledged++;
      }
      await m.run(log.advanceLogStart(at(3)).catch(() => undefined));
      await m.run(manager.checkpoint().catch(() => undefined));
      if (log.state !== "open") return acknowledged;
      // From here on a log of five is as good as one of eight, whatever checkpoint said before.
      acknowledged = Math.min(acknowledged, 5);
      await m.run(log.truncateTo(at(5)).catch(() => undefined));
      const again = append(log, ["p0-5"]);
      if (again.ok) await m.run(again.done.then(() => (acknowledged = 6)).catch(() => 0));
      await m.run(manager.close().catch(() => undefined));
      return acknowledged;
    };
    const whole = new SimMachine();
    await life(whole);
    for (let n = 0; n < whole.disk.mutationCount; n++) {
      const m = new SimMachine({ failAfterOperations: n });
      const acknowledged = await life(m).catch(() => 0);
      for (const policy of [keepAll, dropAll, randomCrash(new SeededRandom(n))]) {
        const after = new SimMachine();
        after.restartOn(m.disk.imageAfter(policy, { clock: after.clock, random: new SeededRandom(n) }));
        const manager = await start(after);
        const log = await after.run(manager.open(tp(0), TOPIC_ID, () => ({ ...CONFIG, segmentBytes: 300 })));
        expect(log.state, `operation ${n}`).toBe("open");
        expect(log.logEndOffset, `operation ${n}`).toBeGreaterThanOrEqual(acknowledged);
        for (const { offset, value } of await after.run(readAll(log))) expect(value).toBe(`p0-${offset}`);
        await after.run(accepted(append(log, [`p0-${log.logEndOffset}`])).done);
        await after.run(manager.close());
      }
    }
  });
});

describe("timers", () => {
  test("sync what the interval policy left within flush.ms, with one timer for all logs", async () => {
    const m = new SimMachine();
    const manager = await start(m);
    const logs: PartitionLog[] = [];
    const idleTimers = m.scheduler.pendingCount;
    for (let p = 0; p < 10; p++) {
      const log = await m.run(
        manager.open(tp(p), TOPIC_ID, () => ({ ...CONFIG, flushPolicy: "interval", flushMs: 500 })),
      );
      await m.run(accepted(append(log, ["x"])).done);
      logs.push(log);
    }
    expect(m.scheduler.pendingCount).toBe(idleTimers + 1);
    expect(logs.map((log) => log.recoveryPoint)).toEqual(Array.from({ length: 10 }, () => 0));
    await m.scheduler.advance(501);
    expect(logs.map((log) => log.recoveryPoint)).toEqual(Array.from({ length: 10 }, () => 1));
    expect(m.scheduler.pendingCount).toBe(idleTimers);
    await m.run(manager.close());
  });

  test("of a deleted partition do not hold for the next topic of its name, also after a crash", async () => {
    const m = new SimMachine();
    const manager = await start(m);
    const log = await openAndFill(m, manager, 0, 6);
    await m.run(log.advanceLogStart(at(4)));
    await m.run(manager.checkpoint());
    const starts = Buffer.from(m.disk.snapshotFiles().get("/var/data/log-start-offset-checkpoint") ?? []);
    const points = Buffer.from(
      m.disk.snapshotFiles().get("/var/data/recovery-point-offset-checkpoint") ?? [],
    );
    await m.run(manager.delete(tp(0), TOPIC_ID));
    // The crash came after the directory was gone and before the checkpoints were written again.
    await put(m, "/var/data/log-start-offset-checkpoint", starts.toString());
    await put(m, "/var/data/recovery-point-offset-checkpoint", points.toString());
    crashed(m, m.disk.crashKeepingAll());
    const again = await start(m);
    const next = await m.run(again.open(tp(0), OTHER_ID, () => CONFIG));
    expect([next.logStartOffset, next.logEndOffset]).toEqual([0, 0]);
    await m.run(accepted(append(next, ["new"])).done);
    crashed(m, m.disk.crashKeepingAll());
    const third = await start(m);
    expect((await m.run(third.open(tp(0), OTHER_ID, () => CONFIG))).state).toBe("open");
    await m.run(third.close());
  });

  test("run retention over open logs, and over closed ones whose topic the metadata knows", async () => {
    const m = new SimMachine();
    const config = { ...CONFIG, segmentBytes: 300, retentionMs: 10_000 };
    const first = await start(m);
    for (const p of [0, 1]) {
      const log = await m.run(first.open(tp(p, p === 0 ? "t" : "unknown"), TOPIC_ID, () => config));
      for (let i = 0; i < 9; i++) await m.run(accepted(append(log, [`${i}`], 0, m.clock.wallMs())).done);
    }
    await m.run(first.close());
    await m.scheduler.advance(3_600_000);
    const again = await start(m, {}, { configOf: (topic) => (topic === "t" ? config : undefined) });
    await m.scheduler.advance(301_000);
    expect(again.get(tp(0))?.logStartOffset).toBeGreaterThan(3);
    expect(again.get(tp(1, "unknown"))).toBeUndefined();
    expect(again.ends(tp(1, "unknown"))).toMatchObject({ logStartOffset: 0, logEndOffset: 9 });
    await m.scheduler.advance(60_001);
    expect([...m.disk.snapshotFiles().keys()].filter((path) => path.endsWith(".deleted"))).toEqual([]);
    await m.run(again.close());
  });

  test("a wall clock that jumps ahead deletes nothing (H51)", async () => {
    const m = new SimMachine();
    const config = { ...CONFIG, segmentBytes: 300, retentionMs: 3_600_000 };
    const manager = await start(m, {}, { configOf: () => config });
    const log = await m.run(manager.open(tp(0), TOPIC_ID, () => config));
    for (let i = 0; i < 9; i++) await m.run(accepted(append(log, [`${i}`], 0, m.clock.wallMs())).done);
    m.clock.jumpWall(365 * 86_400_000);
    await m.scheduler.advance(301_000);
    m.clock.jumpWall(-365 * 86_400_000);
    await m.scheduler.advance(1_200_000);
    expect(log.logStartOffset).toBe(0);
    await m.run(manager.close());
  });
});
