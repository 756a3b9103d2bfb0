/** "warning": it works, and something about it should be known. Only "failed" is a fault. */
export type FindingState = "ok" | "warning" | "failed";

/** What one check found of one thing. */
export interface Finding {
  /** What was looked at: "clock", "disk", "ports"... */
  readonly check: string;
  /** Of whom: "broker 2", "this machine", a path, an address. */
  readonly about: string;
  readonly state: FindingState;
  /** The cause, or what is well. */
  readonly found: string;
  /** What to do about it; "" when nothing is to be done. */
  readonly next: string;
}

/** Makes the findings of one check. */
export class Findings {
  readonly #check: string;
  readonly #found: Finding[];

  constructor(check: string, found: Finding[]) {
    this.#check = check;
    this.#found = found;
  }

  ok(about: string, found: string): void {
    this.#add("ok", about, found, "");
  }

  warning(about: string, found: string, next: string): void {
    this.#add("warning", about, found, next);
  }

  failed(about: string, found: string, next: string): void {
    this.#add("failed", about, found, next);
  }

  #add(state: FindingState, about: string, found: string, next: string): void {
    this.#found.push({ check: this.#check, about, state, found, next });
  }
}
