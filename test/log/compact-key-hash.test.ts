import { expect, test } from "vitest";
import { halfSipHash, KeyHasher } from "../../src/log/compact-key-hash.ts";

const INPUT = Buffer.from(Array.from({ length: 64 }, (_, index) => index));

function hashed(length: number): string {
  const words = new Int32Array(2);
  halfSipHash(INPUT, 0, length, 0x03020100, 0x07060504, words, 0);
  const bytes = Buffer.alloc(8);
  bytes.writeInt32LE(words[0] ?? 0, 0);
  bytes.writeInt32LE(words[1] ?? 0, 4);
  return bytes.toString("hex");
}

test("HalfSipHash-2-4 gives the published hash of nothing under the key 00 to 07", () => {
  expect(hashed(0)).toBe("218d1f59b9b83cc8");
});

test("every length of an input hashes to another value, and a part of a buffer as the part alone", () => {
  const found = new Set(Array.from({ length: 64 }, (_, length) => hashed(length)));
  expect(found.size).toBe(64);
  for (let start = 0; start < 8; start++) {
    for (let end = start; end < 20; end++) {
      const [inside, alone] = [new Int32Array(2), new Int32Array(2)];
      halfSipHash(INPUT, start, end, 5, 6, inside, 0);
      halfSipHash(Buffer.from(INPUT.subarray(start, end)), 0, end - start, 5, 6, alone, 0);
      expect(inside).toEqual(alone);
    }
  }
});

test("each of the four words depends on the key and on every byte", () => {
  const base = new KeyHasher(Buffer.alloc(16, 1));
  base.hash(INPUT, 0, 13);
  const before = Int32Array.from(base.words);
  for (let changed = 0; changed < 13; changed++) {
    const other = Buffer.from(INPUT);
    other[changed] = (other[changed] ?? 0) ^ 1;
    base.hash(other, 0, 13);
    for (const [index, word] of base.words.entries()) expect(word).not.toBe(before[index]);
  }
  const otherKey = new KeyHasher(Buffer.alloc(16, 2));
  otherKey.hash(INPUT, 0, 13);
  for (const [index, word] of otherKey.words.entries()) expect(word).not.toBe(before[index]);
});
