import { ByteWriter } from "../base/bytes.ts";
import { crc32c } from "../base/crc32c.ts";
import { isTemporaryName, readIfPresent, writeAtomically } from "../platform/atomic-file.ts";
import { readFully, writeFully } from "../platform/disk.ts";
import type { Disk } from "../platform/disk.ts";
import type { SnapshotDescription, SnapshotMeta, SnapshotRequest } from "../raft/types.ts";
import { readDescription, writeDescription } from "./message-codec.ts";
import { corruptError } from "./quorum-error.ts";
import { beginSealed, parseSealed, seal } from "./sealed.ts";
import type { Parsed } from "./sealed.ts";

/*
 * `<index>-<term>.snapshot`:
 *
 *   head size u32, head, content
 *
 * The head is sealed (version, CRC-32C) and holds index i64, term i64, size of the content i64, CRC-32C of the content
 * u32, voters. A file has this name only when all of it is durable (H9); what another is being received into, or a
 * crash left, ends in ".tmp" and is removed at the start.
 */

const VERSION = 1;
const SUFFIX = ".snapshot";
const SIZE_BYTES = 4;
const MAX_HEAD_BYTES = 1024 * 1024;

/** A snapshot as read back. */
export interface LoadedSnapshot {
  readonly description: SnapshotDescription;
  readonly content: Buffer;
}

/** A place of the log that a snapshot stands for. */
export interface SnapshotPlace {
  readonly index: number;
  readonly term: number;
}

/** Snapshots of one replica's state as files in a directory of their own. */
export class SnapshotStore {
  readonly #directory: string;
  readonly #disk: Disk;

  constructor(options: { readonly directory: string }, deps: { readonly disk: Disk }) {
    this.#directory = options.directory;
    this.#disk = deps.disk;
  }

  /** Makes the directory and removes what a crash left; of the snapshots only the `recorded` one is in use. */
  async prepare(recorded: SnapshotPlace): Promise<void> {
    await this.#disk.makeDir(this.#directory);
    for (const { name } of await this.#disk.list(this.#directory)) {
      if (isTemporaryName(name)) await this.#disk.remove(`${this.#directory}/${name}`);
    }
    await this.#removeWhere((_index, name) => name !== nameOf(recorded));
  }

  /** Durable when it resolves. @throws LograftError DISK_FULL, DISK_WRITE_FAILED, DISK_SYNC_FAILED. */
  async write(meta: SnapshotMeta, content: Uint8Array): Promise<SnapshotDescription> {
    const { index, term, voters } = meta;
    const description = { index, term, voters, sizeBytes: content.byteLength, checksum: crc32c(content) };
    await writeAtomically(this.#disk, this.#pathOf(meta), Buffer.concat([encodeHead(description), content]));
    return description;
  }

  /** @throws LograftError METADATA_CORRUPT when it is missing, damaged or of another place; DISK_READ_FAILED. */
  async load(place: SnapshotPlace): Promise<LoadedSnapshot> {
    const path = this.#pathOf(place);
    const bytes = await readIfPresent(this.#disk, path);
    const parsed = bytes === undefined ? { ok: false as const, reason: "it is missing" } : parseFile(bytes);
    if (!parsed.ok) throw corruptError(`the snapshot ${path} cannot be trusted: ${parsed.reason}`, { path });
    const { description } = parsed.value;
    if (description.index !== place.index || description.term !== place.term) {
      throw corruptError(`the snapshot ${path} holds another one, of entry ${description.index}`, { path });
    }
    return parsed.value;
  }

  /** A part of the content; undefined when the snapshot was replaced by a later one meanwhile. */
  async readChunk(
    snapshot: SnapshotDescription,
    position: number,
    maxBytes: number,
  ): Promise<Buffer | undefined> {
    const path = this.#pathOf(snapshot);
    if ((await this.#disk.stat(path)) === undefined) return undefined;
    const file = await this.#disk.open(path, "read");
    try {
      const chunk = Buffer.alloc(Math.max(0, Math.min(maxBytes, snapshot.sizeBytes - position)));
      const count = await readFully(file, chunk, encodeHead(snapshot).byteLength + position);
      return count === chunk.byteLength ? chunk : undefined;
    } finally {
      await file.close();
    }
  }

  /** Writes a received chunk to its place; the first begins the file anew. Not synced: `install` does that. */
  async receive({ snapshot, position, data }: SnapshotRequest): Promise<void> {
    const file = await this.#disk.open(this.#temporaryOf(snapshot), "create");
    try {
      const head = encodeHead(snapshot);
      if (position === 0) {
        await file.truncate(0);
        await writeFully(file, [head], 0);
      }
      await writeFully(file, [data], head.byteLength + position);
    } finally {
      await file.close();
    }
  }

  /**
   * Checks all that was received and makes it durable under its name. Undefined: it is not what its checksum says, or a
   * part is missing; it was removed and has to be sent again.
   */
  async install(snapshot: SnapshotDescription): Promise<LoadedSnapshot | undefined> {
    const temporary = this.#temporaryOf(snapshot);
    const bytes = await readIfPresent(this.#disk, temporary);
    const parsed = bytes === undefined ? undefined : parseFile(bytes);
    if (parsed?.ok !== true || parsed.value.description.checksum !== snapshot.checksum) {
      await this.#disk.remove(temporary);
      return undefined;
    }
    const file = await this.#disk.open(temporary, "write");
    try {
      await file.sync();
    } finally {
      await file.close();
    }
    await this.#disk.rename(temporary, this.#pathOf(snapshot));
    await this.#disk.syncDir(this.#directory);
    return parsed.value;
  }

  /** Removes the snapshots that are older than this one. */
  async removeBefore(index: number): Promise<void> {
    await this.#removeWhere((found) => found < index);
  }

  async #removeWhere(isUnwanted: (index: number, name: string) => boolean): Promise<void> {
    for (const { name } of await this.#disk.list(this.#directory)) {
      const index = /^(\d+)-\d+\.snapshot$/.exec(name)?.[1];
      if (index === undefined || !isUnwanted(Number(index), name)) continue;
      await this.#disk.remove(`${this.#directory}/${name}`);
    }
  }

  #pathOf(place: SnapshotPlace): string {
    return `${this.#directory}/${nameOf(place)}`;
  }

  #temporaryOf(place: SnapshotPlace): string {
    return `${this.#pathOf(place)}.received.tmp`;
  }
}

function nameOf({ index, term }: SnapshotPlace): string {
  return `${index}-${term}${SUFFIX}`;
}

function encodeHead(description: SnapshotDescription): Buffer {
  const head = new ByteWriter(128);
  beginSealed(head, VERSION);
  writeDescription(head, description);
  const sealed = seal(head);
  const size = Buffer.alloc(SIZE_BYTES);
  size.writeUInt32BE(sealed.byteLength);
  return Buffer.concat([size, sealed]);
}

function parseFile(bytes: Buffer): Parsed<LoadedSnapshot> {
  const headBytes = bytes.byteLength < SIZE_BYTES ? Number.POSITIVE_INFINITY : bytes.readUInt32BE();
  const start = SIZE_BYTES + headBytes;
  if (headBytes > MAX_HEAD_BYTES || start > bytes.byteLength)
    return { ok: false, reason: "its head is cut off" };
  const head = parseSealed(bytes.subarray(SIZE_BYTES, start), VERSION, readDescription);
  if (!head.ok) return head;
  const content = bytes.subarray(start);
  if (content.byteLength !== head.value.sizeBytes) {
    return { ok: false, reason: `its content has ${content.byteLength} of ${head.value.sizeBytes} bytes` };
  }
  if (crc32c(content) !== head.value.checksum)
    return { ok: false, reason: "its content's checksum does not match" };
  return { ok: true, value: { description: head.value, content } };
}
