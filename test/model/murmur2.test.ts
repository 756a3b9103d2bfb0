import { expect, test } from "vitest";
import { murmur2, partitionOfKey } from "../../src/model/murmur2.ts";

/** Hash, then the partition among 3, 6, 12 and 50. */
const VECTORS: readonly (readonly [string, number, number, number, number, number])[] = [
  ["", 275646681, 0, 3, 9, 31],
  ["a", -1563381124, 1, 4, 4, 24],
  ["ab", 316155434, 2, 2, 2, 34],
  ["abc", 479470107, 0, 3, 3, 7],
  ["abcd", -1323649548, 2, 2, 8, 0],
  ["user-42", 1459644460, 1, 4, 4, 10],
  ["lograft", 1998703069, 1, 1, 1, 19],
  ["zażółć", 2056704, 0, 0, 0, 4],
];

test.each(VECTORS)(
  "key %j hashes and lands as with Kafka's Java client",
  (key, hash, by3, by6, by12, by50) => {
    const bytes = Buffer.from(key);
    expect(murmur2(bytes)).toBe(hash);
    expect([3, 6, 12, 50].map((count) => partitionOfKey(bytes, count))).toEqual([by3, by6, by12, by50]);
  },
);

test.each([
  ["21", -973932308],
  ["foobar", -790332482],
  ["a-little-bit-long-string", -985981536],
  ["a-little-bit-longer-string", -1486304829],
  ["lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58897971],
])("key %j has the hash of Kafka's own test", (key, hash) => {
  expect(murmur2(Buffer.from(key))).toBe(hash);
});

test("a byte above 127 is hashed as unsigned wherever it stands", () => {
  const hashes = [1, 2, 3, 4].map((length) => murmur2(new Uint8Array(length).fill(255)));
  expect(new Set(hashes).size).toBe(4);
  expect(partitionOfKey(new Uint8Array([255]), 1)).toBe(0);
});
