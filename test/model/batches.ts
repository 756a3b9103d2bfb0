import fc from "fast-check";

import { BatchBuilder, type BatchProducer, type RecordData } from "../../src/model/batch-builder.ts";
import type { Codec } from "../../src/model/compression.ts";
import type { RecordHeader } from "../../src/model/record.ts";

/** A record as a test gives it to a builder. */
export interface RecordInput {
  readonly timestamp: number;
  readonly key: RecordData;
  readonly value: RecordData;
  readonly headers: readonly RecordHeader[];
}

/** A small record; what a test does not name does not matter to it. */
export function record(fields: Partial<RecordInput> = {}): RecordInput {
  return { timestamp: 1_700_000_000_000, key: null, value: "value", headers: [], ...fields };
}

/** A batch of these records, or of `count` small ones. */
export function batch(
  options: {
    readonly records?: readonly RecordInput[];
    readonly count?: number;
    readonly codec?: Codec;
    readonly producer?: BatchProducer;
    /** Before compression. */
    readonly targetBytes?: number;
  } = {},
): Buffer {
  const records =
    options.records ??
    Array.from({ length: options.count ?? 3 }, (_, index) => record({ value: `value ${index}` }));
  const builder = new BatchBuilder({
    codec: options.codec ?? "none",
    targetBytes: options.targetBytes ?? 64 * 1024 * 1024,
  });
  if (options.producer !== undefined) builder.setProducer(options.producer);
  for (const { timestamp, key, value, headers } of records) {
    if (!builder.tryAppend(timestamp, key, value, headers)) throw new Error("the test batch is too large");
  }
  return builder.build();
}

const data = fc.oneof(
  fc.constant(null),
  fc.uint8Array({ maxLength: 200 }),
  fc.string({ unit: "binary", maxLength: 80 }),
);

/** Any record, with times on both sides of the first one's and repeated header keys. */
export const anyRecord: fc.Arbitrary<RecordInput> = fc.record({
  timestamp: fc.oneof(
    fc.integer({ min: 0, max: 2 ** 41 }),
    fc.constantFrom(0, 2 ** 31, 2 ** 32 + 1, 2 ** 52),
  ),
  key: data,
  value: data,
  headers: fc.array(
    fc.record({
      key: fc.string({ unit: "binary", maxLength: 6 }),
      value: fc.option(fc.uint8Array({ maxLength: 70 })),
    }),
    { maxLength: 3 },
  ),
});

/** 1 to 40 records. */
export const anyRecords = fc.array(anyRecord, { minLength: 1, maxLength: 40 });

/** What a decoder has to answer for data given to a builder. */
export function asBytes(given: RecordData): Buffer | null {
  return given === null ? null : Buffer.from(given as Uint8Array);
}
