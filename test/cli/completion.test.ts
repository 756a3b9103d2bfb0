import { Command, Option } from "commander";
import { describe, expect, test } from "vitest";
import { completions } from "../../src/cli/completion.ts";
import type { NameSource } from "../../src/cli/completion.ts";
import { buildProgram } from "../../src/cli/program.ts";
import { environment } from "./harness.ts";

const asked: string[] = [];
const NAMES: NameSource = {
  topics: () => Promise.resolve((asked.push("topics"), ["orders", "orders-dead", "payments"])),
  groups: () => Promise.resolve((asked.push("groups"), ["billing"])),
  nodes: () => Promise.resolve((asked.push("nodes"), ["1", "2"])),
};

async function complete(...words: readonly string[]): Promise<string[]> {
  const program = await buildProgram(environment());
  return (await completions(program, words, NAMES)).map(({ text }) => text);
}

describe("a line becomes", () => {
  test.each([
    [["to"], ["topic"]],
    [
      ["topic", "de"],
      ["describe", "delete"],
    ],
    [
      ["topic", "describe", "orders"],
      ["orders", "orders-dead"],
    ],
    [["topic", "describe", "orders", "pay"], ["payments"]],
    [["topic", "create", ""], []],
    [["-b", "host:9092", "--json", "topic", "describe", "pay"], ["payments"]],
    [
      ["produce", ""],
      ["orders", "orders-dead", "payments"],
    ],
    [["consume", "orders", "-g", ""], ["billing"]],
    [
      ["group", "reset-offsets", "billing", "--topic", "or"],
      ["orders", "orders-dead"],
    ],
    [
      ["node", "drain", ""],
      ["1", "2"],
    ],
    [["completion", "z"], ["zsh"]],
    [["topic", "alter-config", "orders", "--set", "retention.b"], ["retention.bytes="]],
    [["topic", "alter-config", "orders", "--unset", "retention.b"], ["retention.bytes"]],
    [["start", "--set", "node."], ["node.id="]],
    [["start", "--config", ""], []],
    [["topic", "list", "--time"], ["--timeout"]],
    [["topic", "describe", "--", "--"], []],
    [["fly", ""], []],
  ])("%j: %j", async (words, expected) => {
    expect(await complete(...words)).toEqual(expected);
  });
});

test("an option is offered with what it does, a hidden one not, and the choices of its value", async () => {
  const program = new Command("tool").addOption(new Option("--secret").hideHelp());
  program
    .command("run")
    .addOption(new Option("--how <how>", "in which way\nand more").choices(["fast", "slow"]))
    .action(() => undefined);
  const of = (...words: readonly string[]): ReturnType<typeof completions> =>
    completions(program, words, NAMES);
  expect(await of("run", "--")).toEqual([
    { text: "--how", description: "in which way" },
    { text: "--help", description: "display help for command" },
  ]);
  expect((await of("run", "--how", "")).map(({ text }) => text)).toEqual(["fast", "slow"]);
});

test("a cluster is asked only for what it alone knows", async () => {
  asked.length = 0;
  await complete("topic", "");
  await complete("topic", "describe", "--");
  expect(asked).toEqual([]);
  await complete("consume", "");
  expect(asked).toEqual(["topics"]);
});
