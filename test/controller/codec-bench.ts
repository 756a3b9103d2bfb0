import * as fc from "fast-check";
import { expect } from "vitest";
import { errorMessage, LograftError } from "../../src/base/errors.ts";
import { ERROR_CODES } from "../../src/model/error-code.ts";
import type { ErrorName } from "../../src/model/error-code.ts";
import { nodeId } from "../../src/model/ids.ts";
import { topicIdOf } from "../metadata/arbitrary-history.ts";

export const texts = fc.string({ unit: "grapheme", maxLength: 12 });
export const counts = fc.maxSafeNat();
export const nodeIds = fc.nat({ max: 0x7fffffff }).map((id) => nodeId(id));
export const topicIds = fc.nat().map((seed) => topicIdOf(seed));
export const int32s = fc.integer({ min: -0x80000000, max: 0x7fffffff });
export const int32Counts = fc.nat({ max: 0x7fffffff });
export const textMaps = fc
  .array(fc.tuple(texts, texts), { maxLength: 4 })
  .map((pairs): ReadonlyMap<string, string> => new Map(pairs));
export const outcomes = fc.record({
  error: fc.constantFrom(...(Object.keys(ERROR_CODES) as ErrorName[])),
  errorMessage: texts,
});

/** Decoding answers a value or throws CORRUPT_MESSAGE; anything else fails. Answers whether it was a value. */
export function decodesOrRefuses(decode: (bytes: Buffer) => unknown, bytes: Uint8Array): boolean {
  try {
    decode(Buffer.from(bytes));
    return true;
  } catch (error: unknown) {
    expect(error, errorMessage(error)).toBeInstanceOf(LograftError);
    expect(error).toMatchObject({ code: "CORRUPT_MESSAGE" });
    return false;
  }
}

/**
 * What holds for each codec: what was encoded comes back; every cut and every added byte is refused; a changed byte or
 * random bytes (behind a good version and any type) decode to something or are refused with CORRUPT_MESSAGE.
 */
export function checkCodec<T>(
  values: fc.Arbitrary<T>,
  encode: (value: T) => Buffer,
  decode: (bytes: Uint8Array) => T,
): void {
  fc.assert(
    fc.property(values, fc.nat(), fc.nat({ max: 255 }), (value, at, byte) => {
      const bytes = Buffer.from(encode(value));
      expect(decode(bytes)).toEqual(value);
      for (let end = 0; end < bytes.length; end++) {
        expect(decodesOrRefuses(decode, bytes.subarray(0, end)), `cut at ${end}`).toBe(false);
      }
      expect(decodesOrRefuses(decode, Buffer.concat([bytes, Buffer.from([byte])]))).toBe(false);
      const changed = Buffer.from(bytes);
      changed[at % changed.length] = byte;
      decodesOrRefuses(decode, changed);
    }),
    { numRuns: 300 },
  );
  fc.assert(
    fc.property(fc.nat({ max: 13 }), fc.uint8Array({ maxLength: 64 }), (type, tail) => {
      decodesOrRefuses(decode, tail);
      decodesOrRefuses(decode, Buffer.concat([Buffer.from([1, type]), tail]));
    }),
    { numRuns: 1000 },
  );
}
