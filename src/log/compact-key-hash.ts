/** Bytes of the key of a `KeyHasher`. */
export const HASH_KEY_BYTES = 16;

/**
 * 128 bits that stand for a record's key while a log is compacted: HalfSipHash-2-4 with 64 bits of output, twice, under
 * two secret keys. Keyed, because two keys with one hash would cost the older record its life: a client that knew the
 * function could make such pairs. By chance, a billion keys meet once in 10^20 compactions. Source: Aumasson and
 * Bernstein, "SipHash: a fast short-input PRF" (2012), and its 32-bit form.
 */
export class KeyHasher {
  /** The last hash, in four words. */
  readonly words = new Int32Array(4);
  readonly #keys: readonly [number, number, number, number];

  /** `key`: `HASH_KEY_BYTES` random bytes. */
  constructor(key: Uint8Array) {
    const view = new DataView(key.buffer, key.byteOffset, HASH_KEY_BYTES);
    this.#keys = [
      view.getInt32(0, true),
      view.getInt32(4, true),
      view.getInt32(8, true),
      view.getInt32(12, true),
    ];
  }

  /** Hashes `buffer[start .. end)` into `words`. */
  hash(buffer: Uint8Array, start: number, end: number): void {
    const [k0, k1, k2, k3] = this.#keys;
    halfSipHash(buffer, start, end, k0, k1, this.words, 0);
    halfSipHash(buffer, start, end, k2, k3, this.words, 2);
  }
}

const INIT_2 = 0x6c796765;
const INIT_3 = 0x74656462;
const COMPRESSION_ROUNDS = 2;
const FINAL_ROUNDS = 4;

/** Writes the two words of the hash to `target[at]` and `target[at + 1]`, each as little-endian reading gives it. */
export function halfSipHash(
  buffer: Uint8Array,
  start: number,
  end: number,
  k0: number,
  k1: number,
  target: Int32Array,
  at: number,
): void {
  let v0 = k0;
  let v1 = k1 ^ 0xee;
  let v2 = INIT_2 ^ k0;
  let v3 = INIT_3 ^ k1;
  const length = end - start;
  const wholeEnd = end - (length & 3);
  // One loop for words, the padded last word and the two finals, so that the round stands here once and in registers.
  for (let position = start, phase = 0; phase < 3;) {
    let word = 0;
    let rounds = COMPRESSION_ROUNDS;
    if (position < wholeEnd) {
      word =
        byteAt(buffer, position) |
        (byteAt(buffer, position + 1) << 8) |
        (byteAt(buffer, position + 2) << 16) |
        (byteAt(buffer, position + 3) << 24);
      position += 4;
    } else if (phase === 0) {
      word = length << 24;
      for (let rest = wholeEnd; rest < end; rest++) word |= byteAt(buffer, rest) << ((rest - wholeEnd) * 8);
      phase = 1;
    } else {
      if (phase === 1) v2 ^= 0xee;
      else v1 ^= 0xdd;
      phase++;
      rounds = FINAL_ROUNDS;
    }
    v3 ^= word;
    for (let round = 0; round < rounds; round++) {
      v0 = (v0 + v1) | 0;
      v1 = ((v1 << 5) | (v1 >>> 27)) ^ v0;
      v0 = (v0 << 16) | (v0 >>> 16);
      v2 = (v2 + v3) | 0;
      v3 = ((v3 << 8) | (v3 >>> 24)) ^ v2;
      v0 = (v0 + v3) | 0;
      v3 = ((v3 << 7) | (v3 >>> 25)) ^ v0;
      v2 = (v2 + v1) | 0;
      v1 = ((v1 << 13) | (v1 >>> 19)) ^ v2;
      v2 = (v2 << 16) | (v2 >>> 16);
    }
    v0 ^= word;
    if (rounds === FINAL_ROUNDS) target[at + phase - 2] = v1 ^ v3;
  }
}

/** In range by construction; `?? 0` tells the compiler so. */
function byteAt(buffer: Uint8Array, at: number): number {
  return buffer[at] ?? 0;
}
