import fs from "node:fs";
import { syncBuiltinESMExports } from "node:module";
import { isChaosCommand } from "./slow-sync.ts";
import type { ChaosReport } from "./slow-sync.ts";

/*
 * Loaded into a broker's process ahead of the broker (`node --import`), by whoever does it harm: the product itself has
 * no switch for this. `fdatasync`, through which every segment becomes durable, takes longer when the parent process says
 * so. The metadata store does its syncs in its own native code and stays fast: a disk of its own.
 */

type Done = (error: NodeJS.ErrnoException | null) => void;

const fdatasync = fs.fdatasync.bind(fs);
let delayMs = 0;
let slowSyncs = 0;

process.on("message", (message: unknown) => {
  if (isChaosCommand(message)) delayMs = message.syncDelayMs;
});
// To be told is no reason to go on living.
process.channel?.unref();

const slowed = (descriptor: number, done: Done): void => {
  if (delayMs === 0) {
    fdatasync(descriptor, done);
    return;
  }
  setTimeout(() => fdatasync(descriptor, done), delayMs);
  const report: ChaosReport = { slowSyncs: ++slowSyncs };
  if (process.connected) process.send?.(report, undefined, undefined, () => undefined);
};

Object.assign(fs, { fdatasync: slowed });
// The broker's modules import the names of node:fs, not the object: these follow it only when they are told to.
syncBuiltinESMExports();
