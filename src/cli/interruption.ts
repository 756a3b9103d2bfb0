import { EXIT } from "./exit-codes.ts";
import type { ExitCode } from "./exit-codes.ts";

/** Why the signal of a run fired: SIGINT or SIGTERM, with the exit code that this has. */
export class Interruption extends Error {
  readonly exitCode: ExitCode;

  constructor(signal: "SIGINT" | "SIGTERM") {
    super(`interrupted by ${signal}`);
    this.name = "Interruption";
    this.exitCode = signal === "SIGINT" ? EXIT.INTERRUPTED : EXIT.TERMINATED;
  }
}

/** The exit code of an aborted run; undefined while it is not. */
export function interruptedCode(signal: AbortSignal): ExitCode | undefined {
  if (!signal.aborted) return undefined;
  const reason: unknown = signal.reason;
  return reason instanceof Interruption ? reason.exitCode : EXIT.INTERRUPTED;
}
