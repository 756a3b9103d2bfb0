import { spawn } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { afterAll, expect, test } from "vitest";
import { LograftClient } from "../src/client/index.ts";
import { startBroker } from "../src/testing.ts";

/* The README's code is that of the examples, letter by letter; those are type-checked and linted with the rest, and run here. */

const root = join(import.meta.dirname, "..");
const readme = readFileSync(join(root, "README.md"), "utf8");
const directory = mkdtempSync(join(tmpdir(), "lograft-readme-"));
afterAll(() => rmSync(directory, { recursive: true, force: true }));

const blocks = Array.from(
  readme.matchAll(/^[^\n]*\((examples\/[^)]+)\)\):\n\n```ts\n(.*?)```/gms),
  (match) => ({
    path: match[1] ?? "",
    code: match[2] ?? "",
  }),
);

test("every block of TypeScript names its example and is the same", () => {
  expect(blocks).toHaveLength(readme.match(/^```ts$/gm)?.length ?? 0);
  for (const { path, code } of blocks) expect(code, path).toBe(readFileSync(join(root, path), "utf8"));
});

test("the first steps print what their comments say", async () => {
  await using broker = await startBroker();
  const code = exampleOf("examples/first-steps.ts");
  const promised = Array.from(code.matchAll(/console\.log.*\/\/ (.+)$/gm), (match) => match[1] ?? "");
  expect(promised).toHaveLength(2);
  const program = run("first-steps.ts", code.replace("localhost:9092", broker.address));
  for await (const chunk of program.stdout) {
    program.text += String(chunk);
    if (program.text.split("\n").length > promised.length) break;
  }
  program.kill();
  expect(program.text.trimEnd().split("\n"), program.errors).toEqual(promised);
});

test("the member of a group handles, commits and leaves when it is told to end", async () => {
  await using broker = await startBroker();
  await using client = new LograftClient({ brokers: [broker.address] });
  await using producer = client.producer();
  await producer.send("payments", { key: "c-7", value: "12" });
  const code = exampleOf("examples/group-member.ts");
  const program = run("group-member.ts", code.replace("localhost:9092", broker.address));
  for await (const chunk of program.stdout) {
    program.text += String(chunk);
    if (program.text.includes("\n")) program.kill();
  }
  expect(await program.ended, program.errors).toBe(0);
  expect(program.text).toBe("0 0 12\n");
  const [group] = await client.admin().describeGroups(["billing"]);
  expect(group?.members).toEqual([]);
  const offsets = await client.admin().fetchGroupOffsets("billing");
  expect(offsets).toMatchObject([{ topic: "payments", partition: 0, offset: 1 }]);
});

test("the test inside passes", async () => {
  const program = run("inside-a-test.ts", exampleOf("examples/inside-a-test.ts"));
  for await (const chunk of program.stdout) program.text += String(chunk);
  expect(await program.ended, program.text + program.errors).toBe(0);
});

function exampleOf(path: string): string {
  return blocks.find((block) => block.path === path)?.code ?? "";
}

/** Runs a text against the sources, as an installed package runs against what is made from them. */
function run(name: string, code: string) {
  const source = (path: string): string => pathToFileURL(join(root, "src", path)).href;
  const file = join(directory, name);
  const text = code
    .replace('"lograft/client"', JSON.stringify(source("client/index.ts")))
    .replace('"lograft/testing"', JSON.stringify(source("testing.ts")));
  writeFileSync(file, text);
  const child = spawn(process.execPath, [file], { stdio: ["ignore", "pipe", "pipe"] });
  const program = {
    stdout: child.stdout,
    text: "",
    errors: "",
    kill: () => child.kill(),
    ended: new Promise<number | null>((resolve) => child.once("exit", resolve)),
  };
  child.stderr.on("data", (chunk: Buffer) => {
    program.errors += chunk.toString();
  });
  return program;
}
