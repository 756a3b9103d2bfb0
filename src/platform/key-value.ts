/** One change of a batch. */
export type KeyValueOperation =
  | { readonly type: "put"; readonly key: Uint8Array; readonly value: Uint8Array }
  | { readonly type: "delete"; readonly key: Uint8Array };

/** Bounds of a scan, by unsigned byte order: `from` inclusive, `to` exclusive. */
export interface KeyValueRange {
  readonly from?: Uint8Array;
  readonly to?: Uint8Array;
}

/**
 * A sorted key-value store in a directory of its own. Writers call one at a time and wait: overlapping batches have no
 * order (H11). It may lose a damaged record silently (H13), so what is stored carries its own checks.
 */
export interface KeyValueStore {
  get(key: Uint8Array): Promise<Uint8Array | undefined>;
  /** Applies all or nothing. With `sync` it is durable when this resolves. @throws LograftError DISK_WRITE_FAILED. */
  batch(operations: readonly KeyValueOperation[], options: { readonly sync: boolean }): Promise<void>;
  /** Entries in key order, from a snapshot taken at the call. */
  scan(range: KeyValueRange): AsyncIterable<readonly [Uint8Array, Uint8Array]>;
  /**
   * Gives the room of deleted keys in the range back to the disk, which a store else does when it likes (H17). Changes
   * nothing that can be read; a crash in it loses nothing. @throws LograftError DISK_WRITE_FAILED.
   */
  compactRange(range: Required<KeyValueRange>): Promise<void>;
  close(): Promise<void>;
}
