import { assertNever } from "../base/assert.ts";
import { ByteReader, ByteWriter } from "../base/bytes.ts";
import { errorMessage, LograftError, operationError } from "../base/errors.ts";
import { topicIdFromBytes, topicIdToBytes, UUID_BYTES } from "../model/ids.ts";
import type { NodeId, TopicId } from "../model/ids.ts";
import type { LeaderEpoch } from "../model/offsets.ts";
import { compareText } from "./image.ts";
import { LISTENERS_LEVEL, METADATA_VERSIONS, MOVEMENT_LEVEL } from "./metadata-version.ts";
import type {
  BrokerRegistrationRecord,
  ClientListener,
  FeatureRange,
  MetadataRecord,
  PartitionRecord,
} from "./records.ts";

/*
 * Metadata records, back to back:
 *
 *   field      size      note
 *   type       u8        see RECORD_TYPES
 *   version    u8        of this type's body, see RECORD_TYPES
 *   length     uvarint   bytes of the body
 *   body       .         integers big-endian; text and lists behind an unsigned varint that counts them
 *
 *   1 BrokerRegistration  nodeId i32, incarnationId text, directoryId text, brokerEpoch i64, clean u8, host text,
 *                         port u16, peerEndpoint text, rack optional text, brokerHost optional text,
 *                         features list of (name text, min u16, max u16) in order of their names, and from version 2
 *                         listeners list of (name text, host text, port u16)
 *   2 Topic               topicId 16, name text
 *   3 Partition           topicId 16, partition i32, leader i32, leaderEpoch i32, partitionEpoch i32,
 *                         replicas, isr, elr, lastKnownElr, and from version 2 addingReplicas, removingReplicas:
 *                         lists of i32
 *   4 TopicConfig         topicId 16, key text, value optional text
 *   5 RemoveTopic         topicId 16
 *   6 ProducerIds         nextProducerId i64
 *   7 BrokerChange        nodeId i32, brokerEpoch i64, isFenced u8, isShuttingDown u8, and from version 1 isDrained u8
 *   8 UnregisterBroker    nodeId i32
 *   9 FeatureLevel        name text, level u16
 *
 * Optional text is u8 0, or u8 1 and the text. There is no checksum here: the log that stores or sends the bytes has its
 * own. A type or version that this code does not know stops the reader, because skipping a change would let replicas of
 * the metadata drift apart (H19). Read are the versions from the oldest that this store can hold: version 0 of
 * BrokerRegistration and Partition is that of release 0.1.0, whose store is another. Written is the latest that every
 * broker at the cluster's metadata.version can read; the version before it when the level does not allow the latest.
 */

const RECORD_TYPES = {
  BrokerRegistration: { type: 1, version: 2, oldest: 1 },
  Topic: { type: 2, version: 0, oldest: 0 },
  Partition: { type: 3, version: 2, oldest: 1 },
  TopicConfig: { type: 4, version: 0, oldest: 0 },
  RemoveTopic: { type: 5, version: 0, oldest: 0 },
  ProducerIds: { type: 6, version: 0, oldest: 0 },
  BrokerChange: { type: 7, version: 1, oldest: 0 },
  UnregisterBroker: { type: 8, version: 0, oldest: 0 },
  FeatureLevel: { type: 9, version: 0, oldest: 0 },
} as const satisfies Readonly<
  Record<MetadataRecord["type"], { type: number; version: number; oldest: number }>
>;

const TYPE_NAMES: ReadonlyMap<number, MetadataRecord["type"]> = new Map(
  (Object.keys(RECORD_TYPES) as MetadataRecord["type"][]).map((name) => [RECORD_TYPES[name].type, name]),
);

/**
 * The bytes of these records, in order, as every broker at this level of metadata.version reads them. All brokers at one
 * level write the same bytes, whatever their release, so that their state hashes are equal.
 */
export function encodeMetadataRecords(
  records: readonly MetadataRecord[],
  metadataVersion: number = METADATA_VERSIONS.max,
): Buffer {
  const out = new ByteWriter(64 + records.length * 48);
  const body = new ByteWriter(256);
  for (const record of records) {
    body.reset();
    const { type } = RECORD_TYPES[record.type];
    const version = versionOf(record, metadataVersion);
    writeBody(body, record, version);
    out.uint8(type);
    out.uint8(version);
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
    if (name === undefined || !isReadable(name, version)) throw unknownVersion(type, version, at);
    const size = reader.uvarint();
    const start = reader.position;
    reader.skip(size);
    const body = new ByteReader(reader.buffer, start, start + size);
    const record = readBody(body, name, version, lists);
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

/**
 * The version of a record's body. What only the latest can say goes out in it at any level: nobody decides such a record
 * below the level, and to leave out what it says would be worse than a broker that stops at it (H19).
 */
function versionOf(record: MetadataRecord, metadataVersion: number): number {
  const { version } = RECORD_TYPES[record.type];
  const canMove = metadataVersion >= MOVEMENT_LEVEL;
  switch (record.type) {
    case "BrokerRegistration":
      return metadataVersion >= LISTENERS_LEVEL || record.listeners.length > 0 ? version : 1;
    case "Partition":
      return canMove || record.addingReplicas.length + record.removingReplicas.length > 0 ? version : 1;
    case "BrokerChange":
      return canMove || record.isDrained ? version : 0;
    default:
      return version;
  }
}

function isReadable(name: MetadataRecord["type"], version: number): boolean {
  const { oldest, version: latest } = RECORD_TYPES[name];
  return version >= oldest && version <= latest;
}

function unknownVersion(type: number, version: number, at: number): LograftError {
  return operationError(
    "DATA_DIR_VERSION",
    `a metadata record at byte ${at} has type ${type} version ${version}, which this lograft does not know; ` +
      "start the release that wrote it, or a newer one",
    { context: { type, version, at } },
  );
}

function writeBody(out: ByteWriter, record: MetadataRecord, version: number): void {
  switch (record.type) {
    case "BrokerRegistration":
      writeRegistration(out, record, version);
      return;
    case "BrokerChange":
      out.int32(record.nodeId);
      out.int64(record.brokerEpoch);
      out.bool(record.isFenced);
      out.bool(record.isShuttingDown);
      if (version >= 1) out.bool(record.isDrained);
      return;
    case "UnregisterBroker":
      out.int32(record.nodeId);
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
      writeNodes(out, record.elr);
      writeNodes(out, record.lastKnownElr);
      if (version < 2) return;
      writeNodes(out, record.addingReplicas);
      writeNodes(out, record.removingReplicas);
      return;
    case "TopicConfig":
      out.bytes(topicIdToBytes(record.topicId));
      out.sizedUtf8(record.key);
      writeOptional(out, record.value);
      return;
    case "RemoveTopic":
      out.bytes(topicIdToBytes(record.topicId));
      return;
    case "ProducerIds":
      out.int64(record.nextProducerId);
      return;
    case "FeatureLevel":
      out.sizedUtf8(record.name);
      out.uint16(record.level);
      return;
    default:
      assertNever(record);
  }
}

function readBody(
  body: ByteReader,
  type: MetadataRecord["type"],
  version: number,
  lists: Map<string, readonly NodeId[]>,
): MetadataRecord {
  switch (type) {
    case "BrokerRegistration":
      return readRegistration(body, version);
    case "BrokerChange":
      return {
        type,
        nodeId: readNode(body),
        brokerEpoch: readEpoch(body),
        isFenced: body.bool(),
        isShuttingDown: body.bool(),
        isDrained: version >= 1 && body.bool(),
      };
    case "UnregisterBroker":
      return { type, nodeId: readNode(body) };
    case "Topic": {
      const topicId = readTopicId(body);
      return { type, name: body.sizedUtf8(), topicId };
    }
    case "Partition":
      return readPartition(body, version, lists);
    case "TopicConfig":
      return { type, topicId: readTopicId(body), key: body.sizedUtf8(), value: readOptional(body) };
    case "RemoveTopic":
      return { type, topicId: readTopicId(body) };
    case "ProducerIds":
      return { type, nextProducerId: body.int64() };
    case "FeatureLevel":
      return { type, name: body.sizedUtf8(), level: body.uint16() };
    default:
      return assertNever(type);
  }
}

function readPartition(
  body: ByteReader,
  version: number,
  lists: Map<string, readonly NodeId[]>,
): PartitionRecord {
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
  const elr = readNodes(body, lists);
  const lastKnownElr = readNodes(body, lists);
  const addingReplicas = version >= 2 ? readNodes(body, lists) : NOBODY;
  const removingReplicas = version >= 2 ? readNodes(body, lists) : NOBODY;
  return {
    type: "Partition",
    topicId,
    partition,
    replicas,
    addingReplicas,
    removingReplicas,
    isr,
    elr,
    lastKnownElr,
    leader,
    leaderEpoch,
    partitionEpoch,
  };
}

function writeRegistration(out: ByteWriter, record: BrokerRegistrationRecord, version: number): void {
  out.int32(record.nodeId);
  out.sizedUtf8(record.incarnationId);
  out.sizedUtf8(record.directoryId);
  out.int64(record.brokerEpoch);
  out.bool(record.clean);
  out.sizedUtf8(record.host);
  out.uint16(record.port);
  out.sizedUtf8(record.peerEndpoint);
  writeOptional(out, record.rack);
  writeOptional(out, record.brokerHost);
  out.uvarint(record.features.size);
  for (const [name, { min, max }] of [...record.features].sort(([a], [b]) => compareText(a, b))) {
    out.sizedUtf8(name);
    out.uint16(min);
    out.uint16(max);
  }
  if (version < 2) return;
  out.uvarint(record.listeners.length);
  for (const { name, host, port } of record.listeners) {
    out.sizedUtf8(name);
    out.sizedUtf8(host);
    out.uint16(port);
  }
}

function readRegistration(body: ByteReader, version: number): BrokerRegistrationRecord {
  return {
    type: "BrokerRegistration",
    nodeId: readNode(body),
    incarnationId: body.sizedUtf8(),
    directoryId: body.sizedUtf8(),
    brokerEpoch: readEpoch(body),
    clean: body.bool(),
    host: body.sizedUtf8(),
    port: body.uint16(),
    peerEndpoint: body.sizedUtf8(),
    rack: readOptional(body),
    brokerHost: readOptional(body),
    features: readFeatures(body),
    listeners: version >= 2 ? readListeners(body) : [],
  };
}

function readListeners(body: ByteReader): readonly ClientListener[] {
  const listeners: ClientListener[] = [];
  // Ends at the body's end, whatever the count says.
  for (let count = body.uvarint(); count > 0; count--) {
    listeners.push({ name: body.sizedUtf8(), host: body.sizedUtf8(), port: body.uint16() });
  }
  return listeners;
}

function readFeatures(body: ByteReader): ReadonlyMap<string, FeatureRange> {
  const features = new Map<string, FeatureRange>();
  // Ends at the body's end, whatever the count says.
  for (let count = body.uvarint(); count > 0; count--) {
    features.set(body.sizedUtf8(), { min: body.uint16(), max: body.uint16() });
  }
  return features;
}

function writeOptional(out: ByteWriter, text: string | null): void {
  out.bool(text !== null);
  if (text !== null) out.sizedUtf8(text);
}

function readOptional(body: ByteReader): string | null {
  return body.bool() ? body.sizedUtf8() : null;
}

function readEpoch(body: ByteReader): number {
  const epoch = body.int64();
  if (epoch < 0) {
    throw operationError("METADATA_CORRUPT", `${epoch} is not a broker epoch`, { context: { epoch } });
  }
  return epoch;
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

const NOBODY: readonly NodeId[] = [];

function readNodes(body: ByteReader, lists: Map<string, readonly NodeId[]>): readonly NodeId[] {
  const count = body.uvarint();
  if (count === 0) return NOBODY;
  const nodes: NodeId[] = [];
  for (let i = 0; i < count; i++) nodes.push(readNode(body)); // Ends at the body's end, whatever the count says.
  const key = nodes.join(",");
  const shared = lists.get(key);
  if (shared !== undefined) return shared;
  lists.set(key, nodes);
  return nodes;
}
