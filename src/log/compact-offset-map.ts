import { assert } from "../base/assert.ts";
import { NO_OFFSET } from "../model/offsets.ts";
import type { Offset } from "../model/offsets.ts";
import type { KeyHasher } from "./compact-key-hash.ts";

/** Limits of the map. */
export interface OffsetMapOptions {
  /** `log.cleaner.dedupe.buffer.size`. */
  readonly maxBytes: number;
  /** Keys there can be at most: no memory is taken for more. */
  readonly maxKeys: number;
}

/** A hash of 16 bytes and an offset of 8. */
const SLOT_BYTES = 24;
const WORDS = 4;
/** Fuller, an open table takes long walks to find a free slot (Kafka's `log.cleaner.io.buffer.load.factor`). */
const LOAD_FACTOR = 0.9;
const MIN_SLOTS = 16;

/**
 * The last offset of each key in the part of a log that is being compacted: an open table of hashes in two typed arrays,
 * so that a budget in bytes is kept exactly and nothing is allocated per key. It does not grow.
 */
export class OffsetMap {
  readonly #hasher: KeyHasher;
  readonly #slots: number;
  readonly #hashes: Int32Array;
  /** Offset plus one, so that zero is a free slot. */
  readonly #offsets: Float64Array;
  #count = 0;
  /** Keys it takes. */
  readonly capacity: number;

  constructor(options: OffsetMapOptions, deps: { readonly hasher: KeyHasher }) {
    const wanted = Math.ceil(options.maxKeys / LOAD_FACTOR) + 1;
    this.#slots = Math.max(MIN_SLOTS, Math.min(Math.floor(options.maxBytes / SLOT_BYTES), wanted));
    this.capacity = Math.floor(this.#slots * LOAD_FACTOR);
    this.#hasher = deps.hasher;
    this.#hashes = new Int32Array(this.#slots * WORDS);
    this.#offsets = new Float64Array(this.#slots);
  }

  /** Keys in it. */
  get count(): number {
    return this.#count;
  }

  /** Bytes it takes. */
  get sizeBytes(): number {
    return this.#slots * SLOT_BYTES;
  }

  /** Notes that the key `buffer[start .. end)` was written at `offset`. There must be room for one more. */
  put(buffer: Uint8Array, start: number, end: number, offset: Offset): void {
    const slot = this.#find(buffer, start, end);
    if ((this.#offsets[slot] ?? 0) === 0) {
      assert(this.#count < this.capacity, "the map of keys is full", { capacity: this.capacity });
      this.#hashes.set(this.#hasher.words, slot * WORDS);
      this.#count++;
    }
    this.#offsets[slot] = offset + 1;
  }

  /** The last offset of the key, or -1 when it is not in the map. */
  get(buffer: Uint8Array, start: number, end: number): Offset {
    const stored = this.#offsets[this.#find(buffer, start, end)] ?? 0;
    return stored === 0 ? NO_OFFSET : ((stored - 1) as Offset);
  }

  /** The slot of the key, or the free one where it belongs. */
  #find(buffer: Uint8Array, start: number, end: number): number {
    this.#hasher.hash(buffer, start, end);
    const { words } = this.#hasher;
    const hashes = this.#hashes;
    let slot = ((words[0] ?? 0) >>> 0) % this.#slots;
    while (this.#offsets[slot] !== 0) {
      const at = slot * WORDS;
      if (
        hashes[at] === words[0] &&
        hashes[at + 1] === words[1] &&
        hashes[at + 2] === words[2] &&
        hashes[at + 3] === words[3]
      ) {
        break;
      }
      slot = slot + 1 === this.#slots ? 0 : slot + 1;
    }
    return slot;
  }
}
