import { assert } from "../base/assert.ts";

const FIRST_CAPACITY = 64;

/**
 * Fixed-size binary entries in one growing buffer: no object for an entry. The memory and file form are the same bytes.
 */
export class EntryTable {
  readonly entryBytes: number;
  readonly maxEntries: number;
  #bytes: Buffer;
  #count: number;

  /** `content`: whole entries to begin with; they are copied. `maxBytes`: bound of the whole, rounded down to entries. */
  constructor(entryBytes: number, maxBytes: number, content?: Buffer) {
    assert(content === undefined || content.length % entryBytes === 0, "half an entry", { entryBytes });
    this.entryBytes = entryBytes;
    this.maxEntries = Math.floor(maxBytes / entryBytes);
    this.#count = content === undefined ? 0 : content.length / entryBytes;
    this.#bytes = content === undefined ? Buffer.alloc(0) : Buffer.from(content);
  }

  get count(): number {
    return this.#count;
  }

  get isFull(): boolean {
    return this.#count >= this.maxEntries;
  }

  /** Memory of the entries; read entry i at `at(i)`. It changes place when the table grows, so it is not to be kept. */
  get buffer(): Buffer {
    return this.#bytes;
  }

  at(index: number): number {
    assert(index >= 0 && index < this.#count, "no such entry", { index, count: this.#count });
    return index * this.entryBytes;
  }

  /** Adds a zeroed entry and answers where to write it. Growth past `maxEntries` is up to the caller to prevent. */
  add(): number {
    const at = this.#count * this.entryBytes;
    if (at === this.#bytes.length) {
      const larger = Buffer.alloc(Math.max(FIRST_CAPACITY, this.#count * 2) * this.entryBytes);
      this.#bytes.copy(larger, 0, 0, at);
      this.#bytes = larger;
    }
    this.#count++;
    return at;
  }

  /** Keeps the first `count` entries. */
  truncate(count: number): void {
    assert(count >= 0 && count <= this.#count, "not a shorter table", { count, had: this.#count });
    this.#bytes.fill(0, count * this.entryBytes, this.#count * this.entryBytes);
    this.#count = count;
  }

  /** Exactly the entries, without a copy; valid until the next change. */
  view(): Buffer {
    return this.#bytes.subarray(0, this.#count * this.entryBytes);
  }
}
