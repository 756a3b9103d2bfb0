import { ByteReader, ByteWriter } from "../base/bytes.ts";
import { crc32c } from "../base/crc32c.ts";
import { extendHash } from "../metadata/running-hash.ts";

/*
 * The local metadata log in a key-value store. Keys sort as the log does:
 *
 *   key                      value
 *   00                       header: version u8, CRC-32C u32 of the rest, last index i64, last hash i64
 *   01 index u64             entry: version u8, CRC-32C u32 of the rest, index i64, hash of the entry before i64, records
 *
 * A batch holds the new entries and the header, so a crash leaves all or none. Beside the store lies the tail file, the
 * header's bytes in a file of its own: the store may lose its last batches without noticing (H13, H14), and a store put
 * back from an old copy looks whole to itself. Each entry's hash covers the one before, back to the first.
 */

const VERSION = 0;
const CHECKED_FROM = 5;
const HEADER_TAG = 0;
const ENTRY_TAG = 1;

export const HEADER_KEY: Uint8Array = Uint8Array.of(HEADER_TAG);

/** The end of a log: its last entry's index (0: none) and the hash of all entries up to it. */
export interface LogTail {
  readonly lastIndex: number;
  readonly lastHash: number;
}

/** An entry as stored; `records` are still encoded. */
export interface StoredEntry {
  readonly index: number;
  readonly hash: number;
  readonly records: Buffer;
}

/** Either the value, or why the bytes are not one. */
export type Parsed<T> =
  | { readonly ok: true; readonly value: T }
  | { readonly ok: false; readonly reason: string };

export function entryKey(index: number): Uint8Array {
  const key = new ByteWriter(9);
  key.uint8(ENTRY_TAG);
  key.int64(index);
  return key.toBuffer();
}

/** The index in a key, or undefined when it is not an entry's key. */
export function indexOfKey(key: Uint8Array): number | undefined {
  if (key.byteLength !== 9 || key[0] !== ENTRY_TAG || (key[1] ?? 0xff) > 0x1f) return undefined;
  return new ByteReader(key, 1).int64();
}

export function encodeTail(tail: LogTail): Buffer {
  const out = new ByteWriter(21);
  out.uint8(VERSION);
  out.uint32(0);
  out.int64(tail.lastIndex);
  out.int64(tail.lastHash);
  return seal(out);
}

export function parseTail(bytes: Uint8Array): Parsed<LogTail> {
  const reason = damage(bytes, 21);
  if (reason !== undefined || bytes.byteLength !== 21)
    return { ok: false, reason: reason ?? "it has a wrong size" };
  const reader = new ByteReader(bytes, CHECKED_FROM);
  return { ok: true, value: { lastIndex: reader.int64(), lastHash: reader.int64() } };
}

/** The value of an entry and the tail that the log has with it. */
export function encodeEntry(before: LogTail, records: Uint8Array): { value: Buffer; tail: LogTail } {
  const index = before.lastIndex + 1;
  const out = new ByteWriter(21 + records.byteLength);
  out.uint8(VERSION);
  out.uint32(0);
  out.int64(index);
  out.int64(before.lastHash);
  out.bytes(records);
  const value = seal(out);
  return { value, tail: { lastIndex: index, lastHash: hashOf(before.lastHash, value) } };
}

/** Reads and checks the entry that must follow `before`. */
export function parseEntry(before: LogTail, bytes: Uint8Array): Parsed<StoredEntry> {
  const reason = damage(bytes, 21);
  if (reason !== undefined) return { ok: false, reason };
  const reader = new ByteReader(bytes, CHECKED_FROM);
  const index = reader.int64();
  const previousHash = reader.int64();
  if (index !== before.lastIndex + 1) {
    return { ok: false, reason: `it calls itself entry ${index}` };
  }
  if (previousHash !== before.lastHash) {
    return { ok: false, reason: "it does not follow from the entry before it (their hashes differ)" };
  }
  const value = { index, hash: hashOf(previousHash, bytes), records: reader.bytes(reader.remaining) };
  return { ok: true, value };
}

function hashOf(previous: number, value: Uint8Array): number {
  return extendHash(previous, value.subarray(CHECKED_FROM));
}

function seal(out: ByteWriter): Buffer {
  const bytes = out.view();
  bytes.writeUInt32BE(crc32c(bytes.subarray(CHECKED_FROM)), 1);
  return bytes;
}

function damage(bytes: Uint8Array, minBytes: number): string | undefined {
  if (bytes.byteLength < minBytes) return `it is cut off after ${bytes.byteLength} bytes`;
  const reader = new ByteReader(bytes);
  const version = reader.uint8();
  if (version !== VERSION) return `it has version ${version}, which this lograft does not know`;
  const stored = reader.uint32();
  return crc32c(bytes.subarray(CHECKED_FROM)) === stored ? undefined : "its checksum does not match";
}
