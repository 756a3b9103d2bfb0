import type { CompleteLine, Outcome } from "./history-line.ts";

/** A change of a name, or a look at it. */
export interface MetadataOperation {
  readonly operation: number;
  readonly outcome: Outcome;
  readonly isWrite: boolean;
  /** Raft index of its effect, or of the state that was read; -1: not known. */
  readonly index: number;
  readonly name: string;
  /** The name is there afterwards, or was found. */
  readonly exists: boolean;
}

/** One for each name that the completion tells of. */
export function metadataOperationsOf(
  line: CompleteLine,
  operation: number,
  outcome: Outcome,
): MetadataOperation[] {
  const found: MetadataOperation[] = [];
  for (const mop of line.mops ?? []) {
    if (mop[0] !== "topic") continue;
    const [, name, exists] = mop;
    found.push({ operation, outcome, isWrite: line.f !== "describe", index: line.index ?? -1, name, exists });
  }
  return found;
}
