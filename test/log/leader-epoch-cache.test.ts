import * as fc from "fast-check";
import { describe, expect, test } from "vitest";

import type { LeaderEpoch, Offset } from "../../src/model/offsets.ts";
import { LeaderEpochCache } from "../../src/log/leader-epoch-cache.ts";
import { corpusFile, corpusPartitions } from "./corpus.ts";
import { expectParserWithstandsDamage } from "./damage.ts";

const at = (value: number): Offset => value as Offset;
const epoch = (value: number): LeaderEpoch => value as LeaderEpoch;

function cacheOf(...entries: readonly (readonly [number, number])[]): LeaderEpochCache {
  const cache = new LeaderEpochCache();
  for (const [number, start] of entries) cache.assign(epoch(number), at(start));
  return cache;
}

function pairs(cache: LeaderEpochCache): number[][] {
  return cache.entries.map((entry) => [entry.epoch, entry.startOffset]);
}

describe("LeaderEpochCache", () => {
  test("reads Kafka's files and writes them back byte for byte", () => {
    for (const partition of corpusPartitions) {
      const bytes = corpusFile(`${partition}/leader-epoch-checkpoint`);
      const cache = LeaderEpochCache.parse(bytes.toString());
      expect(cache && pairs(cache), partition).toEqual([[0, 0]]);
      expect(cache?.toText(), partition).toBe(bytes.toString());
    }
  });

  test("assign notes a new epoch once", () => {
    const cache = cacheOf([2, 0]);
    expect(cache.assign(epoch(2), at(50))).toBe(false);
    expect(cache.assign(epoch(5), at(50))).toBe(true);
    expect(cache.latestEpoch).toBe(5);
    expect(cache.earliestEpoch).toBe(2);
  });

  test("an epoch that wrote nothing gives way to the next", () => {
    expect(pairs(cacheOf([1, 0], [2, 40], [3, 40]))).toEqual([
      [1, 0],
      [3, 40],
    ]);
  });

  test("assign refuses to go back", () => {
    expect(() => cacheOf([3, 10], [2, 20])).toThrow("goes back");
    expect(() => cacheOf([3, 10], [4, 9])).toThrow("goes back");
    expect(() => cacheOf([-1, 0])).toThrow("not an epoch");
  });

  test("endOffsetFor answers the end of the greatest epoch at or below the asked one (KIP-279)", () => {
    const cache = cacheOf([2, 10], [5, 40], [7, 90]);
    const end = (asked: number): number[] => {
      const answer = cache.endOffsetFor(epoch(asked), at(120));
      return [answer.epoch, answer.endOffset];
    };
    expect(end(7)).toEqual([7, 120]);
    expect(end(6)).toEqual([5, 90]);
    expect(end(5)).toEqual([5, 90]);
    expect(end(4)).toEqual([2, 40]);
    expect(end(1)).toEqual([1, 10]);
    expect(end(8)).toEqual([-1, -1]);
    expect(end(-1)).toEqual([-1, -1]);
    expect(cacheOf().endOffsetFor(epoch(0), at(0))).toEqual({ epoch: -1, endOffset: -1 });
  });

  test("epochForOffset answers the epoch that wrote it", () => {
    const cache = cacheOf([2, 10], [5, 40]);
    expect([9, 10, 39, 40, 1000].map((offset) => cache.epochForOffset(at(offset)))).toEqual([-1, 2, 2, 5, 5]);
  });

  test("truncateFromEnd forgets epochs that begin at or behind the new end", () => {
    const cache = cacheOf([2, 10], [5, 40], [7, 90]);
    expect(cache.truncateFromEnd(at(91))).toBe(false);
    expect(cache.truncateFromEnd(at(40))).toBe(true);
    expect(pairs(cache)).toEqual([[2, 10]]);
    expect(cache.assign(epoch(3), at(40))).toBe(true);
  });

  test("truncateFromStart lets the first epoch begin at the new start", () => {
    const cache = cacheOf([2, 10], [5, 40], [7, 90]);
    expect(cache.truncateFromStart(at(5))).toBe(false);
    expect(cache.truncateFromStart(at(60))).toBe(true);
    expect(pairs(cache)).toEqual([
      [5, 60],
      [7, 90],
    ]);
    expect(cache.truncateFromStart(at(60))).toBe(false);
    expect(cache.truncateFromStart(at(90))).toBe(true);
    expect(pairs(cache)).toEqual([[7, 90]]);
  });

  test("parse refuses what does not grow, another version, a wrong count and a missing end", () => {
    expect(LeaderEpochCache.parse("0\n2\n1 0\n2 10\n")).toBeDefined();
    for (const text of [
      "",
      "0\n",
      "1\n1\n0 0\n",
      "0\n2\n1 0\n",
      "0\n1\n1 0\n2 10\n",
      "0\n1\n1 0",
      "0\n2\n2 0\n1 10\n",
      "0\n2\n1 10\n2 10\n",
      "0\n1\n1  0\n",
      "0\n1\n01 0\n",
      "0\n1\n-1 0\n",
      "0\n1\n1 9007199254740992\n",
      "0\n1\n2147483648 0\n",
    ]) {
      expect(LeaderEpochCache.parse(text), JSON.stringify(text)).toBeUndefined();
    }
  });

  test("withstands truncation and flipped bytes", () => {
    const bytes = Buffer.from(cacheOf([2, 10], [5, 40], [7, 90]).toText());
    expectParserWithstandsDamage(bytes, (content) => {
      const text = LeaderEpochCache.parse(content.toString("latin1"))?.toText();
      return text === undefined ? undefined : Buffer.from(text, "latin1");
    });
  });

  test("any history gives the epoch of each offset, and its text gives the same cache", () => {
    const steps = fc.array(fc.record({ up: fc.integer({ min: 0, max: 3 }), records: fc.nat(5) }), {
      maxLength: 30,
    });
    fc.assert(
      fc.property(steps, fc.nat(60), fc.nat(60), (history, cutEnd, cutStart) => {
        const cache = new LeaderEpochCache();
        const written: number[] = [];
        let current = 0;
        for (const { up, records } of history) {
          current += up;
          for (let i = 0; i < records; i++) {
            cache.assign(epoch(current), at(written.length));
            written.push(current);
          }
        }
        cache.truncateFromEnd(at(cutEnd));
        written.length = Math.min(written.length, cutEnd);
        const start = Math.min(cutStart, written.length);
        cache.truncateFromStart(at(start));
        for (let i = start; i < written.length; i++) expect(cache.epochForOffset(at(i))).toBe(written[i]);
        const again = LeaderEpochCache.parse(cache.toText());
        expect(again && pairs(again)).toEqual(pairs(cache));
      }),
    );
  });
});
