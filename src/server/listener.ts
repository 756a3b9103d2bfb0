import { createServer, type AddressInfo, type Server, type Socket } from "node:net";

import { assertNever } from "../base/assert.ts";
import { Deferred } from "../base/deferred.ts";
import { errorMessage, operationError } from "../base/errors.ts";
import type { Logger } from "../base/logger.ts";
import type { Clock, Timer } from "../platform/clock.ts";
import { MAX_FIRST_BYTES } from "../rpc/stream/first-settings.ts";
import { ConnectionLimits, type ConnectionLimitsOptions, type LimitName } from "./connection-limits.ts";
import { inspectFirstBytes, type FirstProtocol } from "./first-bytes.ts";
import { listenError } from "./listen-error.ts";

/** Where to listen and within which bounds; what is left out has the default in `LISTENER_DEFAULTS`. */
export interface ListenerOptions extends Partial<ConnectionLimitsOptions> {
  readonly host: string;
  /** 0: any free port. */
  readonly port: number;
  /** From the accept until it is known what a connection speaks. */
  readonly decisionTimeoutMs?: number;
  /** What the port is called in the answer to a browser. */
  readonly portName?: string;
}

export const LISTENER_DEFAULTS = {
  maxConnections: 10_000,
  maxConnectionsPerAddress: 2000,
  maxUndecided: 1000,
  maxUndecidedPerAddress: 200,
  decisionTimeoutMs: 10_000,
  portName: "client port",
} as const;

/** Who takes a connection over. Each gets the socket paused, with all that was read of it put back. */
export interface ListenerTargets {
  /** Our own client, by the setting in its first SETTINGS frame: `DirectServer.accept`. */
  readonly direct: (socket: Socket) => void;
  /** Any other HTTP/2 client: the connection injector of a grpc-js server. */
  readonly grpc: (socket: Socket) => void;
  /** A client of the Kafka wire protocol; such clients are turned away when this is left out. */
  readonly kafka?: (socket: Socket) => void;
}

/** Lines of one kind about strangers in one window of time; more are counted, not written. */
const MAX_STRANGER_LINES = 10;
const STRANGER_WINDOW_MS = 60_000;
/** How long a client may take to read the answer that turns it away. */
const FAREWELL_MS = 1000;

/**
 * The one client port (D9), or the peer port: looks at the first bytes of each connection and gives it, untouched, to the lane that speaks
 * its protocol (H83).
 */
export class Listener {
  readonly #options: ListenerOptions & typeof LISTENER_DEFAULTS;
  readonly #targets: ListenerTargets;
  readonly #clock: Clock;
  readonly #logger: Logger;
  readonly #limits: ConnectionLimits;
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  readonly #undecided = new Set<Undecided>();
  /** By message: noise of one kind must not hide the one line that tells somebody what is wrong. */
  readonly #strangerLines = new Map<string, number>();
  #strangersSinceMs = 0;
  #isServerClosed = false;
  #closing: Deferred<void> | undefined;

  constructor(
    options: ListenerOptions,
    deps: {
      readonly targets: ListenerTargets;
      readonly clock: Clock;
      readonly logger: Logger;
      /** Counted together with those of other listeners. Default: of this one alone, by its options. */
      readonly limits?: ConnectionLimits;
    },
  ) {
    this.#options = { ...LISTENER_DEFAULTS, ...options } as ListenerOptions & typeof LISTENER_DEFAULTS;
    this.#targets = deps.targets;
    this.#clock = deps.clock;
    this.#logger = deps.logger;
    this.#limits = deps.limits ?? new ConnectionLimits(this.#options);
    this.#server = createServer({ noDelay: true, keepAlive: true, keepAliveInitialDelay: 30_000 });
    this.#server.on("connection", (socket) => this.#admit(socket));
  }

  /** Open connections, of all protocols and of all listeners that share its limits. */
  get connectionCount(): number {
    return this.#limits.openCount;
  }

  /** Connections of which it is not yet known what they speak. */
  get undecidedCount(): number {
    return this.#limits.undecidedCount;
  }

  /** @throws LograftError ADDRESS_IN_USE, or CONFIG_INVALID when the address cannot be listened on at all. */
  listen(): Promise<void> {
    const { host, port } = this.#options;
    return new Promise((resolve, reject) => {
      const onError = (error: Error & { readonly code?: string }): void => {
        reject(listenError(error, host, port));
      };
      this.#server.once("error", onError);
      this.#server.listen({ host, port }, () => {
        this.#server.off("error", onError);
        // After the start these are failures to accept, such as too many open files: one line, and on.
        this.#server.on("error", (error) => {
          this.#logStranger("a connection could not be accepted", { cause: errorMessage(error) });
        });
        resolve();
      });
    });
  }

  /** The address listened on, with the real port. @throws LograftError CLOSED when it does not listen. */
  address(): { readonly host: string; readonly port: number } {
    const address = this.#server.address() as AddressInfo | null;
    if (address === null) throw operationError("CLOSED", "the listener has no address: it does not listen");
    return { host: address.address, port: address.port };
  }

  /**
   * Accepts no more and drops the undecided; then waits up to `graceMs` for the lanes, which are closed beside this, to
   * end their connections, and cuts what is left. Idempotent.
   */
  close(options: { readonly graceMs: number }): Promise<void> {
    if (this.#closing !== undefined) return this.#closing.promise;
    const closing = new Deferred<void>();
    this.#closing = closing;
    const timer = this.#clock.setTimer(options.graceMs, () => {
      for (const socket of this.#sockets) socket.destroy();
    });
    // An error here says that it did not listen, which is what was wanted.
    this.#server.close(() => {
      timer.cancel();
      this.#isServerClosed = true;
      this.#resolveClosing();
    });
    for (const undecided of this.#undecided) undecided.socket.destroy();
    return closing.promise;
  }

  /** The server counts a connection as closed before the connection's own listeners hear of it; both must be done. */
  #resolveClosing(): void {
    if (this.#isServerClosed && this.#sockets.size === 0) this.#closing?.resolve();
  }

  #admit(socket: Socket): void {
    // For the whole life of the socket: whoever owns it may have let go of it when the last error comes.
    socket.on("error", () => undefined);
    const address = socket.remoteAddress ?? "unknown";
    let limit = this.#limits.admit(address);
    if (limit === "maxUndecided" || limit === "maxUndecidedPerAddress") {
      this.#dropOldestUndecided(limit, limit === "maxUndecided" ? undefined : address);
      limit = this.#limits.admit(address);
    }
    if (limit !== undefined) {
      this.#refuse(socket, limit);
      return;
    }
    this.#sockets.add(socket);
    const undecided = new Undecided(socket, {
      clock: this.#clock,
      timeoutMs: this.#options.decisionTimeoutMs,
      onDecided: (protocol, first) => this.#handOver(undecided, protocol, first),
      onTimeout: (first) => {
        this.#logStranger("a connection did not say in time what it speaks", strangerFields(socket, first));
        this.#settle(undecided);
        socket.destroy();
      },
    });
    this.#undecided.add(undecided);
    socket.on("close", () => {
      this.#sockets.delete(socket);
      this.#settle(undecided);
      this.#limits.release(address);
      this.#resolveClosing();
    });
  }

  #settle(undecided: Undecided): void {
    if (!this.#undecided.delete(undecided)) return;
    undecided.stop();
    this.#limits.decide(undecided.address);
  }

  /**
   * A client says at once what it speaks, so who has been silent the longest is the least likely to be one. Were the
   * newest refused instead, a few hundred silent sockets would keep every client of their address out.
   */
  #dropOldestUndecided(limit: LimitName, address: string | undefined): void {
    for (const undecided of this.#undecided) {
      if (address !== undefined && undecided.address !== address) continue;
      this.#logStranger(`a silent connection was dropped for a newer one: ${limit} is reached`, {
        peer: peerOf(undecided.socket),
        limit: this.#options[limit],
      });
      this.#settle(undecided);
      undecided.socket.destroy();
      return;
    }
  }

  #refuse(socket: Socket, limit: LimitName): void {
    this.#logStranger(`a connection was refused: ${limit} is reached`, {
      peer: peerOf(socket),
      limit: this.#options[limit],
    });
    socket.destroy();
  }

  #handOver(undecided: Undecided, protocol: Exclude<FirstProtocol, "undecided">, first: Buffer): void {
    const { socket } = undecided;
    this.#settle(undecided);
    // In this very turn, so that nothing can arrive between the look and the hand-over.
    socket.unshift(first);
    switch (protocol) {
      case "direct":
        this.#targets.direct(socket);
        return;
      case "grpc":
        this.#targets.grpc(socket);
        return;
      case "kafka":
        if (this.#targets.kafka !== undefined) {
          this.#targets.kafka(socket);
          return;
        }
        this.#logStranger("a Kafka client came; this version does not serve the Kafka protocol", {
          peer: peerOf(socket),
          hint: "use a lograft client or any gRPC client",
        });
        socket.destroy();
        return;
      case "http1":
        this.#answerHttp1(socket);
        return;
      case "tls":
        this.#logStranger("a connection began a TLS handshake; this port speaks plain text", {
          ...strangerFields(socket, first),
          hint: "turn TLS off at the client or on at the broker",
        });
        socket.destroy();
        return;
      case "unknown":
        this.#logStranger("a connection speaks nothing this port knows", strangerFields(socket, first));
        socket.destroy();
        return;
      default:
        assertNever(protocol);
    }
  }

  #answerHttp1(socket: Socket): void {
    const body = `This is a lograft ${this.#options.portName}. It speaks gRPC (HTTP/2, plain text); the console, metrics and health are on the HTTP port.\n`;
    const head = `HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: ${body.length}\r\nConnection: close\r\n\r\n`;
    const timer = this.#clock.setTimer(FAREWELL_MS, () => socket.destroy());
    socket.on("close", () => timer.cancel());
    // Read and dropped, for unread bytes would turn the close into a reset that overtakes the answer.
    socket.resume();
    socket.end(head + body);
  }

  /** Strangers can come as often as they like; the log must not follow them. */
  #logStranger(message: string, fields: Readonly<Record<string, unknown>>): void {
    const nowMs = this.#clock.monotonicMs();
    if (nowMs - this.#strangersSinceMs > STRANGER_WINDOW_MS) {
      for (const [kind, lines] of this.#strangerLines) {
        const unwritten = lines - MAX_STRANGER_LINES;
        if (unwritten > 0) this.#logger.warn("more of this came than was logged", { kind, unwritten });
      }
      this.#strangersSinceMs = nowMs;
      this.#strangerLines.clear();
    }
    const lines = (this.#strangerLines.get(message) ?? 0) + 1;
    this.#strangerLines.set(message, lines);
    if (lines <= MAX_STRANGER_LINES) this.#logger.warn(message, fields);
  }
}

/** A connection of which the first bytes are awaited. */
class Undecided {
  readonly socket: Socket;
  readonly address: string;
  readonly #onDecided: (protocol: Exclude<FirstProtocol, "undecided">, first: Buffer) => void;
  readonly #timer: Timer;
  #first: Buffer = Buffer.alloc(0);

  constructor(
    socket: Socket,
    deps: {
      readonly clock: Clock;
      readonly timeoutMs: number;
      readonly onDecided: (protocol: Exclude<FirstProtocol, "undecided">, first: Buffer) => void;
      readonly onTimeout: (first: Buffer) => void;
    },
  ) {
    this.socket = socket;
    this.address = socket.remoteAddress ?? "unknown";
    this.#onDecided = deps.onDecided;
    this.#timer = deps.clock.setTimer(deps.timeoutMs, () => deps.onTimeout(this.#first));
    socket.on("data", this.#onData);
    socket.on("end", this.#onEnd);
  }

  stop(): void {
    this.#timer.cancel();
    this.socket.off("data", this.#onData);
    this.socket.off("end", this.#onEnd);
  }

  readonly #onEnd = (): void => {
    this.socket.destroy();
  };

  readonly #onData = (chunk: Buffer): void => {
    this.#first = this.#first.length === 0 ? chunk : Buffer.concat([this.#first, chunk]);
    const protocol = inspectFirstBytes(this.#first);
    if (protocol === "undecided" && this.#first.length < MAX_FIRST_BYTES) return;
    this.socket.pause();
    this.#onDecided(protocol === "undecided" ? "unknown" : protocol, this.#first);
  };
}

function peerOf(socket: Socket): string {
  return `${socket.remoteAddress ?? "unknown"}:${socket.remotePort ?? 0}`;
}

function strangerFields(socket: Socket, first: Buffer): Readonly<Record<string, unknown>> {
  return { peer: peerOf(socket), firstBytes: first.subarray(0, 16).toString("hex") };
}
