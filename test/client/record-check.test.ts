import { expect, test } from "vitest";
import type { ProducerRecord } from "../../src/client/index.ts";
import { checkRecord } from "../../src/client/record-check.ts";

test.each<ProducerRecord>([
  { value: "text" },
  { value: Buffer.from("bytes"), key: "k" },
  { value: null, key: new Uint8Array(2) },
  { value: "", key: null, headers: [] },
  {
    value: "x",
    headers: [
      { key: "a", value: "1" },
      { key: "a", value: null },
    ],
  },
])("takes %j", (record) => {
  expect(() => checkRecord("t", record)).not.toThrow();
});

test.each([
  [{}, "value is of type undefined"],
  [{ value: 5 }, "value is of type number"],
  [{ value: { total: 1 } }, "JSON.stringify makes text of an object"],
  [{ value: ["a"] }, "value is an array"],
  [{ value: "x", key: 7 }, "key is of type number"],
  [{ value: "x", headers: { a: "1" } }, "headers is of type object; it has to be a list of { key, value }"],
  [{ value: "x", headers: [{ value: "1" }] }, "the key of a header is of type undefined"],
  [{ value: "x", headers: [null] }, "the key of a header is of type undefined"],
  [{ value: "x", headers: [{ key: "a", value: 5 }] }, "the value of header a is of type number"],
  [null, "record is null"],
  ["x", "record is of type string"],
])("refuses %j from programs without types: %s", (record, message) => {
  const check = (): void => checkRecord("t", record as ProducerRecord);
  expect(check).toThrow(expect.objectContaining({ code: "INVALID_ARGUMENT" }));
  expect(check).toThrow(message);
});

test("refuses what is no name of a topic", () => {
  for (const topic of [undefined, 5] as unknown[]) {
    expect(() => checkRecord(topic as string, { value: "x" })).toThrow("it has to be the name of a topic");
  }
});
