import {
  constants,
  createServer,
  type Http2Server,
  type IncomingHttpHeaders,
  type OutgoingHttpHeaders,
  type ServerHttp2Session,
  type ServerHttp2Stream,
} from "node:http2";
import type { Socket } from "node:net";

import type { ByteBudget } from "../../base/byte-budget.ts";
import { Deferred } from "../../base/deferred.ts";
import type { Logger } from "../../base/logger.ts";
import type { Clock } from "../../platform/clock.ts";
import { RequestIds, withRequestId } from "../request-id.ts";
import { rpcStatus, type RpcStatus } from "../status.ts";
import type { StreamHandler } from "./byte-stream.ts";
import { DirectServerStream } from "./direct-server-stream.ts";
import { DirectSession, type DirectSessionOptions } from "./direct-session.ts";
import type { DirectStreamLimits } from "./direct-stream.ts";
import {
  GRPC_CONTENT_TYPE,
  isGrpcContentType,
  metadataOf,
  parseTimeout,
  statusHeaders,
} from "./grpc-headers.ts";
import { serverHttp2Options } from "./http2-limits.ts";

/** Limits of the server side of the direct lane; what is left out has the default that is named. */
export interface DirectServerOptions extends Partial<DirectStreamLimits>, Partial<DirectSessionOptions> {
  /** Of a message, either way: `message.max.bytes` and some room for the other fields. */
  readonly maxMessageBytes: number;
  /** Open calls of one connection. Default 64. */
  readonly maxConcurrentStreams?: number;
}

export const DIRECT_SERVER_DEFAULTS = {
  maxConcurrentStreams: 64,
  sendHighWaterBytes: 1024 * 1024,
  firstRequestTimeoutMs: 10_000,
  idleTimeoutMs: 600_000,
  keepalive: { intervalMs: 30_000, timeoutMs: 10_000 },
} as const;

interface Registration {
  readonly handler: StreamHandler;
  readonly budget: ByteBudget | undefined;
}

/**
 * The server side of the direct lane (D16): gRPC's wire format on node:http2, for bidirectional byte streams. It never
 * listens: connections are given to it by `accept`.
 */
export class DirectServer {
  readonly #options: DirectStreamLimits & DirectSessionOptions;
  readonly #clock: Clock;
  readonly #logger: Logger;
  readonly #requestIds: RequestIds;
  readonly #http2: Http2Server;
  readonly #methods = new Map<string, Registration>();
  readonly #sessions = new Map<ServerHttp2Session, DirectSession>();
  #closing: Deferred<void> | undefined;

  constructor(options: DirectServerOptions, deps: { readonly clock: Clock; readonly logger: Logger }) {
    this.#options = { ...DIRECT_SERVER_DEFAULTS, ...options };
    this.#clock = deps.clock;
    this.#logger = deps.logger;
    this.#requestIds = RequestIds.ofServer(deps.clock);
    this.#http2 = createServer(
      serverHttp2Options(options.maxConcurrentStreams ?? DIRECT_SERVER_DEFAULTS.maxConcurrentStreams),
    );
    this.#http2.on("session", (session) => this.#addSession(session));
    this.#http2.on("stream", (stream, headers) => this.#serve(stream, headers));
    // Errors of sessions are the clients' doing; each ends its own connection only.
    this.#http2.on("sessionError", (error, session) => {
      const peer = session === undefined ? undefined : this.#sessions.get(session)?.peer;
      this.#logger.debug("a direct-lane connection failed", { peer, err: error });
    });
    this.#http2.on("error", (error) => {
      this.#logger.warn("the direct lane reported an error", { err: error });
    });
  }

  /** Connections that are open. */
  get sessionCount(): number {
    return this.#sessions.size;
  }

  /**
   * Serves a method, such as "/lograft.v1.ClientService/Produce".
   * @param options.budget charged with each message before its memory is taken; the handler releases
   * `message.length` when it has dealt with a message (also after the close of the stream).
   */
  handle(method: string, handler: StreamHandler, options: { readonly budget?: ByteBudget } = {}): void {
    this.#methods.set(method, { handler, budget: options.budget });
  }

  /** Takes a connection over, with what was read of it put back by `unshift`. */
  accept(socket: Socket): void {
    // For errors after HTTP/2 let go of the socket; until then it reports them through its session.
    socket.on("error", () => undefined);
    if (this.#closing !== undefined) {
      socket.destroy();
      return;
    }
    this.#http2.emit("connection", socket);
  }

  /** GOAWAY to all, then up to `graceMs` for open calls to end, then the end of all connections. Idempotent. */
  close(options: { readonly graceMs: number }): Promise<void> {
    if (this.#closing !== undefined) return this.#closing.promise;
    const closing = new Deferred<void>();
    this.#closing = closing;
    for (const session of this.#sessions.values()) session.drain();
    const timer = this.#clock.setTimer(options.graceMs, () => {
      for (const session of this.#sessions.values()) session.drop("the server is closing");
    });
    if (this.#sessions.size === 0) closing.resolve();
    return closing.promise.then(() => timer.cancel());
  }

  #addSession(session: ServerHttp2Session): void {
    const socket = session.socket;
    const peer = `${socket.remoteAddress ?? "unknown"}:${socket.remotePort ?? 0}`;
    this.#sessions.set(
      session,
      new DirectSession(this.#options, { session, peer, clock: this.#clock, logger: this.#logger }),
    );
    session.on("close", () => {
      this.#sessions.delete(session);
      if (this.#sessions.size === 0) this.#closing?.resolve();
    });
  }

  #serve(stream: ServerHttp2Stream, headers: IncomingHttpHeaders): void {
    const { session } = stream;
    const guard = session === undefined ? undefined : this.#sessions.get(session as ServerHttp2Session);
    if (guard === undefined) {
      stream.on("error", () => undefined);
      stream.close(constants.NGHTTP2_REFUSED_STREAM);
      return;
    }
    guard.addStream(stream);
    if (headers[":method"] !== "POST") {
      refuse(stream, { ":status": 405, allow: "POST" });
      return;
    }
    if (!isGrpcContentType(headers["content-type"])) {
      refuse(stream, { ":status": 415, "accept-post": "application/grpc" });
      return;
    }
    const method = headers[":path"] ?? "";
    const registration = this.#methods.get(method);
    if (registration === undefined) {
      refuseCall(
        stream,
        rpcStatus("UNIMPLEMENTED", `this server has no direct-lane method ${method.slice(0, 200)}`),
      );
      return;
    }
    const timeout = headers["grpc-timeout"];
    const timeoutMs = timeout === undefined ? undefined : parseTimeout(String(timeout));
    if (timeout !== undefined && timeoutMs === undefined) {
      refuseCall(
        stream,
        rpcStatus("INTERNAL", "grpc-timeout is not at most 8 digits and one of H M S m u n"),
      );
      return;
    }
    const call = new DirectServerStream(
      {
        method,
        peer: guard.peer,
        metadata: withRequestId(metadataOf(headers), this.#requestIds),
        limits: this.#options,
        timeoutMs,
        budget: registration.budget,
      },
      { http2: stream, clock: this.#clock, logger: this.#logger },
    );
    call.start(registration.handler);
  }
}

/** Trailers-Only: an answer that is nothing but its status. */
function refuseCall(stream: ServerHttp2Stream, status: RpcStatus): void {
  refuse(stream, { ":status": 200, "content-type": GRPC_CONTENT_TYPE, ...statusHeaders(status) });
}

function refuse(stream: ServerHttp2Stream, headers: OutgoingHttpHeaders): void {
  stream.on("error", () => undefined);
  stream.respond(headers, { endStream: true });
  // What the client sent along is dropped, and the client told that no more is read.
  stream.resume();
  setImmediate(() => {
    if (!stream.destroyed && !stream.closed) stream.close(constants.NGHTTP2_NO_ERROR);
  });
}
