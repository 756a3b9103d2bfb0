import { LograftError } from "../base/errors.ts";

/** Narrows to an error whose code is text; `instanceof` alone leaves the code's type open. */
export function isLograftError(error: unknown): error is LograftError {
  return error instanceof LograftError;
}
