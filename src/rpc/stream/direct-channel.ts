import {
  connect as connectHttp2,
  constants,
  type ClientHttp2Session,
  type ClientHttp2Stream,
} from "node:http2";
import { connect as connectTcp, type Socket } from "node:net";

import { errorMessage } from "../../base/errors.ts";
import type { Logger } from "../../base/logger.ts";
import type { Clock, Timer } from "../../platform/clock.ts";
import { rpcStatus, type ConnectionEnd, type RpcStatus } from "../status.ts";
import type { ByteStream, CallOptions, RpcMetadata, StreamChannel } from "./byte-stream.ts";
import { ClosedStream } from "./closed-stream.ts";
import { DirectClientStream, type CallConnection } from "./direct-client-stream.ts";
import type { DirectStreamLimits } from "./direct-stream.ts";
import { checkMetadata, formatTimeout } from "./grpc-headers.ts";
import { clientSettings, CONNECTION_WINDOW_BYTES } from "./http2-limits.ts";
import { SessionKeepalive, type KeepaliveOptions } from "./session-keepalive.ts";

/** Where to and within which limits; what is left out has the default that is named. */
export interface DirectChannelOptions extends Partial<DirectStreamLimits> {
  readonly host: string;
  readonly port: number;
  /** Of a message, either way. */
  readonly maxMessageBytes: number;
  /** From the first packet to the server's SETTINGS. Default 5 s. */
  readonly connectTimeoutMs?: number;
  readonly keepalive?: KeepaliveOptions;
  /** Pause after a failed connection; doubles with each failure in a row. Default 100 ms to 1 s. */
  readonly reconnectMinMs?: number;
  readonly reconnectMaxMs?: number;
  /** Makes the connection's socket, such as one with TLS. Default: plain TCP. */
  readonly createConnection?: () => Socket;
}

export const DIRECT_CHANNEL_DEFAULTS = {
  sendHighWaterBytes: 1024 * 1024,
  connectTimeoutMs: 5000,
  keepalive: { intervalMs: 10_000, timeoutMs: 5000 },
  reconnectMinMs: 100,
  reconnectMaxMs: 1000,
} as const;

const NO_METADATA: RpcMetadata = new Map();

/**
 * The client side of the direct lane: one connection, made when the first call needs it and again after a loss. While
 * the pause after a failed connection lasts, calls close with UNAVAILABLE at once; retrying is the callers' matter.
 */
export class DirectChannel implements StreamChannel {
  readonly peer: string;
  readonly #options: DirectChannelOptions & typeof DIRECT_CHANNEL_DEFAULTS;
  readonly #clock: Clock;
  readonly #logger: Logger;
  readonly #streams = new Set<ByteStream>();
  #connection: DirectConnection | undefined;
  #failures = 0;
  #notBeforeMs = 0;
  #lastFailure: RpcStatus | undefined;
  #isClosed = false;

  constructor(options: DirectChannelOptions, deps: { readonly clock: Clock; readonly logger: Logger }) {
    this.#options = { ...DIRECT_CHANNEL_DEFAULTS, ...options } as DirectChannelOptions &
      typeof DIRECT_CHANNEL_DEFAULTS;
    this.#clock = deps.clock;
    this.#logger = deps.logger;
    this.peer = `${options.host}:${options.port}`;
  }

  /** @throws LograftError INVALID_ARGUMENT for metadata that gRPC cannot carry. */
  openStream(method: string, options: CallOptions = {}): ByteStream {
    const metadata = options.metadata ?? NO_METADATA;
    checkMetadata(metadata);
    const refusal = this.#refusalOf(options);
    if (refusal !== undefined) return this.#closedStream(method, metadata, refusal);
    const connection = this.#connect();
    const http2 = connection.request(method, metadata, options.timeoutMs);
    if (http2 === undefined) {
      const status = rpcStatus("UNAVAILABLE", `no connection to ${this.peer}: it is closing`);
      return this.#closedStream(method, metadata, { ...status, connection: "failed" });
    }
    const stream = new DirectClientStream(
      {
        method,
        peer: this.peer,
        metadata,
        limits: this.#options,
        timeoutMs: options.timeoutMs,
        signal: options.signal,
      },
      { http2, connection, clock: this.#clock, logger: this.#logger },
    );
    this.#streams.add(stream);
    stream.signal.addEventListener("abort", () => this.#streams.delete(stream), { once: true });
    return stream;
  }

  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    for (const stream of this.#streams) stream.cancel(rpcStatus("CANCELLED", "the channel was closed"));
    this.#connection?.close();
    this.#connection = undefined;
  }

  #refusalOf(options: CallOptions): RpcStatus | undefined {
    if (this.#isClosed) return rpcStatus("CANCELLED", "the channel is closed");
    if (options.signal?.aborted === true)
      return rpcStatus("CANCELLED", "the call was aborted before it began");
    if (options.timeoutMs !== undefined && options.timeoutMs <= 0) {
      return rpcStatus("DEADLINE_EXCEEDED", "the call had no time left when it began");
    }
    const waitMs = this.#notBeforeMs - this.#clock.monotonicMs();
    const failure = this.#lastFailure;
    if (this.#connection !== undefined || waitMs <= 0 || failure === undefined) return undefined;
    return { ...failure, message: `${failure.message}; the next attempt is in ${Math.ceil(waitMs)} ms` };
  }

  #closedStream(method: string, metadata: RpcMetadata, status: RpcStatus): ByteStream {
    return new ClosedStream({ method, peer: this.peer, metadata, status }, { clock: this.#clock });
  }

  #connect(): DirectConnection {
    if (this.#connection?.isUsable === true) return this.#connection;
    const connection = new DirectConnection(
      { ...this.#options, peer: this.peer },
      {
        clock: this.#clock,
        onReady: () => {
          this.#failures = 0;
          this.#notBeforeMs = 0;
        },
        onGone: (status, wasReady) => this.#forget(connection, status, wasReady),
      },
    );
    this.#connection = connection;
    return connection;
  }

  #forget(connection: DirectConnection, status: RpcStatus, wasReady: boolean): void {
    if (this.#connection === connection) this.#connection = undefined;
    if (this.#isClosed) return;
    this.#logger.debug("a direct-lane connection ended", { peer: this.peer, reason: status.message });
    if (wasReady) return;
    const { reconnectMinMs, reconnectMaxMs } = this.#options;
    this.#notBeforeMs =
      this.#clock.monotonicMs() + Math.min(reconnectMaxMs, reconnectMinMs * 2 ** this.#failures);
    this.#failures = Math.min(this.#failures + 1, 16);
    this.#lastFailure = status;
  }
}

/** How long resets of cancelled calls may take to reach the wire before the connection is cut. */
const CLOSE_GRACE_MS = 1000;

interface ConnectionDeps {
  readonly clock: Clock;
  readonly onReady: () => void;
  readonly onGone: (status: RpcStatus, wasReady: boolean) => void;
}

/** One HTTP/2 connection, from its first packet to its end. */
class DirectConnection implements CallConnection {
  readonly #peer: string;
  readonly #session: ClientHttp2Session;
  readonly #socket: Socket;
  readonly #clock: Clock;
  /** Bounds the making of the connection, later its closing. */
  #connectTimer: Timer;
  #keepalive: SessionKeepalive | undefined;
  #isConnected = false;
  #isReady = false;
  #failure: string | undefined;
  #isRefused = false;

  constructor(
    options: DirectChannelOptions & typeof DIRECT_CHANNEL_DEFAULTS & { readonly peer: string },
    deps: ConnectionDeps,
  ) {
    this.#peer = options.peer;
    this.#clock = deps.clock;
    const socket = options.createConnection?.() ?? connectTcp({ host: options.host, port: options.port });
    this.#socket = socket;
    socket.setNoDelay(true);
    socket.setKeepAlive(true);
    // First to hear of a refused or reset connection; streams learn of it only as a cancel.
    socket.on("error", (error: Error & { readonly code?: string }) => {
      this.#isRefused = error.code === "ECONNREFUSED";
      // A name with several addresses fails with all their errors, and no text of its own.
      this.#failure ??= error.message === "" ? (error.code ?? error.name) : errorMessage(error);
    });
    const authority = options.host.includes(":") ? `[${options.host}]` : options.host;
    const session = connectHttp2(`http://${authority}:${options.port}`, {
      createConnection: () => socket,
      settings: clientSettings(),
      // Our own pings: one at a time.
      maxOutstandingPings: 2,
      // A broker's SETTINGS are few; see the server's limits for the others.
      maxSettings: 32,
      maxHeaderListPairs: 64,
    });
    this.#session = session;
    this.#connectTimer = deps.clock.setTimer(options.connectTimeoutMs, () => {
      this.#failure ??= `no answer within ${options.connectTimeoutMs} ms`;
      this.#destroy();
    });
    session.on("error", (error) => {
      this.#failure ??= errorMessage(error);
    });
    session.on("connect", () => {
      this.#isConnected = !socket.destroyed;
      if (!session.destroyed) session.setLocalWindowSize(CONNECTION_WINDOW_BYTES);
    });
    session.once("remoteSettings", () => {
      this.#isReady = true;
      this.#connectTimer.cancel();
      this.#keepalive = new SessionKeepalive(options.keepalive, {
        session,
        clock: deps.clock,
        onDead: () => {
          this.#failure ??= "the server answers no pings";
          this.#destroy();
        },
      });
      deps.onReady();
    });
    session.on("goaway", (code: number) => {
      if (code !== constants.NGHTTP2_NO_ERROR)
        this.#failure ??= `the server closed it with HTTP/2 code ${code}`;
    });
    session.on("close", () => {
      this.#connectTimer.cancel();
      this.#keepalive?.stop();
      deps.onGone(this.#lossStatus(), this.#isReady);
    });
  }

  get isUsable(): boolean {
    return !this.#session.closed && !this.#session.destroyed;
  }

  loss(): RpcStatus | undefined {
    return this.#session.destroyed || this.#failure !== undefined ? this.#lossStatus() : undefined;
  }

  /** Undefined when the connection ended between the look at `isUsable` and this. */
  request(
    method: string,
    metadata: RpcMetadata,
    timeoutMs: number | undefined,
  ): ClientHttp2Stream | undefined {
    try {
      return this.#session.request({
        ":method": "POST",
        ":path": method,
        "content-type": "application/grpc",
        te: "trailers",
        "user-agent": "lograft-direct",
        ...(timeoutMs === undefined ? {} : { "grpc-timeout": formatTimeout(timeoutMs) }),
        ...Object.fromEntries(metadata),
      });
    } catch (error: unknown) {
      this.#failure ??= errorMessage(error);
      return undefined;
    }
  }

  /** Lets what was just reset or finished reach the wire, then ends the connection. */
  close(): void {
    this.#connectTimer.cancel();
    this.#keepalive?.stop();
    if (!this.#isReady) {
      this.#destroy();
      return;
    }
    this.#session.close();
    this.#connectTimer = this.#clock.setTimer(CLOSE_GRACE_MS, () => this.#destroy());
  }

  #lossStatus(): RpcStatus {
    const what = this.#isReady
      ? `the connection to ${this.#peer} was lost`
      : `no connection to ${this.#peer}`;
    const status = rpcStatus("UNAVAILABLE", `${what}: ${this.#failure ?? "closed by the other side"}`);
    return { ...status, connection: this.#connectionEnd() };
  }

  #connectionEnd(): ConnectionEnd {
    // Calls are sent before the server's SETTINGS come, so they may have arrived.
    if (this.#isConnected) return "lost";
    return this.#isRefused ? "refused" : "failed";
  }

  /**
   * A session that ended by itself waits for the other side to end the connection too: one that has frozen, or whose machine
   * is gone, never does, and would keep this process from ending.
   */
  #destroy(): void {
    if (!this.#session.destroyed) this.#session.destroy(undefined, constants.NGHTTP2_CANCEL);
    this.#socket.destroy();
  }
}
