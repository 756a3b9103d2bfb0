/*
 * MurmurHash2, 32 bits, little-endian groups, with the seed that Kafka's clients use to choose a partition by key.
 * Source: Austin Appleby's MurmurHash2 (public domain description); Kafka's default partitioner.
 */

const SEED = 0x9747b28c;
const MULTIPLIER = 0x5bd1e995;

/** The signed 32-bit hash of a key, equal to that of Kafka's Java client. */
export function murmur2(key: Uint8Array): number {
  const length = key.length;
  let hash = SEED ^ length;
  const wholeGroups = length & ~3;
  for (let at = 0; at < wholeGroups; at += 4) {
    let group = byteAt(key, at) | (byteAt(key, at + 1) << 8);
    group |= (byteAt(key, at + 2) << 16) | (byteAt(key, at + 3) << 24);
    group = Math.imul(group, MULTIPLIER);
    group ^= group >>> 24;
    hash = Math.imul(hash, MULTIPLIER) ^ Math.imul(group, MULTIPLIER);
  }
  const tail = length - wholeGroups;
  if (tail === 3) hash ^= byteAt(key, wholeGroups + 2) << 16;
  if (tail >= 2) hash ^= byteAt(key, wholeGroups + 1) << 8;
  if (tail >= 1) hash = Math.imul(hash ^ byteAt(key, wholeGroups), MULTIPLIER);
  hash = Math.imul(hash ^ (hash >>> 13), MULTIPLIER);
  return hash ^ (hash >>> 15);
}

/** The partition of a key among `partitionCount` (>= 1): the sign bit is masked, not negated, as in the Java client. */
export function partitionOfKey(key: Uint8Array, partitionCount: number): number {
  return (murmur2(key) & 0x7fffffff) % partitionCount;
}

function byteAt(key: Uint8Array, at: number): number {
  return key[at] ?? 0;
}
