import { describe, expect, test } from "vitest";
import type { PartitionLog } from "../../src/log/partition-log.ts";
import { SeededRandom } from "../../src/platform/random.ts";
import { keepAll } from "../../src/sim/crash-policy.ts";
import { BATCHES, CONFIG, NO_CACHE, original, victims, written } from "./damaged-log.ts";
import { at, DIRECTORY, machineOn, openLog, readAll, recordsIn, time } from "./engine.ts";
import type { SimMachine } from "./engine.ts";

/** The regions of a batch that a checksum or the order of offsets protects. */
const REGIONS = {
  "base offset, low": 7,
  "base offset, high": 0,
  length: 10,
  "length, low": 11,
  magic: 16,
  crc: 18,
  "last offset delta": 26,
  timestamp: 40,
  "record count": 60,
  body: 70,
} as const;

/** Reads on over refusals, and answers the values that were served by offset. */
async function serveAll(m: SimMachine, log: PartitionLog): Promise<Map<number, string>> {
  const served = new Map<number, string>();
  for (let from = 0; from < log.logEndOffset; from++) {
    const result = await m.run(log.read(at(from), 150));
    if (!result.ok) {
      expect(result.error).toBe("CORRUPT_MESSAGE");
      continue;
    }
    for (const record of recordsIn(result.chunks)) served.set(record.offset, record.value);
  }
  return served;
}

describe.each(Object.entries(REGIONS))("a bit flipped in the %s of a batch", (_region, byte) => {
  test("is found by reads and by the scrub at the very batch, wherever it stands, and never served", async () => {
    const { m, log, batches } = await written();
    for (const victim of victims(batches)) {
      const bit = (victim.position + byte) * 8 + 5;
      const image = m.disk.imageAfter(keepAll);
      // Reading: a twin that opens the files in good order, whose bytes rot afterwards.
      const label = `${victim.path} at ${victim.position}`;
      for (const way of ["read", "scrub"] as const) {
        const disk = image.imageAfter(keepAll);
        const twin = await m.run(openLog(machineOn(disk, m.clock, NO_CACHE), CONFIG, { exists: true }));
        let told = 0;
        twin.onAdvance(() => told++);
        disk.flipBit(victim.path, bit);
        if (way === "scrub") await m.run(twin.scrub());
        const served = await serveAll(m, twin);
        expect(twin.damage?.offset, `${way} ${label}`).toBe(victim.offset);
        expect(twin.damage?.message).toContain(`${victim.path} is damaged at byte ${victim.position}`);
        expect(twin.damage?.message).toContain("repaired from another one");
        expect(told, label).toBe(1);
        expect(twin.state).toBe("open");
        for (const [offset, value] of served) expect(value, label).toBe(original(offset));
        for (let offset = 0; offset < victim.offset; offset++) expect(served.has(offset), label).toBe(true);
        expect(served.has(victim.offset), label).toBe(false);
        await m.run(twin.close());
      }
    }
    await m.run(log.close());
  });
});

describe("damage", () => {
  test("moves down when an earlier one is found, and its listeners hear of it", async () => {
    const { m, log, batches } = await written();
    for (const index of [15, 3]) {
      const { path, position, offset } = batches[index] ?? expect.fail();
      m.disk.flipBit(path, (position + 70) * 8);
      let told = 0;
      const stop = log.onAdvance(() => told++);
      expect(await m.run(log.read(at(offset), 100))).toMatchObject({ ok: false, error: "CORRUPT_MESSAGE" });
      stop();
      expect([log.damage?.offset, told]).toEqual([offset, 1]);
    }
    // The later one is still known: nothing behind it in its segment is served.
    expect(await m.run(log.read(at(32), 100))).toMatchObject({ ok: false, error: "CORRUPT_MESSAGE" });
  });

  test("of a base offset serves no record under another's offset, wherever a read begins", async () => {
    const { m, log, batches } = await written();
    const image = m.disk.imageAfter(keepAll);
    for (const victim of victims(batches)) {
      for (let bit = 0; bit < 8; bit++) {
        for (let from = Math.max(0, victim.offset - 2); from < victim.offset + 4; from++) {
          const disk = image.imageAfter(keepAll);
          const twin = await m.run(openLog(machineOn(disk, m.clock, NO_CACHE), CONFIG, { exists: true }));
          if (from >= twin.logEndOffset) continue;
          disk.flipBit(victim.path, (victim.position + 7) * 8 + bit);
          const result = await m.run(twin.read(at(from), 400));
          const label = `bit ${bit} of the batch at ${victim.offset}, read from ${from}`;
          if (!result.ok) expect(twin.damage?.offset, label).toBe(victim.offset);
          for (const record of result.ok ? recordsIn(result.chunks) : []) {
            expect(record.value, label).toBe(original(record.offset));
          }
        }
      }
    }
    await m.run(log.close());
  });

  test("leaves later segments readable", async () => {
    const { m, log, batches } = await written();
    m.disk.flipBit(batches[0]?.path ?? "", 70 * 8);
    expect(await m.run(log.read(at(0), 100))).toMatchObject({ ok: false });
    const behind = (batches.find(({ path }) => path !== batches[0]?.path) ?? expect.fail()).offset;
    expect((await m.run(readAll(log, behind)))[0]).toEqual({ offset: behind, value: original(behind) });
  });

  test("met by readers at the same time is looked for once", async () => {
    const { m, log, batches } = await written();
    const { path, position, offset } = batches[3] ?? expect.fail();
    m.disk.flipBit(path, (position + 70) * 8);
    const openings = (): number => m.disk.operationCounts.get("open") ?? 0;
    const before = openings();
    const results = await m.run(
      Promise.all([1, 2, 3, 4].map(() => Promise.resolve(log.read(at(offset), 100)))),
    );
    // The file is open for readers; the scan opens its own.
    expect(openings() - before).toBe(1);
    for (const result of results) expect(result).toMatchObject({ ok: false, error: "CORRUPT_MESSAGE" });
    expect(log.damage?.offset).toBe(offset);
  });

  test("in the way of a search by time is found, and the search refused rather than answered wrong", async () => {
    const { m, log, batches } = await written();
    expect(await m.run(log.offsetForTimestamp(time(1004)))).toMatchObject({ offset: 8 });
    const { path, position } = batches[4] ?? expect.fail();
    m.disk.flipBit(path, (position + 70) * 8);
    await expect(m.run(log.offsetForTimestamp(time(1004)))).rejects.toMatchObject({
      code: "CORRUPT_MESSAGE",
    });
    expect(log.damage?.offset).toBe(8);
    expect(await m.run(log.offsetForTimestamp(time(1001)))).toMatchObject({ offset: 2 });
    await expect(m.run(log.offsetOfMaxTimestamp())).rejects.toMatchObject({ code: "CORRUPT_MESSAGE" });
  });

  test("met when indexes are built again is found", async () => {
    const { m, log, batches } = await written();
    await m.run(log.close());
    const again = await m.open(CONFIG, { exists: true, clean: true });
    const { path, position, offset } = batches[4] ?? expect.fail();
    m.disk.flipBit(path, (position + 70) * 8);
    await m.run(m.disk.remove(path.replace(".log", ".index")));
    // A read that ends below the damage, and needs the index.
    expect(await m.run(log.read(at(0), 100))).toMatchObject({ ok: false });
    expect(await m.run(again.read(at(2), 80))).toMatchObject({ ok: true });
    expect(again.damage?.offset).toBe(offset);
  });

  test("of a file that lost its end is found by the scrub and by reads", async () => {
    const { m, log, batches } = await written();
    const last = batches.findLast(({ path }) => path === batches[0]?.path) ?? expect.fail();
    const file = await m.run(m.disk.open(last.path, "write"));
    for (const size of [last.position, last.position - 5]) {
      await m.run(file.truncate(size));
      const expected = size === last.position ? last.offset : last.offset - 2;
      if (size === last.position) await m.run(log.scrub());
      else expect(await m.run(log.read(at(last.offset - 2), 100))).toMatchObject({ ok: false });
      expect(log.damage?.offset).toBe(expected);
    }
  });

  test("of a leader epoch that falls is found by the scrub", async () => {
    const { m, log, batches } = await written();
    const { path, position, offset } = batches[9] ?? expect.fail();
    m.disk.flipBit(path, (position + 14) * 8);
    await m.run(log.scrub());
    expect(log.damage?.offset).toBe(offset);
  });

  test("of an index file is none of the log: it is built again", async () => {
    const { m, log } = await written();
    await m.run(log.close());
    const names = (await m.run(m.disk.list(DIRECTORY))).filter(({ name }) => name.includes("index"));
    const random = new SeededRandom(4);
    for (let round = 0; round < 40; round++) {
      const disk = m.disk.imageAfter(keepAll);
      for (const { name } of names) {
        const path = `${DIRECTORY}/${name}`;
        const size = (await m.run(disk.stat(path)))?.sizeBytes ?? 0;
        if (size > 0) disk.flipBit(path, (random.bytes(1)[0] ?? 0) % (size * 8));
      }
      const again = await m.run(
        openLog(machineOn(disk, m.clock, NO_CACHE), CONFIG, { exists: true, clean: true }),
      );
      expect((await m.run(readAll(again, 0, 150))).map(({ value }) => value)).toHaveLength(BATCHES * 2);
      await m.run(again.scrub());
      expect([again.damage, again.state]).toEqual([undefined, "open"]);
      await m.run(again.close());
    }
  });

  test("goes with the segment when retention deletes it", async () => {
    const { m, log, batches } = await written();
    const { path, position } = batches[2] ?? expect.fail();
    m.disk.flipBit(path, (position + 70) * 8);
    await m.run(log.scrub());
    expect(log.damage?.offset).toBe(4);
    await m.run(log.advanceLogStart(at(30)));
    await m.run(log.applyRetention(m.clock.wallMs()));
    expect(log.damage).toBeUndefined();
  });

  test("goes by a truncation below it and stays with one above it", async () => {
    const { m, log, batches } = await written();
    const { path, position, offset } = batches[9] ?? expect.fail();
    m.disk.flipBit(path, (position + 70) * 8);
    await m.run(log.scrub());
    await m.run(log.truncateTo(at(32)));
    expect(log.damage?.offset).toBe(offset);
    await m.run(log.truncateTo(at(offset - 1)));
    expect([log.damage, log.logEndOffset]).toEqual([undefined, offset - 2]);
  });

  test("that hides where a truncation is to cut is noted, and nothing is cut before it has been told of (H42)", async () => {
    const { m, log, batches } = await written();
    const active = batches.filter(({ path }) => path === batches.at(-1)?.path);
    const { path, position, offset } = active[1] ?? expect.fail();
    const { logEndOffset } = log;
    // Length, magic, base offset, body.
    for (const byte of [10, 11, 16, 6, 70]) {
      const disk = m.disk.imageAfter(keepAll);
      const machine = machineOn(disk, m.clock, NO_CACHE);
      const twin = await m.run(openLog(machine, CONFIG, { exists: true }));
      disk.flipBit(path, (position + byte) * 8);
      await expect(m.run(twin.truncateTo(at(offset + 4)))).rejects.toMatchObject({
        code: "KAFKA_STORAGE_ERROR",
        message: expect.stringContaining(`is damaged at byte ${position}`) as string,
      });
      expect([twin.logEndOffset, twin.state, twin.damage?.offset]).toEqual([logEndOffset, "open", offset]);
      expect(machine.host.recoveryPoints).toEqual([]);
      expect(await m.run(twin.cutDamage())).toBe(offset);
      expect((await m.run(disk.stat(path)))?.sizeBytes).toBe(position);
      await m.run(twin.close());
    }
    await m.run(log.close());
  });

  test("below a truncation, met where producers are recalled, is noted: of what lies behind it nothing is known of them", async () => {
    const { m, log, batches } = await written();
    const active = batches.filter(({ path }) => path === batches.at(-1)?.path);
    const { path, position, offset } = active[1] ?? expect.fail();
    const { offset: cut } = active.at(-1) ?? expect.fail();
    expect(cut).toBeGreaterThan(offset + 2);
    m.disk.flipBit(path, (position + 70) * 8);
    await m.run(log.truncateTo(at(cut)));
    expect([log.logEndOffset, log.state, log.damage?.offset]).toEqual([cut, "open", offset]);
    await m.run(log.close());
  });
});
