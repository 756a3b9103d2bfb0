import { spawn } from "node:child_process";
import type { Readable } from "node:stream";
import { pathToFileURL } from "node:url";
import { join, resolve } from "node:path";

export const ROOT = join(import.meta.dirname, "..", "..");

const HOOKS = pathToFileURL(join(import.meta.dirname, "resolve-sources.ts")).href;

/** A program that was started. */
export interface Program {
  readonly stdout: Readable;
  /** What it wrote to stderr until now. */
  readonly errors: () => string;
  readonly ended: Promise<number | null>;
  kill(): void;
}

/** Starts an example, or what was made of one, in a process of its own against the sources; so do the programs it starts. */
export function startExample(path: string, args: readonly string[] = []): Program {
  const child = spawn(process.execPath, [resolve(ROOT, path), ...args], {
    stdio: ["ignore", "pipe", "pipe"],
    env: { ...process.env, NODE_OPTIONS: `--import=${HOOKS}` },
  });
  let errors = "";
  child.stderr.setEncoding("utf8").on("data", (piece: string) => {
    errors += piece;
  });
  const ended = new Promise<number | null>((resolve) => child.once("exit", resolve));
  return { stdout: child.stdout, errors: () => errors, ended, kill: () => child.kill() };
}

/** Runs one to its end. */
export async function runExample(
  path: string,
  args: readonly string[] = [],
): Promise<{ readonly code: number | null; readonly output: string; readonly errors: string }> {
  const program = startExample(path, args);
  let output = "";
  program.stdout.setEncoding("utf8");
  for await (const piece of program.stdout) output += String(piece);
  return { code: await program.ended, output, errors: program.errors() };
}
