import { errorMessage, operationError } from "../base/errors.ts";
import type { ConsumerGroupHeartbeatRequest, ConsumerGroupHeartbeatResponse } from "./group-messages.ts";
import { protoService } from "./load-proto.ts";

/*
 * The messages of GroupService/Membership as bytes, for a `ByteStream`. A heartbeat is small and rare, so the codecs that
 * the proto file gives will do.
 */

interface Method {
  requestSerialize(value: unknown): Buffer;
  requestDeserialize(bytes: Buffer): unknown;
  responseSerialize(value: unknown): Buffer;
  responseDeserialize(bytes: Buffer): unknown;
}

/** Fields that are left out have proto3's defaults. @throws LograftError SERIALIZATION_FAILED. */
export function encodeHeartbeatRequest(request: Partial<ConsumerGroupHeartbeatRequest>): Buffer {
  return guarded("encode", "request", () => membershipMethod().requestSerialize(request));
}

/** @throws LograftError SERIALIZATION_FAILED for bytes that are no such message. */
export function decodeHeartbeatRequest(bytes: Buffer): ConsumerGroupHeartbeatRequest {
  return guarded(
    "decode",
    "request",
    () => membershipMethod().requestDeserialize(bytes) as ConsumerGroupHeartbeatRequest,
  );
}

/** Fields that are left out have proto3's defaults. @throws LograftError SERIALIZATION_FAILED. */
export function encodeHeartbeatResponse(response: Partial<ConsumerGroupHeartbeatResponse>): Buffer {
  return guarded("encode", "response", () => membershipMethod().responseSerialize(response));
}

/** @throws LograftError SERIALIZATION_FAILED for bytes that are no such message. */
export function decodeHeartbeatResponse(bytes: Buffer): ConsumerGroupHeartbeatResponse {
  return guarded(
    "decode",
    "response",
    () => membershipMethod().responseDeserialize(bytes) as ConsumerGroupHeartbeatResponse,
  );
}

/** The loaded proto files know no types; a test holds `group-messages.ts` against them. */
function membershipMethod(): Method {
  const method = protoService("lograft.v1.GroupService")["Membership"];
  if (method === undefined)
    throw operationError("CONFIG_INVALID", "proto/ declares no GroupService/Membership");
  return method as Method;
}

function guarded<T>(action: "encode" | "decode", what: "request" | "response", work: () => T): T {
  try {
    return work();
  } catch (error: unknown) {
    const text = `cannot ${action} a ${what} of GroupService/Membership: ${errorMessage(error)}`;
    throw operationError("SERIALIZATION_FAILED", text, { cause: error });
  }
}
