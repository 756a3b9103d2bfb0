import { ByteReader } from "../base/bytes.ts";
import type { ByteWriter } from "../base/bytes.ts";
import { crc32c } from "../base/crc32c.ts";
import { errorMessage, LograftError } from "../base/errors.ts";

/*
 * How each value and small file of the quorum begins: version u8, CRC-32C u32 of all that follows it. What lies on a
 * disk may be cut, flipped or exchanged, so nothing is believed before its checksum.
 */

/** Where the fields of a sealed value begin. */
export const SEAL_BYTES = 5;

/** Either the value, or why the bytes are not one. */
export type Parsed<T> =
  | { readonly ok: true; readonly value: T }
  | { readonly ok: false; readonly reason: string };

/** Begins a sealed value; its fields follow, then `seal`. */
export function beginSealed(out: ByteWriter, version: number): void {
  out.uint8(version);
  out.uint32(0);
}

/** Puts the checksum in. Nothing may be written behind it. */
export function seal(out: ByteWriter): Buffer {
  const bytes = out.toBuffer();
  bytes.writeUInt32BE(crc32c(bytes.subarray(SEAL_BYTES)), 1);
  return bytes;
}

/** Checks version and checksum, then reads the fields; `read` must take all of them. */
export function parseSealed<T>(
  bytes: Uint8Array,
  version: number,
  read: (reader: ByteReader) => T,
): Parsed<T> {
  if (bytes.byteLength < SEAL_BYTES)
    return { ok: false, reason: `it is cut off after ${bytes.byteLength} bytes` };
  const reader = new ByteReader(bytes);
  const found = reader.uint8();
  if (found !== version)
    return { ok: false, reason: `it has version ${found}, which this lograft does not know` };
  const stored = reader.uint32();
  if (crc32c(bytes.subarray(SEAL_BYTES)) !== stored)
    return { ok: false, reason: "its checksum does not match" };
  try {
    const value = read(reader);
    reader.expectEnd();
    return { ok: true, value };
  } catch (error: unknown) {
    if (!(error instanceof LograftError)) throw error;
    return { ok: false, reason: errorMessage(error) };
  }
}
