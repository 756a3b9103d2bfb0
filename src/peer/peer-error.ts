import { operationError } from "../base/errors.ts";
import { errorFromStatus } from "../rpc/error-details.ts";
import { RPC_CODES, type RpcStatus } from "../rpc/status.ts";

/** Statuses without details that mean, between brokers, just what they mean to a client. */
const PLAIN_CODES: ReadonlySet<number> = new Set([
  RPC_CODES.DEADLINE_EXCEEDED,
  RPC_CODES.RESOURCE_EXHAUSTED,
  RPC_CODES.UNAVAILABLE,
]);

/**
 * The error that a failed call to a peer is: what the peer threw, TIMEOUT, or CONNECTION_FAILED, whose
 * `context.isRefused` is true when nobody listens there.
 */
export function peerError(status: RpcStatus, endpoint: string): Error {
  if (status.details !== undefined || PLAIN_CODES.has(status.code)) return errorFromStatus(status);
  const context = { endpoint, rpcCode: status.code };
  if (status.code === RPC_CODES.UNIMPLEMENTED) {
    const text = `${endpoint} is not the peer port of a broker (${status.message}); check the address`;
    return operationError("CONNECTION_FAILED", text, { context });
  }
  const what = status.code === RPC_CODES.OK ? "the other side ended it" : status.message;
  const text = `the call to the broker at ${endpoint} failed: ${what}`;
  return operationError("CONNECTION_FAILED", text, { context, retriable: true });
}
