import { inspectFirstSettings } from "../rpc/stream/first-settings.ts";

/** What speaks on a new connection, as far as its first bytes tell. */
export type FirstProtocol = "direct" | "grpc" | "http1" | "kafka" | "tls" | "unknown" | "undecided";

const HTTP1_METHODS = ["GET ", "PUT ", "POST", "HEAD", "DELE", "OPTI", "PATC", "TRAC", "CONN"];

/** Length, API key and version of a Kafka request. */
const KAFKA_HEADER_BYTES = 8;
/** Above every API key and version that Kafka has; room for those to come. */
const MAX_KAFKA_API_KEY = 255;
const MAX_KAFKA_API_VERSION = 63;
/** Kafka's `socket.request.max.bytes`. HTTP/2's "PRI " read as a length is thirteen times that (H83). */
const MAX_KAFKA_REQUEST_BYTES = 104_857_600;
/** API key, version and correlation id. */
const MIN_KAFKA_REQUEST_BYTES = 8;

/** Decides by as few bytes as possible; the answer "undecided" ends with the listener's deadline. */
export function inspectFirstBytes(bytes: Buffer): FirstProtocol {
  if (bytes.length === 0) return "undecided";
  const settings = inspectFirstSettings(bytes);
  if (settings !== "other") return settings;
  if (bytes.length < 4) return bytes[0] === 0x16 && bytes[1] === 0x03 ? "tls" : "undecided";
  if (HTTP1_METHODS.includes(bytes.toString("latin1", 0, 4))) return "http1";
  // A TLS handshake record: type 22, version 3.x.
  if (bytes[0] === 0x16 && bytes[1] === 0x03) return "tls";
  const length = bytes.readInt32BE(0);
  if (length < MIN_KAFKA_REQUEST_BYTES || length > MAX_KAFKA_REQUEST_BYTES) return "unknown";
  if (bytes.length < KAFKA_HEADER_BYTES) return "undecided";
  const isKafka =
    bytes.readUInt16BE(4) <= MAX_KAFKA_API_KEY && bytes.readUInt16BE(6) <= MAX_KAFKA_API_VERSION;
  return isKafka ? "kafka" : "unknown";
}
