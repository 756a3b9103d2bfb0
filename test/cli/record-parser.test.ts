import { expect, test } from "vitest";
import { recordAsJson } from "../../src/cli/record-text.ts";
import { lineParser, parseJsonRecord } from "../../src/cli/record-parser.ts";

const separated = lineParser({ isNdjson: false, keySeparator: "::" }, { partition: 2 });

test("a plain line is the value", () => {
  const parse = lineParser({ isNdjson: false, keySeparator: undefined }, { key: "k" });
  expect(parse(Buffer.from("v"))).toEqual({ key: "k", value: Buffer.from("v") });
});

test("the first separator divides key and value; both may be empty", () => {
  expect(separated(Buffer.from("a::b::c"))).toEqual({
    partition: 2,
    key: Buffer.from("a"),
    value: Buffer.from("b::c"),
  });
  expect(separated(Buffer.from("::"))).toEqual({
    partition: 2,
    key: Buffer.from(""),
    value: Buffer.from(""),
  });
});

test("a line without the separator is refused and shown", () => {
  expect(() => separated(Buffer.from("a:b"))).toThrow('a line has no key separator "::": "a:b"');
});

test("what consume prints is what produce reads", () => {
  const printed = recordAsJson(
    {
      topic: "t",
      partition: 1,
      offset: 7,
      timestamp: 123,
      key: null,
      value: Buffer.from([0xff]),
      headers: [
        { key: "a", value: Buffer.from("1") },
        { key: "a", value: null },
      ],
    },
    false,
  );
  expect(parseJsonRecord(printed)).toEqual({
    key: null,
    value: Buffer.from([0xff]),
    partition: 1,
    timestamp: 123,
    headers: [
      { key: "a", value: "1" },
      { key: "a", value: null },
    ],
  });
});

test("headers may be an object; other JSON values are written as JSON", () => {
  expect(parseJsonRecord('{"value": {"total": 12}, "headers": {"n": 1, "x": null}}')).toEqual({
    value: '{"total":12}',
    headers: [
      { key: "n", value: "1" },
      { key: "x", value: null },
    ],
  });
});

test.each([
  ['{"vlaue": 1}', 'unknown field "vlaue"'],
  ['{"key": "a"}', "the value is missing"],
  ["{nope", "not JSON"],
  ["[1]", "not a JSON object"],
  ['{"value": "a", "valueBase64": "YQ=="}', "value and valueBase64 say two things"],
  ['{"valueBase64": "%%"}', "valueBase64 is not base64"],
  ['{"value": "a", "partition": -1}', "partition is not a whole number"],
  ['{"value": "a", "timestamp": "soon"}', "timestamp is not a whole number"],
  ['{"value": "a", "headers": 5}', "headers are an object or a list"],
  ['{"value": "a", "headers": [{"value": "x"}]}', 'a header has no "key"'],
])("%s is refused: %s", (line, message) => {
  expect(() => parseJsonRecord(line)).toThrow(message);
  expect(() => parseJsonRecord(line)).toThrow(expect.objectContaining({ code: "INVALID_ARGUMENT" }));
});
