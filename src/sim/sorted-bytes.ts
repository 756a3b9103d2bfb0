import type { KeyValueOperation, KeyValueRange } from "../platform/key-value.ts";

/** A map of byte strings in unsigned byte order. */
export class SortedBytes {
  readonly #values: Map<string, Uint8Array>;
  #keys: string[];

  constructor(values: ReadonlyMap<string, Uint8Array> = new Map(), keys: readonly string[] = []) {
    this.#values = new Map(values);
    this.#keys = [...keys];
  }

  copy(): SortedBytes {
    return new SortedBytes(this.#values, this.#keys);
  }

  get(key: Uint8Array): Uint8Array | undefined {
    return this.#values.get(textOf(key));
  }

  apply(operations: readonly KeyValueOperation[]): void {
    for (const operation of operations) {
      const key = textOf(operation.key);
      const isThere = this.#values.has(key);
      if (operation.type === "put") {
        this.#values.set(key, operation.value);
        if (!isThere) this.#keys.splice(this.#firstNotBelow(key), 0, key);
      } else if (isThere) {
        this.#values.delete(key);
        this.#keys.splice(this.#firstNotBelow(key), 1);
      }
    }
  }

  /** Copies of the entries in the range, in key order. */
  range(range: KeyValueRange): (readonly [Uint8Array, Uint8Array])[] {
    const start = range.from === undefined ? 0 : this.#firstNotBelow(textOf(range.from));
    const end = range.to === undefined ? this.#keys.length : this.#firstNotBelow(textOf(range.to));
    const entries: (readonly [Uint8Array, Uint8Array])[] = [];
    for (const key of this.#keys.slice(start, end)) {
      const value = this.#values.get(key);
      if (value !== undefined) entries.push([bytesOf(key), value.slice()]);
    }
    return entries;
  }

  #firstNotBelow(key: string): number {
    let low = 0;
    let high = this.#keys.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((this.#keys[middle] ?? "") < key) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}

/** One character for each byte, so that JavaScript's order of strings is the order of bytes. */
function textOf(bytes: Uint8Array): string {
  let text = "";
  for (const byte of bytes) text += String.fromCharCode(byte);
  return text;
}

function bytesOf(text: string): Uint8Array {
  return Uint8Array.from(text, (character) => character.charCodeAt(0));
}
