#!/usr/bin/env node
import { realpathSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { CommanderError } from "commander";
import type { Command } from "commander";
import { InvariantError } from "../base/assert.ts";
import { errorMessage } from "../base/errors.ts";
import { applyEngineFlags } from "../platform/node/engine-flags.ts";
import type { CliEnvironment } from "./context.ts";
import { COMPLETE_COMMAND } from "./completion-scripts.ts";
import { engineRefusal } from "./engine-refusal.ts";
import { EXIT, exitCodeOf } from "./exit-codes.ts";
import type { ExitCode } from "./exit-codes.ts";
import { interruptedCode, Interruption } from "./interruption.ts";
import { buildProgram } from "./program.ts";
import { printable } from "./record-text.ts";

/** Runs one command line; answers the exit code. Never throws for what a user can cause. */
export async function runCli(
  args: readonly string[],
  environment: Omit<CliEnvironment, "exit">,
): Promise<ExitCode> {
  let code: ExitCode = EXIT.DONE;
  const surroundings: CliEnvironment = {
    ...environment,
    exit: (wanted) => {
      code = wanted;
    },
  };
  if (args[0] === COMPLETE_COMMAND) return completeLine(args.slice(1), surroundings);
  const program = await buildProgram(surroundings, args[0]);
  overrideExits(program);
  try {
    await program.parseAsync([...args], { from: "user" });
    return code;
  } catch (thrown) {
    if (thrown instanceof CommanderError) return thrown.exitCode === 0 ? EXIT.DONE : EXIT.USAGE;
    const error = firstError(thrown);
    const interrupted = interruptedCode(environment.signal);
    if (interrupted !== undefined) return interrupted;
    // A message may quote what somebody else named: it does not get to steer the terminal.
    environment.stderr.write(`lograft: ${printable(errorMessage(error))}\n`);
    if (error instanceof InvariantError) environment.stderr.write(`${error.stack ?? ""}\n`);
    return exitCodeOf(error);
  }
}

/** Prints what the last word of a line can become, for the scripts of `completion`. Never fails. */
async function completeLine(words: readonly string[], environment: CliEnvironment): Promise<ExitCode> {
  const { completions } = await import("./completion.ts");
  const { clusterNames } = await import("./cluster-names.ts");
  // While the command itself is typed, all of them are candidates.
  const program = await buildProgram(environment, words.length > 1 ? words[0] : undefined);
  const names = clusterNames(words, environment.env, environment.signal);
  for (const { text, description } of await completions(program, words, names)) {
    environment.stdout.write(`${printable(text)}\t${description}\n`);
  }
  return EXIT.DONE;
}

/** What went wrong first: closing things after a failure may fail too, and hides it. */
function firstError(thrown: unknown): unknown {
  let error = thrown;
  while (isSuppressed(error)) error = error.suppressed;
  return error;
}

/** By its name: engines before that of Node 24 have no such class, and what TypeScript puts in its place has the name. */
function isSuppressed(error: unknown): error is Error & { readonly suppressed: unknown } {
  return error instanceof Error && error.name === "SuppressedError";
}

/** commander asks each command, not only the first, whether to exit by itself. */
function overrideExits(command: Command): void {
  command.exitOverride();
  for (const inner of command.commands) overrideExits(inner);
}

async function main(): Promise<void> {
  const refusal = engineRefusal(process.versions.node);
  if (refusal !== undefined) {
    process.stderr.write(`lograft: ${refusal}\n`);
    process.exit(EXIT.USAGE);
  }
  applyEngineFlags();
  const controller = new AbortController();
  const stop = (signal: "SIGINT" | "SIGTERM"): void => {
    const interruption = new Interruption(signal);
    // The second signal does not wait for a graceful end.
    if (controller.signal.aborted) process.exit(interruption.exitCode);
    controller.abort(interruption);
  };
  process.on("SIGINT", stop);
  process.on("SIGTERM", stop);
  process.stdout.on("error", (error: NodeJS.ErrnoException) => {
    // The reader of a pipe went away (head, less): a normal end.
    if (error.code === "EPIPE") process.exit(EXIT.DONE);
    throw error;
  });
  process.exitCode = await runCli(process.argv.slice(2), {
    env: process.env,
    stdin: process.stdin,
    stdout: process.stdout,
    stderr: process.stderr,
    signal: controller.signal,
  });
}

if (process.argv[1] !== undefined && realpathSync(process.argv[1]) === fileURLToPath(import.meta.url)) {
  await main();
}
