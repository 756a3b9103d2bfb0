import { ByteReader, ByteWriter } from "../base/bytes.ts";
import { crc32c } from "../base/crc32c.ts";
import { nodeId } from "../model/ids.ts";
import type { Entry, EntryKind, HardState, ReplicaId } from "../raft/types.ts";
import { parseReplicaId } from "./replica-id.ts";
import type { ReplicaIdentity } from "./replica-id.ts";
import { beginSealed, parseSealed, seal } from "./sealed.ts";
import type { Parsed } from "./sealed.ts";
import { corruptField } from "./voter-bytes.ts";

/*
 * The Raft log in a key-value store. Keys sort as the log does; each value is sealed (version, CRC-32C):
 *
 *   key              value
 *   00               header: node id i32, directory id, cluster id (text, empty: none), term i64, vote (text, empty:
 *                    none), commit i64; snapshot: index i64, term i64, chain u32; last entry: index i64, term i64,
 *                    chain u32
 *   01 index u64     entry: chain before it u32, index i64, term i64, kind u8, data
 *
 * The chain at an entry is the CRC-32C of index, term, kind and data of all entries from the first behind the oldest
 * snapshot this store ever had, so that an entry which belongs to another history shows even where it is whole (H12,
 * H13). Every batch writes the header; what lies above its last index is no part of the log.
 */

const VERSION = 1;
const HEADER_TAG = 0;
const ENTRY_TAG = 1;
const KINDS = ["noop", "data", "voters"] as const satisfies readonly EntryKind[];
/** Of a sealed entry: seal, then the chain before it; what the chain covers begins here. */
const CHAINED_FROM = 9;

export const HEADER_KEY: Uint8Array = Uint8Array.of(HEADER_TAG);

/** A position of the log with the chain there. */
export interface LogPosition {
  /** 0: before the first entry. */
  readonly index: number;
  readonly term: number;
  readonly chain: number;
}

export const LOG_START: LogPosition = { index: 0, term: 0, chain: 0 };

/** Whose store it is. */
export interface StoreIdentity extends ReplicaIdentity {
  /** Undefined: no cluster was founded or joined yet. */
  readonly clusterId: string | undefined;
}

export interface StoreHeader {
  readonly identity: StoreIdentity;
  readonly hardState: HardState;
  /** The log begins behind it. */
  readonly snapshot: LogPosition;
  readonly last: LogPosition;
}

export function entryKey(index: number): Uint8Array {
  const key = new ByteWriter(9);
  key.uint8(ENTRY_TAG);
  key.int64(index);
  return key.toBuffer();
}

/** The index in a key, or undefined when it is not an entry's key. */
export function indexOfKey(key: Uint8Array): number | undefined {
  if (key.byteLength !== 9 || key[0] !== ENTRY_TAG || (key[1] ?? 0xff) > 0 || (key[2] ?? 0xff) > 0x1f)
    return undefined;
  return new ByteReader(key, 1).int64();
}

export function encodeHeader({ identity, hardState, snapshot, last }: StoreHeader): Buffer {
  const out = new ByteWriter(160);
  beginSealed(out, VERSION);
  out.int32(identity.nodeId);
  out.sizedUtf8(identity.directoryId);
  out.sizedUtf8(identity.clusterId ?? "");
  out.int64(hardState.term);
  out.sizedUtf8(hardState.vote ?? "");
  out.int64(hardState.commit);
  for (const { index, term, chain } of [snapshot, last]) {
    out.int64(index);
    out.int64(term);
    out.uint32(chain);
  }
  return seal(out);
}

export function parseHeader(bytes: Uint8Array): Parsed<StoreHeader> {
  return parseSealed(bytes, VERSION, (reader) => ({
    identity: readIdentity(reader),
    hardState: readHardState(reader),
    snapshot: readPosition(reader),
    last: readPosition(reader),
  }));
}

/** The value of an entry behind the position `before`, and the position it makes. */
export function encodeEntry(before: LogPosition, entry: Entry): { value: Buffer; position: LogPosition } {
  const out = new ByteWriter(CHAINED_FROM + 17 + entry.data.byteLength);
  beginSealed(out, VERSION);
  out.uint32(before.chain);
  out.int64(entry.index);
  out.int64(entry.term);
  out.uint8(KINDS.indexOf(entry.kind));
  out.bytes(entry.data);
  const value = seal(out);
  return { value, position: { index: entry.index, term: entry.term, chain: chainOf(before, value) } };
}

/** Reads and checks the entry that must follow `before`. The data shares the memory of `bytes`. */
export function parseEntry(
  before: LogPosition,
  bytes: Uint8Array,
): Parsed<{ readonly entry: Entry; readonly position: LogPosition }> {
  return parseSealed(bytes, VERSION, (reader) => {
    if (reader.uint32() !== before.chain)
      throw corruptField("it does not follow from the entry before it", 5);
    const [index, term] = [reader.int64(), reader.int64()];
    if (index !== before.index + 1) throw corruptField(`it calls itself entry ${index}`, CHAINED_FROM);
    if (term < before.term)
      throw corruptField(`its term ${term} is older than ${before.term} before it`, CHAINED_FROM);
    const kind = KINDS[reader.uint8()];
    if (kind === undefined) throw corruptField("it is of no known kind", CHAINED_FROM);
    const entry: Entry = { index, term, kind, data: reader.bytes(reader.remaining) };
    return { entry, position: { index, term, chain: chainOf(before, bytes) } };
  });
}

function chainOf(before: LogPosition, value: Uint8Array): number {
  return crc32c(value.subarray(CHAINED_FROM), before.chain);
}

function readIdentity(reader: ByteReader): StoreIdentity {
  const node = reader.int32();
  if (node < 0) throw corruptField("a node id is negative", reader.position);
  const directoryId = reader.sizedUtf8();
  const clusterId = reader.sizedUtf8();
  return { nodeId: nodeId(node), directoryId, clusterId: clusterId === "" ? undefined : clusterId };
}

function readHardState(reader: ByteReader): HardState {
  const term = reader.int64();
  const vote = reader.sizedUtf8();
  if (vote !== "" && parseReplicaId(vote) === undefined)
    throw corruptField("the vote is not a replica's", reader.position);
  return { term, vote: vote === "" ? undefined : (vote as ReplicaId), commit: reader.int64() };
}

function readPosition(reader: ByteReader): LogPosition {
  return { index: reader.int64(), term: reader.int64(), chain: reader.uint32() };
}
