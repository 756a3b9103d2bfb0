import { describe, expect, test } from "vitest";
import { Deferred } from "../../src/base/deferred.ts";
import { operationError } from "../../src/base/errors.ts";
import type { PartitionLog } from "../../src/log/partition-log.ts";
import type { LeaderEpoch } from "../../src/model/offsets.ts";
import { accepted, append, at, readAll, SimMachine } from "./engine.ts";

describe("replication", () => {
  test("takes the leader's bytes as they are, over several segments", async () => {
    const m = new SimMachine();
    const leader = await m.open();
    for (let i = 0; i < 20; i++) await m.run(accepted(append(leader, [`${i}`], i < 10 ? 1 : 2)).done);
    const read = await m.run(leader.read(at(0), 1_000_000));
    if (!read.ok) throw new Error(read.message);
    const follower = new SimMachine();
    const log = await follower.open({ segmentBytes: 400 });
    const bytes = Buffer.concat([...read.chunks]);
    const result = accepted(log.appendReplicated(Buffer.from(bytes), { leaderEpoch: 2 as LeaderEpoch }));
    expect([result.baseOffset, result.endOffset]).toEqual([0, 20]);
    await follower.run(result.done);
    expect(log.segmentCount).toBeGreaterThan(2);
    expect(log.endOffsetForEpoch(1 as LeaderEpoch)).toEqual({ epoch: 1, endOffset: 10 });
    expect(await follower.run(readAll(log))).toEqual(await m.run(readAll(leader)));
  });

  test("refuses gaps, repeats, bad checksums and epochs that fall or lead, and changes nothing", async () => {
    const m = new SimMachine();
    const leader = await m.open();
    for (let i = 0; i < 6; i++) await m.run(accepted(append(leader, [`${i}`], 5)).done);
    const piece = async (from: number): Promise<Buffer> => {
      const read = await m.run(leader.read(at(from), 1));
      if (!read.ok) throw new Error(read.message);
      return Buffer.concat(read.chunks.map((chunk) => Buffer.from(chunk)));
    };
    const follower = new SimMachine();
    const log = await follower.open();
    const take = (batches: Buffer, epoch = 5) =>
      log.appendReplicated(batches, { leaderEpoch: epoch as LeaderEpoch });
    expect(take(await piece(1))).toMatchObject({ ok: false, error: "OFFSET_OUT_OF_RANGE" });
    expect(take(await piece(0), 4)).toMatchObject({ ok: false, error: "CORRUPT_MESSAGE" });
    await follower.run(accepted(take(await piece(0))).done);
    expect(take(await piece(0))).toMatchObject({ ok: false, error: "OFFSET_OUT_OF_RANGE" });
    const bad = await piece(1);
    bad[65] = (bad[65] ?? 0) ^ 1;
    expect(take(bad)).toMatchObject({ ok: false, error: "CORRUPT_MESSAGE" });
    const older = await piece(1);
    older.writeInt32BE(4, 12);
    expect(take(older)).toMatchObject({ ok: false, error: "CORRUPT_MESSAGE" });
    await follower.run(accepted(take(Buffer.concat([await piece(1), await piece(2)]))).done);
    expect(log.logEndOffset).toBe(3);
  });
});

describe("a gap in what a leader sends", () => {
  /** One batch of a leader's log of eight records, copied. */
  async function pieces(): Promise<(from: number) => Promise<Buffer>> {
    const m = new SimMachine();
    const leader = await m.open();
    for (let i = 0; i < 8; i++) await m.run(accepted(append(leader, [`${i}`], 1)).done);
    return async (from) => {
      const read = await m.run(leader.read(at(from), 1));
      if (!read.ok) throw new Error(read.message);
      return Buffer.concat(read.chunks.map((chunk) => Buffer.from(chunk)));
    };
  }
  const take = (log: PartitionLog, batches: Buffer, gaps?: { from: number; below: number }) =>
    log.appendReplicated(batches, {
      leaderEpoch: 1 as LeaderEpoch,
      gaps: gaps && { from: at(gaps.from), below: at(gaps.below) },
    });
  const refused = { ok: false, error: "OFFSET_OUT_OF_RANGE" };

  test("is taken below the offset up to which it is compacted, and nowhere else", async () => {
    const piece = await pieces();
    const follower = new SimMachine();
    const log = await follower.open();
    await follower.run(accepted(take(log, await piece(0))).done);
    expect(take(log, await piece(3))).toMatchObject(refused);
    expect(take(log, await piece(3))).toMatchObject(refused);
    expect(take(log, await piece(3), { from: 1, below: 2 })).toMatchObject(refused);
    expect(follower.host.gapBounds).toEqual([]);
    await follower.run(accepted(take(log, await piece(3), { from: 1, below: 3 })).done);
    expect(take(log, await piece(6), { from: 4, below: 5 })).toMatchObject(refused);
    expect([log.logEndOffset, log.gapsBelow]).toEqual([4, 3]);
    expect((await follower.run(readAll(log))).map(({ offset }) => offset)).toEqual([0, 3]);
  });

  test("is not taken when something was lost on the way, be it below that offset", async () => {
    const piece = await pieces();
    const follower = new SimMachine();
    const log = await follower.open();
    await follower.run(accepted(take(log, await piece(0), { from: 0, below: 8 })).done);
    expect(take(log, await piece(2), { from: 2, below: 8 })).toMatchObject(refused);
    await follower.run(accepted(take(log, await piece(1), { from: 1, below: 8 })).done);
    expect([log.logEndOffset, log.gapsBelow]).toEqual([2, 0]);
  });

  test("is noted durably before it is written, and what has none costs no note", async () => {
    const piece = await pieces();
    const follower = new SimMachine();
    const log = await follower.open();
    const noting = new Deferred<void>();
    const { host } = follower;
    host.saveGapsBelow = (_topicPartition, gapsBelow) => {
      host.gapBounds.push(gapsBelow);
      return noting.promise;
    };
    await follower.run(accepted(take(log, await piece(0), { from: 0, below: 8 })).done);
    expect(host.gapBounds).toEqual([]);
    const { done } = accepted(take(log, await piece(3), { from: 1, below: 8 }));
    await follower.scheduler.advance(1000);
    expect([log.logEndOffset, ...host.gapBounds]).toEqual([1, 8]);
    noting.resolve();
    await follower.run(done);
    await follower.run(accepted(take(log, await piece(5), { from: 4, below: 8 })).done);
    expect([log.logEndOffset, ...host.gapBounds]).toEqual([6, 8]);
  });

  test("is not written when it cannot be noted", async () => {
    const piece = await pieces();
    const follower = new SimMachine();
    const log = await follower.open();
    await follower.run(accepted(take(log, await piece(0))).done);
    const { host } = follower;
    const save = host.saveGapsBelow.bind(host);
    host.saveGapsBelow = () => Promise.reject(operationError("DISK_FULL", "no room"));
    const { done } = accepted(take(log, await piece(3), { from: 1, below: 8 }));
    await expect(follower.run(done)).rejects.toMatchObject({ code: "KAFKA_STORAGE_ERROR" });
    expect([log.state, log.logEndOffset, log.gapsBelow]).toEqual(["open", 1, 0]);
    host.saveGapsBelow = save;
    await follower.scheduler.advance(2000);
    await follower.run(accepted(take(log, await piece(3), { from: 1, below: 8 })).done);
    expect(log.logEndOffset).toBe(4);
  });

  test("where a segment begins belongs to that segment: each ends with a batch", async () => {
    const piece = await pieces();
    const follower = new SimMachine();
    await follower.prepare();
    const first = await piece(0);
    const log = await follower.open({ segmentBytes: first.length * 2 });
    const batches = Buffer.concat([first, await piece(1), await piece(4), await piece(7)]);
    await follower.run(accepted(take(log, batches, { from: 0, below: 8 })).done);
    const names = [...follower.disk.snapshotFiles()]
      .map(([path]) => path)
      .filter((path) => path.endsWith(".log"));
    expect(names.map((path) => Number(path.split("/").at(-1)?.slice(0, -4)))).toEqual([0, 2]);
    for (const from of [0, 2]) {
      const read = await follower.run(log.read(at(from), 1));
      expect(read).toMatchObject({ ok: true, nextOffset: from === 0 ? 1 : 5 });
    }
    follower.restartOn(follower.disk.crashDroppingAll());
    const again = await follower.open({}, { exists: true });
    expect([again.damage, again.logEndOffset]).toEqual([undefined, 8]);
  });
});

describe("a follower that begins inside a batch", () => {
  test("takes the whole batch and serves it from its start on, also after a restart", async () => {
    const m = new SimMachine();
    const leader = await m.open();
    for (let i = 0; i < 4; i++) await m.run(accepted(append(leader, [`${i}a`, `${i}b`, `${i}c`], 1)).done);
    const read = await m.run(leader.read(at(4), 10_000));
    if (!read.ok) throw new Error(read.message);
    expect(read.firstOffset).toBe(3);
    const follower = new SimMachine();
    const log = await follower.open();
    await follower.run(accepted(append(log, ["old"], 0)).done);
    await follower.run(log.resetTo(at(4)));
    const bytes = Buffer.concat([...read.chunks]);
    await follower.run(accepted(log.appendReplicated(bytes, { leaderEpoch: 1 as LeaderEpoch })).done);
    expect([log.logStartOffset, log.logEndOffset]).toEqual([4, 12]);
    expect((await follower.run(readAll(log)))[0]).toEqual({ offset: 4, value: "1b" });
    await follower.run(log.close());
    const again = await follower.open({}, { exists: true, logStartOffset: at(4) });
    expect([again.logStartOffset, again.logEndOffset]).toEqual([4, 12]);
  });
});
