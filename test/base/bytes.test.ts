import fc from "fast-check";
import { describe, expect, test } from "vitest";

import { asBuffer, ByteReader, ByteWriter, copyBytes } from "../../src/base/bytes.ts";
import { uvarintSize, varintSize } from "../../src/base/varint.ts";

const corrupt = expect.objectContaining({ code: "CORRUPT_MESSAGE" }) as unknown as Error;
const invalid = expect.objectContaining({ code: "INVALID_ARGUMENT" }) as unknown as Error;

const EDGES = [2 ** 31, 2 ** 32, 2 ** 40, 2 ** 53].flatMap((edge) => [
  edge - 1,
  edge,
  edge + 1,
  -edge - 1,
  -edge,
  1 - edge,
]);
const SAFE_EDGES = [0, 1, -1, 63, 64, -64, -65, 127, 128, ...EDGES].filter((value) =>
  Number.isSafeInteger(value),
);

function written(write: (writer: ByteWriter) => void): Buffer {
  const writer = new ByteWriter(1);
  write(writer);
  return writer.toBuffer();
}

/** The zigzag LEB128 bytes by bigint arithmetic: a second implementation to test against. */
function referenceVarlong(value: number | bigint): Buffer {
  const wide = BigInt(value);
  let rest = BigInt.asUintN(64, (wide << 1n) ^ (wide >> 63n));
  const bytes: number[] = [];
  while (rest >= 0x80n) {
    bytes.push(Number(rest & 0x7fn) | 0x80);
    rest >>= 7n;
  }
  bytes.push(Number(rest));
  return Buffer.from(bytes);
}

describe("64-bit numbers", () => {
  test.each(SAFE_EDGES)("%d survives fixed and variable encoding", (value) => {
    const fixed = written((writer) => writer.int64(value));
    expect(fixed.readBigInt64BE()).toBe(BigInt(value));
    expect(new ByteReader(fixed).int64()).toBe(value);
    const variable = written((writer) => writer.varint(value));
    expect(variable).toEqual(referenceVarlong(value));
    expect(variable.length).toBe(varintSize(value));
    expect(new ByteReader(variable).varlong()).toBe(value);
  });

  test.each([2n ** 53n, 2n ** 53n + 1n, -(2n ** 53n), -(2n ** 53n) - 1n, 2n ** 63n - 1n, -(2n ** 63n)])(
    "%d is refused rather than rounded",
    (value) => {
      const fixed = Buffer.alloc(8);
      fixed.writeBigInt64BE(value);
      expect(() => new ByteReader(fixed).int64()).toThrow(corrupt);
      expect(() => new ByteReader(referenceVarlong(value)).varlong()).toThrow(corrupt);
    },
  );

  test("a writer refuses numbers that are not exact", () => {
    for (const value of [2 ** 53, -(2 ** 53), 0.5, NaN, Infinity]) {
      expect(() => written((writer) => writer.int64(value))).toThrow(invalid);
      expect(() => written((writer) => writer.varint(value))).toThrow(invalid);
    }
    expect(() => written((writer) => writer.uvarint(-1))).toThrow(invalid);
  });

  test("the greatest value means no limit only where the field says so", () => {
    const unlimited = written((writer) => writer.int64OrInfinity(Infinity));
    expect(unlimited.readBigInt64BE()).toBe(2n ** 63n - 1n);
    expect(new ByteReader(unlimited).int64OrInfinity()).toBe(Infinity);
    expect(new ByteReader(written((writer) => writer.int64OrInfinity(-7))).int64OrInfinity()).toBe(-7);
    expect(() => new ByteReader(unlimited.subarray(0, 7)).int64OrInfinity()).toThrow(corrupt);
  });
});

describe("varints", () => {
  test("any safe integer agrees with bigint arithmetic", () => {
    fc.assert(
      fc.property(fc.maxSafeInteger(), (value) => {
        const bytes = written((writer) => writer.varint(value));
        expect(bytes).toEqual(referenceVarlong(value));
        expect(new ByteReader(bytes).varlong()).toBe(value);
      }),
    );
  });

  test("32 bits are the bound of varint and uvarint, 2^53 that of uvarlong", () => {
    for (const value of [-(2 ** 31), 2 ** 31 - 1, 0, -1]) {
      expect(new ByteReader(written((writer) => writer.varint(value))).varint()).toBe(value);
    }
    expect(() => new ByteReader(written((writer) => writer.varint(2 ** 31))).varint()).toThrow(corrupt);
    expect(new ByteReader(written((writer) => writer.uvarint(2 ** 32 - 1))).uvarint()).toBe(2 ** 32 - 1);
    expect(() => new ByteReader(written((writer) => writer.uvarint(2 ** 32))).uvarint()).toThrow(corrupt);
    const greatest = written((writer) => writer.uvarint(Number.MAX_SAFE_INTEGER));
    expect(greatest.length).toBe(uvarintSize(Number.MAX_SAFE_INTEGER));
    expect(new ByteReader(greatest).uvarlong()).toBe(Number.MAX_SAFE_INTEGER);
  });

  test("a varint that never ends is refused after its longest form", () => {
    const endless = Buffer.alloc(1000, 0xff);
    for (const read of ["uvarint", "uvarlong", "varint", "varlong"] as const) {
      expect(() => new ByteReader(endless)[read]()).toThrow(corrupt);
    }
  });
});

test("every kind of field survives in one sequence, through the growth of the writer", () => {
  const bytes = written((writer) => {
    writer.int8(-128);
    writer.uint8(255);
    writer.int16(-32768);
    writer.uint16(65535);
    writer.int32(-(2 ** 31));
    writer.uint32(2 ** 32 - 1);
    writer.float64(-0.1);
    writer.bool(true);
    writer.sizedUtf8("zażółć \ufffd 𝕏");
    writer.sizedBytes(Uint8Array.of(1, 2, 3));
    writer.bytes(Buffer.alloc(5000, 9));
  });
  const reader = new ByteReader(bytes);
  expect(reader.int8()).toBe(-128);
  expect(reader.uint8()).toBe(255);
  expect(reader.int16()).toBe(-32768);
  expect(reader.uint16()).toBe(65535);
  expect(reader.int32()).toBe(-(2 ** 31));
  expect(reader.uint32()).toBe(2 ** 32 - 1);
  expect(reader.float64()).toBe(-0.1);
  expect(reader.bool()).toBe(true);
  expect(reader.sizedUtf8()).toBe("zażółć \ufffd 𝕏");
  expect(reader.sizedBytes()).toEqual(Buffer.from([1, 2, 3]));
  expect(reader.remaining).toBe(5000);
  expect(() => reader.expectEnd()).toThrow(corrupt);
  reader.skip(5000);
  reader.expectEnd();
  expect(reader.position).toBe(bytes.length);
});

describe("a reader of outside bytes", () => {
  test("refuses a field that is cut off and does not move", () => {
    const reader = new ByteReader(Buffer.from([1, 2, 3]));
    expect(() => reader.int32()).toThrow(corrupt);
    expect(() => reader.bytes(4)).toThrow(corrupt);
    expect(() => reader.bytes(-1)).toThrow(corrupt);
    expect(() => reader.utf8(NaN)).toThrow(corrupt);
    expect(reader.position).toBe(0);
    expect(reader.bytes(3)).toEqual(Buffer.from([1, 2, 3]));
  });

  test("stays inside the bounds it was given", () => {
    const reader = new ByteReader(Buffer.from([1, 2, 3, 4]), 1, 3);
    expect(reader.uint16()).toBe(0x0203);
    expect(() => reader.uint8()).toThrow(corrupt);
    expect(new ByteReader(Buffer.alloc(2), 0, 100).remaining).toBe(2);
  });

  test("refuses text that is not UTF-8, overlong forms and surrogates among it", () => {
    for (const bytes of [[0xff], [0xc0, 0xaf], [0xed, 0xa0, 0x80], [0xe2, 0x82]]) {
      expect(() => new ByteReader(Uint8Array.from(bytes)).utf8(bytes.length)).toThrow(corrupt);
    }
  });

  test("names the position of the damage", () => {
    const reader = new ByteReader(Buffer.alloc(9));
    reader.skip(6);
    expect(() => reader.int64()).toThrow(/byte 6/);
  });
});

describe("a writer", () => {
  test("patches only what was written", () => {
    const writer = new ByteWriter();
    writer.int32(0);
    writer.uint32(0);
    writer.patchInt32(-5, 0);
    writer.patchUint32(0xdeadbeef, 4);
    expect(writer.view().toString("hex")).toBe("fffffffbdeadbeef");
    expect(() => writer.patchInt32(1, 5)).toThrow(invalid);
    expect(() => writer.patchUint32(1, -1)).toThrow(invalid);
  });

  test("keeps a copy apart from what is written after a reset", () => {
    const writer = new ByteWriter();
    writer.int32(1);
    const kept = writer.toBuffer();
    writer.reset();
    expect(writer.length).toBe(0);
    writer.int32(2);
    expect(kept.readInt32BE()).toBe(1);
  });
});

test("a view shares memory and a copy does not", () => {
  const bytes = Uint8Array.of(1, 2, 3);
  const view = asBuffer(bytes.subarray(1));
  const copy = copyBytes(bytes);
  bytes[1] = 9;
  expect(view[0]).toBe(9);
  expect(copy[1]).toBe(2);
  expect(copy.buffer.byteLength).toBe(3);
});
