import { expect, test } from "vitest";
import { printable, recordAsJson, recordAsText } from "../../src/cli/record-text.ts";
import type { PrintableRecord } from "../../src/cli/record-format.ts";

const record: PrintableRecord = {
  topic: "orders",
  partition: 0,
  offset: 5,
  timestamp: 1_700_000_000_000,
  key: Buffer.from("钥匙"),
  value: Buffer.from([0xc3, 0x28]),
  headers: [{ key: "h", value: Buffer.from("\ufeffmark") }],
};

test("the JSON of a record has strings for 64 bits and base64 for what is not text", () => {
  expect(recordAsJson(record, false)).toBe(
    '{"topic":"orders","partition":0,"offset":"5","timestamp":"1700000000000","key":"钥匙",' +
      '"valueBase64":"wyg=","headers":[{"key":"h","value":"\ufeffmark"}]}',
  );
});

test("null and no headers", () => {
  expect(JSON.parse(recordAsJson({ ...record, key: null, value: null, headers: [] }, false))).toEqual({
    topic: "orders",
    partition: 0,
    offset: "5",
    timestamp: "1700000000000",
    key: null,
    value: null,
  });
});

test("without data the sizes stand for it", () => {
  expect(JSON.parse(recordAsJson({ ...record, key: null }, true))).toEqual({
    topic: "orders",
    partition: 0,
    offset: "5",
    timestamp: "1700000000000",
    keySize: null,
    valueSize: 2,
  });
  expect(recordAsText(record, true)).toBe("orders-0 @ 5  2023-11-14T22:13:20.000Z  2 B\n");
});

test("the block for a terminal shows bytes as hex and a tombstone as such", () => {
  expect(recordAsText(record, false)).toBe(
    "orders-0 @ 5  2023-11-14T22:13:20.000Z\n  key    钥匙\n  header h: \ufeffmark\n  value  0xc328\n",
  );
  expect(recordAsText({ ...record, key: null, value: null, headers: [] }, false)).toBe(
    "orders-0 @ 5  2023-11-14T22:13:20.000Z\n  value  null (tombstone)\n",
  );
});

test("a record cannot steer the terminal", () => {
  expect(printable("\u001b[31mred\u0007\u009b0m\ttab\nline")).toBe(
    String.raw`\x1b[31mred\x07\x9b0m` + "\ttab\nline",
  );
});
