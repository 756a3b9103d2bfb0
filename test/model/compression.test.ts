import { crc32, gzipSync, zstdCompressSync } from "node:zlib";

import { lz4Compress, lz4Decompress, snappyCompress, snappyDecompress } from "@platformatic/wasm-utils";
import fc from "fast-check";
import { describe, expect, test } from "vitest";

import { LograftError } from "../../src/base/errors.ts";
import { codecId, codecOf, CODECS, compress, decompress, type Codec } from "../../src/model/compression.ts";
import { xxHash32 } from "../../src/model/xx-hash32.ts";

const corrupt = expect.objectContaining({ code: "CORRUPT_MESSAGE" }) as unknown as Error;
const tooLarge = expect.objectContaining({ code: "MESSAGE_TOO_LARGE" }) as unknown as Error;
const COMPRESSING: readonly Codec[] = ["gzip", "snappy", "lz4", "zstd"];
const LIMIT = { maxBytes: 16 * 1024 * 1024 };

const text = Buffer.from(
  Array.from({ length: 5000 }, (_, i) => `{"n":${i},"user":"u${(i * 7919) % 97}"}`).join("\n"),
);
/** Bytes that compress badly, from a fixed recurrence. */
const noise = Buffer.alloc(70_000);
for (let i = 0, state = 1; i < noise.length; i++) {
  state = (Math.imul(state, 1103515245) + 12345) >>> 0;
  noise[i] = state >>> 24;
}
const compressible = fc
  .array(fc.tuple(fc.uint8Array({ minLength: 1, maxLength: 12 }), fc.integer({ min: 1, max: 300 })), {
    maxLength: 12,
  })
  .map((runs) => Buffer.concat(runs.flatMap(([bytes, times]) => Array.from({ length: times }, () => bytes))));

test("ids and codecs are Kafka's", () => {
  expect(CODECS.map(codecId)).toEqual([0, 1, 2, 3, 4]);
  expect(CODECS.map((_, id) => codecOf(id))).toEqual(["none", "gzip", "snappy", "lz4", "zstd"]);
  expect(codecOf(5)).toBeUndefined();
});

describe.each(CODECS)("codec %s", (codec) => {
  test("any bytes survive", () => {
    fc.assert(
      fc.property(fc.oneof(fc.uint8Array({ maxLength: 2000 }), compressible), (bytes) => {
        expect(decompress(codec, compress(codec, bytes), LIMIT).equals(bytes)).toBe(true);
      }),
      { numRuns: 60 },
    );
  });

  test("empty, long and incompressible input survives", () => {
    for (const bytes of [
      Buffer.alloc(0),
      text,
      noise,
      Buffer.alloc(3_000_000, "ab"),
      Buffer.concat([noise, text, noise]),
    ]) {
      expect(decompress(codec, compress(codec, bytes), LIMIT).equals(bytes)).toBe(true);
    }
  });

  test("the limit is exact", () => {
    const bytes = compress(codec, text);
    expect(decompress(codec, bytes, { maxBytes: text.length }).equals(text)).toBe(true);
    expect(() => decompress(codec, bytes, { maxBytes: text.length - 1 })).toThrow(tooLarge);
    expect(() => decompress(codec, bytes, { maxBytes: 0 })).toThrow(tooLarge);
    expect(decompress(codec, compress(codec, new Uint8Array(0)), { maxBytes: 0 })).toHaveLength(0);
  });

  test("a view into a larger buffer is read and written in its own range", () => {
    const padded = Buffer.concat([Buffer.alloc(9, 1), text, Buffer.alloc(9, 1)]);
    const packed = compress(codec, new Uint8Array(padded.buffer, padded.byteOffset + 9, text.length));
    const around = Buffer.concat([Buffer.alloc(5, 2), packed, Buffer.alloc(5, 2)]);
    expect(decompress(codec, around.subarray(5, 5 + packed.length), LIMIT).equals(text)).toBe(true);
  });
});

describe.each(COMPRESSING)("damaged data of codec %s", (codec) => {
  const good = compress(codec, text.subarray(0, 3000));

  test("is refused at every cut", () => {
    // A xerial stream may end after any whole chunk, its header included; the counts of the batch catch that.
    const wholeAt = codec === "snappy" ? [16] : [];
    for (let length = 0; length < good.length; length++) {
      if (wholeAt.includes(length)) continue;
      expect(() => decompress(codec, good.subarray(0, length), LIMIT), `${length} bytes`).toThrow(corrupt);
    }
  });

  test("ends in an error of ours or in bytes within the limit, for any flips", () => {
    const flips = fc.array(fc.tuple(fc.nat({ max: good.length - 1 }), fc.integer({ min: 1, max: 255 })), {
      minLength: 1,
      maxLength: 6,
    });
    fc.assert(
      fc.property(flips, (changes) => {
        const bytes = Buffer.from(good);
        for (const [at, mask] of changes) bytes[at] = (bytes[at] ?? 0) ^ mask;
        try {
          expect(decompress(codec, bytes, { maxBytes: 5000 }).length).toBeLessThanOrEqual(5000);
        } catch (error) {
          expect(error).toBeInstanceOf(LograftError);
        }
      }),
      { numRuns: 500 },
    );
  });

  test("is refused when it is noise", () => {
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 1, maxLength: 100 }), (bytes) => {
        try {
          expect(decompress(codec, bytes, { maxBytes: 5000 }).length).toBeLessThanOrEqual(5000);
        } catch (error) {
          expect(error).toBeInstanceOf(LograftError);
        }
      }),
    );
  });
});

describe("decompression bombs", () => {
  const bombBytes = 64 * 1024 * 1024;
  const zeros = Buffer.alloc(bombBytes);
  test.each<readonly [string, Codec, () => Buffer]>([
    ["gzip", "gzip", () => gzipSync(zeros, { level: 1 })],
    ["zstd", "zstd", () => zstdCompressSync(zeros)],
    ["lz4", "lz4", () => lz4Compress(zeros)],
    ["raw snappy", "snappy", () => snappyCompress(zeros)],
    ["xerial snappy", "snappy", () => compress("snappy", zeros)],
    [
      "many zstd frames",
      "zstd",
      () => Buffer.concat(Array<Buffer>(64).fill(zstdCompressSync(zeros.subarray(0, 1 << 20)))),
    ],
  ])("%s is refused without memory for what it would become", (_, codec, make) => {
    const bomb = make();
    expect(bomb.length).toBeLessThan(bombBytes / 10);
    const before = process.memoryUsage().arrayBuffers;
    expect(() => decompress(codec, bomb, { maxBytes: 1_000_000 })).toThrow(tooLarge);
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(24_000_000);
  });

  test("a snappy block that declares more than it can hold is refused unread", () => {
    const lie = Buffer.from([0xff, 0xff, 0xff, 0x7f, 0x00, 0x61]);
    expect(() => decompress("snappy", lie, { maxBytes: 2 ** 31 })).toThrow(corrupt);
    expect(() => decompress("snappy", lie, { maxBytes: 1_000_000 })).toThrow(tooLarge);
  });
});

describe("snappy", () => {
  test("raw blocks of a second implementation are read, and its decoder reads ours", () => {
    for (const bytes of [text, noise, Buffer.alloc(100_000, "xyz"), Buffer.from("a")]) {
      expect(decompress("snappy", snappyCompress(bytes), LIMIT).equals(bytes)).toBe(true);
    }
    const framed = compress("snappy", text.subarray(0, 1000));
    expect(framed.subarray(0, 16).toString("hex")).toBe("82534e41505059000000000100000001");
    expect(framed.readInt32BE(16)).toBe(framed.length - 20);
    expect(snappyDecompress(framed.subarray(20)).equals(text.subarray(0, 1000))).toBe(true);
  });

  test("every tag kind is read: long literals, and copies with offsets of one, two and four bytes", () => {
    const literal = Buffer.from("0123456789");
    const block = Buffer.concat([
      Buffer.from([10 + 4 + 5 + 6, 0xf0, 9]),
      literal,
      Buffer.from([0x01, 10]),
      Buffer.from([((5 - 1) << 2) | 2, 14, 0]),
      Buffer.from([((6 - 1) << 2) | 3, 1, 0, 0, 0]),
    ]);
    expect(decompress("snappy", block, LIMIT).toString()).toBe("0123456789012301234444444");
  });

  test.each([
    ["a copy before the start", [4, 0x01, 1]],
    ["a copy with distance 0", [5, 0x00, 0x61, 0x01, 0]],
    ["a literal past the declared length", [1, 0x04, 0x61, 0x62]],
    ["a literal past the input", [4, 0x0c, 0x61]],
    ["a copy past the declared length", [3, 0x00, 0x61, 0x01, 1]],
    ["fewer bytes than declared", [2, 0x00, 0x61]],
    ["a length of six bytes", [0x80, 0x80, 0x80, 0x80, 0x80, 0x01]],
  ])("%s is refused", (_, bytes) => {
    expect(() => decompress("snappy", Uint8Array.from(bytes), LIMIT)).toThrow(corrupt);
  });

  test("a xerial chunk with a lying length is refused", () => {
    for (const length of [-1, 0, 0x7fffffff]) {
      const framed = compress("snappy", text.subarray(0, 100));
      framed.writeInt32BE(length, 16);
      expect(() => decompress("snappy", framed, LIMIT)).toThrow(corrupt);
    }
  });
});

/** An LZ4 frame of hand-made blocks, with the checksums that the flags ask for. */
function lz4Frame(
  flags: number,
  blocks: readonly Buffer[],
  content: Buffer,
  declaredSize = content.length,
): Buffer {
  const descriptor = Buffer.alloc(flags & 0x08 ? 10 : 2);
  descriptor[0] = 0x40 | flags;
  descriptor[1] = 0x40;
  if (flags & 0x08) descriptor.writeBigUInt64LE(BigInt(declaredSize), 2);
  const uint32 = (value: number): Buffer => {
    const bytes = Buffer.alloc(4);
    bytes.writeUInt32LE(value);
    return bytes;
  };
  const hash = (bytes: Buffer): number => xxHash32(bytes, 0, bytes.length);
  return Buffer.concat([
    Buffer.from([0x04, 0x22, 0x4d, 0x18]),
    descriptor,
    Buffer.from([(hash(descriptor) >>> 8) & 0xff]),
    ...blocks.flatMap((block) => [block, ...(flags & 0x10 ? [uint32(hash(block.subarray(4)))] : [])]),
    uint32(0),
    ...(flags & 0x04 ? [uint32(hash(content))] : []),
  ]);
}

/** A block that is stored as it is. */
function stored(content: Buffer): Buffer {
  const block = Buffer.alloc(4 + content.length);
  block.writeUInt32LE(0x8000_0000 + content.length);
  block.set(content, 4);
  return block;
}

/** A compressed block of hand-made tokens. */
function tokens(...bytes: number[]): Buffer {
  const block = Buffer.alloc(4 + bytes.length);
  block.writeUInt32LE(bytes.length);
  block.set(bytes, 4);
  return block;
}

describe("lz4", () => {
  const content = Buffer.from("hello lz4");
  const skippable = Buffer.from([0x55, 0x2a, 0x4d, 0x18, 3, 0, 0, 0, 9, 9, 9]);

  test("a second implementation reads what we write, and we what it writes", () => {
    for (const bytes of [text, noise, Buffer.alloc(100_000, "xyz"), Buffer.from("a")]) {
      const packed = compress("lz4", bytes);
      expect(lz4Decompress(packed).equals(bytes)).toBe(true);
      // Java refuses frames whose blocks depend on each other.
      expect((packed[4] ?? 0) & 0x20).toBe(0x20);
    }
  });

  test.each([0x20, 0x28, 0x30, 0x24, 0x3c, 0x1c])("flags %d are honoured", (flags) => {
    expect(decompress("lz4", lz4Frame(flags, [stored(content)], content), LIMIT).equals(content)).toBe(true);
  });

  test("several frames and skippable ones are one payload", () => {
    const frame = lz4Frame(0x3c, [stored(content), stored(content)], Buffer.concat([content, content]));
    const all = Buffer.concat([skippable, frame, skippable, lz4Frame(0x20, [stored(content)], content)]);
    expect(decompress("lz4", all, LIMIT).toString()).toBe("hello lz4".repeat(3));
  });

  test("linked blocks reach back into the block before", () => {
    const linked = lz4Frame(0, [stored(content), tokens(0x00, 9, 0, 0x10, 0x21)], Buffer.alloc(0));
    expect(decompress("lz4", linked, LIMIT).toString()).toBe("hello lz4hell!");
  });

  test("long lengths and overlapping matches are read", () => {
    // 1 literal, a match of 4 + 15 + 255 + 2 bytes at distance 1, then 1 literal.
    const run = lz4Frame(0x20, [tokens(0x1f, 0x61, 1, 0, 255, 2, 0x10, 0x62)], Buffer.alloc(0));
    expect(decompress("lz4", run, LIMIT).toString()).toBe(`${"a".repeat(277)}b`);
  });

  test.each<readonly [string, () => Buffer]>([
    ["a wrong header checksum", () => flipped(lz4Frame(0x20, [stored(content)], content), 6)],
    ["a wrong block checksum", () => flipped(lz4Frame(0x30, [stored(content)], content), 12)],
    ["a wrong content checksum", () => flipped(lz4Frame(0x24, [stored(content)], content), -1)],
    ["a wrong content size", () => lz4Frame(0x28, [stored(content)], content, 8)],
    ["a dictionary", () => lz4Frame(0x21, [stored(content)], content)],
    ["a reserved flag", () => lz4Frame(0x22, [stored(content)], content)],
    ["a match before the start", () => lz4Frame(0x20, [tokens(0x10, 0x61, 2, 0, 0x10, 0x62)], content)],
    ["a match at distance 0", () => lz4Frame(0x20, [tokens(0x10, 0x61, 0, 0, 0x10, 0x62)], content)],
    ["literals past the block", () => lz4Frame(0x20, [tokens(0x50, 0x61)], content)],
    ["a block that ends in a match", () => lz4Frame(0x20, [tokens(0x10, 0x61, 1, 0)], content)],
    ["a length that never ends", () => lz4Frame(0x20, [tokens(0xf0, 255, 255)], content)],
    [
      "rubbish behind the frame",
      () => Buffer.concat([lz4Frame(0x20, [stored(content)], content), Buffer.from("junk")]),
    ],
    ["nothing but a skippable frame that is cut", () => skippable.subarray(0, 9)],
  ])("%s is refused", (_, make) => {
    expect(() => decompress("lz4", make(), LIMIT)).toThrow(corrupt);
  });

  test("a block that inflates past its bound of 64 KiB is refused", () => {
    const long = [...Array<number>(300).fill(255), 0];
    const block = tokens(0x1f, 0x61, 1, 0, ...long, 0x10, 0x62);
    expect(() => decompress("lz4", lz4Frame(0x20, [block], content), LIMIT)).toThrow(corrupt);
  });

  test("a declared size past the limit is refused at the header", () => {
    expect(() => decompress("lz4", lz4Frame(0x28, [], content, 2 ** 40), LIMIT)).toThrow(tooLarge);
  });
});

describe("gzip and zstd", () => {
  test("several members or frames are one payload", () => {
    expect(decompress("gzip", Buffer.concat([gzipSync(text), gzipSync(noise)]), LIMIT)).toEqual(
      Buffer.concat([text, noise]),
    );
    const frame = zstdCompressSync(text);
    const skippable = Buffer.from([0x50, 0x2a, 0x4d, 0x18, 1, 0, 0, 0, 7]);
    const frames = Buffer.concat([skippable, frame, zstdCompressSync(noise), skippable]);
    expect(decompress("zstd", frames, LIMIT)).toEqual(Buffer.concat([text, noise]));
  });

  test("rubbish behind a zstd frame is refused", () => {
    expect(() =>
      decompress("zstd", Buffer.concat([zstdCompressSync(text), Buffer.from("rubbish!")]), LIMIT),
    ).toThrow(corrupt);
  });

  test("a level changes the size and not the content", () => {
    for (const codec of ["gzip", "zstd"] as const) {
      const fast = compress(codec, text, 1);
      const small = compress(codec, text, 9);
      expect(small.length).toBeLessThan(fast.length);
      expect(decompress(codec, small, LIMIT).equals(text)).toBe(true);
    }
  });

  test("a wrong gzip checksum is refused", () => {
    const packed = gzipSync(text);
    expect(packed.readUInt32LE(packed.length - 8)).toBe(crc32(text));
    expect(() => decompress("gzip", flipped(packed, -8), LIMIT)).toThrow(corrupt);
  });
});

test("xxHash32 has the published values", () => {
  const hash = (input: string): number => xxHash32(Buffer.from(input), 0, Buffer.byteLength(input));
  expect(hash("")).toBe(0x02cc5d05);
  expect(hash("a")).toBe(0x550d7456);
  expect(hash("abc")).toBe(0x32d153ff);
  expect(hash("Nobody inspects the spammish repetition")).toBe(0xe2293b2f);
});

function flipped(bytes: Buffer, at: number): Buffer {
  const copy = Buffer.from(bytes);
  const index = at < 0 ? copy.length + at : at;
  copy[index] = (copy[index] ?? 0) ^ 1;
  return copy;
}
