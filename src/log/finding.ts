import type { Offset } from "../model/offsets.ts";

/** "error": records are or may be lost or wrong. "warning": a start repairs it (torn end, damaged cache). */
export type Severity = "error" | "warning";

/** Something wrong in a partition directory. */
export interface Finding {
  /** Name within the partition directory. */
  readonly file: string;
  /** Byte in that file, undefined when it concerns the whole. */
  readonly position: number | undefined;
  readonly offset: Offset | undefined;
  readonly problem: string;
  readonly severity: Severity;
}

/** Keeps the first findings and counts all: a ruined file makes millions. */
export class FindingList {
  readonly #kept: Finding[] = [];
  readonly #limit: number;
  #errorCount = 0;
  #warningCount = 0;

  constructor(limit: number) {
    this.#limit = limit;
  }

  /** In the order they were made, at most the limit. */
  get kept(): readonly Finding[] {
    return this.#kept;
  }

  get errorCount(): number {
    return this.#errorCount;
  }

  get warningCount(): number {
    return this.#warningCount;
  }

  add(
    severity: Severity,
    file: string,
    problem: string,
    where: { readonly position?: number; readonly offset?: Offset } = {},
  ): void {
    if (severity === "error") this.#errorCount++;
    else this.#warningCount++;
    if (this.#kept.length >= this.#limit) return;
    this.#kept.push({ file, position: where.position, offset: where.offset, problem, severity });
  }
}
