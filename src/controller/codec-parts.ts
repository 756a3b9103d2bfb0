import type { ByteReader, ByteWriter } from "../base/bytes.ts";
import { ProtocolError } from "../model/error-code.ts";
import { topicIdFromBytes, topicIdToBytes, UUID_BYTES } from "../model/ids.ts";
import type { NodeId } from "../model/ids.ts";
import type { ReplicaRef } from "./damaged-replicas.ts";

/** Bytes that are not what their codec writes: damaged, or of another release. */
export function corrupt(message: string, context?: Readonly<Record<string, unknown>>): ProtocolError {
  return new ProtocolError("CORRUPT_MESSAGE", message, context === undefined ? {} : { context });
}

/** The first byte of every frame, request and response. @throws ProtocolError CORRUPT_MESSAGE when it is another one. */
export function expectVersion(reader: ByteReader, version: number, what: string): void {
  const found = reader.uint8();
  if (found === version) return;
  throw corrupt(`the ${what} has version ${found}, this lograft reads version ${version}`, {
    found,
    version,
  });
}

export function readNodeId(reader: ByteReader): NodeId {
  const node = reader.int32();
  if (node < 0) throw corrupt(`${node} is not a node id`, { node });
  return node as NodeId;
}

/** As `readNodeId`, or -1 for nobody. */
export function readNodeIdOrNone(reader: ByteReader): NodeId {
  const node = reader.int32();
  if (node < -1) throw corrupt(`${node} is not a node id`, { node });
  return node as NodeId;
}

/** An offset, an epoch, a count, an age: not negative. */
export function readCount(reader: ByteReader): number {
  const count = reader.int64();
  if (count < 0) throw corrupt(`${count} is negative`, { count });
  return count;
}

/** As `readCount`, or -1 for none. */
export function readCountOrNone(reader: ByteReader): number {
  const count = reader.int64();
  if (count < -1) throw corrupt(`${count} is no count`, { count });
  return count;
}

/** As `readCount`, of 32 bits: the number of a partition, an epoch of it. */
export function readInt32Count(reader: ByteReader): number {
  const count = reader.int32();
  if (count < 0) throw corrupt(`${count} is negative`, { count });
  return count;
}

/** A byte 0, or a byte 1 and the value. */
export function writeOptional<T>(
  out: ByteWriter,
  value: T | null | undefined,
  write: (value: T) => void,
): void {
  const isThere = value !== null && value !== undefined;
  out.bool(isThere);
  if (isThere) write(value);
}

export function readOptional<T>(reader: ByteReader, read: () => T): T | undefined {
  return reader.bool() ? read() : undefined;
}

/** A partition by the id of its topic: topicId 16, partition i32. */
export function writeReplicaRef(out: ByteWriter, { topicId, partition }: ReplicaRef): void {
  out.bytes(topicIdToBytes(topicId));
  out.int32(partition);
}

export function readReplicaRef(reader: ByteReader): ReplicaRef {
  return { topicId: topicIdFromBytes(reader.bytes(UUID_BYTES)), partition: readInt32Count(reader) };
}

/** An unsigned varint that counts the items, then the items. */
export function writeList<T>(out: ByteWriter, items: readonly T[], write: (item: T) => void): void {
  out.uvarint(items.length);
  for (const item of items) write(item);
}

/** Each item takes at least a byte, so a false count ends at the end of the bytes; nothing is allocated for it before. */
export function readList<T>(reader: ByteReader, read: () => T): T[] {
  const items: T[] = [];
  for (let left = reader.uvarint(); left > 0; left--) items.push(read());
  return items;
}

/** Pairs of text, in the order of the map. */
export function writeTextMap(out: ByteWriter, map: ReadonlyMap<string, string>): void {
  writeList(out, [...map], ([key, value]) => {
    out.sizedUtf8(key);
    out.sizedUtf8(value);
  });
}

/** @throws ProtocolError CORRUPT_MESSAGE when a key is there twice. */
export function readTextMap(reader: ByteReader): Map<string, string> {
  return mapOf(readList(reader, () => [reader.sizedUtf8(), reader.sizedUtf8()] as const));
}

/** @throws ProtocolError CORRUPT_MESSAGE when a key is there twice. */
export function mapOf<V>(pairs: readonly (readonly [string, V])[]): Map<string, V> {
  const map = new Map(pairs);
  if (map.size !== pairs.length) throw corrupt("a key is there twice");
  return map;
}
