import { existsSync, readFileSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { banExceptions } from "./tidy/banned.ts";
import { importExceptions } from "./tidy/import-table.ts";
import {
  checkBans,
  checkDecision,
  checkHazards,
  checkLayers,
  checkLockFile,
  checkShape,
  checkSpecifiers,
  checkTestNames,
  checkTexts,
  findCycles,
  findOrphans,
  longFiles,
  resolveImport,
  sourceFile,
} from "./tidy/rules.ts";
import type { SourceFile } from "./tidy/rules.ts";

/* The project's rules for its own text, as one test each. A failure lists file:line, the rule and what to do. */

const root = join(import.meta.dirname, "..");
const src = readTree("src");
const tests = readTree("test");
const trees: readonly (readonly [string, readonly SourceFile[]])[] = [
  ["src", src],
  ["test", tests],
  ["bench", readTree("bench")],
  ["examples", readTree("examples")],
];
const all = new Set(trees.flatMap(([tree, files]) => files.map((file) => `${tree}/${file.path}`)));

/** The problems that a check finds in each file of each tree. */
function inEachFile(check: (tree: string, file: SourceFile) => string[]): string[] {
  return trees.flatMap(([tree, files]) => files.flatMap((file) => check(tree, file)));
}

test("each folder imports only what its row of the import table allows", () => {
  expect(src.flatMap(checkLayers)).toEqual([]);
});

test("imports name existing files with their ending", () => {
  expect(inEachFile((tree, file) => checkSpecifiers(tree, file, (path) => all.has(path)))).toEqual([]);
});

test("no files import one another in a circle", () => {
  expect(findCycles(src)).toEqual([]);
});

test("the outside world is reached through ports, and the pure folders are synchronous and hold no state", () => {
  expect(src.flatMap(checkBans)).toEqual([]);
});

test("every source file is used", () => {
  const targets = tests.flatMap(({ path, imports }) =>
    imports.map(({ specifier }) => resolveImport(`test/${path}`, specifier) ?? ""),
  );
  const ofSources = targets
    .filter((path) => path.startsWith("src/"))
    .map((path) => path.slice("src/".length));
  expect(findOrphans(src, new Set(ofSources))).toEqual([]);
});

test("file names are kebab-case and no file is too long", () => {
  expect(inEachFile(checkShape)).toEqual([]);
});

test("nothing is skipped, switched off or left open", () => {
  // The rules themselves and their bad samples spell out what they look for.
  const isRule = (path: string): boolean => path.startsWith("test/tidy/");
  const problems = inEachFile((tree, file) => {
    const path = `${tree}/${file.path}`;
    return isRule(path) ? [] : checkTexts(path, file.text);
  });
  expect(problems).toEqual([]);
});

test("a test of a source file is named after it", () => {
  const sources = new Set(src.map((file) => file.path));
  const names = tests.map((file) => file.path);
  expect(checkTestNames(names, sources)).toEqual([]);
});

test("every exception of the rules still has its file", () => {
  const named = [...importExceptions, ...banExceptions].map((one) => `src/${one.file}`);
  expect([...named, ...longFiles].filter((path) => !all.has(path))).toEqual([]);
});

test("decision records have one title and say what, why and what was refused", () => {
  const folder = join(root, "docs", "decisions");
  const problems = readdirSync(folder).flatMap((name) =>
    checkDecision(name, readFileSync(join(folder, name), "utf8")),
  );
  expect(problems).toEqual([]);
});

test("the hazards that the code cites are listed, with what guards against them and what shows it", () => {
  const list = readFileSync(join(root, "docs", "hazards.md"), "utf8");
  const files = trees.flatMap(([tree, all]) =>
    all
      .filter(({ path }) => !path.startsWith("tidy"))
      .map(({ path, text }) => [`${tree}/${path}`, text] as const),
  );
  expect(checkHazards(list, files, (path) => existsSync(join(root, path)))).toEqual([]);
});

test("the lock file installs everywhere", () => {
  const lock = JSON.parse(readFileSync(join(root, "package-lock.json"), "utf8")) as {
    packages: Parameters<typeof checkLockFile>[0];
  };
  expect(checkLockFile(lock.packages)).toEqual([]);
});

function readTree(tree: string): SourceFile[] {
  if (!existsSync(join(root, tree))) return [];
  return readdirSync(join(root, tree), { recursive: true, encoding: "utf8" })
    .filter((path) => path.endsWith(".ts") && !path.startsWith("corpus/"))
    .sort()
    .map((path) => sourceFile(path, readFileSync(join(root, tree, path), "utf8")));
}
