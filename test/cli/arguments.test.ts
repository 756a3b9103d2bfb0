import { expect, test } from "vitest";
import {
  parseAcks,
  parseCompression,
  parseDuration,
  parseInteger,
  parsePairList,
  parsePairs,
  parseSize,
  parseTime,
} from "../../src/cli/arguments.ts";

test.each([
  ["0", 0],
  ["250", 250],
  ["500ms", 500],
  ["1.5s", 1500],
  ["5m", 300_000],
  ["2h", 7_200_000],
  ["7d", 604_800_000],
])("the duration %s is %i ms", (text, ms) => {
  expect(parseDuration(text, "--timeout")).toBe(ms);
});

test.each(["", "s", "-5s", "5 s", "5y", "1e3", "ten"])('"%s" is no duration', (text) => {
  expect(() => parseDuration(text, "--timeout")).toThrow("--timeout");
});

test("a duration beyond what a timer can hold is refused", () => {
  expect(() => parseDuration("25d", "--timeout")).toThrow("at most 24d");
});

test.each([
  ["512", 512],
  ["1b", 1],
  ["64KiB", 65_536],
  ["64k", 65_536],
  ["1kb", 1000],
  ["1.5 MiB", 1_572_864],
  ["2GB", 2_000_000_000],
])("the size %s is %i bytes", (text, bytes) => {
  expect(parseSize(text, "--batch-size")).toBe(bytes);
});

test.each(["", "KiB", "-1", "1TB", "99999999999GiB"])('"%s" is no size', (text) => {
  expect(() => parseSize(text, "--batch-size")).toThrow("not a size");
});

test.each(["", "1.5", "0x10", "1e3", "9007199254740993", "-1"])('"%s" is no count', (text) => {
  expect(() => parseInteger(text, "-n", 0)).toThrow("a whole number from 0 up is needed");
});

test("integers", () => {
  expect(parseInteger("-1", "--before", -1)).toBe(-1);
  expect(parseInteger("9007199254740991", "-o", 0)).toBe(Number.MAX_SAFE_INTEGER);
});

test("a time is ISO 8601 or milliseconds", () => {
  expect(parseTime("2026-01-31T12:00:00Z", "-o").getTime()).toBe(1_769_860_800_000);
  expect(parseTime("1769860800000", "-o").getTime()).toBe(1_769_860_800_000);
  expect(() => parseTime("yesterday", "-o")).toThrow("-o yesterday: not a time");
});

test("pairs keep order and repetition in a list, and the last one counts in a record", () => {
  expect(parsePairList(["b=1", "a=x=y", "b="], "--header")).toEqual([
    ["b", "1"],
    ["a", "x=y"],
    ["b", ""],
  ]);
  expect(parsePairs(["b=1", "b=2", "__proto__=x"], "--set")).toEqual(
    Object.fromEntries([
      ["b", "2"],
      ["__proto__", "x"],
    ]),
  );
  expect(() => parsePairs(["=1"], "--set")).toThrow("--set =1: write it as key=value");
});

test("acks and codecs are closed lists", () => {
  expect([parseAcks("all"), parseAcks("-1"), parseAcks("1"), parseAcks("0")]).toEqual(["all", "all", 1, 0]);
  expect(() => parseAcks("2")).toThrow("there is all, 1 and 0");
  expect(parseCompression("zstd")).toBe("zstd");
  expect(() => parseCompression("brotli")).toThrow("there is none, gzip, snappy, lz4, zstd");
});
