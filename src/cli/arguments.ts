import { operationError } from "../base/errors.ts";

const DURATION_UNITS: ReadonlyMap<string, number> = new Map([
  ["", 1],
  ["ms", 1],
  ["s", 1000],
  ["m", 60_000],
  ["h", 3_600_000],
  ["d", 86_400_000],
]);

/** Timers of Node end at 2^31 - 1 ms; nothing on a command line lasts longer. */
const LONGEST_MS = 0x7fff_ffff;

/** "500ms", "10s", "5m", "2h", "7d" or bare milliseconds, as whole milliseconds up to 24 days. @throws INVALID_ARGUMENT. */
export function parseDuration(text: string, option: string): number {
  const match = /^(\d+(?:\.\d+)?)([a-z]*)$/.exec(text.trim());
  const unit = DURATION_UNITS.get(match?.[2] ?? "");
  if (match === null || unit === undefined) {
    throw invalid(`${option} ${text}: not a duration; write it as 500ms, 10s, 5m, 2h or 7d`);
  }
  const ms = Math.round(Number(match[1]) * unit);
  if (ms > LONGEST_MS) throw invalid(`${option} ${text}: at most 24d`);
  return ms;
}

const SIZE_UNITS: ReadonlyMap<string, number> = new Map([
  ["", 1],
  ["b", 1],
  ["k", 1024],
  ["kb", 1000],
  ["kib", 1024],
  ["m", 1024 ** 2],
  ["mb", 1000 ** 2],
  ["mib", 1024 ** 2],
  ["g", 1024 ** 3],
  ["gb", 1000 ** 3],
  ["gib", 1024 ** 3],
]);

/** "64KiB", "1GB" or bare bytes. @throws INVALID_ARGUMENT. */
export function parseSize(text: string, option: string): number {
  const match = /^(\d+(?:\.\d+)?)\s*([a-z]*)$/i.exec(text.trim());
  const unit = SIZE_UNITS.get((match?.[2] ?? "").toLowerCase());
  const bytes = Math.round(Number(match?.[1]) * (unit ?? Number.NaN));
  if (!Number.isSafeInteger(bytes)) {
    throw invalid(`${option} ${text}: not a size; write it as 512, 64KiB or 1GiB`);
  }
  return bytes;
}

/** A whole number from `min` up, in decimal digits. @throws INVALID_ARGUMENT. */
export function parseInteger(text: string, option: string, min: number): number {
  const value = /^-?\d+$/.test(text.trim()) ? Number(text) : Number.NaN;
  if (!Number.isSafeInteger(value) || value < min) {
    throw invalid(`${option} ${text}: a whole number from ${min} up is needed`);
  }
  return value;
}

/** A time as a Date: ISO 8601 or milliseconds since 1970. @throws INVALID_ARGUMENT. */
export function parseTime(text: string, option: string): Date {
  const date = /^\d+$/.test(text) ? new Date(Number(text)) : new Date(text);
  if (Number.isNaN(date.getTime())) {
    throw invalid(`${option} ${text}: not a time; write it as 2026-01-31T12:00:00Z or as milliseconds`);
  }
  return date;
}

/** A "key=value" option that is given again and again, in order; keys may repeat. @throws INVALID_ARGUMENT. */
export function parsePairList(
  pairs: readonly string[],
  option: string,
): readonly (readonly [string, string])[] {
  return pairs.map((pair) => {
    const at = pair.indexOf("=");
    if (at <= 0) throw invalid(`${option} ${pair}: write it as key=value`);
    return [pair.slice(0, at), pair.slice(at + 1)];
  });
}

/** As `parsePairList`, where the last of equal keys counts. */
export function parsePairs(pairs: readonly string[], option: string): Record<string, string> {
  return Object.fromEntries(parsePairList(pairs, option));
}

/** Collects a repeatable option. */
export function collect(value: string, previous: readonly string[]): string[] {
  return [...previous, value];
}

const ACKS = new Map<string, "all" | 1 | 0>([
  ["all", "all"],
  ["-1", "all"],
  ["1", 1],
  ["0", 0],
]);

/** @throws INVALID_ARGUMENT. */
export function parseAcks(text: string): "all" | 1 | 0 {
  const acks = ACKS.get(text);
  if (acks === undefined) throw invalid(`--acks ${text}: there is all, 1 and 0`);
  return acks;
}

const CODECS = ["none", "gzip", "snappy", "lz4", "zstd"] as const;

/** @throws INVALID_ARGUMENT. */
export function parseCompression(text: string): (typeof CODECS)[number] {
  const codec = CODECS.find((name) => name === text);
  if (codec === undefined) throw invalid(`--compression ${text}: there is ${CODECS.join(", ")}`);
  return codec;
}

function invalid(message: string): Error {
  return operationError("INVALID_ARGUMENT", message);
}
