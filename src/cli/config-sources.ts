import { readFile } from "node:fs/promises";
import { extname } from "node:path";
import { errorMessage, operationError } from "../base/errors.ts";
import { environmentEntries, environmentName } from "../model/config-parse.ts";
import { parsePairs } from "./arguments.ts";
import { readProperties } from "./properties-file.ts";

/** Where a setting came from, strongest first. */
export type ConfigSource = "flag" | "environment" | "file";

/** A setting as text, before it is validated. */
export interface ConfigSetting {
  readonly key: string;
  readonly value: string;
  readonly source: ConfigSource;
  /** For error texts: "--set node.id", "LOGRAFT_NODE_ID", "server.properties:12". */
  readonly origin: string;
}

/** The variable of the clients' commands, not a setting of a broker. */
const CLIENT_VARIABLE = "LOGRAFT_BROKERS";

/**
 * Gathers the settings of a broker: flags win over the environment, that over the file. `LOGRAFT_LOG_RETENTION_MS` is
 * `log.retention.ms`; `LOGRAFT_..._FILE` names a file that holds the value (a mounted secret) and wins over the plain one.
 * @throws LograftError CONFIG_INVALID naming file, line and next step.
 */
export async function gatherSettings(options: {
  readonly configFile: string | undefined;
  readonly set: readonly string[];
  readonly env: Readonly<Record<string, string | undefined>>;
}): Promise<ReadonlyMap<string, ConfigSetting>> {
  const settings = new Map<string, ConfigSetting>();
  if (options.configFile !== undefined) {
    for (const { key, value, origin } of await readConfigFile(options.configFile)) {
      settings.set(key, { key, value, source: "file", origin });
    }
  }
  const { entries, files } = environmentEntries({ ...options.env, [CLIENT_VARIABLE]: undefined });
  for (const [key, value] of entries) {
    settings.set(key, { key, value, source: "environment", origin: environmentName(key) });
  }
  for (const [key, path] of files) {
    const origin = `${environmentName(key)}_FILE`;
    const value = (await readText(path, origin)).trimEnd();
    settings.set(key, { key, value, source: "environment", origin });
  }
  for (const [key, value] of Object.entries(parsePairs(options.set, "--set"))) {
    settings.set(key, { key, value, source: "flag", origin: `--set ${key}` });
  }
  return settings;
}

async function readConfigFile(
  path: string,
): Promise<readonly { readonly key: string; readonly value: string; readonly origin: string }[]> {
  const text = await readText(path, "--config");
  const extension = extname(path).toLowerCase();
  if (extension !== ".yaml" && extension !== ".yml") return readProperties(path, text);
  const { readYaml } = await import("./yaml-file.ts");
  return readYaml(path, text);
}

async function readText(path: string, origin: string): Promise<string> {
  try {
    return await readFile(path, "utf8");
  } catch (cause) {
    const why = errorMessage(cause);
    throw operationError("CONFIG_INVALID", `${origin}: ${path} cannot be read (${why}); check the path`, {
      cause,
    });
  }
}
