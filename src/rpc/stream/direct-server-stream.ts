import { constants, type ServerHttp2Stream } from "node:http2";

import type { ByteBudget } from "../../base/byte-budget.ts";
import type { Logger } from "../../base/logger.ts";
import type { Clock, Timer } from "../../platform/clock.ts";
import { OK_STATUS, rpcStatus, type RpcStatus } from "../status.ts";
import type { RpcMetadata, StreamHandler } from "./byte-stream.ts";
import { DirectStream, type DirectStreamLimits } from "./direct-stream.ts";
import { GRPC_CONTENT_TYPE, statusHeaders, statusOfReset } from "./grpc-headers.ts";

/** How long an ended call may take to hand over what was sent before it; then the stream is reset. */
const END_GRACE_MS = 30_000;
/** The same for a cancelled call, where nothing more than the status matters. */
const CANCEL_GRACE_MS = 1000;

/** One call on the direct lane, on the server. */
export class DirectServerStream extends DirectStream {
  protected readonly readsWhileEnding = false;
  readonly #http2: ServerHttp2Stream;
  readonly #clock: Clock;
  readonly #deadlineTimer: Timer | undefined;
  #graceTimer: Timer | undefined;
  #status: RpcStatus | undefined;

  constructor(
    options: {
      readonly method: string;
      readonly peer: string;
      readonly metadata: RpcMetadata;
      readonly limits: DirectStreamLimits;
      readonly timeoutMs: number | undefined;
      readonly budget: ByteBudget | undefined;
    },
    deps: { readonly http2: ServerHttp2Stream; readonly clock: Clock; readonly logger: Logger },
  ) {
    super(options, deps);
    this.#http2 = deps.http2;
    this.#clock = deps.clock;
    if (options.timeoutMs !== undefined) {
      this.#deadlineTimer = deps.clock.setTimer(options.timeoutMs, () =>
        this.cancel(rpcStatus("DEADLINE_EXCEEDED", "the deadline of the call passed")),
      );
    }
  }

  /** Hands the call to its handler and begins to read. */
  start(handler: StreamHandler): void {
    const http2 = this.#http2;
    // The error of a stream always comes with its close, which says the code.
    http2.on("error", () => undefined);
    http2.on("close", () => this.#handleClosed());
    http2.on("aborted", () => this.#handleClosed());
    http2.on("wantTrailers", () => this.#sendTrailers());
    this.runHandler(() => handler(this));
    if (!this.isClosed) this.startReading();
  }

  end(status: RpcStatus = OK_STATUS): void {
    if (this.isClosed || this.isEnding) return;
    this.#conclude(status, END_GRACE_MS);
  }

  cancel(status?: RpcStatus): void {
    if (this.isClosed) return;
    if (status === undefined) {
      this.#http2.close(constants.NGHTTP2_CANCEL);
    } else if (!this.isEnding) {
      this.#conclude(status, CANCEL_GRACE_MS);
    } else {
      // Ended already: what was sent before the status is what holds it up.
      this.#http2.close(constants.NGHTTP2_CANCEL);
    }
    this.#closeWith(status ?? rpcStatus("CANCELLED", "the server cancelled the call"));
  }

  protected beforeSend(): void {
    if (this.#http2.headersSent || this.#http2.destroyed || this.#http2.closed) return;
    this.#http2.respond(
      { ":status": 200, "content-type": GRPC_CONTENT_TYPE, "grpc-accept-encoding": "identity" },
      { waitForTrailers: true },
    );
  }

  protected handleEnd(): void {
    if (!this.isEnding) this.notifyEnd();
  }

  /** Sends the status behind what was sent: as trailers, or as the only headers (Trailers-Only). */
  #conclude(status: RpcStatus, graceMs: number): void {
    this.markEnding();
    this.#status = status;
    const http2 = this.#http2;
    if (http2.destroyed || http2.closed) return;
    this.#graceTimer = this.#clock.setTimer(graceMs, () => http2.close(constants.NGHTTP2_CANCEL));
    // A paused stream would keep what the client still sends, and with it the stream.
    http2.resume();
    if (http2.headersSent) {
      http2.end();
    } else {
      http2.respond(
        { ":status": 200, "content-type": GRPC_CONTENT_TYPE, ...statusHeaders(status) },
        { endStream: true },
      );
      this.#releaseClient();
    }
  }

  #sendTrailers(): void {
    if (this.#http2.destroyed || this.#http2.closed) return;
    this.#http2.sendTrailers(statusHeaders(this.#status ?? OK_STATUS));
    this.#releaseClient();
  }

  /** Tells a client that has not half-closed that nothing it sends is read (RFC 9113, section 8.1: NO_ERROR). */
  #releaseClient(): void {
    const http2 = this.#http2;
    // Node hands trailers to HTTP/2 in an immediate; this one is queued behind it, so the reset follows the status.
    setImmediate(() => {
      if (!http2.destroyed && !http2.closed) http2.close(constants.NGHTTP2_NO_ERROR);
    });
  }

  #handleClosed(): void {
    const { rstCode } = this.#http2;
    const wasReset = rstCode !== undefined && rstCode !== constants.NGHTTP2_NO_ERROR;
    if (!wasReset && this.#status !== undefined) this.#closeWith(this.#status);
    else if (wasReset && rstCode !== constants.NGHTTP2_CANCEL) this.#closeWith(statusOfReset(rstCode));
    else this.#closeWith(rpcStatus("CANCELLED", "the client cancelled the call or its connection was lost"));
  }

  #closeWith(status: RpcStatus): void {
    this.finish(status);
    this.#deadlineTimer?.cancel();
    // A cancelled call is over for its handler, but its status may still be on the way.
    if (this.#http2.closed || this.#http2.destroyed) this.#graceTimer?.cancel();
  }
}
