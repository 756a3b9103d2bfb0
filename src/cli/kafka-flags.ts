import { Option } from "commander";
import type { Command } from "commander";
import { operationError } from "../base/errors.ts";
import { parsePairList } from "./arguments.ts";
import { withGlobalOptions } from "./context.ts";

/** What Kafka's tools took before they could ask a broker; each is answered with what to use instead. */
const OUTDATED = { "--zookeeper": "zookeeper", "--broker-list": "brokerList" } as const;

/** A command that takes the flags of Kafka's tool of that name; to be run by `runKafkaCommand`. */
export function kafkaCommand(program: Command, name: string): Command {
  const command = withGlobalOptions(program.command(name));
  const inherited = command.configureOutput();
  command.configureOutput({
    outputError: (text, out) =>
      inherited.outputError?.(isUnknownOption(text) ? text + supportedFlags(command) : text, out),
  });
  command.version(program.version() ?? "", "--version", "the version of lograft");
  command.option(
    "--command-config <path>",
    "a file with settings of a client, as bootstrap.servers=HOST:PORT",
  );
  command.addOption(new Option("--zookeeper [hosts]", "answered with what to use instead").hideHelp());
  command.addOption(new Option("--broker-list [hosts]", "answered with what to use instead").hideHelp());
  return command.hook("preAction", () => refuseOutdated(command.opts()));
}

function isUnknownOption(text: string): boolean {
  return text.includes("unknown option");
}

/** A script that was written for another version of Kafka is mended faster with all that there is before one's eyes. */
function supportedFlags(command: Command): string {
  const flags = command.options.flatMap(({ long, hidden }) => (hidden || long === undefined ? [] : [long]));
  return `${command.name()} takes ${flags.sort().join(", ")}\n`;
}

/** @throws LograftError INVALID_ARGUMENT. */
function refuseOutdated(options: Readonly<Record<string, unknown>>): void {
  for (const [flag, name] of Object.entries(OUTDATED)) {
    if (options[name] === undefined) continue;
    throw operationError("INVALID_ARGUMENT", `${flag}: use --bootstrap-server, there is no ZooKeeper`);
  }
}

/** The one action of several flags that is given. @throws LograftError INVALID_ARGUMENT for none or more. */
export function oneAction<Action extends string>(
  options: Readonly<Partial<Record<Action, unknown>>>,
  actions: readonly Action[],
): Action {
  const given = actions.filter((action) => options[action] !== undefined && options[action] !== false);
  const [action, second] = given;
  if (action !== undefined && second === undefined) return action;
  const flags = actions.map(flagOf);
  throw operationError("INVALID_ARGUMENT", `give exactly one action: ${flags.join(", ")}`);
}

/** What must be given with an action. @throws LograftError INVALID_ARGUMENT. */
export function required<T>(value: T | undefined, flag: string, what: string): T {
  if (value !== undefined) return value;
  throw operationError("INVALID_ARGUMENT", `${what} needs ${flag}`);
}

/**
 * "key=value" flags whose keys are known; the last of equal keys counts, and all of them before `settings`, which have
 * been looked through already. @throws LograftError INVALID_ARGUMENT.
 */
export function parseKnown<Key extends string>(
  pairs: readonly string[],
  flag: string,
  known: readonly Key[],
  settings: ReadonlyMap<string, string> = new Map(),
): ReadonlyMap<Key, string> {
  const found = new Map<Key, string>();
  for (const key of known) {
    const value = settings.get(key);
    if (value !== undefined) found.set(key, value);
  }
  for (const [name, value] of parsePairList(pairs, flag)) {
    const key = known.find((one) => one === name);
    if (key === undefined) {
      throw operationError(
        "INVALID_ARGUMENT",
        `${flag} ${name}: not known here; there is ${known.join(", ")}`,
      );
    }
    found.set(key, value);
  }
  return found;
}

/** "true" or "false". @throws LograftError INVALID_ARGUMENT. */
export function parseFlag(text: string | undefined, name: string, otherwise: boolean): boolean {
  if (text === undefined) return otherwise;
  if (text === "true" || text === "false") return text === "true";
  throw operationError("INVALID_ARGUMENT", `${name}=${text}: there is true and false`);
}

/** A column of a table in the shape of Kafka's tools. */
export interface KafkaColumn<Row> {
  readonly title: string;
  /** As wide as Kafka makes it at least. */
  readonly minWidth: number;
  readonly cell: (row: Row) => string | number;
}

/** The lines of a table: left-aligned, one space between columns, the last column as long as it is. */
export function kafkaTable<Row>(columns: readonly KafkaColumn<Row>[], rows: readonly Row[]): string {
  const cells = rows.map((row) => columns.map(({ cell }) => String(cell(row))));
  const widths = columns.map(({ title, minWidth }, index) =>
    Math.max(minWidth, title.length, ...cells.map((line) => line[index]?.length ?? 0)),
  );
  return [columns.map(({ title }) => title), ...cells]
    .map((line) =>
      line
        .map((cell, index) => cell.padEnd(widths[index] ?? 0))
        .join(" ")
        .trimEnd(),
    )
    .join("\n");
}

/**
 * Kafka's way to name topics: a regular expression over the whole name, with commas for alternatives.
 * @throws LograftError INVALID_ARGUMENT.
 */
export function topicPattern(text: string, flag: string): RegExp {
  const alternatives = text.replaceAll(/[\s"']/g, "").replaceAll(",", "|");
  try {
    return new RegExp(`^(?:${alternatives})$`, "u");
  } catch (cause) {
    throw operationError("INVALID_ARGUMENT", `${flag} ${text}: not a name, and not a regular expression`, {
      cause,
    });
  }
}

/** As the SDK takes it: without flags, and for whole names by itself. */
export function patternOf(pattern: RegExp): RegExp {
  return new RegExp(pattern.source.slice("^(?:".length, -")$".length));
}

function flagOf(action: string): string {
  return `--${action.replaceAll(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`;
}
