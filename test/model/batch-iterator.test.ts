import { expect, test } from "vitest";

import { BatchIterator } from "../../src/model/batch-iterator.ts";
import { batch } from "./batches.ts";

const options = { maxBatchBytes: 10_000, verifyCrc: true };
const first = batch({ count: 1 });
const second = batch({ count: 5, codec: "lz4" });

function walk(bytes: Buffer): { readonly found: number[][]; readonly end: number } {
  const batches = new BatchIterator(bytes, options);
  const found: number[][] = [];
  while (batches.next()) found.push([batches.at, batches.size]);
  expect(batches.next()).toBe(false);
  return { found, end: batches.at };
}

test("finds each whole batch and ends before a cut one, wherever the cut is", () => {
  const both = Buffer.concat([first, second]);
  for (let length = 0; length <= both.length; length++) {
    const expected: number[][] = [];
    if (length >= first.length) expected.push([0, first.length]);
    if (length === both.length) expected.push([first.length, second.length]);
    const end = length === both.length ? length : length >= first.length ? first.length : 0;
    expect(walk(both.subarray(0, length)), `${length} bytes`).toEqual({ found: expected, end });
  }
});

test("looks only at the range that it was given", () => {
  const bytes = Buffer.concat([Buffer.alloc(3), first, second]);
  const batches = new BatchIterator(bytes, { ...options, start: 3, end: 3 + first.length });
  expect(batches.next()).toBe(true);
  expect(batches.next()).toBe(false);
  expect(batches.at).toBe(3 + first.length);
});

test("a damaged batch stops the walk at its position, each time it is asked", () => {
  const bytes = Buffer.concat([first, second]);
  bytes[bytes.length - 1] = (bytes.at(-1) ?? 0) ^ 1;
  const batches = new BatchIterator(bytes, options);
  expect(batches.next()).toBe(true);
  for (let attempt = 0; attempt < 2; attempt++) {
    expect(() => batches.next()).toThrow(
      expect.objectContaining({ code: "CORRUPT_MESSAGE", context: { at: first.length } }) as unknown as Error,
    );
    expect(batches.at).toBe(0);
  }
  const unverified = new BatchIterator(bytes, { ...options, verifyCrc: false });
  expect([unverified.next(), unverified.next(), unverified.next()]).toEqual([true, true, false]);
});

test("the error of the header check is passed on", () => {
  const batches = new BatchIterator(second, { ...options, maxBatchBytes: second.length - 1 });
  expect(() => batches.next()).toThrow(
    expect.objectContaining({ code: "MESSAGE_TOO_LARGE" }) as unknown as Error,
  );
});
