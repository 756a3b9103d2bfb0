/** A broken invariant: a bug in lograft itself. Never caught to go on; the process logs it and ends. */
export class InvariantError extends Error {
  readonly details: Readonly<Record<string, unknown>>;

  constructor(message: string, details: Readonly<Record<string, unknown>> = {}) {
    super(Object.keys(details).length === 0 ? message : `${message} ${JSON.stringify(details)}`);
    this.name = "InvariantError";
    this.details = details;
  }
}

/** Checks an invariant of our own code; always on. Data from a peer, a client or a disk is checked, not asserted. */
export function assert(
  condition: boolean,
  message: string,
  details?: Readonly<Record<string, unknown>>,
): asserts condition {
  if (!condition) throw new InvariantError(message, details);
}

/** Closes a switch over a union: does not compile while a case is missing. */
export function assertNever(value: never): never {
  throw new InvariantError("unhandled case", { value });
}
