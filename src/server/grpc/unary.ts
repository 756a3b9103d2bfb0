import type { handleUnaryCall, sendUnaryData, ServerUnaryCall } from "@grpc/grpc-js";
import { LograftError } from "../../base/errors.ts";
import type { Logger } from "../../base/logger.ts";
import { statusFromError } from "../../rpc/error-details.ts";
import { toGrpcJsStatus } from "../../rpc/stream/grpc-js-metadata.ts";
import { requestIdOfCall } from "./named-requests.ts";

/** Who asks. */
export interface UnaryCaller {
  /** "host:port". */
  readonly peer: string;
  readonly requestId: string;
}

/**
 * Serves a unary method by a function that answers or throws. What it throws reaches the client as a status with typed
 * details; what is not one of our errors is logged, and the client hears only that the broker failed. `signal` is aborted
 * when the client gave up or its deadline passed.
 */
export function unary<Request, Response>(
  serve: (request: Request, signal: AbortSignal, caller: UnaryCaller) => Promise<Response> | Response,
  deps: { readonly logger: Logger },
): handleUnaryCall<Request, Response> {
  return (call, callback) => {
    const cancelled = new AbortController();
    call.on("cancelled", () => cancelled.abort(new LograftError("ABORTED", "the client gave up the call")));
    answer(call, callback, serve, cancelled.signal).catch((error: unknown) => {
      if (!(error instanceof LograftError)) {
        deps.logger.error("a call failed", { method: call.getPath(), ...callerOf(call), err: error });
      }
      const { requestId } = callerOf(call);
      callback(toGrpcJsStatus(statusFromError(error, { requestId })), null);
    });
  };
}

async function answer<Request, Response>(
  call: ServerUnaryCall<Request, Response>,
  callback: sendUnaryData<Response>,
  serve: (request: Request, signal: AbortSignal, caller: UnaryCaller) => Promise<Response> | Response,
  signal: AbortSignal,
): Promise<void> {
  callback(null, await serve(call.request, signal, callerOf(call)));
}

function callerOf(call: Pick<ServerUnaryCall<unknown, unknown>, "getPeer" | "metadata">): UnaryCaller {
  return { peer: call.getPeer(), requestId: requestIdOfCall(call) ?? "" };
}
