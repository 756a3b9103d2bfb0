import fc from "fast-check";
import { expect, test } from "vitest";

import { ByteReader } from "../../src/base/bytes.ts";
import {
  MAX_VARINT_BYTES,
  uvarintSize,
  varintSize,
  writeUvarint,
  writeVarint,
} from "../../src/base/varint.ts";

const EDGES = [0, 1, 63, 64, 127, 128, 2 ** 30, 2 ** 31, 2 ** 32, 2 ** 53 - 1];
const safeEdges = EDGES.flatMap((edge) => [edge - 1, edge, 0 - edge, -1 - edge]).filter(Number.isSafeInteger);
const anySafe = fc.oneof(fc.maxSafeInteger(), fc.integer(), fc.integer({ min: -200, max: 200 }));

function checkBoth(value: number): void {
  const buffer = Buffer.alloc(MAX_VARINT_BYTES + 1);
  const end = writeVarint(buffer, value, 1);
  expect(end, `size of ${value}`).toBe(1 + varintSize(value));
  expect(new ByteReader(buffer, 1, end).varlong(), `zigzag ${value}`).toBe(value);
  if (value < 0) return;
  const unsignedEnd = writeUvarint(buffer, value, 1);
  expect(unsignedEnd).toBe(1 + uvarintSize(value));
  expect(new ByteReader(buffer, 1, unsignedEnd).uvarlong(), `unsigned ${value}`).toBe(value);
}

test("sizes and bytes agree with the reader at every boundary", () => {
  for (const value of safeEdges) checkBoth(value);
});

test("sizes and bytes agree with the reader for any safe integer", () => {
  fc.assert(fc.property(anySafe, checkBoth));
});
