import type { ConfigKey } from "./config-key.ts";

/** Configuration as it is written: dotted key to text. */
export type ConfigEntries = ReadonlyMap<string, string> | Readonly<Record<string, string>>;

/** One thing wrong with a configuration; `message` names key, value and what is allowed. */
export interface ConfigError {
  readonly key: string;
  readonly message: string;
}

/** Keys of a configuration that is kept by another system. */
const ZOOKEEPER_KEY =
  /^(zookeeper\.|broker\.id$|broker\.id\.generation|control\.plane|inter\.broker\.protocol)/;
const MAX_SHOWN_LENGTH = 100;

/**
 * The texts of `entries` as typed values, by the property of each key in `table`. Every error is reported, not only the
 * first: unknown keys with the nearest known name, bad values with what is allowed.
 */
export function parseEntries(
  table: Readonly<Record<string, ConfigKey<unknown>>>,
  entries: ConfigEntries,
): { readonly values: ReadonlyMap<string, unknown>; readonly errors: readonly ConfigError[] } {
  const propertyByName = new Map(Object.entries(table).map(([property, key]) => [key.name, property]));
  const values = new Map<string, unknown>();
  const errors: ConfigError[] = [];
  for (const [name, text] of entriesOf(entries)) {
    const property = propertyByName.get(name);
    const key = property === undefined ? undefined : table[property];
    if (property === undefined || key === undefined) {
      errors.push({ key: name, message: unknownKeyMessage(name, [...propertyByName.keys()]) });
      continue;
    }
    const parsed = key.value.schema.safeParse(text);
    if (parsed.success) values.set(property, parsed.data);
    else
      errors.push({ key: name, message: badValueMessage(name, text, parsed.error.issues[0]?.message ?? "") });
  }
  return { values, errors };
}

/** Entries as pairs, whichever form they came in. */
export function entriesOf(entries: ConfigEntries): Iterable<readonly [string, string]> {
  return entries instanceof Map ? entries : Object.entries(entries);
}

/** The environment variable of a key: log.retention.ms is LOGRAFT_LOG_RETENTION_MS. */
export function environmentName(key: string): string {
  return `LOGRAFT_${key.toUpperCase().replaceAll(".", "_")}`;
}

/**
 * What Kubernetes puts into the environment of every container beside a service that is named lograft: LOGRAFT_PORT,
 * LOGRAFT_SERVICE_HOST, LOGRAFT_PORT_9092_TCP_ADDR and so on. They are not ours.
 */
const SERVICE_VARIABLE =
  /^LOGRAFT_(?:.+_)?(?:SERVICE_(?:HOST|PORT(?:_.+)?)|PORT(?:_\d+_(?:TCP|UDP|SCTP)(?:_.+)?)?)$/;

/** What Kubernetes puts into a variable that ends in _PORT; ours, such as LOGRAFT_HTTP_PORT, is a number. */
const SERVICE_ADDRESS = /^(?:tcp|udp|sctp):\/\//;

function isServiceVariable(name: string, text: string): boolean {
  if (!SERVICE_VARIABLE.test(name)) return false;
  const isPlainPort = name.endsWith("_PORT") && !name.endsWith("SERVICE_PORT");
  return !isPlainPort || SERVICE_ADDRESS.test(text);
}

/**
 * The configuration in environment variables: those with the prefix LOGRAFT_. A name with _FILE at its end gives the
 * path of a file that holds the value (a mounted secret), for the caller to read. Whether a key exists is left to the
 * parser, so that a mistyped variable is an error like any other.
 */
export function environmentEntries(environment: Readonly<Record<string, string | undefined>>): {
  readonly entries: ReadonlyMap<string, string>;
  readonly files: ReadonlyMap<string, string>;
} {
  const entries = new Map<string, string>();
  const files = new Map<string, string>();
  for (const [name, text] of Object.entries(environment)) {
    if (text === undefined || !name.startsWith("LOGRAFT_") || isServiceVariable(name, text)) continue;
    const isFile = name.endsWith("_FILE");
    const bare = name.slice("LOGRAFT_".length, isFile ? -"_FILE".length : undefined);
    (isFile ? files : entries).set(bare.toLowerCase().replaceAll("_", "."), text);
  }
  return { entries, files };
}

/** The known name with the fewest single-letter changes from `name`, if it is near enough to be a typing error. */
export function nearestName(name: string, known: readonly string[]): string | undefined {
  // Distance is quadratic in the length: what no key can resemble is not measured.
  if (name.length > 2 * MAX_SHOWN_LENGTH) return undefined;
  let nearest: string | undefined;
  let nearestDistance = Math.max(2, Math.floor(name.length / 3)) + 1;
  for (const candidate of known) {
    const distance = editDistance(name, candidate);
    if (distance < nearestDistance) {
      nearest = candidate;
      nearestDistance = distance;
    }
  }
  return nearest;
}

/** Levenshtein distance: insertions, deletions and replacements that make `b` of `a`. */
function editDistance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, index) => index);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) {
      const replaced = (row[j - 1] ?? 0) + (a[i - 1] === b[j - 1] ? 0 : 1);
      next.push(Math.min(replaced, (row[j] ?? 0) + 1, (next[j - 1] ?? 0) + 1));
    }
    row = next;
  }
  return row[b.length] ?? 0;
}

function unknownKeyMessage(name: string, known: readonly string[]): string {
  const shown = JSON.stringify(shortened(name));
  if (name === "broker.id") return `unknown key ${shown}: the identity of a broker is node.id here`;
  if (ZOOKEEPER_KEY.test(name)) {
    return `unknown key ${shown}: there is no ZooKeeper here, brokers keep the metadata themselves; remove the key`;
  }
  const nearest = nearestName(name, known);
  return `unknown key ${shown}${nearest === undefined ? "" : `; did you mean ${nearest}?`}`;
}

function badValueMessage(name: string, text: string, what: string): string {
  return `${name} = ${JSON.stringify(shortened(text))} is not valid; ${what}`;
}

function shortened(text: string): string {
  return text.length > MAX_SHOWN_LENGTH ? `${text.slice(0, MAX_SHOWN_LENGTH)}...` : text;
}
