import { ByteWriter } from "../base/bytes.ts";
import { SerialQueue } from "../base/serial-queue.ts";
import { nodeId } from "../model/ids.ts";
import { readIfPresent, writeAtomically } from "../platform/atomic-file.ts";
import type { Disk } from "../platform/disk.ts";
import type { VoterSet } from "../raft/types.ts";
import { beginSealed, parseSealed, seal } from "./sealed.ts";
import type { Parsed } from "./sealed.ts";
import type { StoreIdentity } from "./store-format.ts";
import { corruptField, readVoters, writeVoters } from "./voter-bytes.ts";

/*
 * The file `replica` beside the store, sealed (version, CRC-32C): node id i32, directory id, cluster id (empty: none),
 * term i64, committed index i64 and its term i64, voters. Replaced atomically.
 *
 * The store may lose its last batches without noticing, and one put back from an old copy looks whole to itself (H13,
 * H14). So this file says what the store must at least hold. Only what can never be taken back is in it: a term, and a
 * committed entry; a durable tail that a new leader rightly replaced would look like damage.
 */

const VERSION = 1;
/** The quorum writes it at rare moments; two of them may fall together. */
const MAX_WAITING = 64;

/** What a store must hold at least, and whom to ask when it does not. */
export interface MirrorContent {
  readonly identity: StoreIdentity;
  readonly term: number;
  /** 0: nothing is known as committed. */
  readonly index: number;
  readonly indexTerm: number;
  readonly voters: VoterSet;
}

export class ReplicaMirror {
  readonly path: string;
  readonly #disk: Disk;
  readonly #writer = new SerialQueue({ maxWaiting: MAX_WAITING });

  /** @param options.directory of the quorum. */
  constructor(options: { readonly directory: string }, deps: { readonly disk: Disk }) {
    this.path = `${options.directory}/replica`;
    this.#disk = deps.disk;
  }

  /** Undefined: there is none. @throws LograftError DISK_READ_FAILED. */
  async read(): Promise<Parsed<MirrorContent> | undefined> {
    const bytes = await readIfPresent(this.#disk, this.path);
    return bytes === undefined ? undefined : parseMirror(bytes);
  }

  /** Writes what holds when its turn comes. @throws LograftError DISK_FULL, DISK_WRITE_FAILED, DISK_SYNC_FAILED. */
  write(content: () => MirrorContent): Promise<void> {
    return this.#writer.run(() => writeAtomically(this.#disk, this.path, encodeMirror(content())));
  }

  /** Resolves when nothing is being written. */
  idle(): Promise<void> {
    return this.#writer.idle();
  }
}

function encodeMirror({ identity, term, index, indexTerm, voters }: MirrorContent): Buffer {
  const out = new ByteWriter(256);
  beginSealed(out, VERSION);
  out.int32(identity.nodeId);
  out.sizedUtf8(identity.directoryId);
  out.sizedUtf8(identity.clusterId ?? "");
  out.int64(term);
  out.int64(index);
  out.int64(indexTerm);
  writeVoters(out, voters);
  return seal(out);
}

function parseMirror(bytes: Uint8Array): Parsed<MirrorContent> {
  return parseSealed(bytes, VERSION, (reader) => {
    const node = reader.int32();
    if (node < 0) throw corruptField("a node id is negative", reader.position);
    const directoryId = reader.sizedUtf8();
    const clusterId = reader.sizedUtf8();
    const identity = {
      nodeId: nodeId(node),
      directoryId,
      clusterId: clusterId === "" ? undefined : clusterId,
    };
    const [term, index, indexTerm] = [reader.int64(), reader.int64(), reader.int64()];
    return { identity, term, index, indexTerm, voters: readVoters(reader) };
  });
}
