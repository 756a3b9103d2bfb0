import { z } from "zod";
import { isLogComponent, isLogLevel, LOG_COMPONENTS, LOG_LEVELS } from "../base/log-levels.ts";
import type { LogComponent, LogLevel } from "../base/log-levels.ts";

/** What kind of text a key takes; shown in the documentation. */
export type ConfigKind =
  | "integer"
  | "duration"
  | "size"
  | "ratio"
  | "boolean"
  | "choice"
  | "text"
  | "list"
  | "endpoints";

/** The rule of one configuration value: from the text of a file, flag or variable to a typed value and back. */
export interface ConfigValue<T> {
  readonly kind: ConfigKind;
  /** What is allowed, as the end of "allowed: ...". */
  readonly allowed: string;
  /** Parses the text. The message of an issue says what is wrong beyond `allowed`, or repeats it. */
  readonly schema: z.ZodType<T, string>;
  /** The text that reads back as `value`, in the base unit. */
  format(value: T): string;
}

/** An address to listen on or to advertise. */
export interface Endpoint {
  /** Upper-case name that ties `listeners` and `advertised.listeners` together. */
  readonly name: string;
  /** Empty: all interfaces. An IPv6 address without its brackets. */
  readonly host: string;
  readonly port: number;
}

/** A founding voter of the metadata quorum. */
export interface VoterAddress {
  readonly nodeId: number;
  /** "host:port", IPv6 in brackets. */
  readonly endpoint: string;
}

/** Bounds of a number, inclusive. With `unlimited`, the text "-1" reads as Infinity. */
export interface NumberBounds {
  readonly min: number;
  readonly max: number;
  readonly unlimited?: boolean;
}

/** The units a duration may carry, in ms. */
const DURATION_UNITS: ReadonlyMap<string, number> = new Map([
  ["ms", 1],
  ["s", 1000],
  ["m", 60_000],
  ["h", 3_600_000],
  ["d", 86_400_000],
  ["w", 604_800_000],
]);

/** The units a size may carry: SI for kB to TB, binary for KiB to TiB. */
const SIZE_UNITS: ReadonlyMap<string, number> = new Map([
  ["B", 1],
  ["kB", 1e3],
  ["KB", 1e3],
  ["MB", 1e6],
  ["GB", 1e9],
  ["TB", 1e12],
  ["KiB", 2 ** 10],
  ["MiB", 2 ** 20],
  ["GiB", 2 ** 30],
  ["TiB", 2 ** 40],
]);

const NO_UNITS: ReadonlyMap<string, number> = new Map();

/** A whole number. */
export function integerValue(bounds: NumberBounds): ConfigValue<number> {
  return numberValue("integer", bounds, NO_UNITS, "a whole number");
}

/** A time span in ms; the text may carry a unit: "7d", "90 s". */
export function durationValue(bounds: NumberBounds): ConfigValue<number> {
  return numberValue(
    "duration",
    bounds,
    DURATION_UNITS,
    "milliseconds, or a number with ms, s, m, h, d or w",
  );
}

/** A size in bytes; the text may carry a unit: "64MiB", "1 GB". */
export function sizeValue(bounds: NumberBounds): ConfigValue<number> {
  return numberValue(
    "size",
    bounds,
    SIZE_UNITS,
    "bytes, or a number with kB, MB, GB, TB, KiB, MiB, GiB or TiB",
  );
}

/** A part of a whole: 0 to 1. */
export function ratioValue(): ConfigValue<number> {
  return makeValue(
    "ratio",
    "a number, 0 to 1",
    (text) => (/^(?:0|1|[01]?\.\d{1,9})$/.test(text) && Number(text) <= 1 ? Number(text) : undefined),
    String,
  );
}

/** "true" or "false", in any case as Kafka takes them. */
export function booleanValue(): ConfigValue<boolean> {
  const words: ReadonlyMap<string, boolean> = new Map([
    ["true", true],
    ["false", false],
  ]);
  return makeValue("boolean", "true or false", (text) => words.get(text.toLowerCase()), String);
}

/** One word of a closed list, in any case; read in the case of the list. */
export function choiceValue<const Choice extends string>(choices: readonly Choice[]): ConfigValue<Choice> {
  const byLowerCase = new Map(choices.map((choice) => [choice.toLowerCase(), choice]));
  return makeValue(
    "choice",
    choices.length === 1 ? `only ${choices.join()}` : `one of ${choices.join(", ")}`,
    (text) => byLowerCase.get(text.toLowerCase()),
    (value) => value,
  );
}

/** Text of 1 to `maxLength` printable characters that matches `pattern`. */
export function textValue(allowed: string, maxLength: number, pattern: RegExp): ConfigValue<string> {
  return makeValue(
    "text",
    allowed,
    (text) => (text.length >= 1 && text.length <= maxLength && pattern.test(text) ? text : undefined),
    (value) => value,
  );
}

/** One or more different paths, separated by commas. */
export function pathListValue(): ConfigValue<readonly string[]> {
  return makeValue(
    "list",
    "one or more different paths, separated by commas",
    (text) => {
      const paths = text.split(",").map((path) => path.trim());
      const isValid = paths.every((path) => path.length > 0 && !path.includes("\0"));
      return isValid && new Set(paths).size === paths.length ? paths : undefined;
    },
    (value) => value.join(","),
  );
}

/** Addresses as NAME://host:port, separated by commas, each name once. `needsHost`: an empty host is refused. */
export function endpointsValue(options: { readonly needsHost: boolean }): ConfigValue<readonly Endpoint[]> {
  const host = options.needsHost ? "a host that clients can reach" : "a host, or none for all interfaces";
  return makeValue(
    "endpoints",
    `NAME://host:port, separated by commas, each name once, with ${host}, IPv6 in brackets`,
    (text) => parseEndpoints(text, options.needsHost),
    (value) => value.map(formatEndpoint).join(","),
  );
}

/** One or more "host:port", separated by commas, each once. */
export function addressListValue(): ConfigValue<readonly string[]> {
  return makeValue(
    "list",
    "host:port, separated by commas, each once, IPv6 in brackets",
    (text) => {
      const addresses = text.split(",").map((part) => part.trim());
      const isValid = addresses.every(isAddress) && new Set(addresses).size === addresses.length;
      return isValid ? addresses : undefined;
    },
    (value) => value.join(","),
  );
}

/** Voters as id@host:port, separated by commas, each id once; sorted by id when read. */
export function voterListValue(): ConfigValue<readonly VoterAddress[]> {
  return makeValue(
    "list",
    "id@host:port, separated by commas, each id and address once, IPv6 in brackets",
    parseVoters,
    (value) => value.map(({ nodeId, endpoint }) => `${nodeId}@${endpoint}`).join(","),
  );
}

/** Levels of components of the log, each once. */
export function logLevelsValue(): ConfigValue<ReadonlyMap<LogComponent, LogLevel>> {
  return makeValue(
    "list",
    `component:level, separated by commas, each component once; components: ${LOG_COMPONENTS.join(", ")}; levels: ${LOG_LEVELS.join(", ")}`,
    parseLogLevels,
    (value) => Array.from(value, ([component, level]) => `${component}:${level}`).join(","),
  );
}

/** Two numbers of a bound are close only within one rule, so bounds are told as numbers with the unit's base. */
function numberValue(
  kind: "integer" | "duration" | "size",
  bounds: NumberBounds,
  units: ReadonlyMap<string, number>,
  what: string,
): ConfigValue<number> {
  const range = `${bounds.min} to ${bounds.max}`;
  const unlimited = bounds.unlimited === true;
  return makeValue(
    kind,
    `${what}, ${range}${unlimited ? ", or -1 for no limit" : ""}`,
    (text) => {
      if (unlimited && text === "-1") return Infinity;
      const value = parseNumber(text, units);
      return value !== undefined && value >= bounds.min && value <= bounds.max ? value : undefined;
    },
    (value) => (value === Infinity ? "-1" : String(value)),
  );
}

/** An exact integer in the base unit, or undefined. A fraction is allowed where the unit makes it whole ("1.5h"). */
function parseNumber(text: string, units: ReadonlyMap<string, number>): number | undefined {
  const match = /^([+-]?\d{1,16}(?:\.\d{1,6})?)\s*([a-zA-Z]*)$/.exec(text);
  if (match === null) return undefined;
  const [, digits = "", unit = ""] = match;
  const scale = unit === "" ? 1 : units.get(unit);
  if (scale === undefined) return undefined;
  const value = Number(digits) * scale;
  return Number.isSafeInteger(value) ? value : undefined;
}

function parseEndpoints(text: string, needsHost: boolean): readonly Endpoint[] | undefined {
  const endpoints: Endpoint[] = [];
  for (const part of text.split(",")) {
    const match = /^([A-Z][A-Z0-9_-]*):\/\/(?:\[([0-9a-fA-F:.]+)\]|([a-zA-Z0-9._-]*)):(\d{1,5})$/.exec(
      part.trim(),
    );
    if (match === null) return undefined;
    const [, name = "", ipv6, plain = "", digits = ""] = match;
    const host = ipv6 ?? plain;
    const port = Number(digits);
    if (port > 65_535) return undefined;
    if (needsHost && (port === 0 || host === "" || host === "0.0.0.0" || host === "::")) return undefined;
    if (endpoints.some((other) => other.name === name)) return undefined;
    endpoints.push({ name, host, port });
  }
  return endpoints;
}

function isAddress(text: string): boolean {
  const match = /^(?:\[[0-9a-fA-F:.]+\]|[a-zA-Z0-9._-]+):(\d{1,5})$/.exec(text);
  const port = Number(match?.[1] ?? 0);
  return port >= 1 && port <= 65_535;
}

function parseVoters(text: string): readonly VoterAddress[] | undefined {
  const voters: VoterAddress[] = [];
  for (const part of text.split(",")) {
    const [, id = "", endpoint = ""] = /^(\d{1,10})@(.+)$/.exec(part.trim()) ?? [];
    const nodeId = Number(id);
    if (id === "" || nodeId > 0x7fff_ffff || !isAddress(endpoint)) return undefined;
    if (voters.some((other) => other.nodeId === nodeId || other.endpoint === endpoint)) return undefined;
    voters.push({ nodeId, endpoint });
  }
  return voters.sort((a, b) => a.nodeId - b.nodeId);
}

function parseLogLevels(text: string): ReadonlyMap<LogComponent, LogLevel> | undefined {
  const levels = new Map<LogComponent, LogLevel>();
  for (const part of text.toLowerCase().split(",")) {
    const [component = "", level = "", ...rest] = part.trim().split(":");
    if (!isLogComponent(component) || !isLogLevel(level) || rest.length > 0) return undefined;
    if (levels.has(component)) return undefined;
    levels.set(component, level);
  }
  return levels;
}

function formatEndpoint({ name, host, port }: Endpoint): string {
  return `${name}://${host.includes(":") ? `[${host}]` : host}:${port}`;
}

function makeValue<T>(
  kind: ConfigKind,
  allowed: string,
  parse: (text: string) => T | undefined,
  format: (value: T) => string,
): ConfigValue<T> {
  const schema = z.string().transform((text, context): T => {
    const value = parse(text.trim());
    if (value !== undefined) return value;
    context.addIssue({ code: "custom", message: `allowed: ${allowed}` });
    return z.NEVER;
  });
  return { kind, allowed, schema, format };
}
