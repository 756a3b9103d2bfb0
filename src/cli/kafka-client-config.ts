import { readFile } from "node:fs/promises";
import type { Command } from "commander";
import { operationError } from "../base/errors.ts";
import type { CliEnvironment } from "./context.ts";
import { CliContext } from "./context.ts";
import { readProperties } from "./properties-file.ts";

/** Flags that name a file of a client's settings; the others are older names of the first. */
const FLAGS = ["commandConfig", "consumer.config", "producer.config"] as const;
/** What holds for every command, where no flag says otherwise: the option, and the keys that set it, strongest first. */
const COMMON = {
  bootstrapServer: ["bootstrap.servers"],
  timeout: ["default.api.timeout.ms", "request.timeout.ms"],
};

/**
 * As `CliContext.run`, for a command with Kafka's flags: reads the file of `--command-config` first. `work` gets those of
 * its settings that `keys` names. @throws LograftError INVALID_ARGUMENT, CONFIG_INVALID for the file.
 */
export async function runKafkaCommand(
  command: Command,
  environment: CliEnvironment,
  keys: readonly string[],
  work: (context: CliContext, settings: ReadonlyMap<string, string>) => Promise<void>,
): Promise<void> {
  const { settings, unused } = await readSettings(command, keys);
  for (const [option, names] of Object.entries(COMMON)) {
    const value = names.map((name) => settings.get(name)).find((one) => one !== undefined);
    if (value !== undefined && command.getOptionValue(option) === undefined) {
      command.setOptionValue(option, value);
    }
  }
  await CliContext.run(command, environment, async (context) => {
    for (const origin of unused) context.output.note(`lograft: ${origin} has no effect here`);
    await work(context, settings);
  });
}

interface ClientSettings {
  readonly settings: ReadonlyMap<string, string>;
  /** "path:line: key" of what is not taken. */
  readonly unused: readonly string[];
}

async function readSettings(command: Command, keys: readonly string[]): Promise<ClientSettings> {
  const settings = new Map<string, string>();
  const unused: string[] = [];
  const known = new Set([...keys, ...Object.values(COMMON).flat(), "security.protocol"]);
  for (const flag of FLAGS) {
    const path: unknown = command.getOptionValue(flag);
    if (typeof path !== "string") continue;
    for (const { key, value, origin } of readProperties(path, await textOf(path))) {
      if (key === "security.protocol" && value.toUpperCase() !== "PLAINTEXT") {
        throw operationError(
          "INVALID_ARGUMENT",
          `${origin}: security.protocol=${value}: only PLAINTEXT is spoken here; name a listener of that kind`,
        );
      }
      if (known.has(key)) settings.set(key, value);
      else unused.push(`${origin}: ${key}`);
    }
  }
  return { settings, unused };
}

async function textOf(path: string): Promise<string> {
  try {
    return await readFile(path, "utf8");
  } catch (cause) {
    throw operationError("INVALID_ARGUMENT", `--command-config ${path}: cannot be read; check the path`, {
      cause,
    });
  }
}
