import { existsSync, readdirSync, readFileSync } from "node:fs";
import { dirname, join, relative } from "node:path";
import { expect, test } from "vitest";
import { headingIds, linksOf } from "./markdown.ts";

const root = join(import.meta.dirname, "..", "..");
const skipped = new Set(["node_modules", "dist", ".git", ".lograft", "coverage"]);

const pages = pagesBelow(root);

test("every document's links lead to a file and a heading that are there", () => {
  const problems = pages.flatMap((page) =>
    linksOf(readFileSync(page, "utf8")).flatMap(({ target, line }) => {
      const problem = problemOf(page, target);
      return problem === undefined ? [] : [`${relative(root, page)}:${line}: ${target}: ${problem}`];
    }),
  );
  expect(pages.length).toBeGreaterThan(20);
  expect(problems).toEqual([]);
});

test("docs/README.md leads to every page beside it", () => {
  const index = join(root, "docs", "README.md");
  const targets = linksOf(readFileSync(index, "utf8")).map(({ target }) => target);
  const names = readdirSync(join(root, "docs")).filter(
    (name) => name.endsWith(".md") && name !== "README.md",
  );
  expect(names.filter((name) => !targets.includes(name))).toEqual([]);
});

test("links in code are none, and headings get the names that a link uses", () => {
  const text =
    "# A `b.c` d\n\n[x](#a-bc-d)\n\n```md\n[no](gone.md)\n# not one\n```\n\n`[no](gone.md)` [y](z.md#w)\n\n## A\n## A\n";
  expect(linksOf(text)).toEqual([
    { target: "#a-bc-d", line: 3 },
    { target: "z.md#w", line: 10 },
  ]);
  expect([...headingIds(text)]).toEqual(["a-bc-d", "a", "a-1"]);
});

function problemOf(page: string, target: string): string | undefined {
  if (/^(?:https?|mailto):/.test(target)) return undefined;
  const [path = "", anchor] = target.split("#");
  const file = path === "" ? page : join(dirname(page), path);
  if (!existsSync(file)) return "there is no such file";
  if (anchor === undefined) return undefined;
  if (!file.endsWith(".md")) return "anchors are for documents";
  return headingIds(readFileSync(file, "utf8")).has(anchor) ? undefined : "there is no such heading";
}

function pagesBelow(directory: string): string[] {
  return readdirSync(directory, { withFileTypes: true }).flatMap((entry) => {
    if (skipped.has(entry.name)) return [];
    const path = join(directory, entry.name);
    if (entry.isDirectory()) return pagesBelow(path);
    return entry.name.endsWith(".md") ? [path] : [];
  });
}
