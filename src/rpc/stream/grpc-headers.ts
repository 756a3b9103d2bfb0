import { constants, type IncomingHttpHeaders, type OutgoingHttpHeaders } from "node:http2";

import { operationError } from "../../base/errors.ts";
import { RPC_CODES, rpcStatus, type RpcCodeName, type RpcStatus } from "../status.ts";
import type { RpcMetadata } from "./byte-stream.ts";

/*
 * The header side of "gRPC over HTTP2" (github.com/grpc/grpc, doc/PROTOCOL-HTTP2.md): timeouts, status, metadata.
 */

export const GRPC_CONTENT_TYPE = "application/grpc+proto";

/** Longest status text that is sent; header blocks have limits on every side. */
const MAX_MESSAGE_CHARS = 2048;
/** Longest serialized google.rpc.Status that is sent; a larger one is left out, the code and text still go. */
const MAX_DETAILS_BYTES = 8192;

/** "application/grpc", alone or followed by "+format" or ";parameters". */
export function isGrpcContentType(value: string | undefined): boolean {
  return value !== undefined && /^application\/grpc(?:$|[+;])/.test(value);
}

const TIMEOUT_UNITS_MS: Readonly<Record<string, number>> = {
  H: 3_600_000,
  M: 60_000,
  S: 1000,
  m: 1,
  u: 0.001,
  n: 0.000_001,
};

/** A grpc-timeout value in milliseconds, rounded up; undefined when it is not one (at most 8 digits and a unit). */
export function parseTimeout(value: string): number | undefined {
  const match = /^(\d{1,8})([HMSmun])$/.exec(value);
  const unitMs = TIMEOUT_UNITS_MS[match?.[2] ?? ""];
  if (match === null || unitMs === undefined) return undefined;
  return Math.ceil(Number(match[1]) * unitMs);
}

/** The finest unit in which the timeout has at most 8 digits, rounded up. */
export function formatTimeout(timeoutMs: number): string {
  const units = [
    ["m", 1],
    ["S", 1000],
    ["M", 60_000],
    ["H", 3_600_000],
  ] as const;
  for (const [unit, unitMs] of units) {
    const count = Math.ceil(timeoutMs / unitMs);
    if (count < 100_000_000) return `${count}${unit}`;
  }
  return "99999999H";
}

/** Percent-encoding of grpc-message: printable ASCII but '%' stands for itself, other UTF-8 bytes as %XX. */
export function encodeMessage(text: string): string {
  const short = text.length > MAX_MESSAGE_CHARS ? `${text.slice(0, MAX_MESSAGE_CHARS)}...` : text;
  if (/^[ -$&-~]*$/.test(short)) return short;
  let out = "";
  for (const byte of Buffer.from(short, "utf8")) {
    out +=
      byte >= 0x20 && byte <= 0x7e && byte !== 0x25
        ? String.fromCharCode(byte)
        : `%${byte.toString(16).toUpperCase().padStart(2, "0")}`;
  }
  return out;
}

/** The opposite; what is not a valid escape stays as it is, for a status is never lost over its text. */
export function decodeMessage(text: string): string {
  if (!text.includes("%")) return text;
  const bytes = Buffer.alloc(Buffer.byteLength(text, "utf8"));
  let length = 0;
  for (let at = 0; at < text.length; at++) {
    const escape = text[at] === "%" ? text.slice(at + 1, at + 3) : "";
    if (/^[0-9a-fA-F]{2}$/.test(escape)) {
      bytes[length++] = Number.parseInt(escape, 16);
      at += 2;
    } else {
      length += bytes.write(text[at] ?? "", length, "utf8");
    }
  }
  return bytes.toString("utf8", 0, length);
}

/** grpc-status, grpc-message and grpc-status-details-bin. */
export function statusHeaders(status: RpcStatus): OutgoingHttpHeaders {
  const headers: OutgoingHttpHeaders = { "grpc-status": String(status.code) };
  if (status.message !== "") headers["grpc-message"] = encodeMessage(status.message);
  if (status.details !== undefined && status.details.length <= MAX_DETAILS_BYTES) {
    headers["grpc-status-details-bin"] = status.details.toString("base64").replace(/=+$/, "");
  }
  return headers;
}

/** The status that headers or trailers carry; undefined when they carry none. */
export function parseStatus(headers: IncomingHttpHeaders): RpcStatus | undefined {
  const raw = textOf(headers["grpc-status"]);
  if (raw === undefined) return undefined;
  // Codes that do not exist are UNKNOWN, by the description of the status codes.
  const code =
    /^\d{1,2}$/.test(raw) && Number(raw) <= RPC_CODES.UNAUTHENTICATED ? Number(raw) : RPC_CODES.UNKNOWN;
  const message = decodeMessage(textOf(headers["grpc-message"]) ?? "");
  const details = textOf(headers["grpc-status-details-bin"]);
  return details === undefined
    ? { code, message }
    : { code, message, details: Buffer.from(details, "base64") };
}

/** Status of an answer that is not gRPC (doc/http-grpc-status-mapping.md). */
export function statusOfHttp(httpStatus: number): RpcStatus {
  const name = HTTP_STATUS_CODES[httpStatus] ?? "UNKNOWN";
  return rpcStatus(
    name,
    `the server answered HTTP ${httpStatus} without a gRPC status; is this a lograft port?`,
  );
}

const HTTP_STATUS_CODES: Readonly<Record<number, RpcCodeName>> = {
  400: "INTERNAL",
  401: "UNAUTHENTICATED",
  403: "PERMISSION_DENIED",
  404: "UNIMPLEMENTED",
  429: "UNAVAILABLE",
  502: "UNAVAILABLE",
  503: "UNAVAILABLE",
  504: "UNAVAILABLE",
};

/** Status of a stream that the other side reset, by the table of the description ("Errors"). */
export function statusOfReset(rstCode: number): RpcStatus {
  switch (rstCode) {
    case constants.NGHTTP2_REFUSED_STREAM:
      return rpcStatus("UNAVAILABLE", "the other side refused the stream before any work; try again");
    case constants.NGHTTP2_CANCEL:
      return rpcStatus("CANCELLED", "the other side cancelled the call");
    case constants.NGHTTP2_ENHANCE_YOUR_CALM:
      return rpcStatus(
        "RESOURCE_EXHAUSTED",
        "the other side asks for less load (ENHANCE_YOUR_CALM); slow down",
      );
    case constants.NGHTTP2_INADEQUATE_SECURITY:
      return rpcStatus("PERMISSION_DENIED", "the other side asks for a more secure connection");
    default:
      return rpcStatus("INTERNAL", `the stream was reset with HTTP/2 code ${rstCode}`);
  }
}

/** Names that the protocol itself uses, which are not the callers' metadata. */
const PROTOCOL_HEADERS = new Set([
  "accept-encoding",
  "connection",
  "content-encoding",
  "content-length",
  "content-type",
  "date",
  "host",
  "te",
  "transfer-encoding",
  "user-agent",
]);

/** The callers' part of received headers. */
export function metadataOf(headers: IncomingHttpHeaders): RpcMetadata {
  const metadata = new Map<string, string>();
  for (const [name, value] of Object.entries(headers)) {
    if (name.startsWith(":") || name.startsWith("grpc-") || PROTOCOL_HEADERS.has(name)) continue;
    const text = textOf(value);
    if (text !== undefined) metadata.set(name, text);
  }
  return metadata;
}

/** @throws LograftError INVALID_ARGUMENT for a name or value that gRPC does not carry. */
export function checkMetadata(metadata: RpcMetadata): void {
  for (const [name, value] of metadata) {
    const isName = /^[0-9a-z_.-]+$/.test(name) && !name.startsWith("grpc-") && !PROTOCOL_HEADERS.has(name);
    if (isName && /^[ -~]*$/.test(value)) continue;
    throw operationError(
      "INVALID_ARGUMENT",
      `the metadata entry ${JSON.stringify(name)} cannot be sent: names are lower-case and not gRPC's own, values printable ASCII`,
      { context: { name } },
    );
  }
}

function textOf(value: string | string[] | undefined): string | undefined {
  return Array.isArray(value) ? value.join(",") : value;
}
