import { mkdir, readFile, writeFile } from "node:fs/promises";
import { extname, join } from "node:path";
import { fileURLToPath } from "node:url";
import type { Command } from "commander";
import { operationError } from "../../base/errors.ts";
import type { CliEnvironment } from "../context.ts";

/** The tools of Kafka whose flags this program takes. */
const TOOLS = ["kafka-topics", "kafka-console-producer", "kafka-console-consumer", "kafka-consumer-groups"];
/** By this line a script is known as one of ours, which may be written again. */
const MARK = "# Written by: lograft shims install";

/** `lograft shims install DIR`. */
export function addShimsCommands(program: Command, environment: CliEnvironment): void {
  program
    .command("shims")
    .description("Kafka's tools by their own names")
    .command("install <dir>")
    .description(
      `write ${TOOLS.join(", ")} into a directory, with and without .sh, as scripts that call this program`,
    )
    .action(async (directory: string) => {
      for (const path of await install(directory)) environment.stdout.write(`${path}\n`);
    });
}

/** @throws LograftError INVALID_ARGUMENT for a file that is not ours, before anything is written. */
async function install(directory: string): Promise<string[]> {
  const scripts = TOOLS.flatMap((tool) => [
    { path: join(directory, tool), text: scriptOf(tool) },
    { path: join(directory, `${tool}.sh`), text: scriptOf(tool) },
  ]);
  for (const { path } of scripts) {
    const found = await readFile(path, "utf8").catch(() => undefined);
    if (found === undefined || found.includes(MARK)) continue;
    throw operationError(
      "INVALID_ARGUMENT",
      `${path} is there already and not one of these scripts; choose another directory`,
    );
  }
  try {
    await mkdir(directory, { recursive: true });
    for (const { path, text } of scripts) await writeFile(path, text, { mode: 0o755 });
  } catch (cause) {
    throw operationError("INVALID_ARGUMENT", `${directory}: cannot be written; check the path`, { cause });
  }
  return scripts.map(({ path }) => path);
}

function scriptOf(tool: string): string {
  const main = fileURLToPath(new URL(`../main${extname(import.meta.url)}`, import.meta.url));
  return `#!/bin/sh\n${MARK}\nexec ${quoted(process.execPath)} ${quoted(main)} ${tool} "$@"\n`;
}

function quoted(text: string): string {
  return `'${text.replaceAll("'", `'\\''`)}'`;
}
