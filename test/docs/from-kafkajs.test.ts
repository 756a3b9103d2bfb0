import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, test } from "vitest";
import { startBroker } from "../../src/testing.ts";
import { ROOT, startExample } from "../examples/run-example.ts";

/* The page's blocks of TypeScript, one after the other, are the example, which is type-checked with the rest and runs here. */

const page = readFileSync(join(ROOT, "docs", "from-kafkajs.md"), "utf8");
const example = readFileSync(join(ROOT, "examples", "from-kafkajs.ts"), "utf8");
const directory = mkdtempSync(join(tmpdir(), "lograft-from-kafkajs-"));
afterAll(() => rmSync(directory, { recursive: true, force: true }));

test("the blocks of docs/from-kafkajs.md are examples/from-kafkajs.ts, letter by letter", () => {
  const blocks = Array.from(page.matchAll(/^```ts\n(.*?)^```$/gms), ([, code = ""]) => code);
  expect(blocks.join("\n")).toBe(example.replace(/^\/\*.*?\*\/\n/s, ""));
});

test("examples/from-kafkajs.ts does what the page says", { timeout: 90_000 }, async () => {
  await using broker = await startBroker();
  const file = join(directory, "from-kafkajs.ts");
  writeFileSync(file, example.replaceAll("localhost:9092", broker.address));
  const program = startExample(file);
  const countOf = (word: string): number => text.match(new RegExp(`^${word} `, "gm"))?.length ?? 0;
  let text = "";
  let isTold = false;
  for await (const chunk of program.stdout) {
    text += String(chunk);
    // The member has handled everything, and would wait for more for ever.
    if (isTold || countOf("billing") < 3) continue;
    isTold = true;
    program.kill();
  }
  expect(await program.ended, text + program.errors()).toBe(0);
  const lines = text.trimEnd().split("\n");
  const handled = ["c-7", "c-8", "c-9"];
  // Partitions come in any order, and the words of the steps one after the other.
  expect(lines.slice(0, 2)).toEqual(["written 0 0 synced", "written 2 0 synced"]);
  expect(lines.slice(2, 5).toSorted()).toEqual([
    'billing c-7 {"total":12}',
    'billing c-8 {"total":30}',
    'billing c-9 {"total":7}',
  ]);
  expect(lines.slice(5, 8).toSorted()).toEqual(handled.map((key) => `archive ${key}`));
  expect(lines.slice(8, 11).toSorted()).toEqual(handled.map((key) => `again ${key}`));
  expect(lines.slice(11)).toEqual([
    "without a group three orders",
    "committed 1",
    "committed 1",
    "committed 1",
    "behind by 3",
    "MESSAGE_TOO_LARGE false",
    "failed",
  ]);
});
