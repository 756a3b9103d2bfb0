import { spawn } from "node:child_process";
import { once } from "node:events";
import { CLI_ENTRY } from "../../src/chaos/broker-process.ts";

/** Runs `lograft start` where it is expected to refuse. Resolves with the exit code and what was printed. */
export async function startRefused(
  args: readonly string[],
  user: { readonly uid?: number; readonly gid?: number } = {},
): Promise<{ readonly code: number | null; readonly text: string }> {
  const child = spawn(process.execPath, [CLI_ENTRY, "start", ...args], {
    ...user,
    stdio: ["ignore", "pipe", "pipe"],
  });
  let [printed, said] = ["", ""];
  child.stderr.setEncoding("utf8").on("data", (piece: string) => {
    said += piece;
  });
  child.stdout.setEncoding("utf8").on("data", (piece: string) => {
    printed += piece;
    // It came up: the caller's expectation fails, but not by its time limit.
    if (printed.includes("ready at")) child.kill("SIGKILL");
  });
  const [code] = (await once(child, "close")) as [number | null];
  return { code, text: printed + said };
}
