import type { Random } from "../platform/random.ts";

/** An unsynced write, as a crash policy and a test see it. */
export interface PendingWrite {
  readonly kind: "write";
  /** Order among all operations of the disk. */
  readonly sequence: number;
  readonly path: string;
  readonly position: number;
  readonly sizeBytes: number;
}

/** An unsynced change of a file's size. */
export interface PendingTruncate {
  readonly kind: "truncate";
  readonly sequence: number;
  readonly path: string;
  readonly sizeBytes: number;
}

/** A change of names whose directory has not been synced. */
export interface PendingName {
  readonly kind: "create" | "makeDir" | "rename" | "remove";
  readonly sequence: number;
  readonly path: string;
  /** The new name of a rename. */
  readonly to?: string;
}

/** Whatever a power cut may take. */
export type PendingOperation = PendingWrite | PendingTruncate | PendingName;

/** The unit in which a disk is atomic. */
export const SECTOR_BYTES = 512;

/** What a power cut leaves of one unsynced write. */
export type WriteFate =
  | { readonly kind: "keep" }
  | { readonly kind: "drop" }
  /** Only the first bytes, and the file ends there if the write was at its end. */
  | { readonly kind: "prefix"; readonly sizeBytes: number }
  /**
   * Only some of the sectors it touched (numbered from the start of the file). With `isSizeKept` the file has its new
   * size, the lost sectors beyond the old end reading as zeros; else it ends with the last sector kept.
   */
  | { readonly kind: "sectors"; isKept(sector: number): boolean; readonly isSizeKept: boolean };

/** Decides what a power cut leaves. Asked once for each pending operation, in order of sequence. */
export interface CrashPolicy {
  fateOfWrite(write: PendingWrite): WriteFate;
  /**
   * For truncates and names. Changes of one name reach the disk in order: once one is lost, the later ones that touch
   * the same name are lost with it, unasked. A rename is atomic: both names change or none.
   */
  isKept(operation: PendingTruncate | PendingName): boolean;
}

/** All that the process wrote is there: the process died, the machine did not. */
export const keepAll: CrashPolicy = {
  fateOfWrite: () => ({ kind: "keep" }),
  isKept: () => true,
};

/** Only what was synced is there. */
export const dropAll: CrashPolicy = {
  fateOfWrite: () => ({ kind: "drop" }),
  isKept: () => false,
};

/** Each operation independently kept, lost, or torn. */
export function randomCrash(random: Random): CrashPolicy {
  const coin = (): boolean => random.fraction() < 0.5;
  return {
    isKept: coin,
    fateOfWrite: (write) => {
      const dice = random.below(6);
      if (dice < 2) return { kind: "keep" };
      if (dice < 4) return { kind: "drop" };
      if (dice === 4) return { kind: "prefix", sizeBytes: random.below(write.sizeBytes + 1) };
      return { kind: "sectors", isKept: coin, isSizeKept: coin() };
    },
  };
}

/** Keeps exactly the operations with these sequence numbers whole: for trying every subset. */
export function keepOnly(sequences: ReadonlySet<number>): CrashPolicy {
  return {
    fateOfWrite: (write) => ({ kind: sequences.has(write.sequence) ? "keep" : "drop" }),
    isKept: (operation) => sequences.has(operation.sequence),
  };
}
