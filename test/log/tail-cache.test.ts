import { describe, expect, test } from "vitest";
import { TailCache } from "../../src/log/tail-cache.ts";
import type { PartitionTail } from "../../src/log/tail-cache.ts";
import { at } from "./engine.ts";
import { batch } from "./batches.ts";

const OVERHEAD = 200;
const SIZE = batch({ count: 10 }).length;

function fill(cache: TailCache, tail: PartitionTail, from: number, count: number): void {
  for (let i = from; i < from + count; i++) {
    cache.append(tail, Buffer.from(batch({ baseOffset: i * 10, count: 10 })), at(i * 10), at(i * 10 + 10));
  }
}

describe("the cached tail", () => {
  test("holds the newest batches up to the partition's bound", () => {
    const cache = new TailCache({ maxBytes: 1e9, maxPartitionBytes: (SIZE + OVERHEAD) * 5 });
    const tail = cache.create();
    fill(cache, tail, 0, 300);
    expect(tail.startOffset).toBe(2950);
    expect(tail.covers(at(2949))).toBe(false);
    expect(tail.covers(at(2999))).toBe(true);
    expect(tail.covers(at(3000))).toBe(false);
    const read = tail.read(at(2955), SIZE * 3, at(3000));
    expect([read.firstOffset, read.nextOffset, read.chunks.length]).toEqual([2950, 2980, 3]);
  });

  test("gives at least one batch, stops before the end it is given, and returns the appended buffers themselves", () => {
    const cache = new TailCache({ maxBytes: 1e9, maxPartitionBytes: 1e9 });
    const tail = cache.create();
    const own = Buffer.alloc(SIZE);
    batch({ baseOffset: 0, count: 10 }).copy(own);
    cache.append(tail, own, at(0), at(10));
    fill(cache, tail, 1, 3);
    expect(tail.read(at(0), 1, at(40)).chunks).toEqual([own]);
    expect(tail.read(at(0), 1, at(40)).chunks[0]).toBe(own);
    expect(tail.read(at(0), 1e6, at(25)).nextOffset).toBe(20);
    expect(tail.read(at(5), 1e6, at(9)).chunks).toEqual([]);
  });

  test("cuts a buffer of several batches at batch bounds", () => {
    const cache = new TailCache({ maxBytes: 1e9, maxPartitionBytes: 1e9 });
    const tail = cache.create();
    const three = Buffer.concat([0, 10, 20].map((baseOffset) => batch({ baseOffset, count: 10 })));
    cache.append(tail, three, at(0), at(30));
    fill(cache, tail, 3, 2);
    const middle = tail.read(at(15), SIZE * 2, at(50));
    expect([middle.firstOffset, middle.nextOffset, middle.sizeBytes]).toEqual([10, 30, SIZE * 2]);
    expect(tail.read(at(0), 1e6, at(20)).nextOffset).toBe(20);
    expect(tail.read(at(0), SIZE * 4, at(50)).nextOffset).toBe(40);
  });

  test("over the whole budget the partition unused for longest loses first", () => {
    const cache = new TailCache({ maxBytes: (SIZE + OVERHEAD) * 10, maxPartitionBytes: 1e9 });
    const [a, b, c] = [cache.create(), cache.create(), cache.create()];
    fill(cache, a, 0, 4);
    fill(cache, b, 0, 4);
    cache.touch(a);
    fill(cache, c, 0, 4);
    expect([a.startOffset, b.startOffset, c.startOffset]).toEqual([0, 20, 0]);
    fill(cache, c, 4, 3);
    expect([a.startOffset, b.isEmpty, c.startOffset]).toEqual([10, true, 0]);
    expect(cache.sizeBytes).toBe((SIZE + OVERHEAD) * 10);
    expect(cache.partitionCount).toBe(2);
    cache.clear(a);
    cache.clear(c);
    expect([cache.sizeBytes, cache.partitionCount]).toEqual([0, 0]);
  });

  test("copies a small slice of a large buffer, so that it does not keep all of it", () => {
    const cache = new TailCache({ maxBytes: 1e9, maxPartitionBytes: 1e9 });
    const tail = cache.create();
    const large = Buffer.alloc(1_000_000);
    batch({ baseOffset: 0, count: 10 }).copy(large);
    cache.append(tail, large.subarray(0, SIZE), at(0), at(10));
    expect(tail.read(at(0), 1e6, at(10)).chunks[0]?.buffer.byteLength).toBe(SIZE);
  });
});
