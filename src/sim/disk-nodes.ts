import { SECTOR_BYTES } from "./crash-policy.ts";
import type { CrashPolicy, PendingName, PendingTruncate, PendingWrite } from "./crash-policy.ts";
import { FileImage } from "./file-image.ts";

/** A change of content that has not been synced. */
type ContentChange =
  | {
      readonly pending: PendingWrite;
      readonly data: Uint8Array;
      /** Where it lands on the medium: elsewhere than asked when the write was misdirected. */
      readonly mediumPosition: number;
    }
  | { readonly pending: PendingTruncate; readonly data: undefined };

/** A file: its content as the process sees it (page cache), as the medium has it, and the changes between the two. */
export class FileNode {
  readonly isDirectory = false;
  readonly cache: FileImage;
  readonly medium: FileImage;
  /** Names and open handles; at zero of both its space is free. */
  links = 0;
  handles = 0;
  #changes: ContentChange[] = [];

  constructor(content?: FileImage) {
    this.cache = content?.copy() ?? new FileImage();
    this.medium = content?.copy() ?? new FileImage();
  }

  get pending(): (PendingWrite | PendingTruncate)[] {
    return this.#changes.map((change) => change.pending);
  }

  write(pending: PendingWrite, data: Uint8Array, mediumPosition: number): void {
    this.cache.write(data, pending.position);
    this.#changes.push({ pending, data, mediumPosition });
  }

  truncate(pending: PendingTruncate): void {
    this.cache.truncate(pending.sizeBytes);
    this.#changes.push({ pending, data: undefined });
  }

  /** Makes durable what was done up to `sequence`, the moment at which the sync was asked for. */
  sync(sequence: number): void {
    for (const change of this.#takeUpTo(sequence)) applyWhole(this.medium, change);
  }

  /** A failed sync: the pages are marked clean, so no later sync writes them, though reads still see them (H45). */
  loseUnsynced(sequence: number): void {
    this.#takeUpTo(sequence);
  }

  /** What a power cut leaves. */
  afterCrash(policy: CrashPolicy): FileImage {
    const image = this.medium.copy();
    for (const change of this.#changes) {
      if (change.data === undefined) {
        if (policy.isKept(change.pending)) applyWhole(image, change);
        continue;
      }
      const fate = policy.fateOfWrite(change.pending);
      switch (fate.kind) {
        case "keep":
          applyWhole(image, change);
          break;
        case "prefix":
          image.write(change.data.subarray(0, fate.sizeBytes), change.mediumPosition);
          break;
        case "sectors":
          writeSectors(image, change.data, change.mediumPosition, (sector) => fate.isKept(sector));
          if (fate.isSizeKept) image.extend(change.mediumPosition + change.data.byteLength);
          break;
        case "drop":
          break;
      }
    }
    return image;
  }

  #takeUpTo(sequence: number): ContentChange[] {
    const taken = this.#changes.filter((change) => change.pending.sequence <= sequence);
    this.#changes = this.#changes.filter((change) => change.pending.sequence > sequence);
    return taken;
  }
}

/** A directory: its entries as the process sees them and as the medium has them. */
export class DirectoryNode {
  readonly isDirectory = true;
  readonly entries = new Map<string, DiskNode>();
  readonly mediumEntries = new Map<string, DiskNode>();
}

/** What a name stands for. */
export type DiskNode = FileNode | DirectoryNode;

/** One name of a directory getting a new meaning, or none. */
export interface EntryChange {
  readonly directory: DirectoryNode;
  readonly name: string;
  readonly node: DiskNode | undefined;
}

/** A change of names that has not been synced: of one name, or of both names of a rename at once. */
export interface NameChange {
  readonly pending: PendingName;
  readonly entries: readonly EntryChange[];
}

/** Applies a change to the entries that `entriesOf` answers for a directory. */
export function applyNames(
  change: NameChange,
  entriesOf: (directory: DirectoryNode) => Map<string, DiskNode>,
): void {
  for (const { directory, name, node } of change.entries) {
    if (node === undefined) entriesOf(directory).delete(name);
    else entriesOf(directory).set(name, node);
  }
}

/** Whether two changes touch a name in common, and so reach the medium in order. */
export function isSharingName(a: NameChange, b: NameChange): boolean {
  return a.entries.some((x) => b.entries.some((y) => x.directory === y.directory && x.name === y.name));
}

function applyWhole(image: FileImage, change: ContentChange): void {
  if (change.data === undefined) image.truncate(change.pending.sizeBytes);
  else image.write(change.data, change.mediumPosition);
}

function writeSectors(
  image: FileImage,
  data: Uint8Array,
  position: number,
  isKept: (sector: number) => boolean,
): void {
  const end = position + data.byteLength;
  for (let sector = Math.floor(position / SECTOR_BYTES); sector * SECTOR_BYTES < end; sector++) {
    if (!isKept(sector)) continue;
    const from = Math.max(position, sector * SECTOR_BYTES);
    const to = Math.min(end, (sector + 1) * SECTOR_BYTES);
    image.write(data.subarray(from - position, to - position), from);
  }
}
