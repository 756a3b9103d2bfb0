import type { MetadataRecord } from "../metadata/records.ts";

/** One entry that the leader has put into its log. */
export interface MetadataProposal {
  /** Where the entry is, when it gets committed. */
  readonly offset: number;
  /**
   * Resolves when the entry is committed and applied here; only then is it the truth (H21). Rejects with NOT_CONTROLLER
   * when leadership was lost first: another leader may yet commit it, or replace it.
   */
  readonly committed: Promise<void>;
}

/** The replicated log that metadata lives in, as the active controller sees it. */
export interface MetadataLog {
  /** The offset that the next `propose` answers, when it is called in this same turn. */
  readonly nextOffset: number;
  /**
   * Puts these records, as one entry that is applied whole or not at all, behind everything proposed before. They are
   * written as brokers at this level of metadata.version read them.
   * @throws ProtocolError NOT_CONTROLLER; LograftError BUFFER_EXHAUSTED, DISK_FULL, CLOSED. Nothing was proposed then.
   */
  propose(records: readonly MetadataRecord[], metadataVersion: number): MetadataProposal;
}
