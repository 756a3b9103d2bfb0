import { describe, expect, test } from "vitest";
import { kafkaLineParser } from "../../src/cli/kafka-line-parser.ts";

function parse(line: string, ...pairs: readonly string[]): unknown {
  const { key, value, headers } = kafkaLineParser(pairs, "--property")(Buffer.from(line));
  const textOf = (bytes: unknown): string | null | undefined => {
    return bytes === null || bytes === undefined ? bytes : Buffer.from(bytes as Uint8Array).toString("utf8");
  };
  return {
    value: textOf(value),
    ...(key === undefined ? {} : { key: textOf(key) }),
    ...(headers === undefined ? {} : { headers: headers.map((one) => [one.key, textOf(one.value)]) }),
  };
}

const HEADERS = ["parse.headers=true", "parse.key=true"];

describe("a line of the console producer", () => {
  test.each<[string, readonly string[], unknown]>([
    ["a\tb", [], { value: "a\tb" }],
    ["", [], { value: "" }],
    ["k\tv\tw", ["parse.key=true"], { key: "k", value: "v\tw" }],
    ["kühl::v", ["parse.key=true", "key.separator=::"], { key: "kühl", value: "v" }],
    [
      "a:1,b:2\tk\tv",
      HEADERS,
      {
        key: "k",
        value: "v",
        headers: [
          ["a", "1"],
          ["b", "2"],
        ],
      },
    ],
    ["a:1:2\tv", ["parse.headers=true"], { value: "v", headers: [["a", "1:2"]] }],
    ["\tk\tv", HEADERS, { key: "k", value: "v" }],
    [
      "a=1;b=NIL|k|NIL",
      [
        ...HEADERS,
        "headers.delimiter=|",
        "headers.separator=;",
        "headers.key.separator==",
        "key.separator=|",
        "null.marker=NIL",
      ],
      {
        key: "k",
        value: null,
        headers: [
          ["a", "1"],
          ["b", null],
        ],
      },
    ],
    ["NIL\tNIL\tNIL", [...HEADERS, "null.marker=NIL"], { key: null, value: null }],
    ["NIL", [], { value: "NIL" }],
    ["plain", ["parse.key=true", "ignore.error=true"], { value: "plain" }],
    ["alone\tv", ["parse.headers=true", "ignore.error=true"], { value: "v", headers: [["alone", null]] }],
  ])("%j with %j", (line, pairs, record) => {
    expect(parse(line, ...pairs)).toEqual(record);
  });

  test.each<[string, readonly string[], string]>([
    ["plain", ["parse.key=true"], 'a line has no key.separator "\\t": "plain"; add it'],
    ["plain", ["parse.headers=true"], 'a line has no headers.delimiter "\\t"'],
    ["a\tv", ["parse.headers=true"], 'a line has no headers.key.separator ":": "a"'],
    ["x".repeat(200), ["parse.key=true"], `"${"x".repeat(80)}";`],
    ["x", ["key.separator="], "key.separator cannot be empty"],
    ["x", ["parse.key=yes"], "parse.key=yes: there is true and false"],
    ["x", ["parse.value=true"], "--property parse.value: not known here; there is parse.key"],
  ])("%j with %j is refused", (line, pairs, message) => {
    expect(() => parse(line, ...pairs)).toThrow(message);
  });
});
