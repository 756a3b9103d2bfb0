import { describe, expect, test } from "vitest";

import {
  booleanValue,
  choiceValue,
  durationValue,
  endpointsValue,
  integerValue,
  pathListValue,
  sizeValue,
  textValue,
  type ConfigValue,
} from "../../src/model/config-values.ts";

/** The typed value, or the message of the refusal. */
function parse<T>(value: ConfigValue<T>, text: string): T | string {
  const result = value.schema.safeParse(text);
  return result.success ? result.data : (result.error.issues[0]?.message ?? "no message");
}

function isRefused(value: ConfigValue<unknown>, text: string): boolean {
  return !value.schema.safeParse(text).success;
}

describe("durations", () => {
  const duration = durationValue({ min: 0, max: 1e15, unlimited: true });
  test.each([
    ["0", 0],
    ["250", 250],
    ["250ms", 250],
    ["90 s", 90_000],
    ["15m", 900_000],
    ["1.5h", 5_400_000],
    [" 7d ", 604_800_000],
    ["2w", 1_209_600_000],
    ["-1", Infinity],
  ])("%j is %d ms", (text, expected) => {
    expect(parse(duration, text)).toBe(expected);
  });

  test.each([
    "",
    "-2",
    "7 days",
    "1.5",
    "0x10",
    "1e3",
    "10M",
    "ms",
    "1 h 3 m",
    "9999999999999999d",
    "--1",
    "NaN",
    "Infinity",
  ])("%j is refused", (text) => {
    expect(isRefused(duration, text)).toBe(true);
  });

  test("-1 is no limit only where the key has one", () => {
    expect(isRefused(durationValue({ min: 0, max: 10 }), "-1")).toBe(true);
  });
});

describe("sizes", () => {
  const size = sizeValue({ min: 1, max: Number.MAX_SAFE_INTEGER });
  test.each([
    ["1048576", 1_048_576],
    ["64MiB", 67_108_864],
    ["1 GB", 1_000_000_000],
    ["1.5 KiB", 1536],
    ["10kB", 10_000],
    ["8192TiB", undefined],
  ])("%j is %s bytes", (text, expected) => {
    if (expected === undefined) expect(isRefused(size, text)).toBe(true);
    else expect(parse(size, text)).toBe(expected);
  });

  test.each(["64M", "64mib", "0", "-5", "1.0001KiB"])("%j is refused", (text) => {
    expect(isRefused(size, text)).toBe(true);
  });
});

test("bounds are inclusive and told in the refusal", () => {
  const value = integerValue({ min: 1, max: 9 });
  expect([parse(value, "1"), parse(value, "9")]).toEqual([1, 9]);
  expect(parse(value, "0")).toBe("allowed: a whole number, 1 to 9");
  expect(parse(value, "10")).toMatch(/1 to 9/);
  expect(isRefused(value, "5ms")).toBe(true);
});

test("booleans and choices are read in any case and shown in their own", () => {
  expect(parse(booleanValue(), "TRUE")).toBe(true);
  expect(isRefused(booleanValue(), "yes")).toBe(true);
  const choice = choiceValue(["CreateTime", "LogAppendTime"]);
  expect(parse(choice, "logappendtime")).toBe("LogAppendTime");
  expect(parse(choice, "toString")).toBe("allowed: one of CreateTime, LogAppendTime");
});

test("text and paths keep to their rules", () => {
  const text = textValue("letters", 3, /^[a-z]+$/);
  expect(parse(text, " abc ")).toBe("abc");
  expect(["", "abcd", "a1"].map((bad) => isRefused(text, bad))).toEqual([true, true, true]);
  expect(parse(pathListValue(), "/a, b/c")).toEqual(["/a", "b/c"]);
  expect(["", "/a,", "/a,/a", "a\0b"].map((bad) => isRefused(pathListValue(), bad))).toEqual([
    true,
    true,
    true,
    true,
  ]);
});

describe("endpoints", () => {
  const listen = endpointsValue({ needsHost: false });
  const advertise = endpointsValue({ needsHost: true });

  test("name, host and port are taken apart, IPv6 out of its brackets", () => {
    expect(parse(listen, "CLIENT://:9092, IN-1://[::1]:0")).toEqual([
      { name: "CLIENT", host: "", port: 9092 },
      { name: "IN-1", host: "::1", port: 0 },
    ]);
    expect(parse(advertise, "CLIENT://broker-1.example:29092")).toEqual([
      { name: "CLIENT", host: "broker-1.example", port: 29092 },
    ]);
  });

  test.each([
    "",
    "CLIENT",
    "client://:1",
    "A://h:65536",
    "A://h:1,A://h:2",
    "A://h:1,",
    "A://h",
    "A://a b:1",
    "A://::1:5",
  ])("%j is refused", (text) => {
    expect(isRefused(listen, text)).toBe(true);
  });

  test.each(["A://:9092", "A://0.0.0.0:9092", "A://[::]:9092", "A://host:0"])(
    "%j cannot be advertised",
    (text) => {
      expect(isRefused(advertise, text)).toBe(true);
    },
  );
});

test("what is formatted reads back as the same value", () => {
  const pairs: readonly (readonly [ConfigValue<unknown>, string])[] = [
    [durationValue({ min: 0, max: 1e12, unlimited: true }), "-1"],
    [durationValue({ min: 0, max: 1e12 }), "7d"],
    [sizeValue({ min: 0, max: 1e12 }), "3MiB"],
    [booleanValue(), "false"],
    [choiceValue(["a", "b"]), "b"],
    [pathListValue(), "/a,/b"],
    [endpointsValue({ needsHost: false }), "A://:1,B://[fe80::1]:2"],
  ];
  for (const [value, text] of pairs) {
    const parsed = parse(value, text);
    expect(parse(value, value.format(parsed))).toEqual(parsed);
  }
});
