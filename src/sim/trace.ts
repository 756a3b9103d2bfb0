/** What tells events of one kind apart. */
export interface TraceFields {
  /** Machines, from 0. */
  readonly from?: number;
  readonly to?: number;
  readonly a?: number;
  readonly b?: number;
  /** For people: no part of the hash. */
  readonly note?: string;
}

interface TraceEvent extends TraceFields {
  readonly kind: string;
  readonly atMs: number;
}

/**
 * What happened in a run: the last events as text for a failure, and a hash over all of them, which two runs of one seed
 * must share.
 */
export class Trace {
  readonly #capacity: number;
  readonly #nowMs: () => number;
  readonly #ring: TraceEvent[] = [];
  readonly #kindHashes = new Map<string, number>();
  #noted = 0;
  #hash = 0x811c9dc5;

  constructor(options: { readonly capacity: number }, deps: { readonly nowMs: () => number }) {
    this.#capacity = options.capacity;
    this.#nowMs = deps.nowMs;
  }

  /** Over kind, time, machines and numbers of each event; the notes are for people. */
  get hash(): number {
    return this.#hash;
  }

  /** Notes an event. */
  add(kind: string, event: TraceFields = {}): void {
    this.#ring[this.#noted % this.#capacity] = { ...event, kind, atMs: this.#nowMs() };
    this.#noted += 1;
    this.count(kind, event);
  }

  /** Takes an event into the hash only: one of those that come all the time and tell nothing. */
  count(kind: string, { from = -1, to = -1, a = 0, b = 0 }: TraceFields = {}): void {
    let hash = mix(this.#hash, this.#hashOf(kind));
    hash = mix(hash, Math.round(this.#nowMs() * 1000));
    hash = mix(mix(hash, from), to);
    this.#hash = mix(mix(hash, a), b);
  }

  /** The last events, oldest first, one line each. */
  lines(count: number): string[] {
    const shown = Math.min(count, this.#capacity, this.#noted);
    return Array.from({ length: shown }, (_, at) => {
      const event = this.#ring[(this.#noted - shown + at) % this.#capacity];
      return event === undefined ? "" : formatted(event);
    });
  }

  #hashOf(kind: string): number {
    const known = this.#kindHashes.get(kind);
    if (known !== undefined) return known;
    let hash = 0x811c9dc5;
    for (let at = 0; at < kind.length; at++) hash = mix(hash, kind.charCodeAt(at));
    this.#kindHashes.set(kind, hash);
    return hash;
  }
}

function formatted({ atMs, kind, from = -1, to = -1, a = 0, b = 0, note = "" }: TraceEvent): string {
  const who = `${from < 0 ? "" : ` ${from + 1}`}${to < 0 ? "" : ` -> ${to + 1}`}`;
  const numbers = a === 0 && b === 0 ? "" : ` (${a}, ${b})`;
  return `${atMs.toFixed(1).padStart(9)} ms ${kind}${who}${numbers}${note === "" ? "" : ` ${note}`}`;
}

function mix(hash: number, value: number): number {
  return Math.imul(hash ^ (value >>> 0) ^ ((value / 0x1_0000_0000) | 0), 0x01000193) >>> 0;
}
