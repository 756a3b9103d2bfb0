import { isoTime } from "./record-format.ts";
import type { PrintableRecord } from "./record-format.ts";

/** A record as one JSON object in one line; the input of `produce --ndjson` has the same shape. */
export interface JsonRecord {
  readonly topic: string;
  readonly partition: number;
  /** 64 bits: a decimal string. */
  readonly offset: string;
  /** Milliseconds; 64 bits: a decimal string. */
  readonly timestamp: string;
  /** Bytes that are not UTF-8 stand under "keyBase64" and "valueBase64" instead. */
  readonly key?: string | null;
  readonly keyBase64?: string;
  readonly value?: string | null;
  readonly valueBase64?: string;
  /** Absent when there are none. */
  readonly headers?: readonly JsonHeader[];
}

export interface JsonHeader {
  readonly key: string;
  readonly value?: string | null;
  readonly valueBase64?: string;
}

/** The line, without its newline. With `isMetadataOnly` sizes stand for key and value; null for an absent one. */
export function recordAsJson(record: PrintableRecord, isMetadataOnly: boolean): string {
  const base = {
    topic: record.topic,
    partition: record.partition,
    offset: String(record.offset),
    timestamp: String(record.timestamp),
  };
  if (isMetadataOnly) {
    const { key, value } = record;
    return JSON.stringify({
      ...base,
      keySize: key?.byteLength ?? null,
      valueSize: value?.byteLength ?? null,
    });
  }
  const headers = record.headers.map(({ key, value }) => ({ key, ...jsonBytes("value", value) }));
  return JSON.stringify({
    ...base,
    ...jsonBytes("key", record.key),
    ...jsonBytes("value", record.value),
    ...(headers.length === 0 ? {} : { headers }),
  });
}

/** A readable block for a terminal. What would steer the terminal is shown as an escape. */
export function recordAsText(record: PrintableRecord, isMetadataOnly: boolean): string {
  const head = `${record.topic}-${record.partition} @ ${record.offset}  ${isoTime(record.timestamp)}`;
  if (isMetadataOnly) {
    const size = record.value === null ? "null (tombstone)" : `${record.value.byteLength} B`;
    return `${head}  ${size}\n`;
  }
  const lines = [head];
  if (record.key !== null) lines.push(`  key    ${displayBytes(record.key)}`);
  for (const header of record.headers) {
    const value = header.value === null ? "null" : displayBytes(header.value);
    lines.push(`  header ${printable(header.key)}: ${value}`);
  }
  lines.push(`  value  ${record.value === null ? "null (tombstone)" : displayBytes(record.value)}`);
  return `${lines.join("\n")}\n`;
}

/** `{name: text}`, or `{nameBase64: ...}` for bytes that are not UTF-8, or `{name: null}`. */
export function jsonBytes(name: string, bytes: Uint8Array | null): Record<string, string | null> {
  if (bytes === null) return { [name]: null };
  const text = utf8OrUndefined(bytes);
  return text === undefined ? { [`${name}Base64`]: asBuffer(bytes).toString("base64") } : { [name]: text };
}

/** Text with every control character but newline and tab as a visible escape. */
export function printable(text: string): string {
  return text.replace(/[^\P{Cc}\n\t]/gu, (char) => `\\x${char.charCodeAt(0).toString(16).padStart(2, "0")}`);
}

function displayBytes(bytes: Uint8Array): string {
  const text = utf8OrUndefined(bytes);
  return text === undefined ? `0x${asBuffer(bytes).toString("hex")}` : printable(text);
}

/** A byte order mark is part of the data. */
const utf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

function utf8OrUndefined(bytes: Uint8Array): string | undefined {
  try {
    return utf8.decode(bytes);
  } catch {
    // Not text: the callers show it in another form.
    return undefined;
  }
}

function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
