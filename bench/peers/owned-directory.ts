import { rmSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { join } from "node:path";

const made = new Set<string>();
const RETRIES = { recursive: true, force: true, maxRetries: 5, retryDelay: 50 } as const;

// When the run is broken off, what the processes wrote goes with them.
process.once("exit", () => {
  for (const directory of made) rmSync(directory, RETRIES);
});

/** A new directory for the data of one start; it is removed with `removeDirectory`, or when this process ends. */
export async function makeDirectory(parent: string): Promise<string> {
  const directory = await mkdtemp(join(parent, "lograft-peers-"));
  made.add(directory);
  return directory;
}

/** Removes a directory of `makeDirectory` with all that is in it. */
export async function removeDirectory(directory: string): Promise<void> {
  await rm(directory, RETRIES);
  made.delete(directory);
}
