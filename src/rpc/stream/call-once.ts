import { abortReason } from "../../base/abort.ts";
import { operationError } from "../../base/errors.ts";
import { RPC_CODES, type RpcStatus } from "../status.ts";
import type { CallOptions, StreamChannel } from "./byte-stream.ts";

/** A call with one message each way. It has a deadline, always (H73). */
export interface CallOnceOptions extends CallOptions {
  readonly timeoutMs: number;
  /** The error that a status other than OK is. */
  readonly errorOf: (status: RpcStatus) => Error;
}

/**
 * A unary call as the stream that it is on the wire. Beside a client library's own unary calls this has a connection of
 * which the end is known, and seen at once.
 * @throws what `errorOf` makes of the status; the reason of `signal` when that fires first.
 */
export function callOnce(
  channel: StreamChannel,
  method: string,
  request: readonly Uint8Array[],
  options: CallOnceOptions,
): Promise<Buffer> {
  const { signal } = options;
  if (signal?.aborted === true) return Promise.reject(abortReason(signal));
  return new Promise((resolve, reject) => {
    let answer: Buffer | undefined;
    const stream = channel.openStream(method, options);
    stream.onMessage((message) => {
      answer = message;
    });
    stream.onClose((status) => {
      if (status.code === RPC_CODES.OK && answer !== undefined) resolve(answer);
      else if (signal?.aborted === true) reject(abortReason(signal));
      else if (status.code !== RPC_CODES.OK) reject(options.errorOf(status));
      else reject(operationError("CONNECTION_FAILED", `${method} was answered without a message`));
    });
    stream.send(request);
    stream.end();
  });
}
