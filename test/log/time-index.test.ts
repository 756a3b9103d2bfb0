import { describe, expect, test } from "vitest";

import type { Offset, Timestamp } from "../../src/model/offsets.ts";
import { TimeIndex } from "../../src/log/time-index.ts";
import { corpusDump, corpusFile, corpusFiles, corpusPartitions } from "./corpus.ts";
import { expectParserWithstandsDamage } from "./damage.ts";

const at = (value: number): Offset => value as Offset;
const ms = (value: number): Timestamp => value as Timestamp;
const END = at(10_000);

function indexOf(...entries: readonly (readonly [number, number])[]): TimeIndex {
  const index = new TimeIndex(at(100));
  for (const [timestamp, offset] of entries) index.maybeAppend(ms(timestamp), at(offset));
  return index;
}

describe("TimeIndex", () => {
  test("reads Kafka's files to the entries that Kafka's dump shows, and writes them back byte for byte", () => {
    let dumped = 0;
    for (const file of corpusPartitions.flatMap((partition) => corpusFiles(partition, ".timeindex"))) {
      const bytes = corpusFile(file);
      const index = TimeIndex.parse(at(0), bytes, END);
      const lines = Array.from({ length: index?.entryCount ?? -1 }, (_, i) => {
        const entry = index?.entry(i);
        return `timestamp: ${entry?.timestamp} offset: ${entry?.offset}`;
      });
      const dump = corpusDump("indexes.txt").get(file);
      if (dump !== undefined) {
        expect(lines, file).toEqual(dump);
        dumped++;
      }
      expect(index?.bytes(), file).toEqual(bytes);
    }
    expect(dumped).toBeGreaterThan(0);
  });

  test("takes an entry only when the timestamp and the offset grow", () => {
    const index = indexOf([1000, 100]);
    expect(index.maybeAppend(ms(1000), at(120))).toBe(false);
    expect(index.maybeAppend(ms(999), at(120))).toBe(false);
    expect(index.maybeAppend(ms(2000), at(100))).toBe(false);
    expect(index.maybeAppend(ms(2000), at(120))).toBe(true);
    expect(index.lastEntry).toEqual({ timestamp: 2000, offset: 120 });
    expect(index.entryCount).toBe(2);
  });

  test("takes no entry for records without a time", () => {
    expect(indexOf([-1, 105]).entryCount).toBe(0);
    expect(indexOf().lastEntry).toEqual({ timestamp: -1, offset: 100 });
  });

  test("lookup answers the greatest entry at or before the time, else no time at the base offset", () => {
    const index = indexOf([1000, 110], [2000, 120], [5000, 130]);
    expect(index.lookup(ms(999))).toEqual({ timestamp: -1, offset: 100 });
    expect(index.lookup(ms(1000))).toEqual({ timestamp: 1000, offset: 110 });
    expect(index.lookup(ms(4999))).toEqual({ timestamp: 2000, offset: 120 });
    expect(index.lookup(ms(9999))).toEqual({ timestamp: 5000, offset: 130 });
  });

  test("truncateTo drops entries at or behind the offset", () => {
    const index = indexOf([1000, 110], [2000, 120], [5000, 130]);
    index.truncateTo(at(120));
    expect(index.lastEntry).toEqual({ timestamp: 1000, offset: 110 });
  });

  test("parse refuses a zero-filled, falling, cut or too long file, and times past 2^53 (H48)", () => {
    const good = Buffer.from(indexOf([1000, 110], [2000, 120]).bytes());
    expect(TimeIndex.parse(at(100), good, at(121))).toBeDefined();
    expect(TimeIndex.parse(at(100), good, at(120))).toBeUndefined();
    expect(TimeIndex.parse(at(100), Buffer.alloc(24), END)).toBeUndefined();
    expect(TimeIndex.parse(at(100), good.subarray(0, 20), END)).toBeUndefined();
    const huge = Buffer.from(good);
    huge.writeInt32BE(0x7fffffff, 12);
    expect(TimeIndex.parse(at(100), huge, END)).toBeUndefined();
  });

  test("withstands truncation and flipped bytes", () => {
    const bytes = Buffer.from(indexOf([1000, 110], [2000, 120], [1_700_000_000_000, 130]).bytes());
    expectParserWithstandsDamage(bytes, (content) => TimeIndex.parse(at(100), content, END)?.bytes());
  });
});
