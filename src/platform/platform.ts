import type { Clock } from "./clock.ts";
import type { Disk } from "./disk.ts";
import type { KeyValueStore } from "./key-value.ts";
import type { Random } from "./random.ts";

/** Everything outside the process that the broker may touch, in its real or its simulated form (D2). */
export interface Platform {
  readonly clock: Clock;
  readonly random: Random;
  readonly disk: Disk;
  /** Opens (making it if missing) the store in this directory. @throws LograftError DATA_DIR_LOCKED, DISK_READ_FAILED. */
  openKeyValue(path: string): Promise<KeyValueStore>;
  /** Whether a store, open or not, whole or not, is at this path. @throws LograftError DISK_READ_FAILED. */
  hasKeyValue(path: string): Promise<boolean>;
  /**
   * Renames a store that nobody has open; durable when it resolves. @throws LograftError DISK_WRITE_FAILED, also when
   * there is something at `to`.
   */
  moveKeyValue(from: string, to: string): Promise<void>;
}
