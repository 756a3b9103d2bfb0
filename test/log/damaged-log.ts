import { expect } from "vitest";
import type { LogConfig } from "../../src/log/log-config.ts";
import type { PartitionLog } from "../../src/log/partition-log.ts";
import { baseOffsetOf, batchSizeOf } from "../../src/model/record-batch.ts";
import { accepted, append, SimMachine } from "./engine.ts";

/** Some seven batches of two records each to a segment. */
export const CONFIG: Partial<LogConfig> = {
  segmentBytes: 700,
  segmentMs: Number.POSITIVE_INFINITY,
  indexIntervalBytes: 200,
};
/** So that reads go to the disk. */
export const NO_CACHE = { tailBytes: 0 };
/** Batches of that log. */
export const BATCHES = 20;

/** Where a batch stands. */
export interface Placed {
  readonly path: string;
  readonly position: number;
  readonly size: number;
  readonly offset: number;
}

/** A log of three segments and the place of each of its batches. */
export async function written(
  config: Partial<LogConfig> = CONFIG,
): Promise<{ m: SimMachine; log: PartitionLog; batches: Placed[]; bytes: Buffer[] }> {
  const m = new SimMachine({}, NO_CACHE);
  await m.prepare();
  const log = await m.open(config);
  for (let i = 0; i < BATCHES; i++) {
    const epoch = Math.floor(i / 8);
    await m.run(accepted(append(log, [`first ${i}`, `second ${i}`], epoch, 1000 + i)).done);
  }
  const batches: Placed[] = [];
  const bytes: Buffer[] = [];
  for (const [path, content] of m.disk.snapshotFiles()) {
    if (!path.endsWith(".log")) continue;
    const held = Buffer.from(content);
    for (let position = 0; position < held.length; position += batchSizeOf(held, position)) {
      const size = batchSizeOf(held, position);
      batches.push({ path, position, size, offset: baseOffsetOf(held, position) });
      bytes.push(Buffer.from(held.subarray(position, position + size)));
    }
  }
  expect(batches.map(({ offset }) => offset)).toEqual(Array.from({ length: BATCHES }, (_, i) => i * 2));
  expect(log.segmentCount).toBe(3);
  return { m, log, batches, bytes };
}

/** First, middle and last batch of the first, a middle and the active segment. */
export function victims(batches: readonly Placed[]): Placed[] {
  const chosen: Placed[] = [];
  for (const path of new Set(batches.map((batch) => batch.path))) {
    const own = batches.filter((batch) => batch.path === path);
    chosen.push(...[0, Math.floor(own.length / 2), own.length - 1].flatMap((index) => own[index] ?? []));
  }
  expect(chosen).toHaveLength(9);
  return chosen;
}

/** What was written at an offset. */
export const original = (offset: number): string =>
  `${offset % 2 === 0 ? "first" : "second"} ${Math.floor(offset / 2)}`;
