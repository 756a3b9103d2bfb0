import { expect, test } from "vitest";
import { keepAll } from "../../src/sim/crash-policy.ts";
import { BATCHES, CONFIG, NO_CACHE, original, victims, written } from "./damaged-log.ts";
import { at, machineOn, openLog, recordsIn } from "./engine.ts";

const GAPS = { ...CONFIG, mayHaveGaps: true };

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
    const { m, log, batches } = await written(GAPS);
    for (const victim of victims(batches)) {
      const disk = m.disk.imageAfter(keepAll).imageAfter(keepAll);
      const twin = await m.run(openLog(machineOn(disk, m.clock, NO_CACHE), GAPS, { exists: true }));
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
