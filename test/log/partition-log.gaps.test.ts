import { expect, test } from "vitest";
import { keepAll } from "../../src/sim/crash-policy.ts";
import { BATCHES, CONFIG, NO_CACHE, original, victims, written } from "./damaged-log.ts";
import { at, machineOn, openLog, readAll, recordsIn } from "./engine.ts";

/** Any offset may be missing. */
const GAPS = { exists: true, gapsBelow: at(BATCHES * 2) };

/*
 * Where compaction leaves gaps, the order of the base offsets and the end of the segment are all that shows that one has
 * rotted: no checksum covers it. Found must be what can be, and nothing of it may pass for the end of the log.
 */
test.each([
  ["high", 0, 5],
  ["low", 7, 5],
] as const)(
  "a base offset that rots in its %s byte is found where there may be gaps, and never read over",
  async (_where, byte, bit) => {
    const { m, log, batches } = await written();
    for (const victim of victims(batches)) {
      const disk = m.disk.imageAfter(keepAll).imageAfter(keepAll);
      const twin = await m.run(openLog(machineOn(disk, m.clock, NO_CACHE), CONFIG, GAPS));
      disk.flipBit(victim.path, (victim.position + byte) * 8 + bit);
      const label = `${victim.path} at ${victim.position}`;
      const before = batches.findLast(({ offset }) => offset < victim.offset)?.offset ?? 0;
      let next = 0;
      for (;;) {
        const result = await m.run(twin.read(at(next), 150));
        if (!result.ok) {
          expect(result.error, label).toBe("CORRUPT_MESSAGE");
          break;
        }
        expect(result.nextOffset, label).toBeGreaterThan(next);
        for (const { offset, value } of recordsIn(result.chunks)) expect(value, label).toBe(original(offset));
        next = result.nextOffset;
      }
      expect(next, label).toBeLessThanOrEqual(victim.offset);
      // Of two that do not agree the earlier goes too.
      expect(twin.damage?.offset, label).toBeLessThanOrEqual(victim.offset);
      expect(twin.damage?.offset, label).toBeGreaterThanOrEqual(before);
      await m.run(twin.close());
    }
    expect(log.logEndOffset).toBe(BATCHES * 2);
    await m.run(log.close());
  },
);

test.each([
  ["recovery", 2, 1],
  ["a scrub", 2, 1],
  ["recovery", 6, 4],
  ["a scrub", 6, 4],
] as const)(
  "where offsets are in the wrong order %s doubts all since the last gap (batch %i, bit %i)",
  async (finder, index, bit) => {
    const { m, log, batches } = await written();
    await m.run(log.close());
    const victim = batches[index];
    if (victim === undefined) throw new Error("few batches");
    expect(batches[7]?.path).not.toBe(victim.path);
    const disk = m.disk.imageAfter(keepAll);
    // From 4 to 6, where the next one begins; from 12, the last of its segment, to 28.
    disk.flipBit(victim.path, (victim.position + 7) * 8 + bit);
    const recoveryPoint = at(finder === "recovery" ? 0 : BATCHES * 2);
    const twin = await m.run(openLog(machineOn(disk, m.clock, NO_CACHE), CONFIG, { ...GAPS, recoveryPoint }));
    if (finder === "a scrub") await m.run(twin.scrub());
    expect(twin.damage?.offset).toBe(victim.offset);
    expect(await m.run(twin.cutDamage())).toBe(victim.offset);
    expect(await m.run(readAll(twin))).toHaveLength(victim.offset);
    await m.run(twin.close());
  },
);

/*
 * Where nothing was compacted a jump is damage, whatever the settings of the topic: a disk that wrote to the wrong place
 * leaves whole batches, with right checksums, of further on.
 */
test.each(["recovery", "a scrub", "a read"] as const)(
  "batches of further on where others were are found by %s in a topic that has compaction",
  async (finder) => {
    const { m, log, batches } = await written();
    await m.run(log.close());
    const [, , target, , source, end] = batches;
    if (target === undefined || source === undefined || end === undefined) throw new Error("few batches");
    const disk = m.disk.imageAfter(keepAll);
    const file = await m.run(disk.open(source.path, "write"));
    const moved = Buffer.alloc(end.position - source.position + end.size);
    await m.run(file.read(moved, source.position));
    await m.run(file.write([moved], target.position));
    await m.run(file.sync());
    await m.run(file.close());
    const recoveryPoint = at(finder === "recovery" ? 0 : BATCHES * 2);
    const config = { ...CONFIG, isCompacting: true };
    const twin = await m.run(
      openLog(machineOn(disk, m.clock, NO_CACHE), config, { exists: true, recoveryPoint }),
    );
    if (finder === "a scrub") await m.run(twin.scrub());
    if (finder === "a read") await expect(m.run(readAll(twin))).rejects.toThrow("CORRUPT_MESSAGE");
    expect(twin.damage?.offset).toBe(target.offset);
    await m.run(twin.close());
  },
);
