import { operationError } from "../base/errors.ts";

/** What can be printed of a record. */
export interface PrintableRecord {
  readonly topic: string;
  readonly partition: number;
  readonly offset: number;
  readonly timestamp: number;
  readonly key: Uint8Array | null;
  readonly value: Uint8Array | null;
  readonly headers: readonly { readonly key: string; readonly value: Uint8Array | null }[];
}

type Encoding = "text" | "hex" | "base64";

type Part =
  | { readonly kind: "literal"; readonly text: string }
  | { readonly kind: "field"; readonly field: Field; readonly encoding: Encoding };

/** t topic, p partition, o offset, k key, v value, h headers, d timestamp (ms), e timestamp (ISO 8601), s value size. */
const FIELDS = ["t", "p", "o", "k", "v", "h", "d", "e", "s"] as const;
type Field = (typeof FIELDS)[number];
const ENCODINGS = ["text", "hex", "base64"] as const satisfies readonly Encoding[];

/** The fields that are bytes, so that an encoding means something. */
const BYTE_FIELDS: ReadonlySet<Field> = new Set(["k", "v", "h"]);
const ESCAPES: Readonly<Record<string, string>> = { n: "\n", t: "\t", r: "\r", "0": "\0", "\\": "\\" };
const LITERALS: ReadonlySet<string> = new Set(["%", "{", "}"]);

/**
 * A parsed format string, such as `%p %o %k{hex} %v\n`. `%%`, `%{` and `%}` are the character itself; `\n`, `\t`, `\r`,
 * `\0`, `\\` are escapes. Null prints as nothing.
 */
export class RecordFormat {
  readonly #parts: readonly Part[];

  /** @throws LograftError INVALID_ARGUMENT naming the part that is not understood. */
  constructor(format: string) {
    this.#parts = parseFormat(format);
  }

  print(record: PrintableRecord): string {
    let out = "";
    for (const part of this.#parts) {
      out += part.kind === "literal" ? part.text : printField(record, part.field, part.encoding);
    }
    return out;
  }
}

/** ISO 8601, or the bare number where no calendar date has it: a record may carry any time. */
export function isoTime(timestampMs: number): string {
  const date = new Date(timestampMs);
  return Number.isNaN(date.getTime()) ? String(timestampMs) : date.toISOString();
}

function parseFormat(format: string): Part[] {
  const parts: Part[] = [];
  let literal = "";
  for (let i = 0; i < format.length; i++) {
    const char = format.charAt(i);
    const next = format.charAt(i + 1);
    const escape = char === "\\" ? ESCAPES[next] : undefined;
    if (escape !== undefined) {
      literal += escape;
      i++;
    } else if (char !== "%") {
      literal += char;
    } else if (LITERALS.has(next)) {
      literal += next;
      i++;
    } else {
      const field = FIELDS.find((known) => known === next);
      if (field === undefined) throw unknownField(next);
      const braces = /^\{([^{}]*)\}/.exec(format.slice(i + 2));
      if (literal !== "") parts.push({ kind: "literal", text: literal });
      literal = "";
      parts.push({ kind: "field", field, encoding: parseEncoding(field, braces?.[1]) });
      i += 1 + (braces?.[0].length ?? 0);
    }
  }
  if (literal !== "") parts.push({ kind: "literal", text: literal });
  return parts;
}

function unknownField(name: string): Error {
  const what = name === "" ? "% at the end" : `%${name}`;
  const known = FIELDS.map((field) => `%${field}`).join(" ");
  return operationError(
    "INVALID_ARGUMENT",
    `format: ${what} is not known; there is ${known}, and %% for a %`,
  );
}

function parseEncoding(field: Field, text: string | undefined): Encoding {
  if (text === undefined) return "text";
  const encoding = ENCODINGS.find((known) => known === text);
  if (encoding !== undefined && BYTE_FIELDS.has(field)) return encoding;
  const why =
    encoding === undefined ? "there is {hex}, {base64} and {text}" : "only %k, %v and %h have an encoding";
  throw operationError(
    "INVALID_ARGUMENT",
    `format: %${field}{${text}} is not known; ${why}; a brace that is to be printed is written %{ or %}`,
  );
}

function printField(record: PrintableRecord, field: Field, encoding: Encoding): string {
  switch (field) {
    case "t":
      return record.topic;
    case "p":
      return String(record.partition);
    case "o":
      return String(record.offset);
    case "d":
      return String(record.timestamp);
    case "e":
      return isoTime(record.timestamp);
    case "s":
      return String(record.value?.byteLength ?? 0);
    case "k":
      return encode(record.key, encoding);
    case "v":
      return encode(record.value, encoding);
    case "h":
      return record.headers.map((header) => `${header.key}=${encode(header.value, encoding)}`).join(",");
  }
}

function encode(bytes: Uint8Array | null, encoding: Encoding): string {
  if (bytes === null) return "";
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString(
    encoding === "text" ? "utf8" : encoding,
  );
}
