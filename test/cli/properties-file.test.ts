import { expect, test } from "vitest";
import { readProperties } from "../../src/cli/properties-file.ts";

function pairs(text: string): string[] {
  return readProperties("f", text).map(({ key, value, origin }) => `${origin} ${key}=${value}`);
}

test("both separators, blanks around them, comments, empty values and the lines they stand in", () => {
  expect(pairs("# comment\n! comment\n\na=1\n b : 2 \nc=\nd = x=y # z\r\ne:f:g")).toEqual([
    "f:4 a=1",
    "f:5 b=2",
    "f:6 c=",
    "f:7 d=x=y # z",
    "f:8 e=f:g",
  ]);
});

test("a backslash at the end joins lines; two are one backslash", () => {
  expect(pairs("list=a,\\\n     b,\\\n  c\nnext=1\npath=C\\:\\\\data\\\\\nlast=\\u00e9\\t.")).toEqual([
    "f:1 list=a,b,c",
    "f:4 next=1",
    "f:5 path=C:\\data\\",
    "f:6 last=é\t.",
  ]);
});

test("a byte order mark and a backslash at the end of the file do no harm", () => {
  expect(pairs("\ufeffa=1\nb=2\\")).toEqual(["f:1 a=1", "f:2 b=2"]);
});

test("a line that is no setting is refused with its number", () => {
  expect(() => pairs("a=1\njust words\n")).toThrow(
    'f:2: "just words" is not a setting; write it as key=value',
  );
  expect(() => pairs("=1")).toThrow("f:1");
});
