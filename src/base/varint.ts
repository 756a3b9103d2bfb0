/*
 * Variable-length integers: LEB128, seven bits a byte, low group first, the high bit says that more follow. "Zigzag" puts
 * the sign into the lowest bit, so that small negative numbers are short too. For the hot paths that write into a buffer
 * of their own; `ByteReader` and `ByteWriter` have the checked forms.
 */

/** The longest form of a 64-bit number. */
export const MAX_VARINT_BYTES = 10;

/** Bytes that `value` (0..2^53-1) takes as an unsigned varint. */
export function uvarintSize(value: number): number {
  let size = 1;
  let rest = value;
  while (rest >= 0x80) {
    rest = Math.floor(rest / 0x80);
    size++;
  }
  return size;
}

/** Bytes that a safe integer takes as a zigzag varint; the 32-bit and the 64-bit form have the same bytes. */
export function varintSize(value: number): number {
  if (value >= -64 && value < 64) return 1;
  return 1 + uvarintSize(Math.floor(magnitudeOf(value) / 64));
}

/** Writes `value` (0..2^53-1) as an unsigned varint at `start`; answers the position behind it. Checks nothing. */
export function writeUvarint(buffer: Buffer, value: number, start: number): number {
  let at = start;
  let rest = value;
  while (rest >= 0x80) {
    buffer[at++] = (rest % 0x80) | 0x80;
    rest = Math.floor(rest / 0x80);
  }
  buffer[at++] = rest;
  return at;
}

/** Writes a safe integer as a zigzag varint at `start`; answers the position behind it. Checks nothing. */
export function writeVarint(buffer: Buffer, value: number, start: number): number {
  let at = start;
  if (value >= -0x4000_0000 && value < 0x4000_0000) {
    let encoded = (value << 1) ^ (value >> 31);
    while (encoded >= 0x80) {
      buffer[at++] = (encoded & 0x7f) | 0x80;
      encoded >>>= 7;
    }
    buffer[at++] = encoded;
    return at;
  }
  // Outside 31 bits the magnitude is split off: it stays exact where the zigzag number would pass 2^53.
  const magnitude = magnitudeOf(value);
  buffer[at++] = ((magnitude % 64) << 1) | (value < 0 ? 1 : 0) | 0x80;
  return writeUvarint(buffer, Math.floor(magnitude / 64), at);
}

/** What is left of a zigzag number without its sign bit. */
function magnitudeOf(value: number): number {
  return value < 0 ? -value - 1 : value;
}
