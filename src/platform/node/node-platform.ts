import type { Platform } from "../platform.ts";
import { openLevelKeyValue } from "./level-key-value.ts";
import { NodeClock } from "./node-clock.ts";
import { NodeDisk } from "./node-disk.ts";
import { NodeRandom } from "./node-random.ts";

/** The real machine: wall clock, entropy, files and LevelDB stores. */
export function createNodePlatform(): Platform {
  return {
    clock: new NodeClock(),
    random: new NodeRandom(),
    disk: new NodeDisk(),
    openKeyValue: openLevelKeyValue,
  };
}
