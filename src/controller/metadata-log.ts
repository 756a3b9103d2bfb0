import type { MetadataRecord } from "../metadata/records.ts";

/** What one `append` wrote: applied whole or not at all. */
export interface MetadataEntry {
  /** Position in the log, from 1, without gaps. */
  readonly index: number;
  readonly records: readonly MetadataRecord[];
}

/**
 * The replicated log that metadata lives in, as the controller sees it: today a local store, later a quorum. What was
 * appended is the truth once `append` resolved, and only then (H21).
 */
export interface MetadataLog {
  /**
   * Visits all entries in order, once, before the first `append`. @throws LograftError METADATA_CORRUPT when anything
   * that was acknowledged is missing or damaged; nothing is deleted or repaired.
   */
  replayAll(visit: (entry: MetadataEntry) => void): Promise<void>;
  /**
   * Appends one entry; resolves when it is durable. After a rejection the entry may be there or not: only a restart
   * tells, so later calls reject too (H15). @throws LograftError DISK_WRITE_FAILED, DISK_FULL, BUFFER_EXHAUSTED, CLOSED.
   */
  append(records: readonly MetadataRecord[]): Promise<{ readonly index: number }>;
  /** Finishes what was appended. Idempotent. */
  close(): Promise<void>;
}
