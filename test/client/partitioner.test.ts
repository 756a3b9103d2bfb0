import { expect, test } from "vitest";
import { murmur2, roundRobin, sticky } from "../../src/client/partitioner.ts";

const input = { topic: "t", value: null, partitionCount: 3 };

test("murmur2 decides by the key alone and leaves records without one to the batches", () => {
  const choose = murmur2();
  const key = Buffer.from("foobar");
  // -790332482 & 0x7fffffff, from the tests of Kafka's Java client.
  expect(choose({ ...input, key, partitionCount: 100 })).toBe((-790_332_482 & 0x7fff_ffff) % 100);
  expect(choose({ ...input, key: null })).toBeUndefined();
});

test("roundRobin goes through the partitions of each topic on its own", () => {
  const choose = roundRobin();
  const seen = [0, 1, 2, 3].map(() => choose({ ...input, key: null }));
  expect(seen).toEqual([0, 1, 2, 0]);
  expect(choose({ ...input, topic: "other", key: null })).toBe(0);
  expect(choose({ ...input, key: null, partitionCount: 1 })).toBe(0);
});

test("sticky takes no notice of the key", () => {
  expect(sticky()({ ...input, key: Buffer.from("k") })).toBeUndefined();
});
