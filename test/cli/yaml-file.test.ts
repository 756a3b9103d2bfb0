import { expect, test } from "vitest";
import { readYaml } from "../../src/cli/yaml-file.ts";

function pairs(text: string): string[] {
  return readYaml("f.yaml", text).map(({ key, value, origin }) => `${origin} ${key}=${value}`);
}

test("nesting flattens to dotted keys, mixed with keys that are dotted already", () => {
  expect(pairs("log:\n  retention:\n    ms: 5\n  segment.bytes: 1GiB\nnode.id: 1\n")).toEqual([
    "f.yaml:3 log.retention.ms=5",
    "f.yaml:4 log.segment.bytes=1GiB",
    "f.yaml:5 node.id=1",
  ]);
});

test("lists become comma-separated, empty keys are not set, numbers stay as written", () => {
  expect(
    pairs(
      "log.dirs: [/a, /b]\nlisteners:\n  - CLIENT://:1\nrack:\nbig: 9007199254740993\nyes: true\nq: '1.50'",
    ),
  ).toEqual([
    "f.yaml:1 log.dirs=/a,/b",
    "f.yaml:2 listeners=CLIENT://:1",
    "f.yaml:5 big=9007199254740993",
    "f.yaml:6 yes=true",
    "f.yaml:7 q=1.50",
  ]);
});

test("an empty file sets nothing", () => {
  expect(pairs("")).toEqual([]);
  expect(pairs("# only a comment\n")).toEqual([]);
});

test.each([
  ["a: [", "f.yaml: "],
  ["just text", "a mapping of settings is needed"],
  ["- 1", "a mapping of settings is needed"],
  ["a: 1\nb:\n  - {c: 1}", "f.yaml:2: b is neither a value nor a list of values"],
  ["a: &x 1\nb: *x", "f.yaml:2: b is neither a value nor a list of values"],
  ["a: 1\na: 2", "unique"],
])("%j is refused: %s", (text, message) => {
  expect(() => pairs(text)).toThrow(message);
});
