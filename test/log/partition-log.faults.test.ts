import { describe, expect, test } from "vitest";
import type { LeaderEpoch, ProducerEpoch, ProducerId } from "../../src/model/offsets.ts";
import { accepted, append, at, DIRECTORY, readAll, records, SimMachine } from "./engine.ts";

const isLog = (path: string): boolean => path.endsWith(".log");

async function written(
  count: number,
  limits = {},
): Promise<{ m: SimMachine; log: Awaited<ReturnType<SimMachine["open"]>> }> {
  const m = new SimMachine({}, limits);
  await m.prepare();
  const log = await m.open();
  for (let i = 0; i < count; i++) await m.run(accepted(append(log, [`${i}`])).done);
  return { m, log };
}

const outcome = (promise: Promise<void>): Promise<string> =>
  promise.then(
    () => "kept",
    (error: unknown) => (error as { code: string }).code,
  );

describe("short writes", () => {
  test("are continued until every byte is there (H43)", async () => {
    const { m, log } = await written(1);
    const fault = m.disk.faults.arm({ kind: "short", maxBytes: 7, times: 20, path: isLog });
    await m.run(accepted(append(log, ["x".repeat(300), "y".repeat(300)])).done);
    expect(fault.hits).toBe(20);
    await m.run(log.close());
    const again = await m.open({}, { exists: true });
    expect((await m.run(readAll(again))).map(({ value }) => value.length)).toEqual([1, 300, 300]);
  });
});

describe("a full disk", () => {
  test("at any byte of a batch fails the append, leaves nothing behind, and the offset is given out again", async () => {
    for (let room = 0; room < 75; room += 6) {
      const { m, log } = await written(2);
      const size = log.sizeBytes;
      const fault = m.disk.faults.arm({ kind: "full", afterBytes: room, path: isLog });
      const failed = accepted(append(log, ["lost"]));
      const behind = accepted(append(log, ["lost too"]));
      expect(await m.run(outcome(failed.done))).toBe("KAFKA_STORAGE_ERROR");
      expect(await m.run(outcome(behind.done))).toBe("KAFKA_STORAGE_ERROR");
      expect([log.state, log.logEndOffset, log.sizeBytes]).toEqual(["open", 2, size]);
      expect((await m.run(m.disk.stat(`${DIRECTORY}/00000000000000000000.log`)))?.sizeBytes).toBe(size);
      const refused = append(log, ["still full"]);
      expect(refused).toMatchObject({ ok: false, error: "KAFKA_STORAGE_ERROR" });
      fault.disarm();
      await m.scheduler.advance(1000);
      const next = accepted(append(log, ["again"]));
      expect(next.baseOffset).toBe(2);
      await m.run(next.done);
      expect((await m.run(readAll(log))).map(({ value }) => value)).toEqual(["0", "1", "again"]);
    }
  });

  test("is tried again once a second, not at every append", async () => {
    const { m, log } = await written(1);
    const fault = m.disk.faults.arm({ kind: "full", afterBytes: 0, path: isLog });
    for (let second = 0; second < 5; second++) {
      await m.scheduler.advance(1000);
      for (let i = 0; i < 10; i++) {
        const result = append(log, ["x"]);
        if (result.ok) expect(await m.run(outcome(result.done))).toBe("KAFKA_STORAGE_ERROR");
      }
    }
    expect(fault.hits).toBe(5);
    expect(m.host.fullCount).toBe(5);
    expect(log.state).toBe("open");
  });

  test("while a segment is begun leaves the old one in use", async () => {
    const m = new SimMachine();
    await m.prepare();
    const log = await m.open({ segmentBytes: 250 });
    for (let i = 0; i < 3; i++) await m.run(accepted(append(log, [`${i}`])).done);
    m.disk.faults.arm({ kind: "error", operations: ["create"], errno: "ENOSPC", path: isLog });
    expect(await m.run(outcome(accepted(append(log, ["lost"])).done))).toBe("KAFKA_STORAGE_ERROR");
    expect([log.state, log.segmentCount, log.logEndOffset]).toEqual(["open", 1, 3]);
    await m.scheduler.advance(1000);
    await m.run(accepted(append(log, ["3"])).done);
    expect([log.segmentCount, log.logEndOffset]).toEqual([2, 4]);
    expect((await m.run(readAll(log))).map(({ value }) => value)).toEqual(["0", "1", "2", "3"]);
  });

  test("forgets what a failed idempotent batch had told the producer state", async () => {
    const { m, log } = await written(1);
    const send = (baseSequence: number) =>
      log.append(
        records([`p${baseSequence}`], {
          producer: { producerId: 9 as ProducerId, producerEpoch: 0 as ProducerEpoch, baseSequence },
        }),
        { leaderEpoch: 0 as LeaderEpoch, origin: "client" },
      );
    await m.run(accepted(send(0)).done);
    const fault = m.disk.faults.arm({ kind: "full", afterBytes: 10, path: isLog });
    const failed = accepted(send(1));
    const copy = accepted(send(1));
    expect(copy.duplicate).toBe(true);
    expect(await m.run(outcome(failed.done))).toBe("KAFKA_STORAGE_ERROR");
    expect(await m.run(outcome(copy.done))).toBe("KAFKA_STORAGE_ERROR");
    fault.disarm();
    await m.scheduler.advance(1000);
    const again = accepted(send(1));
    expect([again.duplicate, again.baseOffset]).toEqual([false, 2]);
    await m.run(again.done);
  });
});

describe("a failed write that is not a full disk", () => {
  test("is undone, and appends go on", async () => {
    const { m, log } = await written(2);
    m.disk.faults.arm({ kind: "error", operations: ["write"], errno: "EIO", path: isLog });
    expect(await m.run(outcome(accepted(append(log, ["lost"])).done))).toBe("KAFKA_STORAGE_ERROR");
    expect(log.state).toBe("open");
    await m.run(accepted(append(log, ["kept"])).done);
    expect((await m.run(readAll(log))).map(({ value }) => value)).toEqual(["0", "1", "kept"]);
  });

  test("takes the log offline when it cannot be undone", async () => {
    const { m, log } = await written(2);
    m.disk.faults.arm({
      kind: "error",
      operations: ["write", "truncate"],
      errno: "EIO",
      path: isLog,
      times: 2,
    });
    let told = 0;
    log.onAdvance(() => told++);
    expect(await m.run(outcome(accepted(append(log, ["lost"])).done))).toBe("KAFKA_STORAGE_ERROR");
    expect([log.state, m.host.offline.length]).toEqual(["offline", 1]);
    expect(told).toBeGreaterThan(0);
  });
});

describe("a failed sync", () => {
  test("takes the log offline for good: no second sync is tried, every call names directory and next step (H45)", async () => {
    const { m, log } = await written(2);
    const syncs = m.machine.deps.syncs.stats.completed;
    m.disk.faults.arm({ kind: "error", operations: ["sync"], errno: "EIO", path: isLog });
    const failed = accepted(append(log, ["lost"]));
    expect(await m.run(outcome(failed.done))).toBe("KAFKA_STORAGE_ERROR");
    expect([log.state, log.durableEndOffset, m.host.offline.length]).toEqual(["offline", 2, 1]);
    const refused = append(log, ["x"]);
    expect(refused).toMatchObject({ ok: false, error: "KAFKA_STORAGE_ERROR" });
    expect(refused.ok ? "" : refused.message).toContain(DIRECTORY);
    expect(refused.ok ? "" : refused.message).toContain("restart");
    expect(log.read(at(0), 100)).toMatchObject({ ok: false, error: "KAFKA_STORAGE_ERROR" });
    await expect(m.run(log.flush())).rejects.toMatchObject({ code: "KAFKA_STORAGE_ERROR" });
    await expect(m.run(log.truncateTo(at(1)))).rejects.toMatchObject({ code: "KAFKA_STORAGE_ERROR" });
    await expect(m.run(log.close())).rejects.toMatchObject({ code: "KAFKA_STORAGE_ERROR" });
    expect(m.machine.deps.syncs.stats.completed).toBe(syncs);
    // The disk after a restart decides what there is.
    m.restartOn(m.disk.crashDroppingAll());
    const again = await m.open({}, { exists: true });
    expect((await m.run(readAll(again))).map(({ value }) => value)).toEqual(["0", "1"]);
  });

  test("of a roll, a truncation or a directory takes the log offline too", async () => {
    const isIndex = (path: string): boolean => path.endsWith(".index");
    for (const [path, operation] of [
      [isLog, "sync"],
      [isIndex, "sync"],
      [(p: string) => p === DIRECTORY, "syncDir"],
    ] as const) {
      const m = new SimMachine();
      await m.prepare();
      const log = await m.open({ segmentBytes: 200, flushPolicy: "os" });
      await m.run(accepted(append(log, ["0"])).done);
      m.disk.faults.arm({ kind: "error", operations: [operation], errno: "EIO", path });
      for (let i = 0; i < 4; i++) {
        const result = append(log, [`more ${i}`]);
        if (result.ok) await m.run(outcome(result.done));
        await m.scheduler.drain();
      }
      expect(log.state, String(path)).toBe("offline");
    }
  });
});

describe("read errors", () => {
  test("reject the read and leave the log open", async () => {
    const { m, log } = await written(3, { tailBytes: 0 });
    m.disk.faults.arm({ kind: "error", operations: ["read"], errno: "EIO", path: isLog });
    await expect(m.run(log.read(at(0), 1000))).rejects.toMatchObject({ code: "DISK_READ_FAILED" });
    expect(log.state).toBe("open");
    expect(await m.run(readAll(log))).toHaveLength(3);
  });
});

describe("a disk fault at any single operation", () => {
  test("never loses what was answered and never answers what is lost", async () => {
    const work = async (m: SimMachine, kept: Map<number, string>): Promise<string> => {
      const log = await m.open({ segmentBytes: 400 });
      for (let i = 0; i < 12; i++) {
        const result = append(log, [`v${i}`]);
        if (!result.ok) break;
        const verdict = await m.run(outcome(result.done));
        if (verdict === "kept") kept.set(result.baseOffset, `v${i}`);
      }
      await m.scheduler.advance(2000);
      await m.run(log.close().catch(() => undefined));
      return log.state;
    };
    const clean = new SimMachine();
    await clean.prepare();
    await work(clean, new Map());
    for (const errno of ["EIO", "ENOSPC"] as const) {
      for (let skip = 0; skip < clean.disk.mutationCount; skip++) {
        const m = new SimMachine();
        await m.prepare();
        const fault = m.disk.faults.arm({
          kind: "error",
          operations: ["create", "write", "truncate", "sync", "makeDir", "rename", "remove", "syncDir"],
          errno,
          skip,
        });
        const kept = new Map<number, string>();
        await work(m, kept);
        m.disk.faults.clear();
        m.restartOn(m.disk.crashDroppingAll());
        const exists = (await m.run(m.disk.stat(`${DIRECTORY}/partition.metadata`))) !== undefined;
        const again = await m.open({ segmentBytes: 400 }, { exists });
        const label = `${errno} at operation ${skip} (${fault.hits} hits)`;
        expect(again.state, label).toBe("open");
        const found = new Map(
          (await m.run(readAll(again))).map(({ offset, value }) => [Number(offset), value]),
        );
        for (const [offset, value] of kept)
          expect(found.get(offset), `${label}, offset ${offset}`).toBe(value);
      }
    }
  });
});
