import { constants, type ServerHttp2Session, type ServerHttp2Stream } from "node:http2";

import type { Logger } from "../../base/logger.ts";
import type { Clock, Timer } from "../../platform/clock.ts";
import { CONNECTION_WINDOW_BYTES, MAX_STREAM_WINDOW_BYTES, streamWindowBytes } from "./http2-limits.ts";
import { SessionKeepalive, type KeepaliveOptions } from "./session-keepalive.ts";

/** Deadlines and rates of one connection. */
export interface DirectSessionOptions {
  /** From the accept to the first call. */
  readonly firstRequestTimeoutMs: number;
  /** Without any open call. */
  readonly idleTimeoutMs: number;
  readonly keepalive: KeepaliveOptions;
}

/** PING and SETTINGS frames that a client may send in one window of time. gRPC's bandwidth probes stay far below. */
const MAX_CONTROL_FRAMES = 300;
const CONTROL_FRAMES_WINDOW_MS = 10_000;
/** The text that gRPC clients know and answer with a slower keepalive (gRPC proposal A8). */
const TOO_MANY_PINGS = Buffer.from("too_many_pings", "ascii");

/** The server's guard of one connection of the direct lane: deadlines, keepalive, floods, windows (H82). */
export class DirectSession {
  readonly peer: string;
  readonly #session: ServerHttp2Session;
  readonly #options: DirectSessionOptions;
  readonly #clock: Clock;
  readonly #logger: Logger;
  readonly #keepalive: SessionKeepalive;
  #idleTimer: Timer;
  #openStreams = 0;
  #windowBytes = MAX_STREAM_WINDOW_BYTES;
  #isWindowChanging = false;
  #controlFrames = 0;
  #controlFramesSinceMs: number;

  constructor(
    options: DirectSessionOptions,
    deps: {
      readonly session: ServerHttp2Session;
      readonly peer: string;
      readonly clock: Clock;
      readonly logger: Logger;
    },
  ) {
    this.#options = options;
    this.#session = deps.session;
    this.#clock = deps.clock;
    this.#logger = deps.logger;
    this.peer = deps.peer;
    this.#controlFramesSinceMs = deps.clock.monotonicMs();
    this.#idleTimer = deps.clock.setTimer(options.firstRequestTimeoutMs, () =>
      this.drop("no call came in time"),
    );
    this.#keepalive = new SessionKeepalive(options.keepalive, {
      session: deps.session,
      clock: deps.clock,
      onDead: () => this.drop("the client answers no pings"),
    });
    const { session } = deps;
    session.setLocalWindowSize(CONNECTION_WINDOW_BYTES);
    session.on("ping", () => this.#countControlFrame());
    session.on("remoteSettings", () => this.#countControlFrame());
    session.on("close", () => this.#stop());
  }

  /** Takes note of a call, until its stream is closed. */
  addStream(stream: ServerHttp2Stream): void {
    this.#idleTimer.cancel();
    this.#openStreams += 1;
    this.#adaptWindow();
    stream.once("close", () => {
      this.#openStreams -= 1;
      this.#adaptWindow();
      if (this.#openStreams > 0 || this.#session.destroyed) return;
      this.#idleTimer.cancel();
      this.#idleTimer = this.#clock.setTimer(this.#options.idleTimeoutMs, () => this.#session.close());
    });
  }

  /** GOAWAY: calls that are open go on, new ones are refused. */
  drain(): void {
    if (!this.#session.closed) this.#session.close();
  }

  /** Ends the connection and what is open on it. */
  drop(reason: string): void {
    if (this.#session.destroyed) return;
    this.#logger.info("a direct-lane connection was dropped", { peer: this.peer, reason });
    this.#session.destroy(undefined, constants.NGHTTP2_CANCEL);
  }

  #stop(): void {
    this.#idleTimer.cancel();
    this.#keepalive.stop();
  }

  #countControlFrame(): void {
    const nowMs = this.#clock.monotonicMs();
    if (nowMs - this.#controlFramesSinceMs > CONTROL_FRAMES_WINDOW_MS) {
      this.#controlFramesSinceMs = nowMs;
      this.#controlFrames = 0;
    }
    this.#controlFrames += 1;
    if (this.#controlFrames <= MAX_CONTROL_FRAMES || this.#session.destroyed) return;
    this.#session.goaway(constants.NGHTTP2_ENHANCE_YOUR_CALM, undefined, TOO_MANY_PINGS);
    this.drop("too many PING or SETTINGS frames");
  }

  /**
   * Keeps window times streams within the connection's total. One change at a time: the next waits for the client's
   * acknowledgement, so that a client cannot make us queue SETTINGS.
   */
  #adaptWindow(): void {
    const session = this.#session;
    const windowBytes = streamWindowBytes(this.#openStreams);
    if (windowBytes === this.#windowBytes || this.#isWindowChanging) return;
    if (session.destroyed || session.closed) return;
    this.#windowBytes = windowBytes;
    this.#isWindowChanging = true;
    session.settings({ initialWindowSize: windowBytes }, () => {
      this.#isWindowChanging = false;
      this.#adaptWindow();
    });
  }
}
