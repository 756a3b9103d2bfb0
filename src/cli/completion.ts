import type { Command, Option } from "commander";
import { brokerConfigDocs, topicConfigDocs } from "../model/configs.ts";
import type { ConfigDocRow } from "../model/configs.ts";

/** One thing that the word being typed may become. */
export interface Candidate {
  readonly text: string;
  /** One line; "" for a name that says enough. */
  readonly description: string;
}

/** Names that only a cluster knows. Each is asked at most once for a completion. */
export interface NameSource {
  topics(): Promise<readonly string[]>;
  groups(): Promise<readonly string[]>;
  nodes(): Promise<readonly string[]>;
}

type NameKind = keyof NameSource;

/** Options whose value is a name, in whichever command. */
const NAMES_OF_OPTION: ReadonlyMap<string, NameKind> = new Map([
  ["--topic", "topics"],
  ["--topics", "topics"],
  ["--group", "groups"],
  ["--brokers", "nodes"],
]);

/**
 * What the last of `words` (what stands behind the program's name; the last may be empty) can become in this command
 * tree; none where it is the caller's own to say, such as a file.
 */
export async function completions(
  program: Command,
  words: readonly string[],
  names: NameSource,
): Promise<Candidate[]> {
  const typed = words.at(-1) ?? "";
  const found = await candidates(program, words.slice(0, -1), typed, names);
  return found.filter(({ text }) => text.startsWith(typed));
}

async function candidates(
  program: Command,
  before: readonly string[],
  typed: string,
  names: NameSource,
): Promise<readonly Candidate[]> {
  let command = program;
  const path: string[] = [];
  let argumentCount = 0;
  let open: Option | undefined;
  let isOnlyArguments = false;
  for (const word of before) {
    if (open !== undefined) open = undefined;
    else if (word === "--") isOnlyArguments = true;
    else if (!isOnlyArguments && word.startsWith("-")) open = optionThatTakes(command, word);
    else {
      const inner = argumentCount === 0 ? command.commands.find((one) => one.name() === word) : undefined;
      if (inner === undefined) argumentCount++;
      else {
        command = inner;
        path.push(word);
      }
    }
  }
  if (open !== undefined) return valuesOf(open, path, names);
  if (!isOnlyArguments && typed.startsWith("-")) return optionsOf(command);
  if (argumentCount === 0 && command.commands.length > 0) return commandsOf(command);
  return argumentsOf(command, argumentCount, path, names);
}

/** The option that this word is, if its value is the next word. */
function optionThatTakes(command: Command, word: string): Option | undefined {
  if (word.includes("=")) return undefined;
  const option = allOptions(command).find(({ long, short }) => long === word || short === word);
  return option?.required === true || option?.optional === true ? option : undefined;
}

/** Of the command, and of those above it. */
function allOptions(command: Command): readonly Option[] {
  const above = command.parent === null ? [] : allOptions(command.parent);
  return [...command.options, ...above];
}

function optionsOf(command: Command): readonly Candidate[] {
  const found = new Map<string, Candidate>();
  for (const { long, hidden, description } of allOptions(command)) {
    if (long === undefined || long === null || hidden || found.has(long)) continue;
    found.set(long, { text: long, description: firstLine(description) });
  }
  found.set("--help", { text: "--help", description: "display help for command" });
  return [...found.values()];
}

function commandsOf(command: Command): readonly Candidate[] {
  return command.commands.map((one) => ({ text: one.name(), description: firstLine(one.description()) }));
}

async function valuesOf(
  { long, argChoices }: Option,
  path: readonly string[],
  names: NameSource,
): Promise<readonly Candidate[]> {
  if (argChoices !== undefined) return plain(argChoices);
  if (path[0] === "topic") {
    const keys = topicConfigDocs();
    if (long === "--unset") return keys.map(({ name, description }) => ({ text: name, description }));
    if (long === "--set" || long === "--config") return settings(keys);
  }
  if (long === "--set") return settings(brokerConfigDocs());
  const kind = NAMES_OF_OPTION.get(long ?? "");
  return kind === undefined ? [] : plain(await names[kind]());
}

async function argumentsOf(
  command: Command,
  position: number,
  path: readonly string[],
  names: NameSource,
): Promise<readonly Candidate[]> {
  const all = command.registeredArguments;
  const argument = all[position] ?? (all.at(-1)?.variadic === true ? all.at(-1) : undefined);
  if (argument === undefined) return [];
  if (argument.argChoices !== undefined) return plain(argument.argChoices);
  const kind = namesOf(argument.name(), path);
  return kind === undefined ? [] : plain(await names[kind]());
}

function namesOf(argument: string, [first, second]: readonly string[]): NameKind | undefined {
  // What is to be created has no name yet, and a cluster of `dev` is not the one that is asked.
  if ((first === "topic" && second === "create") || first === "dev") return undefined;
  if (argument === "topic" || argument === "topics") return "topics";
  if (argument === "node" || argument === "id") return "nodes";
  if (argument !== "name" && argument !== "names") return undefined;
  return first === "topic" ? "topics" : first === "group" ? "groups" : undefined;
}

/** What the shell puts no blank behind. */
function settings(rows: readonly ConfigDocRow[]): readonly Candidate[] {
  return rows.map(({ name, description }) => ({ text: `${name}=`, description }));
}

function plain(texts: readonly string[]): readonly Candidate[] {
  return texts.map((text) => ({ text, description: "" }));
}

function firstLine(text: string): string {
  return (text.split("\n")[0] ?? "").replaceAll("\t", " ");
}
