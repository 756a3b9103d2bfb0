import fc from "fast-check";
import { expect, test } from "vitest";
import type { LogConfig } from "../../src/log/log-config.ts";
import type { PartitionLog } from "../../src/log/partition-log.ts";
import { verifyPartition } from "../../src/log/verify-partition.ts";
import type { LeaderEpoch } from "../../src/model/offsets.ts";
import { accepted, append, at, DIRECTORY, readAll, recordsIn, SimMachine } from "./engine.ts";

type Step =
  | { readonly kind: "append"; readonly counts: readonly number[] }
  | { readonly kind: "epoch" }
  | { readonly kind: "read"; readonly from: number; readonly maxBytes: number }
  | { readonly kind: "truncate"; readonly to: number }
  | { readonly kind: "start"; readonly to: number }
  | { readonly kind: "retain" }
  | { readonly kind: "reset"; readonly ahead: number }
  | { readonly kind: "reopen"; readonly clean: boolean }
  | { readonly kind: "kill" };

const fraction = fc.double({ min: 0, max: 1, noNaN: true });
const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 6,
    arbitrary: fc
      .array(fc.integer({ min: 1, max: 5 }), { minLength: 1, maxLength: 6 })
      .map((counts) => ({ kind: "append", counts }) as const),
  },
  {
    weight: 4,
    arbitrary: fc.record({
      kind: fc.constant("read" as const),
      from: fraction,
      maxBytes: fc.integer({ min: 1, max: 900 }),
    }),
  },
  { weight: 1, arbitrary: fc.constant({ kind: "epoch" } as const) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant("truncate" as const), to: fraction }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("start" as const), to: fraction }) },
  { weight: 1, arbitrary: fc.constant({ kind: "retain" } as const) },
  {
    weight: 1,
    arbitrary: fc.record({ kind: fc.constant("reset" as const), ahead: fc.integer({ min: 0, max: 20 }) }),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("reopen" as const), clean: fc.boolean() }) },
  { weight: 1, arbitrary: fc.constant({ kind: "kill" } as const) },
);

const CONFIG: Partial<LogConfig> = { segmentBytes: 600, indexIntervalBytes: 150, retentionBytes: 1500 };

/** A partition as a plain array of batches. */
class Model {
  start = 0;
  end = 0;
  epoch = 0;
  batches: { readonly base: number; readonly end: number; readonly values: readonly string[] }[] = [];

  truncate(to: number): void {
    if (to >= this.end) return;
    if (to < this.start) {
      this.reset(to);
      return;
    }
    const cut = this.batches.find((batch) => batch.end > to);
    this.end = cut === undefined ? to : Math.min(to, cut.base);
    this.batches = this.batches.filter((batch) => batch.end <= this.end);
  }

  reset(to: number): void {
    this.batches = [];
    this.start = to;
    this.end = to;
  }

  records(): { offset: number; value: string }[] {
    return this.batches
      .flatMap(({ base, values }) => values.map((value, i) => ({ offset: base + i, value })))
      .filter(({ offset }) => offset >= this.start);
  }
}

test("a partition log behaves as an array of batches, through restarts and kills", async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(step, { minLength: 5, maxLength: 40 }),
      fc.constantFrom(0, 2000, 1_000_000),
      fc.constantFrom(0, 300, 65_536),
      async (steps, tailBytes, unsavedSegmentBytes) => {
        const config = { ...CONFIG, unsavedSegmentBytes };
        const m = new SimMachine({}, { tailBytes });
        await m.prepare();
        const model = new Model();
        let log: PartitionLog = await m.open(config);
        let counter = 0;
        const reopen = async (clean: boolean): Promise<void> => {
          log = await m.open(config, {
            exists: (await m.run(m.disk.stat(DIRECTORY))) !== undefined,
            clean,
            logStartOffset: at(m.host.logStarts.get("t-0") ?? 0),
          });
        };
        for (const action of steps) {
          switch (action.kind) {
            case "append": {
              const done = action.counts.map((count) => {
                const values = Array.from({ length: count }, () => `${counter++}`);
                const result = accepted(append(log, values, model.epoch, 1000 + counter));
                expect(result.baseOffset).toBe(model.end);
                model.batches.push({ base: model.end, end: model.end + count, values });
                model.end += count;
                return result.done;
              });
              await m.run(Promise.all(done));
              break;
            }
            case "epoch":
              model.epoch++;
              break;
            case "read": {
              const from = Math.floor(model.start + action.from * (model.end - model.start));
              const result = await m.run(log.read(at(from), action.maxBytes));
              if (!result.ok) throw new Error(result.message);
              if (from === model.end) {
                expect(result.chunks).toEqual([]);
                break;
              }
              const expected = model.batches.filter(({ end }) => end > from);
              expect(result.firstOffset).toBe(expected[0]?.base);
              const found = recordsIn(result.chunks);
              expect(found).toEqual(
                expected
                  .flatMap(({ base, values }) => values.map((value, i) => ({ offset: base + i, value })))
                  .slice(0, found.length),
              );
              expect(result.nextOffset).toBe((found.at(-1)?.offset ?? 0) + 1);
              break;
            }
            case "truncate": {
              const to = Math.floor(Math.max(0, model.start - 2) + action.to * (model.end - model.start + 4));
              await m.run(log.truncateTo(at(to)));
              model.truncate(to);
              break;
            }
            case "start": {
              const to = Math.floor(model.start + action.to * (model.end - model.start));
              await m.run(log.advanceLogStart(at(to)));
              model.start = Math.max(model.start, to);
              break;
            }
            case "retain":
              await m.run(log.applyRetention(0));
              expect(log.logStartOffset).toBeGreaterThanOrEqual(model.start);
              model.start = log.logStartOffset;
              model.batches = model.batches.filter(({ end }) => end > model.start);
              break;
            case "reset":
              model.reset(model.end + action.ahead);
              await m.run(log.resetTo(at(model.end)));
              break;
            case "reopen":
              await m.run(log.close());
              await reopen(action.clean);
              break;
            case "kill": {
              const { logStarts } = m.host;
              m.restartOn(m.disk.crashKeepingAll(), { tailBytes });
              for (const [key, start] of logStarts) m.host.logStarts.set(key, start);
              await reopen(false);
              break;
            }
          }
          // Truncation into the hole of a reset or below a kept batch may leave the end at its batch's base only.
          expect([log.state, log.logStartOffset, log.logEndOffset, log.durableEndOffset]).toEqual([
            "open",
            model.start,
            model.end,
            model.end,
          ]);
        }
        expect(await m.run(readAll(log, undefined, 200))).toEqual(model.records());
        for (let epoch = 0; epoch <= model.epoch; epoch++) {
          const { endOffset } = log.endOffsetForEpoch(epoch as LeaderEpoch);
          expect(endOffset).toBeLessThanOrEqual(model.end);
        }
        await m.run(log.close());
        if ((await m.run(m.disk.stat(DIRECTORY))) !== undefined) {
          const report = await m.run(verifyPartition(m.disk, DIRECTORY));
          expect(report.findings.filter(({ severity }) => severity === "error")).toEqual([]);
        }
      },
    ),
    { numRuns: 150 },
  );
});
