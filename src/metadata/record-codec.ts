import { assertNever } from "../base/assert.ts";
import { ByteReader, ByteWriter } from "../base/bytes.ts";
import { errorMessage, LograftError, operationError } from "../base/errors.ts";
import { topicIdFromBytes, topicIdToBytes, UUID_BYTES } from "../model/ids.ts";
import type { NodeId, TopicId } from "../model/ids.ts";
import type { LeaderEpoch } from "../model/offsets.ts";
import type { MetadataRecord, PartitionRecord } from "./records.ts";

/*
 * Metadata records, back to back:
 *
 *   field      size      note
 *   type       u8        RECORD_TYPES
 *   version    u8        of this type's body; 0 so far
 *   length     uvarint   bytes of the body
 *   body       .         integers big-endian; text and lists behind an unsigned varint that counts them
 *
 *   1 BrokerRegistration  nodeId i32, incarnationId text, directoryId text, clean u8
 *   2 Topic               topicId 16, name text
 *   3 Partition           topicId 16, partition i32, leader i32, leaderEpoch i32, partitionEpoch i32,
 *                         replicas list of i32, isr list of i32
 *   4 TopicConfig         topicId 16, key text, hasValue u8, value text (only when hasValue is 1)
 *   5 RemoveTopic         topicId 16
 *   6 ProducerIds         nextProducerId i64
 *
 * There is no checksum here: the log that stores or sends the bytes has its own. A type or version that this code does
 * not know stops the reader, because skipping a change would let replicas of the metadata drift apart (H19).
 */

const RECORD_TYPES = {
  BrokerRegistration: 1,
  Topic: 2,
  Partition: 3,
  TopicConfig: 4,
  RemoveTopic: 5,
  ProducerIds: 6,
} as const satisfies Readonly<Record<MetadataRecord["type"], number>>;

const TYPE_NAMES: ReadonlyMap<number, MetadataRecord["type"]> = new Map(
  (Object.keys(RECORD_TYPES) as MetadataRecord["type"][]).map((name) => [RECORD_TYPES[name], name]),
);

const VERSION = 0;

/** The bytes of these records, in order. */
export function encodeMetadataRecords(records: readonly MetadataRecord[]): Buffer {
  const out = new ByteWriter(64 + records.length * 48);
  const body = new ByteWriter(256);
  for (const record of records) {
    body.reset();
    writeBody(body, record);
    out.uint8(RECORD_TYPES[record.type]);
    out.uint8(VERSION);
    out.sizedBytes(body.view());
  }
  return out.view();
}

/**
 * The records in these bytes. @throws LograftError METADATA_CORRUPT when the bytes are not what `encodeMetadataRecords`
 * makes; DATA_DIR_VERSION when a newer lograft wrote them.
 */
export function decodeMetadataRecords(bytes: Uint8Array): MetadataRecord[] {
  const records: MetadataRecord[] = [];
  // One node list for all partitions that have the same one; thousands of partitions share a few.
  const lists = new Map<string, readonly NodeId[]>();
  const reader = new ByteReader(bytes);
  while (reader.remaining > 0) records.push(readRecord(reader, lists));
  return records;
}

function readRecord(reader: ByteReader, lists: Map<string, readonly NodeId[]>): MetadataRecord {
  const at = reader.position;
  try {
    const type = reader.uint8();
    const version = reader.uint8();
    const name = TYPE_NAMES.get(type);
    if (name === undefined || version !== VERSION) throw unknownVersion(type, version, at);
    const size = reader.uvarint();
    const start = reader.position;
    reader.skip(size);
    const body = new ByteReader(reader.buffer, start, start + size);
    const record = readBody(body, name, lists);
    body.expectEnd();
    return record;
  } catch (error: unknown) {
    if (error instanceof LograftError && error.code !== "CORRUPT_MESSAGE") throw error;
    throw operationError(
      "METADATA_CORRUPT",
      `a metadata record at byte ${at} is damaged: ${errorMessage(error)}`,
      {
        context: { at },
        cause: error,
      },
    );
  }
}

function unknownVersion(type: number, version: number, at: number): LograftError {
  return operationError(
    "DATA_DIR_VERSION",
    `a metadata record at byte ${at} has type ${type} version ${version}, which this lograft does not know; ` +
      "start the release that wrote it, or a newer one",
    { context: { type, version, at } },
  );
}

function writeBody(out: ByteWriter, record: MetadataRecord): void {
  switch (record.type) {
    case "BrokerRegistration":
      out.int32(record.nodeId);
      out.sizedUtf8(record.incarnationId);
      out.sizedUtf8(record.directoryId);
      out.bool(record.clean);
      return;
    case "Topic":
      out.bytes(topicIdToBytes(record.topicId));
      out.sizedUtf8(record.name);
      return;
    case "Partition":
      out.bytes(topicIdToBytes(record.topicId));
      out.int32(record.partition);
      out.int32(record.leader);
      out.int32(record.leaderEpoch);
      out.int32(record.partitionEpoch);
      writeNodes(out, record.replicas);
      writeNodes(out, record.isr);
      return;
    case "TopicConfig":
      out.bytes(topicIdToBytes(record.topicId));
      out.sizedUtf8(record.key);
      out.bool(record.value !== null);
      if (record.value !== null) out.sizedUtf8(record.value);
      return;
    case "RemoveTopic":
      out.bytes(topicIdToBytes(record.topicId));
      return;
    case "ProducerIds":
      out.int64(record.nextProducerId);
      return;
    default:
      assertNever(record);
  }
}

function readBody(
  body: ByteReader,
  type: MetadataRecord["type"],
  lists: Map<string, readonly NodeId[]>,
): MetadataRecord {
  switch (type) {
    case "BrokerRegistration":
      return {
        type,
        nodeId: readNode(body),
        incarnationId: body.sizedUtf8(),
        directoryId: body.sizedUtf8(),
        clean: body.bool(),
      };
    case "Topic": {
      const topicId = readTopicId(body);
      return { type, name: body.sizedUtf8(), topicId };
    }
    case "Partition":
      return readPartition(body, lists);
    case "TopicConfig":
      return {
        type,
        topicId: readTopicId(body),
        key: body.sizedUtf8(),
        value: body.bool() ? body.sizedUtf8() : null,
      };
    case "RemoveTopic":
      return { type, topicId: readTopicId(body) };
    case "ProducerIds":
      return { type, nextProducerId: body.int64() };
    default:
      return assertNever(type);
  }
}

function readPartition(body: ByteReader, lists: Map<string, readonly NodeId[]>): PartitionRecord {
  const topicId = readTopicId(body);
  const partition = body.int32();
  const leader = body.int32() as NodeId;
  const leaderEpoch = body.int32() as LeaderEpoch;
  const partitionEpoch = body.int32();
  if (partition < 0 || leader < -1 || leaderEpoch < 0 || partitionEpoch < 0) {
    throw operationError("METADATA_CORRUPT", "a partition record has a negative number where none can be", {
      context: { partition, leader, leaderEpoch, partitionEpoch },
    });
  }
  const replicas = readNodes(body, lists);
  const isr = readNodes(body, lists);
  return { type: "Partition", topicId, partition, replicas, isr, leader, leaderEpoch, partitionEpoch };
}

function readTopicId(body: ByteReader): TopicId {
  return topicIdFromBytes(body.bytes(UUID_BYTES));
}

function readNode(body: ByteReader): NodeId {
  const node = body.int32();
  if (node < 0) {
    throw operationError("METADATA_CORRUPT", `${node} is not a node id`, { context: { node } });
  }
  return node as NodeId;
}

function writeNodes(out: ByteWriter, nodes: readonly NodeId[]): void {
  out.uvarint(nodes.length);
  for (const node of nodes) out.int32(node);
}

function readNodes(body: ByteReader, lists: Map<string, readonly NodeId[]>): readonly NodeId[] {
  const count = body.uvarint();
  const nodes: NodeId[] = [];
  for (let i = 0; i < count; i++) nodes.push(readNode(body)); // Ends at the body's end, whatever the count says.
  const key = nodes.join(",");
  const shared = lists.get(key);
  if (shared !== undefined) return shared;
  lists.set(key, nodes);
  return nodes;
}
