/** A source of random numbers; seeded wherever a run must be repeatable. */
export interface Random {
  /** A uniform integer in [0, maxExclusive); maxExclusive in 1..2^32. */
  below(maxExclusive: number): number;
  /** A uniform float in [0, 1). */
  fraction(): number;
  bytes(count: number): Uint8Array;
}

/** xoshiro128** (Blackman and Vigna, 2018), seeded through splitmix32: fast, repeatable, not for secrets. */
export class SeededRandom implements Random {
  #a: number;
  #b: number;
  #c: number;
  #d: number;

  constructor(seed: number) {
    let state = seed >>> 0;
    const next = (): number => {
      state = (state + 0x9e3779b9) >>> 0;
      let z = state;
      z = Math.imul(z ^ (z >>> 16), 0x21f0aaad);
      z = Math.imul(z ^ (z >>> 15), 0x735a2d97);
      return (z ^ (z >>> 15)) >>> 0;
    };
    this.#a = next();
    this.#b = next();
    this.#c = next();
    this.#d = next() | 1;
  }

  below(maxExclusive: number): number {
    return Math.floor(this.fraction() * maxExclusive);
  }

  fraction(): number {
    return this.#uint32() / 0x1_0000_0000;
  }

  bytes(count: number): Uint8Array {
    const out = new Uint8Array(count);
    for (let i = 0; i < count; i++) out[i] = this.#uint32() & 0xff;
    return out;
  }

  #uint32(): number {
    const product = Math.imul(this.#b, 5);
    const result = Math.imul((product << 7) | (product >>> 25), 9) >>> 0;
    const t = this.#b << 9;
    this.#c ^= this.#a;
    this.#d ^= this.#b;
    this.#b ^= this.#c;
    this.#a ^= this.#d;
    this.#c ^= t;
    this.#d = (this.#d << 11) | (this.#d >>> 21);
    return result;
  }
}
