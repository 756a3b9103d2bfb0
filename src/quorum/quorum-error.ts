import { errorMessage, LograftError, operationError } from "../base/errors.ts";
import { ProtocolError } from "../model/error-code.ts";

/** The quorum's store, its snapshots or its mirror are not what they were: lost or damaged (H13, H16). */
export function corruptError(
  what: string,
  context: Readonly<Record<string, unknown>>,
  cause?: unknown,
): LograftError {
  return operationError("METADATA_CORRUPT", what, { context, cause });
}

/** @param isIndefinite true when the proposal may yet be committed by another leader. */
export function notControllerError(leader: string | undefined, isIndefinite = false): ProtocolError {
  const where = leader === undefined ? "none is known now" : `${leader} is`;
  const text = isIndefinite
    ? `this node was the controller and is not any more (${where}); the change may still take effect`
    : `this node is not the controller (${where}); ask that one`;
  return new ProtocolError("NOT_CONTROLLER", text, { context: { isIndefinite, leader: leader ?? null } });
}

export function closedError(): LograftError {
  return operationError("CLOSED", "this node of the metadata quorum is closed");
}

/** Anything thrown, as one of ours that says which step it was. */
export function wrapped(step: string, error: unknown): Error {
  // What is not ours (a broken invariant, the end of a simulated process) must be seen as what it is.
  if (error instanceof LograftError || error instanceof Error) return error;
  return operationError("DISK_WRITE_FAILED", `${step}: ${errorMessage(error)}`, { cause: error });
}
