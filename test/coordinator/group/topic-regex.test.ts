import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { TopicRegex } from "../../../src/coordinator/group/topic-regex.ts";

function compiled(pattern: string): TopicRegex {
  const result = TopicRegex.compile(pattern);
  if (!result.ok) throw new Error(`${pattern}: ${result.reason}`);
  return result.regex;
}

function reasonOf(pattern: string): string {
  const result = TopicRegex.compile(pattern);
  return result.ok ? "" : result.reason;
}

test.each([
  ["orders", ["orders"], ["order", "orders2", "xorders"]],
  ["orders.*", ["orders", "orders-eu"], ["order"]],
  [String.raw`log\.(app|web)`, ["log.app", "log.web"], ["logxapp", "log."]],
  ["a|bc|", ["a", "bc", ""], ["abc", "b"]],
  ["^a$", ["a"], ["b", "aa"]],
  [String.raw`\Aa\z`, ["a"], [""]],
  ["a^b|a$b", [], ["ab", "a^b"]],
  ["x{2,3}", ["xx", "xxx"], ["x", "xxxx"]],
  ["x{2}", ["xx"], ["x", "xxx"]],
  ["x{2,}", ["xx", "xxxxx"], ["x"]],
  ["x{,2}", ["x{,2}"], ["x"]],
  ["(?:ab)+?", ["ab", "abab"], ["", "aba"]],
  ["[a-c_.-]+", ["a.b_c-"], ["d"]],
  ["[^a-c]", ["d"], ["a", ""]],
  ["[]a]", ["]", "a"], [""]],
  ["[^]a]", ["b"], ["]", "a"]],
  [String.raw`[\d\-x]+`, ["12-x"], ["a"]],
  [String.raw`\d\D\w\W\S`, ["1a_-x"], ["aa_-x"]],
  [String.raw`\x61\x{62}`, ["ab"], ["x61"]],
  ["(?i)Ab[c-d]", ["ab".concat("C"), "aBd"], ["abe"]],
  ["(?i:a)b", ["Ab", "ab"], ["aB"]],
  ["((?i)a)b", ["Ab"], ["AB"]],
  ["(?P<name>a)(?<other>b)", ["ab"], ["a"]],
  ["(a*)*b?", ["", "aaa", "ab"], ["ba"]],
  ["(|a){3}", ["", "a", "aaa"], ["aaaa"]],
  ["a{0}b", ["b"], ["ab"]],
  ["é*x", ["x"], ["é"]],
] as const)("%s matches whole names as RE2 does", (pattern, yes, no) => {
  const regex = compiled(pattern);
  for (const name of yes) expect(regex.matches(name), name).toBe(true);
  for (const name of no) expect(regex.matches(name), name).toBe(false);
});

describe("what is refused", () => {
  test.each([
    ["(", "'(' without"],
    [")", "closes nothing"],
    ["[a", "'[' without"],
    ["*a", "repeats nothing"],
    ["a**", "repetition of a repetition"],
    ["a*+", "possessive"],
    ["a{3,2}", "from 3 to 2"],
    ["a{2000}", "more than 1000"],
    ["[b-a]", "range from 'b' down to 'a'"],
    ["a\\", "at the end"],
    [String.raw`(a)\1`, "references"],
    [String.raw`\bx`, String.raw`'\b' is not supported`],
    [String.raw`\xg1`, "hexadecimal"],
    ["(?=a)", "look-ahead"],
    ["(?<!a)", "look-behind"],
    ["(?>a)", "atomic"],
    ["(?m)a", "groups that begin with '(?'"],
    ["[[:alpha:]]", "[:names:]"],
    ["x".repeat(1_001), "1001 characters"],
    ["(".repeat(60), "more than 50 groups"],
    ["(.{1,100}){1,100}", "too large"],
    ["(((){1000}){1000}){1000}", "too large"],
  ])("%s", (pattern, reason) => {
    expect(reasonOf(pattern)).toContain(reason);
  });
});

test("it agrees with the regular expressions of the language", () => {
  const atom = fc.oneof(
    fc.constantFrom("a", "b", ".", "[ab]", "[^a]", String.raw`\.`, String.raw`\w`, "^", "$"),
    fc.constantFrom("a|b", "(a|)", "(?:ab|b)"),
  );
  const repeated = fc
    .tuple(atom, fc.constantFrom("", "", "*", "+", "?", "{2}", "{1,2}", "{0,1}", "{2,}", "*?"))
    .map(([text, count]) => (text === "^" || text === "$" ? text : `(?:${text})${count}`));
  const group = fc.array(repeated, { maxLength: 4 }).map((items) => `(${items.join("")})*`);
  const pattern = fc.array(fc.oneof(repeated, group), { maxLength: 5 }).map((items) => items.join(""));
  const name = fc.string({ unit: fc.constantFrom("a", "b", "."), maxLength: 8 });
  fc.assert(
    fc.property(pattern, fc.array(name, { minLength: 1, maxLength: 5 }), (text, names) => {
      const theirs = new RegExp(`^(?:${text})$`, "u");
      const ours = compiled(text);
      for (const candidate of names) expect(ours.matches(candidate), candidate).toBe(theirs.test(candidate));
    }),
    { numRuns: 1_000 },
  );
});

test("any text is compiled or refused with a reason", () => {
  const text = fc.string({ unit: fc.constantFrom(...Array.from("()[]{}?*+|^$.,\\-:<>=!iPxdwab019 é")) });
  fc.assert(
    fc.property(text, (pattern) => {
      const result = TopicRegex.compile(pattern);
      if (result.ok) result.regex.matches("abc");
      else expect(result.reason).not.toBe("");
    }),
    { numRuns: 2_000 },
  );
});

test("patterns that would hang a backtracking matcher for years are answered", () => {
  const name = `${"a".repeat(248)}!`;
  for (const pattern of ["(a+)+", "(a|aa)*", "(a*)*b", "(.*a){20}", "(a|a)*c"]) {
    const regex = compiled(pattern);
    const started = performance.now();
    expect(regex.matches(name)).toBe(false);
    expect(performance.now() - started, pattern).toBeLessThan(10_000);
  }
});
