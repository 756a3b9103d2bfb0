import { operationError } from "../base/errors.ts";
import type { ProducerHeader } from "../client/index.ts";
import { parseFlag, parseKnown } from "./kafka-flags.ts";
import type { LineParser } from "./record-parser.ts";

/** The properties that say how a line becomes a record. */
export const READER_PROPERTIES = [
  "parse.key",
  "parse.headers",
  "key.separator",
  "headers.delimiter",
  "headers.separator",
  "headers.key.separator",
  "null.marker",
  "ignore.error",
] as const;

const SHOWN_CHARS = 80;

/**
 * Kafka's line: what is asked for of `name:value,...`, key and value, in this order, with a separator behind each but the
 * last. @throws LograftError INVALID_ARGUMENT for the properties; the parser throws it for a line without a separator,
 * where `ignore.error` does not take the rest of the line as the value.
 */
export function kafkaLineParser(pairs: readonly string[], flag: string): LineParser {
  const given = parseKnown(pairs, flag, READER_PROPERTIES);
  const textOf = (name: (typeof READER_PROPERTIES)[number], otherwise: string): string => {
    const text = given.get(name) ?? otherwise;
    if (text === "") throw operationError("INVALID_ARGUMENT", `${name} cannot be empty`);
    return text;
  };
  const isKeyed = parseFlag(given.get("parse.key"), "parse.key", false);
  const hasHeaders = parseFlag(given.get("parse.headers"), "parse.headers", false);
  const isLenient = parseFlag(given.get("ignore.error"), "ignore.error", false);
  const keySeparator = textOf("key.separator", "\t");
  const delimiter = textOf("headers.delimiter", "\t");
  const headerSeparator = textOf("headers.separator", ",");
  const headerKeySeparator = textOf("headers.key.separator", ":");
  const nullMarker = given.has("null.marker") ? Buffer.from(textOf("null.marker", "")) : undefined;
  const orNull = (bytes: Buffer): Buffer | null => (nullMarker?.equals(bytes) === true ? null : bytes);

  /** What stands before the separator and what behind it; undefined, and all of it, where it is missing. */
  const split = (line: Buffer, separator: string, name: string): readonly [Buffer | undefined, Buffer] => {
    const at = line.indexOf(separator);
    if (at !== -1) return [line.subarray(0, at), line.subarray(at + Buffer.byteLength(separator))];
    if (isLenient) return [undefined, line];
    throw operationError(
      "INVALID_ARGUMENT",
      `a line has no ${name} ${JSON.stringify(separator)}: ${JSON.stringify(line.toString("utf8").slice(0, SHOWN_CHARS))}; ` +
        "add it, or give ignore.error=true",
    );
  };
  const headerOf = (text: string): ProducerHeader => {
    const [key, value] = split(Buffer.from(text), headerKeySeparator, "headers.key.separator");
    return key === undefined
      ? { key: value.toString("utf8"), value: null }
      : { key: key.toString("utf8"), value: orNull(value) };
  };

  return (line) => {
    let rest = Buffer.from(line.buffer, line.byteOffset, line.byteLength);
    let headers: Buffer | undefined;
    let key: Buffer | undefined;
    if (hasHeaders) [headers, rest] = split(rest, delimiter, "headers.delimiter");
    if (isKeyed) [key, rest] = split(rest, keySeparator, "key.separator");
    const named = headers === undefined ? null : orNull(headers);
    return {
      value: orNull(rest),
      ...(key === undefined ? {} : { key: orNull(key) }),
      ...(named === null || named.byteLength === 0
        ? {}
        : { headers: named.toString("utf8").split(headerSeparator).map(headerOf) }),
    };
  };
}
