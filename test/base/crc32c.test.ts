import fc from "fast-check";
import { describe, expect, test } from "vitest";

import { crc32c, crc32cPortable, isCrc32cNative } from "../../src/base/crc32c.ts";

const ascending = Uint8Array.from({ length: 32 }, (_, index) => index);
const VECTORS: readonly (readonly [string, Uint8Array, number])[] = [
  ["nothing", new Uint8Array(0), 0x00000000],
  ["a", Buffer.from("a"), 0xc1d04330],
  ["the digits", Buffer.from("123456789"), 0xe3069283],
  ["32 zeros", new Uint8Array(32), 0x8a9136aa],
  ["32 ones", new Uint8Array(32).fill(0xff), 0x62a8ab43],
  ["ascending bytes", ascending, 0x46dd794e],
  ["descending bytes", ascending.toReversed(), 0x113fdb5c],
  ["the fox", Buffer.from("The quick brown fox jumps over the lazy dog"), 0x22620404],
];

describe.each([
  ["the chosen implementation", crc32c],
  ["the portable implementation", crc32cPortable],
])("%s", (_, implementation) => {
  test.each(VECTORS)("has the published CRC of %s", (_name, bytes, expected) => {
    expect(implementation(bytes)).toBe(expected);
  });

  test("covers exactly the bytes of a view into a larger buffer", () => {
    const large = Buffer.alloc(64, 0xee);
    large.write("123456789", 13, "latin1");
    expect(implementation(large.subarray(13, 22))).toBe(0xe3069283);
    expect(implementation(new Uint8Array(large.buffer, large.byteOffset + 13, 9))).toBe(0xe3069283);
  });
});

test("both implementations agree on any bytes, in one piece and continued", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 300 }), fc.nat(), (bytes, cut) => {
      const at = bytes.length === 0 ? 0 : cut % bytes.length;
      const whole = crc32cPortable(bytes);
      expect(crc32c(bytes)).toBe(whole);
      expect(crc32c(bytes.subarray(at), crc32c(bytes.subarray(0, at)))).toBe(whole);
      expect(crc32cPortable(bytes.subarray(at), crc32cPortable(bytes.subarray(0, at)))).toBe(whole);
      expect(whole).toBeGreaterThanOrEqual(0);
    }),
  );
});

test("says whether the native module is in use", () => {
  expect(typeof isCrc32cNative()).toBe("boolean");
});
