import type { OffsetHash } from "./session-frames.ts";

/** Own hashes that are remembered: a broker may be that many intervals behind and still be compared. */
const KEPT = 16;

/** What comparing a broker's hash with the own one tells; "unknown": there is no own hash at that offset. */
export type HashComparison = "equal" | "different" | "unknown";

/**
 * Compares checksums of the metadata that brokers report, taken at the same offsets on every broker, with the own ones
 * (H19). Pure.
 */
export class StateHashes {
  /** Offset to hash, oldest first. */
  readonly #own = new Map<number, number>();

  /** The own hash; the same one may be told again and again. */
  note({ offset, hash }: OffsetHash): void {
    if (this.#own.has(offset)) return;
    this.#own.set(offset, hash);
    const [oldest] = this.#own.keys();
    if (this.#own.size > KEPT && oldest !== undefined) this.#own.delete(oldest);
  }

  compare({ offset, hash }: OffsetHash): HashComparison {
    const own = this.#own.get(offset);
    if (own === undefined) return "unknown";
    return own === hash ? "equal" : "different";
  }
}
