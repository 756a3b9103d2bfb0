import { assertNever } from "../base/assert.ts";
import { ByteReader, ByteWriter } from "../base/bytes.ts";
import { errorCodeOf, errorNameOf, ProtocolError } from "../model/error-code.ts";
import type { ErrorName } from "../model/error-code.ts";
import { topicIdFromBytes, topicIdToBytes, UUID_BYTES } from "../model/ids.ts";
import type { NodeId, TopicId } from "../model/ids.ts";
import type { LeaderEpoch, Offset } from "../model/offsets.ts";
import type { LeaderGaps } from "../log/gaps.ts";
import type { FollowerIdentity, FollowerPosition } from "./replica.ts";

/** The first part of every stream: who follows. */
export interface OpenPart extends FollowerIdentity {
  readonly type: "open";
}

/** One partition that the follower wants, and where it stands. */
export interface FollowItem extends FollowerPosition {
  /** Chosen by the follower, 1 to 2^32-1; never used twice on one stream, so what comes late under an old one is known as such. */
  readonly id: number;
  readonly topicId: TopicId;
  readonly partition: number;
}

export interface FollowPart {
  readonly type: "follow";
  readonly items: readonly FollowItem[];
}

/** The follower does not want these any more. */
export interface UnfollowPart {
  readonly type: "unfollow";
  readonly ids: readonly number[];
}

export interface ProgressItem {
  readonly id: number;
  /** Durable as the topic's flush policy says; exclusive. */
  readonly endOffset: Offset;
}

export interface ProgressPart {
  readonly type: "progress";
  readonly items: readonly ProgressItem[];
}

/** The leader may send so many more bytes of batches. */
export interface CreditPart {
  readonly type: "credit";
  readonly bytes: number;
}

/** What a follower sends. */
export type FollowerPart = OpenPart | FollowPart | UnfollowPart | ProgressPart | CreditPart;

/** Where a partition stands at its leader. */
export interface LeaderMarks {
  readonly highWatermark: Offset;
  readonly logStartOffset: Offset;
}

interface RecordsFields extends LeaderMarks {
  readonly type: "records";
  readonly id: number;
  /** Undefined: they leave no offset out. */
  readonly gaps?: LeaderGaps | undefined;
  /** In which the leader sends it; the batches may be of older ones. */
  readonly leaderEpoch: LeaderEpoch;
}

/** Whole batches as the leader's log gave them, in pieces that are sent as they are. */
export interface RecordsToSend extends RecordsFields {
  readonly chunks: readonly Uint8Array[];
}

/** The same as it arrives: a view into the frame. */
export interface RecordsPart extends RecordsFields {
  readonly batches: Buffer;
}

export interface WatermarkItem extends LeaderMarks {
  readonly id: number;
}

/** News of partitions without records; the first one of a partition says that its follower's position is agreed to. */
export interface WatermarksPart {
  readonly type: "watermarks";
  readonly items: readonly WatermarkItem[];
}

/** See `FollowAnswer`. The id is done with: the follower asks again under another. */
export interface DivergingPart {
  readonly type: "diverging";
  readonly id: number;
  readonly epoch: LeaderEpoch;
  readonly endOffset: Offset;
}

/** See `FollowAnswer`. The id is done with. */
export interface ResetPart {
  readonly type: "reset";
  readonly id: number;
  readonly logStartOffset: Offset;
}

/** See `ReplicaRefusal`. The id is done with. */
export interface RefusedPart {
  readonly type: "refused";
  readonly id: number;
  readonly error: ErrorName;
  readonly leaderEpoch: LeaderEpoch;
  readonly message: string;
}

type PlainLeaderPart = WatermarksPart | DivergingPart | ResetPart | RefusedPart;

/** What a leader sends. */
export type LeaderPartToSend = RecordsToSend | PlainLeaderPart;
/** What a follower reads of it. */
export type LeaderPart = RecordsPart | PlainLeaderPart;

/*
 * A frame of a replica stream: version u8, then parts until its end. A part: type u8, then by type (integers big-endian,
 * lists behind an unsigned varint that counts them):
 *
 *   1 open         nodeId i32, brokerEpoch i64
 *   2 follow       list of (id u32, topicId 16 bytes, partition i32, leaderEpoch i32, logEndOffset i64, lastEpoch i32)
 *   3 unfollow     list of id u32
 *   4 progress     list of (id u32, endOffset i64)
 *   5 credit       bytes i64
 *
 *  16 records      id u32, leaderEpoch i32, highWatermark i64, logStartOffset i64, byteLength u32, batches
 *  17 watermarks   list of (id u32, highWatermark i64, logStartOffset i64)
 *  18 diverging    id u32, epoch i32, endOffset i64
 *  19 reset        id u32, logStartOffset i64
 *  20 refused      id u32, error i16, leaderEpoch i32, message (text behind an unsigned varint)
 *  21 gaps         from i64, below i64: of the records that follow
 *
 * Several parts go into one frame because the price of a frame is the same whatever it holds.
 */
const VERSION = 1;
const FOLLOWER_TYPES = { open: 1, follow: 2, unfollow: 3, progress: 4, credit: 5 } as const;
const LEADER_TYPES = {
  records: 16,
  watermarks: 17,
  diverging: 18,
  reset: 19,
  refused: 20,
  gaps: 21,
} as const;

const FOLLOW_ITEM_BYTES = 4 + UUID_BYTES + 4 + 4 + 8 + 4;
const PROGRESS_ITEM_BYTES = 4 + 8;
const WATERMARK_ITEM_BYTES = 4 + 8 + 8;
const MAX_MESSAGE_CHARS = 1000;

/** One frame of a follower. */
export function encodeFollowerFrame(parts: readonly FollowerPart[]): Buffer {
  const out = new ByteWriter(256);
  out.uint8(VERSION);
  for (const part of parts) writeFollowerPart(out, part);
  return out.toBuffer();
}

/** @throws LograftError CORRUPT_MESSAGE for bytes that `encodeFollowerFrame` did not make. */
export function decodeFollowerFrame(frame: Uint8Array): FollowerPart[] {
  const reader = begin(frame);
  const parts: FollowerPart[] = [];
  while (reader.remaining > 0) parts.push(readFollowerPart(reader));
  return parts;
}

/** One frame of a leader as chunks to be sent one after the other: the batches among them are those given, not copies. */
export function encodeLeaderFrame(parts: readonly LeaderPartToSend[]): Uint8Array[] {
  const out = new ByteWriter(256);
  out.uint8(VERSION);
  const headerEnds: number[] = [];
  for (const part of parts) {
    writeLeaderPart(out, part);
    if (part.type === "records") headerEnds.push(out.length);
  }
  const headers = out.toBuffer();
  const chunks: Uint8Array[] = [];
  let start = 0;
  let index = 0;
  for (const part of parts) {
    if (part.type !== "records") continue;
    const end = headerEnds[index++] ?? headers.length;
    chunks.push(headers.subarray(start, end), ...part.chunks);
    start = end;
  }
  if (start < headers.length) chunks.push(headers.subarray(start));
  return chunks;
}

/** Batches in the result share the frame's memory. @throws LograftError CORRUPT_MESSAGE for bytes that are no such frame. */
export function decodeLeaderFrame(frame: Uint8Array): LeaderPart[] {
  const reader = begin(frame);
  const parts: LeaderPart[] = [];
  while (reader.remaining > 0) parts.push(readLeaderPart(reader));
  return parts;
}

function writeFollowerPart(out: ByteWriter, part: FollowerPart): void {
  out.uint8(FOLLOWER_TYPES[part.type]);
  switch (part.type) {
    case "open":
      out.int32(part.nodeId);
      out.int64(part.brokerEpoch);
      return;
    case "follow":
      out.uvarint(part.items.length);
      for (const item of part.items) {
        out.uint32(item.id);
        out.bytes(topicIdToBytes(item.topicId));
        out.int32(item.partition);
        out.int32(item.leaderEpoch);
        out.int64(item.logEndOffset);
        out.int32(item.lastEpoch);
      }
      return;
    case "unfollow":
      out.uvarint(part.ids.length);
      for (const id of part.ids) out.uint32(id);
      return;
    case "progress":
      out.uvarint(part.items.length);
      for (const item of part.items) {
        out.uint32(item.id);
        out.int64(item.endOffset);
      }
      return;
    case "credit":
      out.int64(part.bytes);
      return;
    default:
      assertNever(part);
  }
}

function readFollowerPart(reader: ByteReader): FollowerPart {
  const type = reader.uint8();
  switch (type) {
    case FOLLOWER_TYPES.open:
      return {
        type: "open",
        nodeId: readInt32(reader, 0, "node id") as NodeId,
        brokerEpoch: readCount(reader, "broker epoch"),
      };
    case FOLLOWER_TYPES.follow:
      return { type: "follow", items: readList(reader, FOLLOW_ITEM_BYTES, () => readFollowItem(reader)) };
    case FOLLOWER_TYPES.unfollow:
      return { type: "unfollow", ids: readList(reader, 4, () => reader.uint32()) };
    case FOLLOWER_TYPES.progress:
      return {
        type: "progress",
        items: readList(reader, PROGRESS_ITEM_BYTES, () => ({
          id: reader.uint32(),
          endOffset: readOffset(reader),
        })),
      };
    case FOLLOWER_TYPES.credit:
      return { type: "credit", bytes: readCount(reader, "credit") };
    default:
      throw corrupt(`${type} is no part that a follower sends`, reader);
  }
}

function readFollowItem(reader: ByteReader): FollowItem {
  return {
    id: reader.uint32(),
    topicId: topicIdFromBytes(reader.bytes(UUID_BYTES)),
    partition: readInt32(reader, 0, "partition"),
    leaderEpoch: readEpoch(reader, 0),
    logEndOffset: readOffset(reader),
    lastEpoch: readEpoch(reader, -1),
  };
}

function writeLeaderPart(out: ByteWriter, part: LeaderPartToSend): void {
  if (part.type === "records" && part.gaps !== undefined) {
    out.uint8(LEADER_TYPES.gaps);
    out.int64(part.gaps.from);
    out.int64(part.gaps.below);
  }
  out.uint8(LEADER_TYPES[part.type]);
  switch (part.type) {
    case "records": {
      let sizeBytes = 0;
      for (const chunk of part.chunks) sizeBytes += chunk.byteLength;
      out.uint32(part.id);
      out.int32(part.leaderEpoch);
      writeMarks(out, part);
      out.uint32(sizeBytes);
      return;
    }
    case "watermarks":
      out.uvarint(part.items.length);
      for (const item of part.items) {
        out.uint32(item.id);
        writeMarks(out, item);
      }
      return;
    case "diverging":
      out.uint32(part.id);
      out.int32(part.epoch);
      out.int64(part.endOffset);
      return;
    case "reset":
      out.uint32(part.id);
      out.int64(part.logStartOffset);
      return;
    case "refused":
      out.uint32(part.id);
      out.int16(errorCodeOf(part.error));
      out.int32(part.leaderEpoch);
      out.sizedUtf8(part.message.slice(0, MAX_MESSAGE_CHARS));
      return;
    default:
      assertNever(part);
  }
}

function readLeaderPart(reader: ByteReader): LeaderPart {
  const type = reader.uint8();
  switch (type) {
    case LEADER_TYPES.gaps: {
      const gaps = { from: readOffset(reader), below: readOffset(reader) };
      const next = reader.uint8();
      if (next === LEADER_TYPES.records) return { ...readRecords(reader), gaps };
      throw corrupt(`gaps of part ${next}, which is not records`, reader);
    }
    case LEADER_TYPES.records:
      return readRecords(reader);
    case LEADER_TYPES.watermarks:
      return {
        type: "watermarks",
        items: readList(reader, WATERMARK_ITEM_BYTES, () => ({ id: reader.uint32(), ...readMarks(reader) })),
      };
    case LEADER_TYPES.diverging:
      return {
        type: "diverging",
        id: reader.uint32(),
        epoch: readEpoch(reader, -1),
        endOffset: readOffset(reader),
      };
    case LEADER_TYPES.reset:
      return { type: "reset", id: reader.uint32(), logStartOffset: readOffset(reader) };
    case LEADER_TYPES.refused:
      return {
        type: "refused",
        id: reader.uint32(),
        error: errorNameOf(reader.int16()),
        leaderEpoch: readEpoch(reader, -1),
        message: reader.sizedUtf8(),
      };
    default:
      throw corrupt(`${type} is no part that a leader sends`, reader);
  }
}

function readRecords(reader: ByteReader): RecordsPart {
  return {
    type: "records",
    id: reader.uint32(),
    leaderEpoch: readEpoch(reader, 0),
    ...readMarks(reader),
    batches: reader.bytes(reader.uint32()),
  };
}

function begin(frame: Uint8Array): ByteReader {
  const reader = new ByteReader(frame);
  const version = reader.uint8();
  if (version === VERSION) return reader;
  throw corrupt(
    `the replica frame has version ${version}, this lograft reads version ${VERSION}; run both brokers with releases that understand each other`,
    reader,
  );
}

function writeMarks(out: ByteWriter, marks: LeaderMarks): void {
  out.int64(marks.highWatermark);
  out.int64(marks.logStartOffset);
}

function readMarks(reader: ByteReader): LeaderMarks {
  return { highWatermark: readOffset(reader), logStartOffset: readOffset(reader) };
}

/** The count is believed only when the frame has room for so many items. */
function readList<T>(reader: ByteReader, itemBytes: number, read: () => T): T[] {
  const count = reader.uvarint();
  if (count * itemBytes > reader.remaining) {
    throw corrupt(`a list of ${count} items is cut off`, reader);
  }
  const items: T[] = [];
  for (let left = count; left > 0; left--) items.push(read());
  return items;
}

function readOffset(reader: ByteReader): Offset {
  return readCount(reader, "offset") as Offset;
}

function readEpoch(reader: ByteReader, min: number): LeaderEpoch {
  return readInt32(reader, min, "leader epoch") as LeaderEpoch;
}

function readCount(reader: ByteReader, what: string): number {
  const value = reader.int64();
  if (value < 0) throw corrupt(`${value} is no ${what}`, reader);
  return value;
}

function readInt32(reader: ByteReader, min: number, what: string): number {
  const value = reader.int32();
  if (value < min) throw corrupt(`${value} is no ${what}`, reader);
  return value;
}

function corrupt(message: string, reader: ByteReader): ProtocolError {
  return new ProtocolError("CORRUPT_MESSAGE", message, { context: { at: reader.position } });
}
