import { expect, test } from "vitest";
import { importsOf, scan } from "./scan.ts";

function specifiers(text: string): string[] {
  return importsOf(text, scan(text).code).map((one) => one.specifier);
}

test("code keeps its length and lines while comments and strings go blank", () => {
  const text = `const a = "x // y"; // z\n/* two\nlines */ const b = 'it\\'s';\n`;
  const { code, comments } = scan(text);
  expect(code).toBe(`const a = "      ";     \n      \n         const b = '     ';\n`);
  expect(comments).toEqual([
    { line: 1, text: "// z" },
    { line: 2, text: "/* two\nlines */" },
  ]);
});

test("the code inside a template stays, its text goes", () => {
  const text = "const a = `one ${f({ b: `two ${c}` })} three`; const d = 1;";
  expect(scan(text).code).toBe("const a = `    ${f({ b: `    ${c}` })}      `; const d = 1;");
});

test("a regular expression is told from a division", () => {
  expect(scan("const a = b / c / d; x = /['\"`]/g; return /[/]'/;").code).toBe(
    "const a = b / c / d; x = /     /g; return /    /;",
  );
});

test("an unfinished comment, string or template ends with the text", () => {
  for (const text of ["const a = 1; /* never", "const a = 'never", "const a = `never ${", "a = /never"]) {
    expect(scan(text).code).toHaveLength(text.length);
  }
});

test("every form of import is found", () => {
  const text = [
    `import a from "a";`,
    `import type { B } from "./b.ts";`,
    `import {\n  c,\n  type D,\n} from '../c.ts';`,
    `import * as e from "node:e";`,
    `import "./f.ts";`,
    `export { g } from "./g.ts";`,
    `export * from "./h.ts";`,
    `const i = await import("./i.ts");`,
    `let j: typeof import("./j.ts");`,
    `const k = require("k");`,
  ].join("\n");
  expect(specifiers(text)).toEqual([
    "a",
    "./b.ts",
    "../c.ts",
    "node:e",
    "./f.ts",
    "./g.ts",
    "./h.ts",
    "./i.ts",
    "./j.ts",
    "k",
  ]);
});

test("what only looks like an import is not one", () => {
  expect(specifiers(`export const from = "x"; const b = Array.from("y"); const c = 'import "z"';`)).toEqual(
    [],
  );
  expect(specifiers(`export function f(): string { return g("from"); }\n// import "z"`)).toEqual([]);
});
