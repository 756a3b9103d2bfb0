import { assert } from "../base/assert.ts";
import type { Brand } from "../base/brand.ts";

/**
 * The identity of a topic through renames and re-creation: a UUID, shown as URL-safe base64 without padding (22
 * characters). The directory of its data carries it, so a new topic of an old name never meets old data.
 */
export type TopicId = Brand<string, "TopicId">;
/** The identity of a cluster, in the same form. A broker refuses a peer of another one. */
export type ClusterId = Brand<string, "ClusterId">;
/** The `node.id` of a broker: 0..2^31-1. */
export type NodeId = Brand<number, "NodeId">;

export const UUID_BYTES = 16;
/** No leader, or none known. */
export const NO_NODE = -1 as NodeId;
/** No registration of a broker, or none known: real broker epochs are metadata offsets. */
export const NO_BROKER_EPOCH = -1;
/** Sixteen zero bytes: "no topic id" on the wire; never given to a topic. */
export const ZERO_TOPIC_ID = "AAAAAAAAAAAAAAAAAAAAAA" as TopicId;

/** Brands a checked number as a node id. Data from outside goes through a parser first. */
export function nodeId(value: number): NodeId {
  assert(Number.isInteger(value) && value >= 0 && value <= 0x7fffffff, "not a node id", { value });
  return value as NodeId;
}

/** A topic id from its 16 bytes on the wire or on disk. */
export function topicIdFromBytes(bytes: Uint8Array): TopicId {
  return uuidText(bytes) as TopicId;
}

/** The 16 bytes of a topic id. */
export function topicIdToBytes(id: TopicId): Buffer {
  return Buffer.from(id, "base64url");
}

/** A topic id from text, or undefined when it is not the text of one. */
export function parseTopicId(text: string): TopicId | undefined {
  return isUuidText(text) ? (text as TopicId) : undefined;
}

/**
 * A new topic id from 16 random bytes (RFC 9562, version 4), so that this stays free of any source of randomness. The
 * version bits rule out the reserved all-zero id; a leading '-' would read as an option on a command line, so its top
 * bit is cleared.
 */
export function randomTopicId(random: Uint8Array): TopicId {
  return randomUuid(random) as TopicId;
}

/** A new cluster id from 16 random bytes. */
export function randomClusterId(random: Uint8Array): ClusterId {
  return randomUuid(random) as ClusterId;
}

/** A cluster id from text, or undefined. Kafka takes any text here; we take its usual form, so that typing errors show. */
export function parseClusterId(text: string): ClusterId | undefined {
  return isUuidText(text) ? (text as ClusterId) : undefined;
}

function randomUuid(random: Uint8Array): string {
  assert(random.byteLength === UUID_BYTES, "a uuid takes 16 random bytes", { got: random.byteLength });
  const bytes = Buffer.from(random);
  bytes[0] = (bytes[0] ?? 0) & 0x7f;
  bytes[6] = ((bytes[6] ?? 0) & 0x0f) | 0x40;
  bytes[8] = ((bytes[8] ?? 0) & 0x3f) | 0x80;
  return uuidText(bytes);
}

function uuidText(bytes: Uint8Array): string {
  assert(bytes.byteLength === UUID_BYTES, "a uuid has 16 bytes", { got: bytes.byteLength });
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString("base64url");
}

/** The last of 22 characters carries two bits only; another spelling of the same id is not an id. */
function isUuidText(text: string): boolean {
  return /^[A-Za-z0-9_-]{21}[AQgw]$/.test(text);
}
