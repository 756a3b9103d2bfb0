import { expect, test } from "vitest";
import { kafkaRecordFormat } from "../../src/cli/kafka-record-format.ts";

const RECORD = {
  topic: "t",
  partition: 3,
  offset: 7,
  timestamp: 1_000,
  key: Buffer.from("k"),
  value: null,
  headers: [
    { key: "a", value: Buffer.from("1") },
    { key: "a", value: null },
  ],
};
const ALL = ["timestamp", "partition", "offset", "headers", "key"].map((name) => `print.${name}=true`);

test.each([
  [[], "null\n"],
  [ALL, "CreateTime:1000\tPartition:3\tOffset:7\ta:1,a:null\tk\tnull\n"],
  [["print.value=false", "print.key=true", "line.separator=;"], "k;"],
  [["print.headers=true", "headers.separator=|", "null.literal=", "key.separator= "], "a:1|a: \n"],
])("a record with %j", (pairs, text) => {
  expect(kafkaRecordFormat(pairs, "--property")(RECORD)).toBe(text);
});

test("a record without headers says so", () => {
  const print = kafkaRecordFormat(["print.headers=true", "print.value=false"], "--property");
  expect(print({ ...RECORD, headers: [] })).toBe("NO_HEADERS\n");
});

test("a property that is not known is refused with those that are", () => {
  expect(() => kafkaRecordFormat(["print.all=true"], "--property")).toThrow(
    "--property print.all: not known here; there is print.timestamp, print.partition",
  );
});
