/** Bounds of one listener, in connections. */
export interface ConnectionLimitsOptions {
  readonly maxConnections: number;
  readonly maxConnectionsPerAddress: number;
  /** Connections of which it is not yet known what they speak. */
  readonly maxUndecided: number;
  readonly maxUndecidedPerAddress: number;
}

/** Which bound refuses a connection. */
export type LimitName = keyof ConnectionLimitsOptions;

interface AddressCounts {
  open: number;
  undecided: number;
}

/** Counts connections by address and in total, and says when one more is too many (H73). */
export class ConnectionLimits {
  readonly #options: ConnectionLimitsOptions;
  readonly #addresses = new Map<string, AddressCounts>();
  #open = 0;
  #undecided = 0;

  constructor(options: ConnectionLimitsOptions) {
    this.#options = options;
  }

  get openCount(): number {
    return this.#open;
  }

  get undecidedCount(): number {
    return this.#undecided;
  }

  /** Counts a new, undecided connection; or names the bound that refuses it, and counts nothing. */
  admit(address: string): LimitName | undefined {
    const counts = this.#addresses.get(address) ?? { open: 0, undecided: 0 };
    if (this.#open >= this.#options.maxConnections) return "maxConnections";
    if (counts.open >= this.#options.maxConnectionsPerAddress) return "maxConnectionsPerAddress";
    if (this.#undecided >= this.#options.maxUndecided) return "maxUndecided";
    if (counts.undecided >= this.#options.maxUndecidedPerAddress) return "maxUndecidedPerAddress";
    counts.open += 1;
    counts.undecided += 1;
    this.#addresses.set(address, counts);
    this.#open += 1;
    this.#undecided += 1;
    return undefined;
  }

  /** It is known now what an admitted connection speaks, or it was given up. Once for each. */
  decide(address: string): void {
    const counts = this.#addresses.get(address);
    if (counts === undefined) return;
    counts.undecided -= 1;
    this.#undecided -= 1;
  }

  /** An admitted and decided connection is closed. Once for each. */
  release(address: string): void {
    const counts = this.#addresses.get(address);
    if (counts === undefined) return;
    counts.open -= 1;
    this.#open -= 1;
    if (counts.open === 0) this.#addresses.delete(address);
  }
}
