import { LograftError, operationError, type OperationErrorCode } from "../base/errors.ts";
import { errorCodeOf, isErrorName, ProtocolError, type ErrorName } from "../model/error-code.ts";
import type { ErrorInfo } from "./messages.ts";
import { ProtoReader } from "./proto-wire.ts";
import { ProtoWriter } from "./proto-writer.ts";
import { requestIdOf } from "./request-id.ts";
import { RPC_CODES, rpcStatus, type RpcCodeName, type RpcStatus } from "./status.ts";
import type { ByteStream } from "./stream/byte-stream.ts";

/*
 * Errors of whole calls travel as a gRPC status whose details are a google.rpc.Status holding one ErrorInfo:
 *
 *   google.rpc.Status    1 code  2 message  3 repeated google.protobuf.Any
 *   google.protobuf.Any  1 type_url  2 value (a serialized lograft.v1.ErrorInfo)
 */
const ERROR_INFO_TYPE_URL = "type.googleapis.com/lograft.v1.ErrorInfo";
/** Entries and characters of an error's context that are sent; more is for the log of the side that failed. */
const MAX_CONTEXT_ENTRIES = 16;
const MAX_CONTEXT_CHARS = 256;

const writer = new ProtoWriter();

/** Serialized google.rpc.Status, for `RpcStatus.details`. */
export function encodeErrorDetails(code: number, message: string, info: ErrorInfo): Buffer {
  writer.begin();
  writer.int32(1, code);
  writer.string(2, message);
  const any = writer.open(3);
  writer.string(1, ERROR_INFO_TYPE_URL);
  const body = writer.open(2);
  writer.int32(1, info.errorCode);
  writer.string(2, info.errorName);
  writer.bool(3, info.retriable);
  writer.sint(4, info.leaderId);
  for (const [key, value] of Object.entries(info.context)) {
    const entry = writer.open(5);
    writer.string(1, key);
    writer.string(2, value);
    writer.close(entry);
  }
  writer.close(body);
  writer.close(any);
  return Buffer.concat(writer.finish());
}

/** The ErrorInfo in a serialized google.rpc.Status; undefined when there is none or it is malformed. */
export function decodeErrorDetails(details: Buffer): ErrorInfo | undefined {
  try {
    const reader = new ProtoReader(details);
    for (let tag = reader.tag(); tag !== 0; tag = reader.tag()) {
      if (tag !== 26) {
        reader.skip(tag);
        continue;
      }
      const info = readAny(reader.bytes());
      if (info !== undefined) return info;
    }
  } catch (error: unknown) {
    // The status itself is sound; only what was said beyond it is not, and a lost detail must not hide the error.
    if (error instanceof LograftError) return undefined;
    throw error;
  }
  return undefined;
}

/** What a status says beside the error. */
export interface StatusOptions {
  /** -1, the default: nobody is known. */
  readonly leaderId?: number | undefined;
  /** Of the call that failed; empty, the default: it has none. */
  readonly requestId?: string;
}

/** The status that tells a client of a failed call. Errors that are not ours say nothing of their inside. */
export function statusFromError(error: unknown, options: StatusOptions = {}): RpcStatus {
  const { leaderId = -1, requestId = "" } = options;
  const named = requestId === "" ? {} : { requestId };
  if (!isLograftError(error)) {
    const where = requestId === "" ? "see its log" : `see its log, request ${requestId}`;
    const text = `the broker failed to handle the call; ${where}`;
    return statusOf("UNKNOWN_SERVER_ERROR", "INTERNAL", text, { retriable: false, leaderId, context: named });
  }
  return statusOf(error.code, rpcCodeOf(error.code), error.message, {
    retriable: error.retriable,
    leaderId,
    context: { ...textContext(error.context), ...named },
  });
}

/** The same for a stream, with its id. */
export function statusOnStream(
  error: unknown,
  stream: Pick<ByteStream, "metadata">,
  leaderId?: number,
): RpcStatus {
  return statusFromError(error, { leaderId, requestId: requestIdOf(stream) });
}

/**
 * The error that a failed call is for its caller: by its details, else by its gRPC code. `context.isRefused` is true when
 * nobody listens at the address; `requestId` is what the caller sent along, if it did.
 */
export function errorFromStatus(status: RpcStatus, requestId = ""): LograftError {
  const named = requestId === "" ? {} : { requestId };
  const info = status.details === undefined ? undefined : decodeErrorDetails(status.details);
  if (info !== undefined && info.errorName !== "") {
    const { errorName: name, retriable } = info;
    const context = { ...named, ...info.context, leaderId: info.leaderId, rpcCode: status.code };
    if (isErrorName(name)) return new ProtocolError(name, status.message, { retriable, context });
    return new LograftError(name, status.message, { retriable, context });
  }
  const isRefused = status.connection === "refused" ? { isRefused: true } : {};
  const context = { ...named, rpcCode: status.code, ...isRefused };
  const plain = PLAIN_STATUS_ERRORS[status.code];
  if (plain === undefined) return new ProtocolError("UNKNOWN_SERVER_ERROR", status.message, { context });
  if (isErrorName(plain)) return new ProtocolError(plain, status.message, { context });
  return operationError(plain, status.message, { context, retriable: RETRIABLE_CODES.has(status.code) });
}

/** gRPC code of an error, by its name; mapped here and nowhere else. */
export function rpcCodeOf(name: string): RpcCodeName {
  return RPC_CODE_OF_ERROR.get(name) ?? "UNKNOWN";
}

const RPC_CODE_OF_ERROR = new Map<string, RpcCodeName>([
  ...entries("UNAVAILABLE", [
    "BROKER_NOT_AVAILABLE",
    "COORDINATOR_LOAD_IN_PROGRESS",
    "COORDINATOR_NOT_AVAILABLE",
    "ELIGIBLE_LEADERS_NOT_AVAILABLE",
    "KAFKA_STORAGE_ERROR",
    "LEADER_NOT_AVAILABLE",
    "NETWORK_EXCEPTION",
    "NOT_ENOUGH_REPLICAS",
    "NOT_ENOUGH_REPLICAS_AFTER_APPEND",
    "PREFERRED_LEADER_NOT_AVAILABLE",
    "REPLICA_NOT_AVAILABLE",
  ]),
  ...entries("FAILED_PRECONDITION", [
    "ELECTION_NOT_NEEDED",
    "FEATURE_UPDATE_FAILED",
    "FENCED_LEADER_EPOCH",
    "INCONSISTENT_CLUSTER_ID",
    "INCONSISTENT_VOTER_SET",
    "INELIGIBLE_REPLICA",
    "INVALID_VOTER_KEY",
    "NOT_CONTROLLER",
    "NOT_COORDINATOR",
    "NOT_LEADER_OR_FOLLOWER",
    "STALE_BROKER_EPOCH",
    "STALE_CONTROLLER_EPOCH",
    "UNKNOWN_LEADER_EPOCH",
  ]),
  ...entries("INVALID_ARGUMENT", [
    "CORRUPT_MESSAGE",
    "INVALID_CONFIG",
    "INVALID_FETCH_SIZE",
    "INVALID_GROUP_ID",
    "INVALID_PARTITIONS",
    "INVALID_RECORD",
    "INVALID_REGISTRATION",
    "INVALID_REPLICATION_FACTOR",
    "INVALID_REPLICA_ASSIGNMENT",
    "INVALID_REQUEST",
    "INVALID_REQUIRED_ACKS",
    "INVALID_TIMESTAMP",
    "INVALID_TOPIC_EXCEPTION",
    "INVALID_UPDATE_VERSION",
    "MESSAGE_TOO_LARGE",
    "POLICY_VIOLATION",
    "RECORD_LIST_TOO_LARGE",
    "UNSUPPORTED_COMPRESSION_TYPE",
  ]),
  ...entries("ABORTED", [
    "CONCURRENT_TRANSACTIONS",
    "DUPLICATE_SEQUENCE_NUMBER",
    "ILLEGAL_GENERATION",
    "INVALID_PRODUCER_EPOCH",
    "INVALID_TXN_STATE",
    "OUT_OF_ORDER_SEQUENCE_NUMBER",
    "PRODUCER_FENCED",
    "REBALANCE_IN_PROGRESS",
    "UNKNOWN_PRODUCER_ID",
  ]),
  ...entries("PERMISSION_DENIED", [
    "CLUSTER_AUTHORIZATION_FAILED",
    "GROUP_AUTHORIZATION_FAILED",
    "TOPIC_AUTHORIZATION_FAILED",
    "TRANSACTIONAL_ID_AUTHORIZATION_FAILED",
  ]),
  ...entries("NOT_FOUND", [
    "BROKER_ID_NOT_REGISTERED",
    "GROUP_ID_NOT_FOUND",
    "UNKNOWN_MEMBER_ID",
    "UNKNOWN_TOPIC_ID",
    "UNKNOWN_TOPIC_OR_PARTITION",
    "VOTER_NOT_FOUND",
  ]),
  ...entries("RESOURCE_EXHAUSTED", ["THROTTLING_QUOTA_EXCEEDED"]),
  ...entries("UNAUTHENTICATED", ["SASL_AUTHENTICATION_FAILED", "ILLEGAL_SASL_STATE"]),
  ...entries("UNIMPLEMENTED", ["UNSUPPORTED_VERSION", "UNSUPPORTED_FOR_MESSAGE_FORMAT"]),
  ...entries("ALREADY_EXISTS", ["DUPLICATE_BROKER_REGISTRATION", "DUPLICATE_VOTER", "TOPIC_ALREADY_EXISTS"]),
  ...entries("OUT_OF_RANGE", ["OFFSET_OUT_OF_RANGE"]),
  ...entries("DEADLINE_EXCEEDED", ["REQUEST_TIMED_OUT"]),
  ...entries("INTERNAL", ["UNKNOWN_SERVER_ERROR"]),
  ...operationEntries({
    ABORTED: "CANCELLED",
    ADDRESS_IN_USE: "INTERNAL",
    BUFFER_EXHAUSTED: "RESOURCE_EXHAUSTED",
    CLOSED: "UNAVAILABLE",
    CONFIG_INVALID: "INVALID_ARGUMENT",
    CONNECTION_FAILED: "UNAVAILABLE",
    DATA_DIR_LOCKED: "INTERNAL",
    DATA_DIR_VERSION: "INTERNAL",
    DECOMPRESSION_FAILED: "INVALID_ARGUMENT",
    DELIVERY_TIMEOUT: "DEADLINE_EXCEEDED",
    DISK_FULL: "RESOURCE_EXHAUSTED",
    DISK_READ_FAILED: "UNAVAILABLE",
    DISK_SYNC_FAILED: "UNAVAILABLE",
    DISK_WRITE_FAILED: "UNAVAILABLE",
    INVALID_ARGUMENT: "INVALID_ARGUMENT",
    LOG_CORRUPT: "DATA_LOSS",
    LOG_OFFLINE: "UNAVAILABLE",
    METADATA_CORRUPT: "DATA_LOSS",
    NO_QUORUM: "UNAVAILABLE",
    SERIALIZATION_FAILED: "INVALID_ARGUMENT",
    TIMEOUT: "DEADLINE_EXCEEDED",
  }),
]);

/** What a status without details means, by its code: those come from the transport, or from servers that are not ours. */
const PLAIN_STATUS_ERRORS: Readonly<Record<number, OperationErrorCode | ErrorName>> = {
  [RPC_CODES.CANCELLED]: "ABORTED",
  [RPC_CODES.INVALID_ARGUMENT]: "INVALID_ARGUMENT",
  [RPC_CODES.DEADLINE_EXCEEDED]: "TIMEOUT",
  [RPC_CODES.PERMISSION_DENIED]: "CLUSTER_AUTHORIZATION_FAILED",
  [RPC_CODES.RESOURCE_EXHAUSTED]: "BUFFER_EXHAUSTED",
  [RPC_CODES.UNIMPLEMENTED]: "UNSUPPORTED_VERSION",
  [RPC_CODES.UNAVAILABLE]: "CONNECTION_FAILED",
  [RPC_CODES.UNAUTHENTICATED]: "SASL_AUTHENTICATION_FAILED",
};

const RETRIABLE_CODES: ReadonlySet<number> = new Set([RPC_CODES.UNAVAILABLE, RPC_CODES.DEADLINE_EXCEEDED]);

function entries(code: RpcCodeName, names: readonly ErrorName[]): [string, RpcCodeName][] {
  return names.map((name) => [name, code]);
}

function operationEntries(table: Readonly<Record<OperationErrorCode, RpcCodeName>>): [string, RpcCodeName][] {
  return Object.entries(table);
}

function statusOf(
  name: string,
  code: RpcCodeName,
  message: string,
  info: Pick<ErrorInfo, "retriable" | "leaderId" | "context">,
): RpcStatus {
  const errorCode = errorCodeOf(isErrorName(name) ? name : "UNKNOWN_SERVER_ERROR");
  const details = encodeErrorDetails(RPC_CODES[code], message, { errorCode, errorName: name, ...info });
  return rpcStatus(code, message, details);
}

/** As `instanceof`, which alone would leave the type of `code` open. */
function isLograftError(error: unknown): error is LograftError {
  return error instanceof LograftError;
}

function textContext(context: Readonly<Record<string, unknown>>): Record<string, string> {
  const out: Record<string, string> = {};
  for (const [key, value] of Object.entries(context).slice(0, MAX_CONTEXT_ENTRIES)) {
    const text = typeof value === "string" ? value : (JSON.stringify(value) ?? "");
    out[key] = text.slice(0, MAX_CONTEXT_CHARS);
  }
  return out;
}

function readAny(bytes: Buffer): ErrorInfo | undefined {
  const reader = new ProtoReader(bytes);
  let typeUrl = "";
  let value: Buffer | undefined;
  for (let tag = reader.tag(); tag !== 0; tag = reader.tag()) {
    if (tag === 10) typeUrl = reader.string();
    else if (tag === 18) value = reader.bytes();
    else reader.skip(tag);
  }
  return typeUrl === ERROR_INFO_TYPE_URL && value !== undefined ? readInfo(value) : undefined;
}

function readInfo(bytes: Buffer): ErrorInfo {
  const reader = new ProtoReader(bytes);
  const info = { errorCode: 0, errorName: "", retriable: false, leaderId: 0 };
  // A Map first: keys come from outside, and "__proto__" must stay a key (H71).
  const context = new Map<string, string>();
  for (let tag = reader.tag(); tag !== 0; tag = reader.tag()) {
    switch (tag) {
      case 8:
        info.errorCode = reader.int32();
        break;
      case 18:
        info.errorName = reader.string();
        break;
      case 24:
        info.retriable = reader.bool();
        break;
      case 32:
        info.leaderId = reader.sint32();
        break;
      case 42:
        readEntry(reader, context);
        break;
      default:
        reader.skip(tag);
    }
  }
  return { ...info, context: Object.fromEntries(context) };
}

function readEntry(reader: ProtoReader, context: Map<string, string>): void {
  const outerEnd = reader.enter();
  let key = "";
  let value = "";
  for (let tag = reader.tag(); tag !== 0; tag = reader.tag()) {
    if (tag === 10) key = reader.string();
    else if (tag === 18) value = reader.string();
    else reader.skip(tag);
  }
  reader.leave(outerEnd);
  if (context.size < MAX_CONTEXT_ENTRIES) context.set(key, value);
}
