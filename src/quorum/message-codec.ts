import { assertNever } from "../base/assert.ts";
import { ByteReader, ByteWriter } from "../base/bytes.ts";
import type {
  AppendRequest,
  AppendResponse,
  Entry,
  EntryKind,
  RaftMessage,
  ReplicaId,
  SnapshotDescription,
  SnapshotRequest,
} from "../raft/types.ts";
import { corruptField, readReplicaId, readVoters, writeVoters } from "./voter-bytes.ts";

/*
 * A Raft message between two nodes:
 *
 *   version u8, type u8, from, to (text behind a uvarint length), term i64, then the fields of the type in the order of
 *   its interface. Numbers are i64, flags u8 (0 or 1). Entries: count uvarint, then term i64, kind u8, data behind a
 *   uvarint length for each; their indices follow prevIndex. The data of a snapshot chunk goes to the end of the message.
 *
 * Another version is refused: nodes of one cluster speak the version that the feature `raft.version` allows.
 */

const VERSION = 1;

const TYPES = [
  "PreVoteRequest",
  "PreVoteResponse",
  "VoteRequest",
  "VoteResponse",
  "AppendRequest",
  "AppendResponse",
  "HeartbeatRequest",
  "HeartbeatResponse",
  "SnapshotRequest",
  "SnapshotResponse",
  "TimeoutNowRequest",
  "ObserveRequest",
] as const satisfies readonly RaftMessage["type"][];

const KINDS = ["noop", "data", "voters"] as const satisfies readonly EntryKind[];

/** Bytes of an entry's fields at the least, so that a count cannot ask for more than the message holds. */
const MIN_ENTRY_BYTES = 10;

interface Addresses {
  readonly from: ReplicaId;
  readonly to: ReplicaId;
  readonly term: number;
}

/** The message as chunks to be sent one after the other; large data is not copied. */
export function encodeMessage(message: RaftMessage): readonly Uint8Array[] {
  const out = new ByteWriter(128);
  out.uint8(VERSION);
  out.uint8(TYPES.indexOf(message.type));
  out.sizedUtf8(message.from);
  out.sizedUtf8(message.to);
  out.int64(message.term);
  writeFields(out, message);
  if (message.type === "SnapshotRequest") return [out.toBuffer(), message.data];
  return [out.toBuffer()];
}

/** @throws LograftError CORRUPT_MESSAGE, and nothing else, for bytes that `encodeMessage` did not make. Shares their memory. */
export function decodeMessage(bytes: Uint8Array): RaftMessage {
  const reader = new ByteReader(bytes);
  const version = reader.uint8();
  if (version !== VERSION) throw corruptField(`a Raft message of version ${version} is not known here`, 0);
  const type = TYPES[reader.uint8()];
  if (type === undefined) throw corruptField("a Raft message has an unknown type", 1);
  const addresses = { from: readReplicaId(reader), to: readReplicaId(reader), term: readCount(reader) };
  const message = readFields(type, addresses, reader);
  reader.expectEnd();
  return message;
}

function writeFields(out: ByteWriter, message: RaftMessage): void {
  switch (message.type) {
    case "PreVoteRequest":
      out.int64(message.lastIndex);
      out.int64(message.lastTerm);
      return;
    case "PreVoteResponse":
      out.bool(message.granted);
      out.int64(message.requestTerm);
      return;
    case "VoteRequest":
      out.int64(message.lastIndex);
      out.int64(message.lastTerm);
      out.bool(message.isTransfer);
      return;
    case "VoteResponse":
      out.bool(message.granted);
      return;
    case "AppendRequest":
      writeAppend(out, message);
      return;
    case "AppendResponse":
      out.bool(message.accepted);
      out.int64(message.index);
      out.int64(message.hintIndex);
      out.int64(message.hintTerm);
      return;
    case "HeartbeatRequest":
      out.int64(message.commit);
      out.int64(message.round);
      return;
    case "HeartbeatResponse":
      out.int64(message.round);
      return;
    case "SnapshotRequest":
      writeDescription(out, message.snapshot);
      out.int64(message.position);
      return;
    case "SnapshotResponse":
      out.int64(message.snapshotIndex);
      out.int64(message.receivedBytes);
      return;
    case "TimeoutNowRequest":
      return;
    case "ObserveRequest":
      out.sizedUtf8(message.endpoint);
      return;
    default:
      assertNever(message);
  }
}

function readFields(type: RaftMessage["type"], addresses: Addresses, reader: ByteReader): RaftMessage {
  switch (type) {
    case "PreVoteRequest":
      return { type, ...addresses, lastIndex: readCount(reader), lastTerm: readCount(reader) };
    case "PreVoteResponse":
      return { type, ...addresses, granted: readFlag(reader), requestTerm: readCount(reader) };
    case "VoteRequest": {
      const last = { lastIndex: readCount(reader), lastTerm: readCount(reader) };
      return { type, ...addresses, ...last, isTransfer: readFlag(reader) };
    }
    case "VoteResponse":
      return { type, ...addresses, granted: readFlag(reader) };
    case "AppendRequest":
      return readAppend(addresses, reader);
    case "AppendResponse":
      return readAppendResponse(addresses, reader);
    case "HeartbeatRequest":
      return { type, ...addresses, commit: readCount(reader), round: readCount(reader) };
    case "HeartbeatResponse":
      return { type, ...addresses, round: readCount(reader) };
    case "SnapshotRequest":
      return readSnapshot(addresses, reader);
    case "SnapshotResponse":
      return { type, ...addresses, snapshotIndex: readCount(reader), receivedBytes: readCount(reader) };
    case "TimeoutNowRequest":
      return { type, ...addresses };
    case "ObserveRequest":
      return { type, ...addresses, endpoint: reader.sizedUtf8() };
    default:
      return assertNever(type);
  }
}

function writeAppend(out: ByteWriter, message: AppendRequest): void {
  out.int64(message.prevIndex);
  out.int64(message.prevTerm);
  out.int64(message.commit);
  out.uvarint(message.entries.length);
  for (const { term, kind, data } of message.entries) {
    out.int64(term);
    out.uint8(KINDS.indexOf(kind));
    out.sizedBytes(data);
  }
}

function readAppend(addresses: Addresses, reader: ByteReader): AppendRequest {
  const [prevIndex, prevTerm, commit] = [readCount(reader), readCount(reader), readCount(reader)];
  const at = reader.position;
  const count = reader.uvarint();
  if (count * MIN_ENTRY_BYTES > reader.remaining) throw corruptField(`${count} entries are cut off`, at);
  const entries: Entry[] = [];
  for (let index = prevIndex + 1; entries.length < count; index++) {
    const term = readCount(reader);
    const kind = KINDS[reader.uint8()];
    if (kind === undefined || !Number.isSafeInteger(index)) {
      throw corruptField("an entry is of no known kind", reader.position);
    }
    entries.push({ index, term, kind, data: reader.sizedBytes() });
  }
  return { type: "AppendRequest", ...addresses, prevIndex, prevTerm, entries, commit };
}

function readAppendResponse(addresses: Addresses, reader: ByteReader): AppendResponse {
  const accepted = readFlag(reader);
  const index = readCount(reader);
  return {
    type: "AppendResponse",
    ...addresses,
    accepted,
    index,
    hintIndex: readCount(reader),
    hintTerm: readCount(reader),
  };
}

/** The fields of a snapshot's description, as in a message so in the head of its file. */
export function writeDescription(out: ByteWriter, snapshot: SnapshotDescription): void {
  out.int64(snapshot.index);
  out.int64(snapshot.term);
  out.int64(snapshot.sizeBytes);
  out.uint32(snapshot.checksum);
  writeVoters(out, snapshot.voters);
}

/** @throws LograftError CORRUPT_MESSAGE. */
export function readDescription(reader: ByteReader): SnapshotDescription {
  const [index, term, sizeBytes] = [readCount(reader), readCount(reader), readCount(reader)];
  const checksum = reader.uint32();
  return { index, term, sizeBytes, checksum, voters: readVoters(reader) };
}

function readSnapshot(addresses: Addresses, reader: ByteReader): SnapshotRequest {
  const snapshot = readDescription(reader);
  const at = reader.position;
  const position = readCount(reader);
  const data = reader.bytes(reader.remaining);
  if (position + data.byteLength > snapshot.sizeBytes) {
    throw corruptField("a chunk reaches past the end of its snapshot", at);
  }
  return { type: "SnapshotRequest", ...addresses, snapshot, position, data };
}

/** Terms, indices, positions: never negative. */
function readCount(reader: ByteReader): number {
  const at = reader.position;
  const value = reader.int64();
  if (value < 0) throw corruptField("a number is negative", at);
  return value;
}

function readFlag(reader: ByteReader): boolean {
  const at = reader.position;
  const value = reader.uint8();
  if (value > 1) throw corruptField("a flag is neither 0 nor 1", at);
  return value === 1;
}
