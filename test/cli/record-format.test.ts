import { expect, test } from "vitest";
import { isoTime, RecordFormat } from "../../src/cli/record-format.ts";
import type { PrintableRecord } from "../../src/cli/record-format.ts";

const record: PrintableRecord = {
  topic: "orders",
  partition: 3,
  offset: 9_007_199_254_740_991,
  timestamp: 1_700_000_000_123,
  key: Buffer.from("c-7"),
  value: Buffer.from([0xff, 0x00, 0x41]),
  headers: [
    { key: "trace", value: Buffer.from("7") },
    { key: "trace", value: null },
  ],
};

function print(format: string, changes: Partial<PrintableRecord> = {}): string {
  return new RecordFormat(format).print({ ...record, ...changes });
}

test.each([
  ["%t", "orders"],
  ["%p", "3"],
  ["%o", "9007199254740991"],
  ["%k", "c-7"],
  ["%k{text}", "c-7"],
  ["%k{hex}", "632d37"],
  ["%v{hex}", "ff0041"],
  ["%v{base64}", "/wBB"],
  ["%h", "trace=7,trace="],
  ["%h{hex}", "trace=37,trace="],
  ["%d", "1700000000123"],
  ["%e", "2023-11-14T22:13:20.123Z"],
  ["%s", "3"],
])("the token %s prints %s", (format, expected) => {
  expect(print(format)).toBe(expected);
});

test("text between tokens, escapes and doubled signs print as themselves", () => {
  expect(print(String.raw`[%p]\t%o\n`)).toBe("[3]\t9007199254740991\n");
  expect(print(String.raw`\0\r\\`)).toBe("\0\r\\");
  expect(print("100%% %k%{x%}")).toBe("100% c-7{x}");
  expect(print(String.raw`\q`)).toBe(String.raw`\q`);
});

test("null prints as nothing", () => {
  expect(print("<%k|%v|%s>", { key: null, value: null })).toBe("<||0>");
});

test.each([
  ["%x", "%x is not known"],
  ["50%", "% at the end is not known"],
  ["%v{rot13}", "%v{rot13} is not known; there is {hex}, {base64} and {text}"],
  ["%o{hex}", "only %k, %v and %h have an encoding"],
])("%s is refused with what there is", (format, message) => {
  expect(() => new RecordFormat(format)).toThrow(message);
});

test("a time that no calendar has prints as its number", () => {
  expect(isoTime(9_000_000_000_000_000)).toBe("9000000000000000");
  expect(isoTime(-1)).toBe("1969-12-31T23:59:59.999Z");
});
