import { createInterface } from "node:readline/promises";
import { operationError } from "../base/errors.ts";
import type { CliContext } from "./context.ts";

/**
 * Lets a person confirm what cannot be undone by typing a name; a script says --yes. Resolves when it is agreed.
 * @throws LograftError INVALID_ARGUMENT without a terminal; ABORTED when something else is typed.
 */
export async function confirm(
  context: Pick<CliContext, "environment" | "signal">,
  options: {
    /** --yes was given. */
    readonly isAgreed: boolean;
    /** What will be done: "delete orders and all records in it". */
    readonly what: string;
    /** What must be typed. */
    readonly typed: string;
  },
): Promise<void> {
  const { isAgreed, what, typed } = options;
  if (isAgreed) return;
  const { stdin, stderr } = context.environment;
  if (!stdin.isTTY) {
    throw operationError("INVALID_ARGUMENT", `this would ${what}; give --yes to do it from a script`);
  }
  const prompt = createInterface({ input: stdin, output: stderr });
  // Ctrl-D closes the input without an answer, which the question itself would not notice.
  const closed = new AbortController();
  prompt.once("close", () =>
    closed.abort(operationError("ABORTED", "nothing was typed; nothing was changed")),
  );
  try {
    const signal = AbortSignal.any([context.signal, closed.signal]);
    const answer = await prompt.question(`This will ${what}. Type ${JSON.stringify(typed)} to go on: `, {
      signal,
    });
    if (answer.trim() !== typed)
      throw operationError("ABORTED", "something else was typed; nothing was changed");
  } catch (error) {
    throw closed.signal.aborted ? closed.signal.reason : error;
  } finally {
    prompt.close();
  }
}
