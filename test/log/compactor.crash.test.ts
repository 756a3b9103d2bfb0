import fc from "fast-check";
import { expect, test } from "vitest";
import type { PartitionLog } from "../../src/log/partition-log.ts";
import { verifyPartition } from "../../src/log/verify-partition.ts";
import { SeededRandom } from "../../src/platform/random.ts";
import { dropAll, keepAll, randomCrash } from "../../src/sim/crash-policy.ts";
import type { CrashPolicy } from "../../src/sim/crash-policy.ts";
import { SimDisk } from "../../src/sim/sim-disk.ts";
import { compact, COMPACTED, put, recordsOf } from "./compaction.ts";
import type { KeyedRecord } from "./compaction.ts";
import { at, DATA, DIRECTORY, machineOn, openLog, SimMachine } from "./engine.ts";

/** A batch to append, or a compaction. */
type Step = readonly KeyedRecord[] | "compact";

/** What the process knew when it died. */
interface Knowledge {
  /** Every record that was given an offset. */
  readonly attempted: Map<number, KeyedRecord>;
  /** The last answered record of each key. */
  readonly acknowledged: Map<string, { readonly offset: number; readonly value: string | null }>;
  /** Mutating operations of the disk at the beginning and end of each compaction. */
  readonly compactions: { readonly from: number; to: number }[];
  /** Offsets below may be missing, as was noted last. */
  gapsBelow: number;
}

const CONFIG = { ...COMPACTED, segmentBytes: 300 };

/** Plays the steps on a disk that dies after so many operations. Tombstones of one compaction go with the next but one. */
async function play(
  steps: readonly Step[],
  failAfterOperations?: number,
): Promise<{ readonly m: SimMachine; readonly disk: SimDisk; readonly known: Knowledge }> {
  const m = new SimMachine();
  await m.prepare();
  const disk = new SimDisk(failAfterOperations === undefined ? {} : { failAfterOperations }, {
    clock: m.clock,
    random: new SeededRandom(11),
  });
  const known: Knowledge = { attempted: new Map(), acknowledged: new Map(), compactions: [], gapsBelow: 0 };
  const machine = machineOn(disk, m.clock);
  const work = async (): Promise<void> => {
    await disk.makeDir(DATA);
    await disk.syncDir("/");
    const log = await openLog(machine, CONFIG);
    let nowMs = 10_000;
    let firstDirtyOffset: number | undefined;
    for (const step of steps) {
      if (step === "compact") {
        nowMs += 5000;
        const span = { from: disk.mutationCount, to: Number.POSITIVE_INFINITY };
        known.compactions.push(span);
        const report = await compact(log, { nowMs, firstDirtyOffset });
        span.to = disk.mutationCount;
        if (report?.outcome === "done") ({ firstDirtyOffset } = report);
        continue;
      }
      const base = log.logEndOffset;
      for (const [index, record] of step.entries()) known.attempted.set(base + index, record);
      await put(log, step);
      for (const [index, { key, value }] of step.entries())
        known.acknowledged.set(key, { offset: base + index, value });
    }
    await log.close();
  };
  await m.run(work().catch(() => undefined));
  await m.scheduler.runUntilIdle();
  known.gapsBelow = machine.host.gapBounds.at(-1) ?? 0;
  return { m, disk, known };
}

/** Nothing but what was appended is there, at its offset, and each key has its last answered value or a later one. */
async function check(log: PartitionLog, known: Knowledge, label: string): Promise<void> {
  const last = new Map<string, { readonly offset: number; readonly value: string | null }>();
  let before = -1;
  for (const { offset, key, value } of await recordsOf(log)) {
    expect(offset, `${label}: offsets grow`).toBeGreaterThan(before);
    before = offset;
    if (key === "after") continue;
    expect({ key, value }, `${label}: offset ${offset}`).toEqual(known.attempted.get(offset));
    last.set(key, { offset, value });
  }
  for (const [key, { offset, value }] of known.acknowledged) {
    const found = last.get(key);
    // A deleted key may be gone with its tombstone; what the tombstone deleted may not be back.
    if (value === null && found === undefined) continue;
    expect(found?.offset, `${label}: ${key} has its value of offset ${offset}`).toBeGreaterThanOrEqual(
      offset,
    );
  }
}

async function checkImage(m: SimMachine, image: SimDisk, known: Knowledge, label: string): Promise<void> {
  const exists = (await m.run(image.stat(`${DIRECTORY}/partition.metadata`))) !== undefined;
  const gapsBelow = at(known.gapsBelow);
  const log = await m.run(openLog(machineOn(image, m.clock), CONFIG, { exists, gapsBelow }));
  expect(log.state, `${label}: ${log.failure?.message ?? ""}`).toBe("open");
  await m.run(check(log, known, label));
  const endOffset = log.logEndOffset;
  expect(await m.run(put(log, [{ key: "after", value: "z".repeat(150) }])), label).toBe(endOffset);
  await m.run(put(log, [{ key: "after", value: "z".repeat(150) }]));
  await m.run(compact(log, { nowMs: 100_000 }));
  await m.run(check(log, known, `${label}, compacted again`));
  await m.run(log.close());
  const report = await m.run(verifyPartition(image, DIRECTORY));
  expect(report.findings, label).toEqual([]);
  const names = (await m.run(image.list(DIRECTORY))).map(({ name }) => name);
  expect(names.filter((name) => /cleaned|swap/.test(name))).toEqual([]);
}

const steps = (text: string): Step[] =>
  text.split(" ").map((word, index) => {
    if (word === "!") return "compact";
    return Array.from(word, (letter) => {
      const key = letter.toLowerCase();
      return { key, value: letter === key ? `${letter}${index}`.padEnd(30, ".") : null };
    });
  });

test("a crash at every operation of compaction loses, changes, invents and brings back nothing", async () => {
  const story = steps("ab ca bd aC ba ! da Ab cb ea ad ! ea bc ab ad ! ca ab ad");
  const whole = await play(story);
  expect(whole.known.compactions).toHaveLength(3);
  let images = 0;
  for (const { from, to } of whole.known.compactions) {
    expect(to - from).toBeGreaterThan(10);
    for (let n = from; n <= to; n++) {
      const { m, disk, known } = await play(story, n);
      const policies: [string, CrashPolicy][] = [
        ["keep all", keepAll],
        ["drop all", dropAll],
        ["some", randomCrash(new SeededRandom(n * 2))],
        ["others", randomCrash(new SeededRandom(n * 2 + 1))],
      ];
      for (const [name, policy] of policies) {
        const image = disk.imageAfter(policy, { clock: m.clock, random: new SeededRandom(1) });
        await checkImage(m, image, known, `crash after operation ${n}, ${name}`);
        images++;
      }
    }
  }
  expect(images).toBeGreaterThan(150);
}, 60_000);

test("any appends, compacted anywhere and cut off anywhere, keep the last value of each key", async () => {
  const word = fc.array(fc.constantFrom("a", "b", "c", "d", "A", "B"), { minLength: 1, maxLength: 4 });
  const step = fc.oneof({ weight: 4, arbitrary: word.map((letters) => letters.join("")) }, fc.constant("!"));
  await fc.assert(
    fc.asyncProperty(
      fc.array(step, { minLength: 4, maxLength: 25 }),
      fc.double({ min: 0, max: 1, noNaN: true }),
      fc.integer({ min: 1, max: 1_000_000 }),
      async (words, where, seed) => {
        const story = steps(words.join(" "));
        const whole = await play(story);
        await checkImage(whole.m, whole.disk.imageAfter(keepAll), whole.known, "no crash");
        const { m, disk, known } = await play(story, Math.floor(where * whole.disk.mutationCount));
        const policy = randomCrash(new SeededRandom(seed));
        const image = disk.imageAfter(policy, { clock: m.clock, random: new SeededRandom(1) });
        await checkImage(m, image, known, "crash");
      },
    ),
    { numRuns: 60 },
  );
}, 60_000);
