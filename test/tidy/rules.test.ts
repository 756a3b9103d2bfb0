import { expect, test } from "vitest";
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
  folderOf,
  maxLines,
  resolveImport,
  sourceFile,
} from "./rules.ts";

/* Each rule on a small bad sample: a rule that finds nothing anywhere would look the same as a clean project. */

test("the longest folder of the table counts", () => {
  expect(folderOf("platform/node/node-disk.ts")).toBe("platform/node");
  expect(folderOf("broker/handlers/produce.ts")).toBe("broker");
  expect(folderOf("main.ts")).toBeUndefined();
  expect(resolveImport("log/segment.ts", "../../bench/x.ts")).toBe("");
});

test.each([
  ["base/a.ts", `import { b } from "../model/b.ts";`, "base may not import model (it may: nothing)"],
  ["log/a.ts", `import type { B } from "../replication/b.ts";`, "log may not import replication"],
  ["log/a.ts", `import { open } from "node:fs/promises";`, "log may not import node:fs/promises"],
  ["model/a.ts", `import { z } from "zod";`, "model may not import the package zod"],
  ["model/a.ts", `const { gzip } = await import("node:zlib");`, "model may not import node:zlib"],
  ["platform/a.ts", `import { Level } from "level";`, "platform may not import the package level"],
  ["client/a.ts", `export { Broker } from "../broker/broker.ts";`, "client may not import broker"],
  ["broker/a.ts", `import { R } from "../raft/raft.ts";`, "broker may not import raft"],
  ["sim/a.ts", `import { D } from "../platform/node/node-disk.ts";`, "sim may not import platform/node"],
  ["peer/a.ts", `import { B } from "../broker/broker.ts";`, "peer may not import broker"],
  ["cli/a.ts", `import { run } from "../main.ts";`, "is an entry file"],
  ["log/a.ts", `import { x } from "../../test/x.ts";`, "leaves src"],
  ["newcomer/a.ts", `export const a = 1;`, "its folder is not in the table"],
])("%s is refused: %s", (path, text, expected) => {
  const problems = checkLayers(sourceFile(path, `\n${text}\n`));
  expect(problems).toHaveLength(1);
  expect(problems[0]).toContain(expected);
  expect(problems[0]).toMatch(/^src\/.+\.ts:[12]: /);
});

test("what the table allows passes", () => {
  const texts: [string, string][] = [
    ["main.ts", `import pino from "pino"; import { B } from "./broker/broker.ts";`],
    ["platform/node/a.ts", `import { Level } from "level"; import { open } from "node:fs/promises";`],
    ["rpc/a.ts", `import { loadSync } from "@grpc/proto-loader";`],
    ["peer/a.ts", `import type { L } from "../replication/leader-endpoint.ts";`],
    ["server/grpc/a.ts", `import { L } from "../listener.ts";`],
    ["model/compression.ts", `import { gzipSync } from "node:zlib";`],
    ["base/a.ts", `// import { b } from "../model/b.ts"\nconst text = 'import { b } from "../model/b.ts"';`],
  ];
  for (const [path, text] of texts) expect(checkLayers(sourceFile(path, text)), path).toEqual([]);
});

test("a relative import needs its ending and its file", () => {
  const file = sourceFile("log/a.ts", `import { b } from "./b";\nimport { c } from "./c.ts";\n`);
  expect(checkSpecifiers("src", file, () => true)).toEqual([
    `src/log/a.ts:1: write "./b" with its ending .ts`,
  ]);
  expect(checkSpecifiers("src", file, () => false)).toHaveLength(2);
});

test.each([
  ["log/a.ts", "const now = Date.now();", "Date"],
  ["log/a.ts", "const now = new Date();", "Date"],
  ["raft/a.ts", "const jitter = Math.random() * 100;", "Math.random"],
  ["broker/a.ts", "setTimeout(() => undefined, 10);", "a global timer"],
  ["quorum/a.ts", "queueMicrotask(step);", "a global timer"],
  ["client/a.ts", "const user = process.env.USER;", "process"],
  ["server/a.ts", `console.log("started");`, "console"],
  ["sim/a.ts", "const startedMs = performance.now();", "performance"],
  ["client/a.ts", "const page = await fetch(url);", "fetch"],
  ["metadata/a.ts", "export async function decide() {}", "async"],
  ["raft/a.ts", "function step(): Promise<void> {}", "Promise"],
  ["model/a.ts", "let last = 0;", "mutable module state"],
  ["log/a.ts", "const text = `it is ${Date.now()}`;", "Date"],
])("%s may not say: %s", (path, text, name) => {
  const problems = checkBans(sourceFile(path, `\n${text}\n`));
  expect(problems).toHaveLength(1);
  expect(problems[0]).toContain(`src/${path}:2: ${name} is banned here`);
});

test("a banned name in a comment, a string, a regular expression or a member passes", () => {
  const innocent = [
    "// Date.now() is not ours to call",
    `const text = "process.exit()" + 'Date' + \`Math.random()\`;`,
    "const pattern = /console.log(/;",
    "await this.client.fetch(partition);",
    "const half = total / 2; // Date",
    "class Consumer { fetch(partition: number): void {} }",
    "const entry = { process: 1 };",
  ];
  for (const text of innocent) expect(checkBans(sourceFile("log/a.ts", text)), text).toEqual([]);
});

test("the edges of the process may use the outside world", () => {
  const text = "setTimeout(() => console.log(Date.now(), process.pid), 1);";
  for (const path of ["main.ts", "cli/main.ts", "platform/node/node-clock.ts"]) {
    expect(checkBans(sourceFile(path, text)), path).toEqual([]);
  }
});

test.each([
  `test.only("x", () => {});`,
  `describe.skip("x", () => {});`,
  "// @ts-expect-error",
  "// TODO: later",
  "// oxlint-disable-next-line",
  "const x = y as any;",
])("no file may say: %s", (text) => {
  expect(checkTexts("test/a.test.ts", `\n${text}\n`)).toEqual([
    expect.stringMatching(/^test\/a\.test\.ts:2: .+ is banned here; /),
  ]);
});

test("names are kebab-case and length is bounded", () => {
  const long = "const line = 1;\n".repeat(maxLines + 1);
  expect(checkShape("src", sourceFile("log/aSegment.ts", ""))).toHaveLength(1);
  expect(checkShape("src", sourceFile("log/segment.ts", long))).toEqual([
    expect.stringContaining(`${maxLines + 1} lines`),
  ]);
  expect(checkShape("test", sourceFile("log/leader-epoch-cache.test.ts", ""))).toEqual([]);
});

test("a circle of imports is told once, with its way", () => {
  const files = [
    sourceFile("log/a.ts", `import { b } from "./b.ts";`),
    sourceFile("log/b.ts", `import type { C } from "../log/c.ts";`),
    sourceFile("log/c.ts", `import { a } from "./a.ts";`),
    sourceFile("log/d.ts", `import { a } from "./a.ts";`),
  ];
  expect(findCycles(files)).toEqual([
    expect.stringContaining("log/a.ts -> log/b.ts -> log/c.ts -> log/a.ts"),
  ]);
  expect(findCycles(files.slice(1))).toEqual([]);
});

test("a file that only a test uses is an orphan, except in the simulator", () => {
  const files = [
    sourceFile("main.ts", `import { used } from "./log/used.ts";`),
    sourceFile("log/used.ts", ""),
    sourceFile("log/unused.ts", ""),
    sourceFile("sim/sim-disk.ts", ""),
    sourceFile("sim/unused.ts", ""),
  ];
  const problems = findOrphans(files, new Set(["log/unused.ts", "sim/sim-disk.ts"]));
  expect(problems.map((problem) => problem.split(":")[0])).toEqual([
    "src/log/unused.ts",
    "src/sim/unused.ts",
  ]);
});

test("a test file names a file of src", () => {
  const sources = new Set(["log/segment.ts"]);
  const tests = [
    "log/segment.test.ts",
    "log/segment.model.test.ts",
    "log/segmnt.test.ts",
    "cluster/kill.test.ts",
    "log/builders.ts",
  ];
  expect(checkTestNames(tests, sources)).toEqual([expect.stringContaining("test/log/segmnt.test.ts")]);
});

test("a decision record has one title and its three parts", () => {
  const good = "# A title\n\n## What\n\nx\n\n## Why\n\nx\n\n## Refused\n\nx\n";
  expect(checkDecision("0001-a-title.md", good)).toEqual([]);
  expect(checkDecision("a-title.md", good)).toHaveLength(1);
  expect(checkDecision("0001-a-title.md", `${good}# Another\n`)).toHaveLength(1);
  expect(checkDecision("0001-a-title.md", "# A title\n\n## What\n")).toHaveLength(2);
});

test("a lock file with addresses or without other platforms is refused", () => {
  expect(checkLockFile({ "node_modules/a": { resolved: "https://example.org/a.tgz" } })).toHaveLength(1);
  const tool = { optionalDependencies: { "tool-linux": "1.0.0", "tool-darwin": "1.0.0" } };
  expect(checkLockFile({ "node_modules/tool": tool, "node_modules/tool-linux": {} })).toEqual([
    expect.stringContaining("node_modules/tool lacks tool-darwin"),
  ]);
});

test("a hazard needs a row, a row needs a citation, a source, a test, and files that are there", () => {
  const check = (row: string, text: string): string[] =>
    checkHazards(row, [["src/a.ts", text]], (path) => path !== "src/gone.ts");
  const row = "| H7 | it breaks | `src/a.ts`: guarded | `test/a.test.ts` |";
  expect(check(row, "// Guarded (H7).")).toEqual([]);
  expect(check(row, "// H7, H8")).toEqual([expect.stringContaining("src/a.ts: cites H8")]);
  expect(check(row, "")).toEqual([expect.stringContaining("nothing cites H7")]);
  expect(check("| H7 | it breaks | `src/gone.ts` | none |", "// H7")).toEqual([
    expect.stringContaining("names no file of test/"),
    expect.stringContaining("names src/gone.ts"),
  ]);
});
