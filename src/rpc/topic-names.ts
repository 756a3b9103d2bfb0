import { assert } from "../base/assert.ts";

interface NameEntry {
  readonly bytes: Buffer;
  readonly text: string;
}

/**
 * Topic names as strings and as UTF-8, so that the same name is not decoded or encoded again in each message. Bounded:
 * at `maxNames` the cache starts afresh, so names sent on purpose to fill it cost what they would without it. The key of
 * the decoding side is a 32-bit hash with one entry each: names made to collide evict each other, they form no chain
 * (H71).
 */
export class TopicNames {
  readonly #maxNames: number;
  readonly #byHash = new Map<number, NameEntry>();
  readonly #byText = new Map<string, Buffer>();

  constructor(maxNames: number) {
    assert(maxNames > 0, "a cache of names holds at least one", { maxNames });
    this.#maxNames = maxNames;
  }

  /** The text of bytes[start, end). */
  decode(bytes: Buffer, start: number, end: number): string {
    const hash = hashOf(bytes, start, end);
    const known = this.#byHash.get(hash);
    if (known !== undefined && isSame(known.bytes, bytes, start, end)) return known.text;
    const text = bytes.toString("utf8", start, end);
    if (end - start > MAX_CACHED_BYTES) return text;
    if (this.#byHash.size >= this.#maxNames) this.#byHash.clear();
    // A copy: a view would keep the whole message alive.
    this.#byHash.set(hash, { bytes: Buffer.from(bytes.subarray(start, end)), text });
    return text;
  }

  /** The UTF-8 of `text`; shared, not to be written to. */
  encode(text: string): Buffer {
    const known = this.#byText.get(text);
    if (known !== undefined) return known;
    const bytes = Buffer.from(text, "utf8");
    if (bytes.length > MAX_CACHED_BYTES) return bytes;
    if (this.#byText.size >= this.#maxNames) this.#byText.clear();
    this.#byText.set(text, bytes);
    return bytes;
  }
}

/** The longest name that a topic can have (Kafka allows 249 characters); longer ones are refused later anyway. */
const MAX_CACHED_BYTES = 256;

/** FNV-1a, 32 bits. */
function hashOf(bytes: Buffer, start: number, end: number): number {
  let hash = 0x811c9dc5;
  for (let at = start; at < end; at++) hash = Math.imul(hash ^ (bytes[at] ?? 0), 0x01000193);
  return hash >>> 0;
}

function isSame(known: Buffer, bytes: Buffer, start: number, end: number): boolean {
  if (known.length !== end - start) return false;
  for (let index = 0; index < known.length; index++) {
    if (known[index] !== bytes[start + index]) return false;
  }
  return true;
}
