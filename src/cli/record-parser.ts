import { operationError } from "../base/errors.ts";
import type { ProducerHeader, ProducerRecord } from "../client/index.ts";

/** Makes a record of a line, whose bytes are valid only until the record has been taken. */
export type LineParser = (line: Uint8Array) => ProducerRecord;

/** A parser for plain lines, for KEY SEPARATOR VALUE, or for NDJSON; each adds what `template` says. */
export function lineParser(
  options: { readonly isNdjson: boolean; readonly keySeparator: string | undefined },
  template: Partial<ProducerRecord>,
): LineParser {
  if (options.isNdjson) return (line) => ({ ...template, ...parseJsonRecord(textOf(line)) });
  if (options.keySeparator === undefined) return (line) => ({ ...template, value: line });
  const separator = Buffer.from(options.keySeparator);
  return (line) => {
    const at = asBuffer(line).indexOf(separator);
    if (at === -1) {
      throw operationError(
        "INVALID_ARGUMENT",
        `a line has no key separator ${JSON.stringify(options.keySeparator)}: ${shown(textOf(line))}`,
      );
    }
    return { ...template, key: line.subarray(0, at), value: line.subarray(at + separator.byteLength) };
  };
}

/** What `consume` prints, so that its output can be the input here; topic and offset are not ours to choose. */
const KNOWN: ReadonlySet<string> = new Set([
  "key",
  "keyBase64",
  "value",
  "valueBase64",
  "headers",
  "partition",
  "timestamp",
  "topic",
  "offset",
]);

/**
 * A record of one JSON object: text, null, or another JSON value, which is written as its JSON text; bytes under
 * "keyBase64" and "valueBase64". @throws LograftError INVALID_ARGUMENT naming the field and showing the line.
 */
export function parseJsonRecord(line: string): ProducerRecord {
  const fields = parseObject(line);
  for (const name of Object.keys(fields)) {
    if (!KNOWN.has(name))
      throw bad(`unknown field ${JSON.stringify(name)}; there is ${[...KNOWN].join(", ")}`, line);
  }
  const value = bytesField(fields, "value", line);
  if (value === undefined) throw bad(`the value is missing; a tombstone is written "value": null`, line);
  const key = bytesField(fields, "key", line);
  const partition = integerField(fields, "partition", line);
  const timestamp = integerField(fields, "timestamp", line);
  const { headers } = fields;
  return {
    value,
    ...(key === undefined ? {} : { key }),
    ...(partition === undefined ? {} : { partition }),
    ...(timestamp === undefined ? {} : { timestamp }),
    ...(headers === undefined ? {} : { headers: parseHeaders(headers, line) }),
  };
}

type Fields = Readonly<Record<string, unknown>>;

function parseObject(line: string): Fields {
  let parsed: unknown;
  try {
    parsed = JSON.parse(line);
  } catch (cause) {
    throw operationError("INVALID_ARGUMENT", `--ndjson: not JSON: ${shown(line)}`, { cause });
  }
  if (!isObject(parsed)) throw bad("not a JSON object", line);
  return parsed;
}

function bytesField(fields: Fields, name: string, line: string): string | Uint8Array | null | undefined {
  const encoded = fields[`${name}Base64`];
  const plain = fields[name];
  if (encoded === undefined) return plain === undefined ? undefined : textOrNull(plain);
  if (plain !== undefined) throw bad(`${name} and ${name}Base64 say two things; give one of them`, line);
  if (typeof encoded !== "string" || !/^[A-Za-z0-9+/]*={0,2}$/.test(encoded)) {
    throw bad(`${name}Base64 is not base64`, line);
  }
  return Buffer.from(encoded, "base64");
}

/** A number, or its decimal digits: 64-bit values travel as text in JSON. */
function integerField(fields: Fields, name: string, line: string): number | undefined {
  const value = fields[name];
  if (value === undefined || value === null) return undefined;
  const number = typeof value === "string" && /^\d+$/.test(value) ? Number(value) : value;
  if (typeof number !== "number" || !Number.isSafeInteger(number) || number < 0) {
    throw bad(`${name} is not a whole number from 0 up`, line);
  }
  return number;
}

/** `[{"key": "a", "value": "b"}]`, where keys may repeat, or `{"a": "b"}`. */
function parseHeaders(headers: unknown, line: string): readonly ProducerHeader[] {
  if (Array.isArray(headers)) return headers.map((entry: unknown) => parseHeader(entry, line));
  if (!isObject(headers)) throw bad("headers are an object or a list of {key, value}", line);
  return Object.entries(headers).map(([key, value]) => ({ key, value: textOrNull(value) }));
}

function parseHeader(entry: unknown, line: string): ProducerHeader {
  if (!isObject(entry) || typeof entry["key"] !== "string") throw bad(`a header has no "key"`, line);
  return { key: entry["key"], value: bytesField(entry, "value", line) ?? null };
}

function textOrNull(value: unknown): string | null {
  if (value === null) return null;
  return typeof value === "string" ? value : JSON.stringify(value);
}

function isObject(value: unknown): value is Fields {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function bad(what: string, line: string): Error {
  return operationError("INVALID_ARGUMENT", `--ndjson: ${what}: ${shown(line)}`);
}

function shown(text: string): string {
  return JSON.stringify(text.length > 80 ? `${text.slice(0, 80)}...` : text);
}

function textOf(bytes: Uint8Array): string {
  return asBuffer(bytes).toString("utf8");
}

function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
