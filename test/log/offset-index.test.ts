import { describe, expect, test } from "vitest";

import type { Offset } from "../../src/model/offsets.ts";
import { OffsetIndex } from "../../src/log/offset-index.ts";
import { corpusDump, corpusFile, corpusFiles, corpusPartitions } from "./corpus.ts";
import { expectParserWithstandsDamage } from "./damage.ts";

const at = (value: number): Offset => value as Offset;

function indexOf(...entries: readonly (readonly [number, number])[]): OffsetIndex {
  const index = new OffsetIndex(at(100));
  for (const [offset, position] of entries) index.append(at(offset), position);
  return index;
}

describe("OffsetIndex", () => {
  test("reads Kafka's files to the entries that Kafka's dump shows, and writes them back byte for byte", () => {
    let files = 0;
    for (const file of corpusPartitions.flatMap((partition) => corpusFiles(partition, ".index"))) {
      const bytes = corpusFile(file);
      const index = OffsetIndex.parse(at(0), bytes, corpusFile(file.replace(/index$/, "log")).length);
      const lines = Array.from({ length: index?.entryCount ?? -1 }, (_, i) => {
        const entry = index?.entry(i);
        return `offset: ${entry?.offset} position: ${entry?.position}`;
      });
      const dump = corpusDump("indexes.txt").get(file);
      if (dump !== undefined) expect(lines, file).toEqual(dump);
      expect(index?.bytes(), file).toEqual(bytes);
      files++;
    }
    expect(files).toBe(corpusPartitions.length);
  });

  test("lookup answers the greatest entry at or below the target, else the segment's beginning", () => {
    const index = indexOf([110, 400], [120, 800], [140, 1300]);
    expect(index.lookup(at(100))).toEqual({ offset: 100, position: 0 });
    expect(index.lookup(at(109))).toEqual({ offset: 100, position: 0 });
    expect(index.lookup(at(110))).toEqual({ offset: 110, position: 400 });
    expect(index.lookup(at(139))).toEqual({ offset: 120, position: 800 });
    expect(index.lookup(at(9000))).toEqual({ offset: 140, position: 1300 });
  });

  test("an empty index begins at the base offset and looks up its beginning", () => {
    const index = indexOf();
    expect(index.lastOffset).toBe(100);
    expect(index.lookup(at(500))).toEqual({ offset: 100, position: 0 });
    expect(index.bytes().length).toBe(0);
  });

  test("upperPosition answers the first known batch at least so far behind, or undefined", () => {
    const index = indexOf([110, 400], [120, 800], [140, 1300]);
    expect(index.upperPosition(0, 400)).toBe(400);
    expect(index.upperPosition(400, 401)).toBe(1300);
    expect(index.upperPosition(800, 501)).toBeUndefined();
  });

  test("truncateTo drops entries at or behind the offset, and the index grows again from there", () => {
    const index = indexOf([110, 400], [120, 800], [140, 1300]);
    index.truncateTo(at(120));
    expect(index.entryCount).toBe(1);
    index.append(at(130), 800);
    expect(index.lookup(at(130))).toEqual({ offset: 130, position: 800 });
    expect(OffsetIndex.parse(at(100), index.bytes(), 801)?.entryCount).toBe(2);
  });

  test("append refuses what does not grow", () => {
    const index = indexOf([110, 400]);
    expect(() => index.append(at(110), 500)).toThrow("does not grow");
    expect(() => index.append(at(111), 400)).toThrow("does not grow");
    expect(() => index.append(at(100 + 2 ** 31), 500)).toThrow("does not grow");
  });

  test("it is full at its byte bound", () => {
    const index = new OffsetIndex(at(0), 20);
    index.append(at(1), 10);
    expect(index.isFull).toBe(false);
    index.append(at(2), 20);
    expect(index.isFull).toBe(true);
  });

  test("holds many entries and finds each", () => {
    const index = new OffsetIndex(at(0));
    for (let i = 1; i <= 5000; i++) index.append(at(i * 3), i * 100);
    for (let i = 1; i <= 5000; i += 7) expect(index.lookup(at(i * 3 + 2)).position).toBe(i * 100);
  });

  test("parse refuses a zero-filled, falling, too long or cut file (H48)", () => {
    const good = indexOf([110, 400], [120, 800]).bytes();
    expect(OffsetIndex.parse(at(100), good, 801)).toBeDefined();
    expect(OffsetIndex.parse(at(100), good, 800)).toBeUndefined();
    expect(OffsetIndex.parse(at(100), Buffer.alloc(16), 801)).toBeUndefined();
    expect(OffsetIndex.parse(at(100), Buffer.concat([good, Buffer.alloc(8)]), 9000)).toBeUndefined();
    expect(OffsetIndex.parse(at(100), good.subarray(0, 12), 9000)).toBeUndefined();
    expect(
      OffsetIndex.parse(at(100), Buffer.concat([good.subarray(8), good.subarray(0, 8)]), 9000),
    ).toBeUndefined();
  });

  test("withstands truncation and flipped bytes", () => {
    const bytes = Buffer.from(indexOf([110, 400], [120, 800], [140, 1300]).bytes());
    expectParserWithstandsDamage(bytes, (content) => OffsetIndex.parse(at(100), content, 2000)?.bytes());
  });
});
