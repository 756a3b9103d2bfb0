import type { Platform } from "../platform.ts";
import { moveLevelKeyValue, openLevelKeyValue } from "./level-key-value.ts";
import { NodeClock } from "./node-clock.ts";
import { NodeDisk } from "./node-disk.ts";
import { NodeRandom } from "./node-random.ts";

/** The real machine: wall clock, entropy, files and LevelDB stores. */
export function createNodePlatform(): Platform {
  const disk = new NodeDisk();
  return {
    clock: new NodeClock(),
    random: new NodeRandom(),
    disk,
    openKeyValue: openLevelKeyValue,
    hasKeyValue: async (path) => (await disk.stat(path)) !== undefined,
    moveKeyValue: (from, to) => moveLevelKeyValue(from, to),
  };
}
