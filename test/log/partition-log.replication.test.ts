import { describe, expect, test } from "vitest";
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

describe("a gap that the topic's settings do not tell of", () => {
  test("is refused until the leader repeats it, and then noted for good", async () => {
    const m = new SimMachine();
    const leader = await m.open();
    for (let i = 0; i < 8; i++) await m.run(accepted(append(leader, [`${i}`], 1)).done);
    const piece = async (from: number): Promise<Buffer> => {
      const read = await m.run(leader.read(at(from), 1));
      if (!read.ok) throw new Error(read.message);
      return Buffer.concat(read.chunks.map((chunk) => Buffer.from(chunk)));
    };
    const follower = new SimMachine();
    const log = await follower.open();
    const take = (batches: Buffer) => log.appendReplicated(batches, { leaderEpoch: 1 as LeaderEpoch });
    await follower.run(accepted(take(await piece(0))).done);
    expect(take(await piece(3))).toMatchObject({ ok: false, error: "OFFSET_OUT_OF_RANGE" });
    // Another one: the first was an accident.
    expect(take(await piece(2))).toMatchObject({ ok: false, error: "OFFSET_OUT_OF_RANGE" });
    expect(take(await piece(3))).toMatchObject({ ok: false, error: "OFFSET_OUT_OF_RANGE" });
    expect(follower.host.gapCount).toBe(0);
    const again = take(await piece(3));
    expect(again).toMatchObject({ ok: false, error: "OFFSET_OUT_OF_RANGE" });
    expect(again.ok ? "" : again.message).toMatch(/compacted once/);
    expect(follower.host.gapCount).toBe(1);
    expect(log.logEndOffset).toBe(1);
  });

  test("is noted where the settings are newer than what was noted of the log", async () => {
    const m = new SimMachine();
    const leader = await m.open();
    for (let i = 0; i < 3; i++) await m.run(accepted(append(leader, [`${i}`], 1)).done);
    const read = await m.run(leader.read(at(2), 1));
    if (!read.ok) throw new Error(read.message);
    const follower = new SimMachine();
    const log = await follower.open({ mayHaveGaps: true });
    const batches = Buffer.concat([...read.chunks]);
    await follower.run(accepted(log.appendReplicated(batches, { leaderEpoch: 1 as LeaderEpoch })).done);
    expect(follower.host.gapCount).toBe(1);
    expect(log.logEndOffset).toBe(3);
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
