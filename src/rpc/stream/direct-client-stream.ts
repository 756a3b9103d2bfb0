import { constants, type ClientHttp2Stream, type IncomingHttpHeaders } from "node:http2";

import type { Logger } from "../../base/logger.ts";
import type { Clock, Timer } from "../../platform/clock.ts";
import { RPC_CODES, rpcStatus, type RpcStatus } from "../status.ts";
import type { RpcMetadata } from "./byte-stream.ts";
import { DirectStream, type DirectStreamLimits } from "./direct-stream.ts";
import { isGrpcContentType, parseStatus, statusOfHttp, statusOfReset } from "./grpc-headers.ts";

/** What a call asks of the connection that carries it. */
export interface CallConnection {
  /** How a call ends whose connection is gone; undefined while it stands. */
  loss(): RpcStatus | undefined;
}

/** One call on the direct lane, on the client. */
export class DirectClientStream extends DirectStream {
  protected readonly readsWhileEnding = true;
  readonly #http2: ClientHttp2Stream;
  readonly #connection: CallConnection;
  readonly #abortSignal: AbortSignal | undefined;
  readonly #deadlineTimer: Timer | undefined;
  #httpStatus: number | undefined;
  #status: RpcStatus | undefined;
  #hasEnded = false;
  #brokenEnd: RpcStatus | undefined;

  constructor(
    options: {
      readonly method: string;
      readonly peer: string;
      readonly metadata: RpcMetadata;
      readonly limits: DirectStreamLimits;
      readonly timeoutMs: number | undefined;
      readonly signal: AbortSignal | undefined;
    },
    deps: {
      readonly http2: ClientHttp2Stream;
      readonly connection: CallConnection;
      readonly clock: Clock;
      readonly logger: Logger;
    },
  ) {
    super(options, deps);
    this.#http2 = deps.http2;
    this.#connection = deps.connection;
    this.#abortSignal = options.signal;
    options.signal?.addEventListener("abort", this.#onAbort, { once: true });
    if (options.timeoutMs !== undefined) {
      this.#deadlineTimer = deps.clock.setTimer(options.timeoutMs, () =>
        this.cancel(rpcStatus("DEADLINE_EXCEEDED", `the call did not end within ${options.timeoutMs} ms`)),
      );
    }
    const { http2 } = deps;
    // The error of a stream always comes with its close, which says the code.
    http2.on("error", () => undefined);
    http2.on("response", (headers, flags) => {
      this.#handleResponse(headers, (flags & constants.NGHTTP2_FLAG_END_STREAM) !== 0);
    });
    http2.on("trailers", (headers: IncomingHttpHeaders) => {
      this.#status ??= parseStatus(headers);
      this.#settle();
    });
    http2.on("close", () => this.#handleClosed());
    this.startReading();
  }

  /** Half-closes. */
  end(): void {
    if (this.isClosed || this.isEnding) return;
    this.markEnding();
    this.#http2.end();
  }

  cancel(status?: RpcStatus): void {
    if (this.isClosed) return;
    this.#http2.close(constants.NGHTTP2_CANCEL);
    this.#closeWith(status ?? rpcStatus("CANCELLED", "the call was cancelled"));
  }

  protected beforeSend(): void {
    // The request headers went out with the call.
  }

  protected handleEnd(): void {
    this.#hasEnded = true;
    this.#settle();
  }

  protected override handleBrokenEnd(status: RpcStatus): void {
    this.#hasEnded = true;
    this.#brokenEnd = status;
    this.#settle();
  }

  readonly #onAbort = (): void => {
    const reason: unknown = this.#abortSignal?.reason;
    this.cancel(rpcStatus("CANCELLED", reason instanceof Error ? reason.message : "the call was aborted"));
  };

  #handleResponse(headers: IncomingHttpHeaders & { ":status"?: number | undefined }, isEnd: boolean): void {
    this.#httpStatus = headers[":status"];
    if (isEnd) {
      this.#status = parseStatus(headers);
    } else if (this.#httpStatus !== 200) {
      this.cancel(statusOfHttp(this.#httpStatus ?? 0));
    } else if (!isGrpcContentType(headers["content-type"])) {
      this.cancel(rpcStatus("UNKNOWN", "the answer is not gRPC (its content-type says otherwise)"));
    }
  }

  /** Ends the call when both the status and the last message have come, in whatever order Node reports them. */
  #settle(): void {
    if (this.isClosed || !this.#hasEnded || this.#status === undefined) return;
    const { code } = this.#status;
    const status = code === RPC_CODES.OK && this.#brokenEnd !== undefined ? this.#brokenEnd : this.#status;
    // The server is done, so what this side would still send is for nobody.
    if (!this.#http2.closed && !this.#http2.destroyed) this.#http2.close(constants.NGHTTP2_NO_ERROR);
    this.#closeWith(status);
  }

  #handleClosed(): void {
    this.#closeWith(this.#statusAtClose());
  }

  #statusAtClose(): RpcStatus {
    const loss = this.#connection.loss();
    const { rstCode } = this.#http2;
    if (this.#status !== undefined) {
      // An OK says that all messages were sent; here some were not read, and no error may pass for success (H77).
      if (this.#status.code !== RPC_CODES.OK) return this.#status;
      const text = `the connection to ${this.peer} was lost before all of the answer was read`;
      return { ...rpcStatus("UNAVAILABLE", text), connection: "lost" };
    }
    if (
      loss !== undefined &&
      (rstCode === constants.NGHTTP2_CANCEL || rstCode === constants.NGHTTP2_NO_ERROR || this.#isLocalError())
    ) {
      return loss;
    }
    if (rstCode !== constants.NGHTTP2_NO_ERROR) return statusOfReset(rstCode);
    if (this.#brokenEnd !== undefined) return this.#brokenEnd;
    if (this.#httpStatus !== undefined && this.#httpStatus !== 200) return statusOfHttp(this.#httpStatus);
    if (this.#hasEnded) return rpcStatus("UNKNOWN", "the call ended without a gRPC status");
    return rpcStatus("INTERNAL", "the stream was closed without a gRPC status");
  }

  /** Node gives INTERNAL_ERROR to streams that end with an error of their connection. */
  #isLocalError(): boolean {
    return this.#http2.rstCode === constants.NGHTTP2_INTERNAL_ERROR;
  }

  #closeWith(status: RpcStatus): void {
    this.#deadlineTimer?.cancel();
    this.#abortSignal?.removeEventListener("abort", this.#onAbort);
    this.finish(status);
  }
}
