/** Something that must always hold did not: the run is over and its seed is a bug. */
export class InvariantViolation extends Error {
  /** Name of the invariant, the same for every way to break it. */
  readonly invariant: string;
  readonly details: Readonly<Record<string, unknown>>;

  constructor(invariant: string, what: string, details: Readonly<Record<string, unknown>> = {}) {
    super(`${invariant}: ${what} ${JSON.stringify(details)}`);
    this.name = "InvariantViolation";
    this.invariant = invariant;
    this.details = details;
  }
}

/** Throws the violation unless the condition holds. */
export function mustHold(
  condition: boolean,
  invariant: string,
  what: string,
  details?: () => Readonly<Record<string, unknown>>,
): asserts condition {
  if (!condition) throw new InvariantViolation(invariant, what, details?.());
}
