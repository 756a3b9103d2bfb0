/** gRPC's status codes (grpc.github.io, "Status codes and their use in gRPC"). */
export const RPC_CODES = {
  OK: 0,
  CANCELLED: 1,
  UNKNOWN: 2,
  INVALID_ARGUMENT: 3,
  DEADLINE_EXCEEDED: 4,
  NOT_FOUND: 5,
  ALREADY_EXISTS: 6,
  PERMISSION_DENIED: 7,
  RESOURCE_EXHAUSTED: 8,
  FAILED_PRECONDITION: 9,
  ABORTED: 10,
  OUT_OF_RANGE: 11,
  UNIMPLEMENTED: 12,
  INTERNAL: 13,
  UNAVAILABLE: 14,
  DATA_LOSS: 15,
  UNAUTHENTICATED: 16,
} as const;

export type RpcCodeName = keyof typeof RPC_CODES;

/**
 * What became of the connection of a call that ended for its sake. "refused": nobody listens at the address; "failed": it
 * could not be made for another reason; "lost": it stood, so what was sent may have arrived.
 */
export type ConnectionEnd = "refused" | "failed" | "lost";

/** How a call ended. */
export interface RpcStatus {
  readonly code: number;
  /** Text for people: the thing, the cause, the next step. */
  readonly message: string;
  /** Serialized google.rpc.Status for the header grpc-status-details-bin, holding an ErrorInfo. */
  readonly details?: Buffer;
  /** Only where this side made the status because of the connection; it does not travel. */
  readonly connection?: ConnectionEnd;
}

export const OK_STATUS: RpcStatus = { code: RPC_CODES.OK, message: "" };

export function rpcStatus(code: RpcCodeName, message: string, details?: Buffer): RpcStatus {
  return details === undefined
    ? { code: RPC_CODES[code], message }
    : { code: RPC_CODES[code], message, details };
}
