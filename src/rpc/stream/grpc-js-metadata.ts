import { Metadata } from "@grpc/grpc-js";

import type { RpcStatus } from "../status.ts";
import type { RpcMetadata } from "./byte-stream.ts";
import { checkMetadata } from "./grpc-headers.ts";

const DETAILS_KEY = "grpc-status-details-bin";

/** @throws LograftError INVALID_ARGUMENT for metadata that gRPC cannot carry. */
export function toGrpcJsMetadata(metadata: RpcMetadata): Metadata {
  checkMetadata(metadata);
  const out = new Metadata();
  for (const [name, value] of metadata) {
    out.set(name, name.endsWith("-bin") ? Buffer.from(value, "base64") : value);
  }
  return out;
}

export function fromGrpcJsMetadata(metadata: Metadata): RpcMetadata {
  const out = new Map<string, string>();
  for (const name of Object.keys(metadata.getMap())) {
    if (name.startsWith("grpc-") || name === "user-agent") continue;
    out.set(name, metadata.get(name).map(textOf).join(","));
  }
  return out;
}

/** A status in the shape in which grpc-js takes it from a server. */
export function toGrpcJsStatus(status: RpcStatus): {
  readonly code: number;
  readonly details: string;
  readonly metadata: Metadata;
} {
  const metadata = new Metadata();
  if (status.details !== undefined) metadata.set(DETAILS_KEY, status.details);
  // grpc-js encodes the text with encodeURI, which throws on half of a surrogate pair.
  return { code: status.code, details: Buffer.from(status.message, "utf8").toString("utf8"), metadata };
}

/** A status as grpc-js reports it to a client. */
export function fromGrpcJsStatus(status: {
  readonly code: number;
  readonly details: string;
  readonly metadata?: Metadata;
}): RpcStatus {
  const details = status.metadata?.get(DETAILS_KEY)[0];
  return Buffer.isBuffer(details)
    ? { code: status.code, message: status.details, details }
    : { code: status.code, message: status.details };
}

function textOf(value: string | Buffer): string {
  return typeof value === "string" ? value : value.toString("base64").replace(/=+$/, "");
}
