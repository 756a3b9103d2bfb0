import { setTimeout as sleep } from "node:timers/promises";
import type { Output } from "../output.ts";
import type { DevDirectory } from "./dev-directory.ts";
import { LogTail } from "./log-tail.ts";
import { readLogLine } from "./log-line.ts";

const POLL_MS = 200;

/** Prints the logs of nodes, each node's lines in their order; with `isFollowing` what comes, until the signal fires. */
export async function printLogs(
  output: Output,
  options: {
    readonly directory: DevDirectory;
    readonly nodeIds: readonly number[];
    readonly isFollowing: boolean;
    readonly signal: AbortSignal;
  },
): Promise<void> {
  const { directory, nodeIds, signal } = options;
  const tails = nodeIds.map((nodeId) => ({
    tail: new LogTail(directory.logOf(nodeId), 0),
    prefix: nodeIds.length === 1 ? "" : `node ${nodeId} | `,
  }));
  for (;;) {
    let count = 0;
    for (const { tail, prefix } of tails) {
      for (;;) {
        signal.throwIfAborted();
        const lines = await tail.read();
        if (lines.length === 0) break;
        count += lines.length;
        for (const line of lines)
          output.line(output.format === "json" ? line : prefix + readLogLine(line).text);
        await output.drained(signal);
      }
    }
    if (count > 0) continue;
    if (!options.isFollowing) return;
    await sleep(POLL_MS, undefined, { signal });
  }
}
