import type { Command } from "commander";
import { operationError } from "../../base/errors.ts";
import type { ConfigRow, ParsedBrokerConfig } from "../../model/configs.ts";
import { describeBrokerConfig, parseBrokerConfig } from "../../model/configs.ts";
import { collect } from "../arguments.ts";
import type { ConfigSetting } from "../config-sources.ts";
import { gatherSettings } from "../config-sources.ts";
import type { CliEnvironment } from "../context.ts";
import { CliContext } from "../context.ts";

/** Options with which a command says what configuration it means. */
export interface ConfigOptions {
  readonly config?: string;
  readonly set: readonly string[];
  readonly dataDir?: string;
  readonly nodeId?: string;
}

/** Adds `--config`, `--set`, `--data-dir` and `--node-id`. */
export function withConfigOptions(command: Command): Command {
  return command
    .option("--config <file>", "settings: a .properties file, or YAML")
    .option(
      "--set <key=value>",
      "one setting; repeat for more; wins over the environment and the file",
      collect,
      [],
    )
    .option("--data-dir <dir>", "the same as --set log.dirs=DIR")
    .option("--node-id <n>", "the same as --set node.id=N");
}

/** A configuration that holds, with where each value came from. */
export interface EffectiveConfig {
  readonly parsed: ParsedBrokerConfig;
  readonly settings: ReadonlyMap<string, ConfigSetting>;
}

/** Gathers and validates. @throws LograftError CONFIG_INVALID with every problem, each with its origin. */
export async function effectiveConfig(
  options: ConfigOptions,
  env: Readonly<Record<string, string | undefined>>,
): Promise<EffectiveConfig> {
  // In this order, so that an explicit --set wins.
  const set = [
    ...(options.dataDir === undefined ? [] : [`log.dirs=${options.dataDir}`]),
    ...(options.nodeId === undefined ? [] : [`node.id=${options.nodeId}`]),
    ...options.set,
  ];
  const settings = await gatherSettings({ configFile: options.config, set, env });
  const parsed = parseBrokerConfig(new Map([...settings].map(([key, setting]) => [key, setting.value])));
  if (!parsed.ok) {
    const lines = parsed.errors.map(
      (error) => `${settings.get(error.key)?.origin ?? error.key}: ${error.message}`,
    );
    const next = "see docs/config.md, or: lograft config print";
    const [only = ""] = lines;
    const text =
      lines.length === 1
        ? `${only}${only.endsWith("?") ? " " : "; "}${next}`
        : ["the configuration is not valid:", ...lines, next].join("\n  ");
    throw operationError("CONFIG_INVALID", text);
  }
  return { parsed, settings };
}

/** `lograft config print`. */
export function addConfigCommands(program: Command, environment: CliEnvironment): void {
  const config = program.command("config").description("look at a broker's configuration");
  withConfigOptions(config.command("print"))
    .description("every setting with the value that would hold")
    .option("--source", "with where each value comes from")
    .option("--changed", "only what is not the default")
    .option("--json", "machine-readable output")
    .action(async (options: ConfigOptions & { source?: boolean; changed?: boolean }, command: Command) => {
      await CliContext.run(command, environment, async (context) => {
        const effective = await effectiveConfig(options, environment.env);
        const rows = describeBrokerConfig(effective.parsed)
          .filter((row) => options.changed !== true || row.source !== "default")
          .map((row) => ({ ...row, source: originOf(row, effective) }));
        context.output.rows(
          [
            { title: "KEY", cell: (row) => row.name },
            { title: "VALUE", cell: (row) => row.value },
            ...(options.source === true
              ? [{ title: "SOURCE", cell: (row: ConfigRowWithOrigin) => row.source }]
              : []),
          ],
          rows,
          {
            empty: "everything is at its default",
            toJson: ({ name, value, source, description }) => ({ name, value, source, description }),
          },
        );
      });
    });
}

type ConfigRowWithOrigin = Omit<ConfigRow, "source"> & { readonly source: string };

function originOf(row: ConfigRow, effective: EffectiveConfig): string {
  const setting = effective.settings.get(row.name);
  return setting === undefined ? "default" : setting.origin;
}
