import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, test } from "vitest";
import { LograftClient } from "../src/client/index.ts";
import { startBroker } from "../src/testing.ts";
import { runExample, startExample, type Program } from "./examples/run-example.ts";

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
  const program = start("first-steps.ts", code.replace("localhost:9092", broker.address));
  let text = "";
  for await (const chunk of program.stdout) {
    text += String(chunk);
    if (text.split("\n").length > promised.length) break;
  }
  program.kill();
  expect(text.trimEnd().split("\n"), program.errors()).toEqual(promised);
});

test("the member of a group handles, commits and leaves when it is told to end", async () => {
  await using broker = await startBroker();
  await using client = new LograftClient({ brokers: [broker.address] });
  await using producer = client.producer();
  await producer.send("payments", { key: "c-7", value: "12" });
  const code = exampleOf("examples/group-member.ts");
  const program = start("group-member.ts", code.replace("localhost:9092", broker.address));
  let text = "";
  for await (const chunk of program.stdout) {
    text += String(chunk);
    if (text.includes("\n")) program.kill();
  }
  expect(await program.ended, program.errors()).toBe(0);
  expect(text).toBe("0 0 12\n");
  const [group] = await client.admin().describeGroups(["billing"]);
  expect(group?.members).toEqual([]);
  const offsets = await client.admin().fetchGroupOffsets("billing");
  expect(offsets).toMatchObject([{ topic: "payments", partition: 0, offset: 1 }]);
});

test("the test inside passes", async () => {
  const { code, output, errors } = await runExample("examples/inside-a-test.ts");
  expect(code, output + errors).toBe(0);
});

function exampleOf(path: string): string {
  return blocks.find((block) => block.path === path)?.code ?? "";
}

/** Starts the text of an example, which another address was written into. */
function start(name: string, code: string): Program {
  const file = join(directory, name);
  writeFileSync(file, code);
  return startExample(file);
}
