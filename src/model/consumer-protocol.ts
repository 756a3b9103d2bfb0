import { ByteReader, ByteWriter } from "../base/bytes.ts";
import { LograftError } from "../base/errors.ts";
import { ProtocolError } from "./error-code.ts";

/*
 * What members of a classic group tell one another through JoinGroup and SyncGroup (protocol type "consumer"). The
 * coordinator stores and forwards these bytes and reads them only to describe a group. Big-endian, never compact:
 *
 *   Subscription  version i16; Topics []str; UserData bytes?          v0
 *                 OwnedPartitions []{ Topic str; Partitions []i32 }   from v1
 *                 GenerationId i32, -1 unknown                        from v2
 *                 RackId str?                                         from v3
 *   Assignment    version i16; AssignedPartitions []{ Topic str; Partitions []i32 }; UserData bytes?     v0 to v3
 *
 * [] = i32 count, str = i16 length and UTF-8, bytes? and str? = the length -1 for null. Readers take a version that they
 * do not know as the highest that they know and ignore what follows; fields missing at the end are empty, -1 or null,
 * because some clients write a version without all of its fields.
 */

/** Partitions of a topic, by name. */
export interface NamedPartitions {
  readonly topic: string;
  readonly partitions: readonly number[];
}

/** What a member wants, and what it has. */
export interface Subscription {
  readonly topics: readonly string[];
  /** Of the assignor. Undefined: none. */
  readonly userData: Buffer | undefined;
  /** Only cooperative members have partitions while they join. */
  readonly ownedPartitions: readonly NamedPartitions[];
  /** In which it got them; -1: not known. */
  readonly generationId: number;
  readonly rackId: string | undefined;
}

/** What a member gets. */
export interface Assignment {
  readonly partitions: readonly NamedPartitions[];
  readonly userData: Buffer | undefined;
}

/** What a member of a sticky group had: its user data. */
export interface StickyUserData {
  readonly previousAssignment: readonly NamedPartitions[];
  /** -1: not known (version 0). */
  readonly generationId: number;
}

/** A version of the two structures that we write. */
export type ConsumerProtocolVersion = 0 | 1 | 2 | 3;

/** "consumer", the protocol type of JoinGroup. */
export const CONSUMER_PROTOCOL_TYPE = "consumer";
/** No generation is known. */
export const UNKNOWN_GENERATION = -1;

const MIN_STRING_BYTES = 2;
const MIN_TOPIC_BYTES = 6;
const INT32_BYTES = 4;

/** Topics are written in ascending order, so that two members of one subscription write the same bytes. */
export function encodeSubscription(subscription: Subscription, version: ConsumerProtocolVersion = 3): Buffer {
  const writer = new ByteWriter();
  writer.int16(version);
  const topics = subscription.topics.toSorted();
  writer.int32(topics.length);
  for (const topic of topics) writeString(writer, topic);
  writeNullableBytes(writer, subscription.userData);
  if (version >= 1) writePartitions(writer, subscription.ownedPartitions);
  if (version >= 2) writer.int32(subscription.generationId);
  if (version >= 3) {
    if (subscription.rackId === undefined) writer.int16(-1);
    else writeString(writer, subscription.rackId);
  }
  return writer.toBuffer();
}

/** Lenient as described above. The result shares no memory with `bytes`. @throws LograftError CORRUPT_MESSAGE. */
export function decodeSubscription(bytes: Uint8Array): Subscription {
  const reader = new ByteReader(bytes);
  const version = readVersion(reader, "subscription");
  const topics = readArray(reader, MIN_STRING_BYTES, readString);
  const userData = readNullableBytes(reader);
  const ownedPartitions = version >= 1 && reader.remaining > 0 ? readPartitions(reader) : [];
  const generationId = version >= 2 && reader.remaining > 0 ? reader.int32() : UNKNOWN_GENERATION;
  const rackId = version >= 3 && reader.remaining > 0 ? readNullableString(reader) : undefined;
  return { topics, userData, ownedPartitions, generationId, rackId };
}

/** All versions have the same fields, so the lowest is written: every client knows that one. */
export function encodeAssignment(assignment: Assignment, version: ConsumerProtocolVersion = 0): Buffer {
  const writer = new ByteWriter();
  writer.int16(version);
  writePartitions(writer, assignment.partitions);
  writeNullableBytes(writer, assignment.userData);
  return writer.toBuffer();
}

/**
 * No bytes at all are the assignment of a member that its leader left out: nothing. The result shares no memory with
 * `bytes`. @throws LograftError CORRUPT_MESSAGE.
 */
export function decodeAssignment(bytes: Uint8Array): Assignment {
  if (bytes.byteLength === 0) return { partitions: [], userData: undefined };
  const reader = new ByteReader(bytes);
  readVersion(reader, "assignment");
  const partitions = readPartitions(reader);
  return { partitions, userData: readNullableBytes(reader) };
}

/** User data of a "sticky" member, version 1 (version 0, without the generation, when that is not known). */
export function encodeStickyUserData(data: StickyUserData): Buffer {
  const writer = new ByteWriter();
  writePartitions(writer, data.previousAssignment);
  if (data.generationId !== UNKNOWN_GENERATION) writer.int32(data.generationId);
  return writer.toBuffer();
}

/** Null, or unreadable in both versions: undefined, as if the member had had nothing. */
export function decodeStickyUserData(bytes: Uint8Array | undefined): StickyUserData | undefined {
  return tolerant(bytes, (reader) => {
    const previousAssignment = readPartitions(reader);
    const generationId = reader.remaining >= INT32_BYTES ? reader.int32() : UNKNOWN_GENERATION;
    return { previousAssignment, generationId };
  });
}

/** User data of a "cooperative-sticky" member: the generation in which it got what it owns. */
export function encodeCooperativeUserData(generationId: number): Buffer {
  const writer = new ByteWriter(INT32_BYTES);
  writer.int32(generationId);
  return writer.toBuffer();
}

/** Null or unreadable: -1. */
export function decodeCooperativeUserData(bytes: Uint8Array | undefined): number {
  return tolerant(bytes, (reader) => reader.int32()) ?? UNKNOWN_GENERATION;
}

/** User data come from another member's assignor, whatever that is: what cannot be read is as good as absent. */
function tolerant<T>(bytes: Uint8Array | undefined, read: (reader: ByteReader) => T): T | undefined {
  if (bytes === undefined || bytes.byteLength === 0) return undefined;
  try {
    return read(new ByteReader(bytes));
  } catch (error: unknown) {
    if (error instanceof LograftError && error.code === "CORRUPT_MESSAGE") return undefined;
    throw error;
  }
}

function readVersion(reader: ByteReader, what: string): number {
  const version = reader.int16();
  if (version >= 0) return version;
  throw corrupt(`a ${what} of version ${version}: there is none below 0`, reader);
}

function writePartitions(writer: ByteWriter, topics: readonly NamedPartitions[]): void {
  writer.int32(topics.length);
  for (const { topic, partitions } of topics) {
    writeString(writer, topic);
    writer.int32(partitions.length);
    for (const partition of partitions) writer.int32(partition);
  }
}

function readPartitions(reader: ByteReader): NamedPartitions[] {
  return readArray(reader, MIN_TOPIC_BYTES, () => ({
    topic: readString(reader),
    partitions: readArray(reader, INT32_BYTES, readPartition),
  }));
}

function readPartition(reader: ByteReader): number {
  const partition = reader.int32();
  if (partition >= 0) return partition;
  throw corrupt(`${partition} is no partition`, reader);
}

/** The count is held against the bytes that are there before anything is allocated (H62). */
function readArray<T>(reader: ByteReader, minItemBytes: number, read: (reader: ByteReader) => T): T[] {
  const count = reader.int32();
  if (count < 0 || count * minItemBytes > reader.remaining) {
    throw corrupt(`an array of ${count} items in ${reader.remaining} bytes`, reader);
  }
  return Array.from({ length: count }, () => read(reader));
}

function writeString(writer: ByteWriter, text: string): void {
  writer.int16(Buffer.byteLength(text, "utf8"));
  writer.utf8(text);
}

function readString(reader: ByteReader): string {
  return reader.utf8(reader.int16());
}

function readNullableString(reader: ByteReader): string | undefined {
  const length = reader.int16();
  return length === -1 ? undefined : reader.utf8(length);
}

function writeNullableBytes(writer: ByteWriter, bytes: Uint8Array | undefined): void {
  writer.int32(bytes?.byteLength ?? -1);
  if (bytes !== undefined) writer.bytes(bytes);
}

function readNullableBytes(reader: ByteReader): Buffer | undefined {
  if (reader.remaining === 0) return undefined;
  const length = reader.int32();
  return length === -1 ? undefined : Buffer.from(reader.bytes(length));
}

function corrupt(message: string, reader: ByteReader): ProtocolError {
  return new ProtocolError("CORRUPT_MESSAGE", `${message} (at byte ${reader.position})`, {
    context: { at: reader.position },
    retriable: false,
  });
}
