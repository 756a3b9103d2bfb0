import { assertNever } from "../../base/assert.ts";
import { ByteWriter } from "../../base/bytes.ts";
import { LograftError } from "../../base/errors.ts";
import { topicIdFromBytes, topicIdToBytes, UUID_BYTES } from "../../model/ids.ts";
import type { TopicId } from "../../model/ids.ts";
import type { CoordinatorRecord, RecordCodec } from "../shard.ts";
import type {
  ClassicGroupValue,
  ClassicMemberValue,
  CommittedOffset,
  CurrentAssignmentValue,
  GroupRecord,
  MemberState,
  MemberValue,
} from "./group-records.ts";
import {
  FieldReader,
  writeBytes,
  writeNullableSizedText,
  writeNullableText,
  writeText,
  writeTopicPartitions,
} from "./record-fields.ts";

/*
 * The records of `__consumer_offsets`. Integers are big-endian; "str" is text behind its i16 size, "nstr" the same with
 * -1 for null, "bytes" is behind an i32 size, and [] is a list behind its i32 length.
 *
 *   key: version i16, which also says the type       value: version i16, then the fields; or null, a tombstone
 *
 *   0, 1  offset         group str, topic str, partition i32
 *         v0, v2         offset i64, metadata str, commitTimestamp i64
 *         v1             the same, expireTimestamp i64 (not used)
 *         v3             offset i64, leaderEpoch i32, metadata str, commitTimestamp i64
 *         v4             the same with metadata as text, then tagged fields, of which 0 is the topic id (16 bytes)
 *   2     classic group  group str
 *         v0-v3          protocolType str, generation i32, protocol nstr, leader nstr, from v2 currentStateTimestamp i64,
 *                        [] memberId str, from v3 groupInstanceId nstr, clientId str, clientHost str, from v1
 *                        rebalanceTimeout i32, sessionTimeout i32, subscription bytes, assignment bytes
 *   3     group epoch    group str              epoch i32
 *   5     member         group str, member str  instanceId, rackId nullable text, clientId, clientHost text,
 *                                               rebalanceTimeout i32, list of subscribed topic names, regex, assignor text
 *   6     target epoch   group str              assignmentEpoch i32
 *   7     target member  group str, member str  partitions
 *   8     current member group str, member str  memberEpoch i32, previousMemberEpoch i32, state u8, assigned partitions,
 *                                               partitions to be revoked
 *
 * Keys 0 to 2 with their values are Kafka's; written are 1 with v4 and 2 with v3. The values of 3 to 8 are our own: text
 * and lists there are behind an unsigned varint (of a nullable text one more than its size, 0 for null), partitions are a
 * list of (topicId 16 bytes, list of uvarint). Their versions count from 100, where Kafka's own values of these keys never
 * are. A key of another version is left alone, as Kafka does; a value of another version stops the reader, because to
 * ignore a change of a known thing would bring an older state of it back (H63). There is no checksum here: the batch has one.
 */

const OFFSET_KEY = 1;
const CLASSIC_GROUP_KEY = 2;
const CONSUMER_GROUP_KEY = 3;
const MEMBER_KEY = 5;
const TARGET_EPOCH_KEY = 6;
const TARGET_MEMBER_KEY = 7;
const CURRENT_MEMBER_KEY = 8;

const OFFSET_VALUE_VERSION = 4;
/** The tag of the topic id in an offset, Kafka's. */
const TOPIC_ID_TAG = 0;
const CLASSIC_GROUP_VALUE_VERSION = 3;
const OWN_VALUE_VERSION = 100;

const MEMBER_STATES: readonly MemberState[] = ["stable", "unrevoked", "unreleased"];

/** How group records lie in the log; see the drawing above. Text of a record is at most 32,767 bytes in Kafka's forms. */
export const groupRecordCodec: RecordCodec<GroupRecord> = { encode: encodeRecord, decode: decodeRecord };

function encodeRecord(record: GroupRecord): CoordinatorRecord {
  return { key: encodeKey(record), value: encodeValue(record) };
}

function encodeKey(record: GroupRecord): Buffer {
  const out = new ByteWriter(64 + record.groupId.length);
  switch (record.type) {
    case "offset":
      out.int16(OFFSET_KEY);
      writeText(out, record.groupId);
      writeText(out, record.topic);
      out.int32(record.partition);
      break;
    case "classicGroup":
      return groupKey(out, CLASSIC_GROUP_KEY, record.groupId);
    case "consumerGroup":
      return groupKey(out, CONSUMER_GROUP_KEY, record.groupId);
    case "member":
      return memberKey(out, MEMBER_KEY, record);
    case "targetEpoch":
      return groupKey(out, TARGET_EPOCH_KEY, record.groupId);
    case "targetMember":
      return memberKey(out, TARGET_MEMBER_KEY, record);
    case "currentMember":
      return memberKey(out, CURRENT_MEMBER_KEY, record);
    default:
      return assertNever(record);
  }
  return out.view();
}

function groupKey(out: ByteWriter, version: number, groupId: string): Buffer {
  out.int16(version);
  writeText(out, groupId);
  return out.view();
}

function memberKey(
  out: ByteWriter,
  version: number,
  record: { readonly groupId: string; readonly memberId: string },
): Buffer {
  out.int16(version);
  writeText(out, record.groupId);
  writeText(out, record.memberId);
  return out.view();
}

function encodeValue(record: GroupRecord): Buffer | null {
  if (record.value === null) return null;
  const out = new ByteWriter(64);
  switch (record.type) {
    case "offset":
      writeOffset(out, record.value);
      break;
    case "classicGroup":
      writeClassicGroup(out, record.value);
      break;
    case "consumerGroup":
      out.int16(OWN_VALUE_VERSION);
      out.int32(record.value.epoch);
      break;
    case "member":
      out.int16(OWN_VALUE_VERSION);
      writeMember(out, record.value);
      break;
    case "targetEpoch":
      out.int16(OWN_VALUE_VERSION);
      out.int32(record.value.assignmentEpoch);
      break;
    case "targetMember":
      out.int16(OWN_VALUE_VERSION);
      writeTopicPartitions(out, record.value.partitions);
      break;
    case "currentMember":
      out.int16(OWN_VALUE_VERSION);
      writeCurrent(out, record.value);
      break;
    default:
      assertNever(record);
  }
  return out.view();
}

function writeOffset(out: ByteWriter, value: CommittedOffset): void {
  out.int16(OFFSET_VALUE_VERSION);
  out.int64(value.offset);
  out.int32(value.leaderEpoch);
  writeNullableSizedText(out, value.metadata);
  out.int64(value.commitTimestampMs);
  out.uvarint(value.topicId === undefined ? 0 : 1);
  if (value.topicId === undefined) return;
  out.uvarint(TOPIC_ID_TAG);
  out.uvarint(UUID_BYTES);
  out.bytes(topicIdToBytes(value.topicId));
}

function writeClassicGroup(out: ByteWriter, value: ClassicGroupValue): void {
  out.int16(CLASSIC_GROUP_VALUE_VERSION);
  writeText(out, value.protocolType);
  out.int32(value.generation);
  writeNullableText(out, value.protocol);
  writeNullableText(out, value.leader);
  out.int64(value.currentStateTimestampMs);
  out.int32(value.members.length);
  for (const member of value.members) {
    writeText(out, member.memberId);
    writeNullableText(out, member.groupInstanceId);
    writeText(out, member.clientId);
    writeText(out, member.clientHost);
    out.int32(member.rebalanceTimeoutMs);
    out.int32(member.sessionTimeoutMs);
    writeBytes(out, member.subscription);
    writeBytes(out, member.assignment);
  }
}

function writeMember(out: ByteWriter, value: MemberValue): void {
  writeNullableSizedText(out, value.instanceId);
  writeNullableSizedText(out, value.rackId);
  out.sizedUtf8(value.clientId);
  out.sizedUtf8(value.clientHost);
  out.int32(value.rebalanceTimeoutMs);
  out.uvarint(value.subscribedTopicNames.length);
  for (const name of value.subscribedTopicNames) out.sizedUtf8(name);
  out.sizedUtf8(value.subscribedTopicRegex);
  out.sizedUtf8(value.serverAssignor);
}

function writeCurrent(out: ByteWriter, value: CurrentAssignmentValue): void {
  out.int32(value.memberEpoch);
  out.int32(value.previousMemberEpoch);
  out.uint8(MEMBER_STATES.indexOf(value.state));
  writeTopicPartitions(out, value.assigned);
  writeTopicPartitions(out, value.pendingRevocation);
}

function decodeRecord({ key, value }: CoordinatorRecord): GroupRecord | undefined {
  const fields = new FieldReader(key);
  try {
    const record = readRecord(fields, value);
    if (record !== undefined) fields.expectEnd();
    return record;
  } catch (error: unknown) {
    if (error instanceof LograftError && error.code === "CORRUPT_MESSAGE") throw fields.damage(error);
    throw error;
  }
}

function readRecord(fields: FieldReader, value: Buffer | null): GroupRecord | undefined {
  const version = fields.int16("version");
  switch (version) {
    case 0:
    case OFFSET_KEY: {
      const groupId = fields.text("group");
      const topic = fields.text("topic");
      const partition = fields.int32("partition");
      return { type: "offset", groupId, topic, partition, value: readValue(fields, value, readOffset) };
    }
    case CLASSIC_GROUP_KEY: {
      const groupId = fields.text("group");
      return { type: "classicGroup", groupId, value: readValue(fields, value, readClassicGroup) };
    }
    case CONSUMER_GROUP_KEY: {
      const groupId = fields.text("group");
      return { type: "consumerGroup", groupId, value: readValue(fields, value, readGroupEpoch) };
    }
    case MEMBER_KEY: {
      const groupId = fields.text("group");
      const memberId = fields.text("member");
      return { type: "member", groupId, memberId, value: readValue(fields, value, readMember) };
    }
    case TARGET_EPOCH_KEY: {
      const groupId = fields.text("group");
      return { type: "targetEpoch", groupId, value: readValue(fields, value, readTargetEpoch) };
    }
    case TARGET_MEMBER_KEY: {
      const groupId = fields.text("group");
      const memberId = fields.text("member");
      return { type: "targetMember", groupId, memberId, value: readValue(fields, value, readTarget) };
    }
    case CURRENT_MEMBER_KEY: {
      const groupId = fields.text("group");
      const memberId = fields.text("member");
      return { type: "currentMember", groupId, memberId, value: readValue(fields, value, readCurrent) };
    }
    default:
      return undefined;
  }
}

function readValue<T>(fields: FieldReader, value: Buffer | null, read: (fields: FieldReader) => T): T | null {
  if (value === null) return null;
  fields.enterValue(value);
  return read(fields);
}

/** Reads the version of a value; only `oldest` to `latest` go on. */
function readVersion(fields: FieldReader, oldest: number, latest: number): number {
  const version = fields.int16("version");
  if (version < oldest || version > latest) {
    fields.refuse(`it is ${version}, and ${oldest} to ${latest} can be read; did a later release write it?`);
  }
  return version;
}

function readOffset(fields: FieldReader): CommittedOffset {
  const version = readVersion(fields, 0, OFFSET_VALUE_VERSION);
  const offset = fields.int64("offset");
  const leaderEpoch = version >= 3 ? fields.int32("leader epoch") : -1;
  const metadata = version >= 4 ? (fields.nullableSizedText("metadata") ?? "") : fields.text("metadata");
  const commitTimestampMs = fields.int64("commit timestamp");
  if (version === 1) fields.skip("expire timestamp", 8);
  const topicId = version >= 4 ? readTopicId(fields) : undefined;
  return { offset, leaderEpoch, metadata, commitTimestampMs, topicId };
}

/** The topic id among the tagged fields, if it is there. */
function readTopicId(fields: FieldReader): TopicId | undefined {
  let topicId: TopicId | undefined;
  for (const { tag, bytes } of fields.taggedFields()) {
    if (tag === TOPIC_ID_TAG && bytes.byteLength === UUID_BYTES) topicId = topicIdFromBytes(bytes);
  }
  return topicId;
}

function readClassicGroup(fields: FieldReader): ClassicGroupValue {
  const version = readVersion(fields, 0, CLASSIC_GROUP_VALUE_VERSION);
  return {
    protocolType: fields.text("protocol type"),
    generation: fields.int32("generation"),
    protocol: fields.nullableText("protocol"),
    leader: fields.nullableText("leader"),
    currentStateTimestampMs: version >= 2 ? fields.int64("state timestamp") : -1,
    members: fields.list("members", () => readClassicMember(fields, version)),
  };
}

function readClassicMember(fields: FieldReader, version: number): ClassicMemberValue {
  const memberId = fields.text("member id");
  const groupInstanceId = version >= 3 ? fields.nullableText("group instance id") : null;
  const clientId = fields.text("client id");
  const clientHost = fields.text("client host");
  const rebalanceTimeoutMs = version >= 1 ? fields.int32("rebalance timeout") : undefined;
  const sessionTimeoutMs = fields.int32("session timeout");
  return {
    memberId,
    groupInstanceId,
    clientId,
    clientHost,
    // Before version 1 the session timeout was both.
    rebalanceTimeoutMs: rebalanceTimeoutMs ?? sessionTimeoutMs,
    sessionTimeoutMs,
    subscription: fields.bytes("subscription"),
    assignment: fields.bytes("assignment"),
  };
}

function readGroupEpoch(fields: FieldReader): { epoch: number } {
  readOwnVersion(fields);
  return { epoch: fields.int32("epoch") };
}

function readTargetEpoch(fields: FieldReader): { assignmentEpoch: number } {
  readOwnVersion(fields);
  return { assignmentEpoch: fields.int32("assignment epoch") };
}

function readMember(fields: FieldReader): MemberValue {
  readOwnVersion(fields);
  return {
    instanceId: fields.nullableSizedText("instance id"),
    rackId: fields.nullableSizedText("rack id"),
    clientId: fields.sizedText("client id"),
    clientHost: fields.sizedText("client host"),
    rebalanceTimeoutMs: fields.int32("rebalance timeout"),
    subscribedTopicNames: fields.sizedList("subscribed topics", () => fields.sizedText("subscribed topic")),
    subscribedTopicRegex: fields.sizedText("subscribed regex"),
    serverAssignor: fields.sizedText("assignor"),
  };
}

function readTarget(fields: FieldReader): { partitions: ReturnType<FieldReader["topicPartitions"]> } {
  readOwnVersion(fields);
  return { partitions: fields.topicPartitions("target partitions") };
}

function readCurrent(fields: FieldReader): CurrentAssignmentValue {
  readOwnVersion(fields);
  return {
    memberEpoch: fields.int32("member epoch"),
    previousMemberEpoch: fields.int32("previous member epoch"),
    state: readState(fields),
    assigned: fields.topicPartitions("assigned partitions"),
    pendingRevocation: fields.topicPartitions("partitions to be revoked"),
  };
}

function readState(fields: FieldReader): MemberState {
  const code = fields.uint8("member state");
  return MEMBER_STATES[code] ?? fields.refuse(`there is no state ${code}`);
}

function readOwnVersion(fields: FieldReader): void {
  readVersion(fields, OWN_VALUE_VERSION, OWN_VALUE_VERSION);
}
