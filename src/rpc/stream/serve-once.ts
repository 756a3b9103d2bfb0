import type { Clock } from "../../platform/clock.ts";
import { OK_STATUS, rpcStatus, type RpcStatus } from "../status.ts";
import type { ByteStream, StreamHandler } from "./byte-stream.ts";

export interface ServeOnceOptions {
  /** From the call's headers to the end of its message. */
  readonly requestTimeoutMs: number;
}

export interface ServeOnceDeps {
  readonly clock: Clock;
  /** Answers one request; `stream.signal` fires when nobody waits any more. */
  readonly serve: (request: Buffer, stream: ByteStream) => Promise<readonly Uint8Array[]>;
  /** What the caller is told of something that `serve` threw. */
  readonly statusOf: (error: unknown, stream: ByteStream) => RpcStatus;
}

/** Serves a method with one message each way, on either lane. */
export function serveOnce(options: ServeOnceOptions, deps: ServeOnceDeps): StreamHandler {
  return (stream) => {
    let hasRequest = false;
    const refuse = (reason: string): void => stream.cancel(rpcStatus("INVALID_ARGUMENT", reason));
    const timer = deps.clock.setTimer(options.requestTimeoutMs, () =>
      stream.cancel(rpcStatus("DEADLINE_EXCEEDED", `no request came within ${options.requestTimeoutMs} ms`)),
    );
    stream.onClose(() => timer.cancel());
    stream.onEnd(() => {
      if (!hasRequest) refuse("the call ended without a request");
    });
    stream.onMessage((request) => {
      if (hasRequest) {
        refuse("the method takes one request");
        return;
      }
      hasRequest = true;
      timer.cancel();
      deps.serve(request, stream).then(
        (answer) => {
          stream.send(answer);
          stream.end(OK_STATUS);
        },
        (error: unknown) => stream.cancel(deps.statusOf(error, stream)),
      );
    });
  };
}
