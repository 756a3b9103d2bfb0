import { fileURLToPath } from "node:url";

import fc from "fast-check";
import { loadSync, type Type } from "protobufjs";
import { describe, expect, test } from "vitest";

import { LograftError } from "../../src/base/errors.ts";

const root = loadSync(
  ["client", "peer"].map((name) =>
    fileURLToPath(new URL(`../../proto/lograft/v1/${name}.proto`, import.meta.url)),
  ),
);

export const topic = fc.oneof(fc.constantFrom("orders", "payments-eu", ""), fc.string({ maxLength: 30 }));
export const int32 = fc.integer();
export const uint32 = fc.nat(0xffff_ffff);
export const uint64 = fc.oneof(fc.nat(300), fc.maxSafeNat(), fc.constant(Number.MAX_SAFE_INTEGER));
export const sint64 = fc.oneof(
  fc.integer(),
  fc.maxSafeInteger(),
  fc.constantFrom(-1, Number.MAX_SAFE_INTEGER, Number.MIN_SAFE_INTEGER),
);
export const records = fc.uint8Array({ maxLength: 400 }).map((bytes) => Buffer.from(bytes));

/** A hand-written codec, and values for it. */
export interface Codec {
  readonly name: string;
  readonly values: fc.Arbitrary<object>;
  readonly encode: (value: never) => Uint8Array[];
  readonly decode: (message: Buffer) => object;
}

function encode(codec: Codec, value: object): Buffer {
  return Buffer.concat(codec.encode(value as never));
}

/** As the hand-written decoder gives it: messages absent when unset. */
function byProtobufjs(type: Type, message: Buffer): object {
  const out = type.toObject(type.decode(message), {
    longs: Number,
    defaults: true,
    arrays: true,
  }) as Record<string, unknown>;
  for (const [name, value] of Object.entries(out)) if (value === null) delete out[name];
  return out;
}

/** Every hand-written codec passes this: it is protobuf, as protobufjs sees it, and refuses what is not. */
export function codecContract(codec: Codec): void {
  describe(codec.name, () => {
    const type = root.lookupType(`lograft.v1.${codec.name}`);

    test("is read back as it was written, by us and by protobufjs", () => {
      fc.assert(
        fc.property(codec.values, (value) => {
          const message = encode(codec, value);
          expect(codec.decode(message)).toEqual(value);
          expect(byProtobufjs(type, message)).toEqual(value);
        }),
        { numRuns: 150 },
      );
    });

    test("is read as protobufjs wrote it", () => {
      fc.assert(
        fc.property(codec.values, (value) => {
          const message = Buffer.from(type.encode(type.fromObject(value)).finish());
          expect(codec.decode(message)).toEqual(value);
        }),
        { numRuns: 150 },
      );
    });

    test("is an error, or a shorter message, when cut at any byte", () => {
      const [value] = fc.sample(codec.values, { numRuns: 1, seed: 7 });
      const samples = [value, ...fc.sample(codec.values, { numRuns: 10, seed: 11 })];
      for (const sample of samples) {
        const message = encode(codec, sample ?? {});
        for (let length = 0; length < message.length; length++) {
          try {
            codec.decode(message.subarray(0, length));
          } catch (error: unknown) {
            expect(error).toBeInstanceOf(LograftError);
            expect(error).toMatchObject({ code: "SERIALIZATION_FAILED" });
          }
        }
      }
    });

    test("is decoded or refused with a clean error for any bytes", () => {
      fc.assert(
        fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
          try {
            codec.decode(Buffer.from(bytes));
          } catch (error: unknown) {
            expect(error).toBeInstanceOf(LograftError);
          }
        }),
        { numRuns: 500 },
      );
    });

    test("skips fields it does not know, of every wire type, in front, behind and inside", () => {
      const [value] = fc.sample(codec.values, { numRuns: 1, seed: 3 });
      const message = encode(codec, value ?? {});
      const unknown = Buffer.concat([
        Buffer.from([0xf8, 0x07, 0xff, 0x01]),
        Buffer.from([0xf9, 0x07, 1, 2, 3, 4, 5, 6, 7, 8]),
        Buffer.from([0xfa, 0x07, 3, 1, 2, 3]),
        Buffer.from([0xfb, 0x07, 0x08, 0x01, 0xfb, 0x07, 0xfc, 0x07, 0xfc, 0x07]),
        Buffer.from([0xfd, 0x07, 1, 2, 3, 4]),
      ]);
      expect(codec.decode(Buffer.concat([unknown, message, unknown]))).toEqual(value);
    });

    test("refuses groups without end, nested too deep, or ending what did not begin", () => {
      for (const bytes of [
        [0xfb, 0x07],
        [0xfc, 0x07],
        Array.from({ length: 200 }, () => [0xfb, 0x07]).flat(),
      ]) {
        expect(() => codec.decode(Buffer.from(bytes))).toThrow(LograftError);
      }
    });

    test("refuses field number 0, wire types 6 and 7, and varints of eleven bytes", () => {
      for (const bytes of [[0x00], [0x0e], [0x0f], Array.from({ length: 11 }, () => 0x88)]) {
        expect(() => codec.decode(Buffer.from(bytes))).toThrow(/not valid protobuf/);
      }
    });
  });
}
