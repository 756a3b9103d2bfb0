/** The hash that stands before the first entry of a log. */
export const GENESIS_HASH = 0;

const LOW_MULTIPLIER = 0x85ebca6b;
const HIGH_MULTIPLIER = 0xc2b2ae35;

/**
 * The hash of a log up to and including the entry `bytes`, given the hash up to the one before: equal hashes mean equal
 * histories, not just equal last entries. 53 bits in a safe integer; against accidents, not against forgery.
 */
export function extendHash(previous: number, bytes: Uint8Array): number {
  let low = previous >>> 0;
  let high = (Math.floor(previous / 0x1_0000_0000) ^ bytes.length) >>> 0;
  for (let at = 0; at < bytes.length; at++) {
    const byte = bytes[at] ?? 0;
    low = Math.imul(low ^ byte, LOW_MULTIPLIER);
    low ^= low >>> 15;
    high = Math.imul(high ^ byte ^ (low >>> 24), HIGH_MULTIPLIER);
    high ^= high >>> 13;
  }
  low = Math.imul(low ^ high, HIGH_MULTIPLIER);
  high = Math.imul(high ^ (low >>> 16), LOW_MULTIPLIER);
  return ((high ^ (high >>> 16)) & 0x1fffff) * 0x1_0000_0000 + ((low ^ (low >>> 16)) >>> 0);
}
