import { createRequire } from "node:module";

type Crc32c = (bytes: Uint8Array, previous: number) => number;

/**
 * CRC-32C (Castagnoli) of `bytes`, unsigned. `previous` is the CRC of the bytes before them, so that
 * `crc32c(b, crc32c(a))` is the CRC of a followed by b. It is not zlib's CRC-32.
 */
export function crc32c(bytes: Uint8Array, previous = 0): number {
  return implementation(bytes, previous);
}

/** The same in plain TypeScript: what runs where the native module is missing, and the twin it is tested against. */
export function crc32cPortable(bytes: Uint8Array, previous = 0): number {
  const t = TABLES;
  const end = bytes.length;
  let crc = ~previous;
  let at = 0;
  // Slicing by 8: eight independent table look-ups for eight bytes, instead of a chain of eight.
  for (const wideEnd = end - 7; at < wideEnd; at += 8) {
    crc ^=
      byteAt(bytes, at) |
      (byteAt(bytes, at + 1) << 8) |
      (byteAt(bytes, at + 2) << 16) |
      (byteAt(bytes, at + 3) << 24);
    crc =
      entry(t, 0x700 | (crc & 0xff)) ^
      entry(t, 0x600 | ((crc >>> 8) & 0xff)) ^
      entry(t, 0x500 | ((crc >>> 16) & 0xff)) ^
      entry(t, 0x400 | (crc >>> 24)) ^
      entry(t, 0x300 | byteAt(bytes, at + 4)) ^
      entry(t, 0x200 | byteAt(bytes, at + 5)) ^
      entry(t, 0x100 | byteAt(bytes, at + 6)) ^
      entry(t, byteAt(bytes, at + 7));
  }
  for (; at < end; at++) crc = (crc >>> 8) ^ entry(t, (crc ^ byteAt(bytes, at)) & 0xff);
  return ~crc >>> 0;
}

/** True when the native module does the work (about twenty times faster); for the start-up log. */
export function isCrc32cNative(): boolean {
  return implementation !== crc32cPortable;
}

/** The polynomial 0x1edc6f41, bits reversed. */
const POLYNOMIAL = 0x82f63b78;
/** The ASCII digits 1 to 9, whose CRC is published as the check value of the algorithm. */
const CHECK_INPUT = Uint8Array.of(0x31, 0x32, 0x33, 0x34, 0x35, 0x36, 0x37, 0x38, 0x39);
const TABLES = makeTables();
const implementation: Crc32c = loadNative() ?? crc32cPortable;

/* Both are in range by construction; `?? 0` tells the compiler so, and costs nothing once it is inlined. */

function byteAt(bytes: Uint8Array, at: number): number {
  return bytes[at] ?? 0;
}

function entry(tables: Int32Array, index: number): number {
  return tables[index] ?? 0;
}

/** Table k holds the CRC of a byte followed by k zero bytes; eight tables of 256 in one array. */
function makeTables(): Int32Array {
  const tables = new Int32Array(8 * 256);
  for (let value = 0; value < 256; value++) {
    let crc = value;
    for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ POLYNOMIAL : crc >>> 1;
    tables[value] = crc;
  }
  for (let index = 256; index < tables.length; index++) {
    const shorter = entry(tables, index - 256);
    tables[index] = (shorter >>> 8) ^ entry(tables, shorter & 0xff);
  }
  return tables;
}

function loadNative(): Crc32c | undefined {
  try {
    const loaded: unknown = createRequire(import.meta.url)("@node-rs/crc32");
    if (typeof loaded !== "object" || loaded === null || !("crc32c" in loaded)) return undefined;
    const { crc32c: native } = loaded;
    if (typeof native !== "function") return undefined;
    const candidate = native as Crc32c;
    // A build of the module that answers wrongly would damage every batch: it has to know the check value first.
    return candidate(CHECK_INPUT, 0) === 0xe3069283 ? candidate : undefined;
  } catch {
    // Optional dependency: no build for this platform, so the portable form serves.
    return undefined;
  }
}
