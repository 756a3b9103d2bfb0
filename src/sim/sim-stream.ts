import type { ByteBudget } from "../base/byte-budget.ts";
import { operationError } from "../base/errors.ts";
import { OK_STATUS, rpcStatus } from "../rpc/status.ts";
import type { RpcStatus } from "../rpc/status.ts";
import type { ByteStream, RpcMetadata, StreamHandler } from "../rpc/stream/byte-stream.ts";
import { SimConnection } from "./sim-connection.ts";
import type { ConnectionEnd, ConnectionHandlers, ConnectionSide } from "./sim-connection.ts";
import type { NetworkHost, SimNetwork } from "./sim-network.ts";

/** What travels: a message, a half-close, or the end of the call. */
type Frame = { readonly message: Buffer } | "half-close" | { readonly status: RpcStatus };

const NO_METADATA: RpcMetadata = new Map();

/** Who serves a stream, and what its messages are charged to when they come, as the real lanes do. */
export interface StreamService {
  readonly handler: StreamHandler;
  readonly budget?: ByteBudget;
}

/** A gRPC stream from a simulated client to a broker, on a connection of its own. */
export function openSimStream<Host extends NetworkHost>(
  options: { readonly endpoint: string; readonly method: string },
  deps: {
    readonly network: SimNetwork<Host>;
    readonly from: NetworkHost;
    /** By the process that listens there; undefined: it serves nothing yet. */
    readonly serviceOf: (process: Host) => StreamService | undefined;
  },
): ByteStream {
  const { endpoint, method } = options;
  const client = new SimStream({ method, peer: endpoint, isServer: false });
  const side = SimConnection.open<Host, Frame>(
    deps.network,
    deps.from,
    endpoint,
    client.handlers,
    (process, accepted) => {
      const service = deps.serviceOf(process);
      const server = new SimStream({ method, peer: "client", isServer: true, budget: service?.budget });
      server.connect(accepted);
      if (service === undefined) server.cancel(rpcStatus("UNAVAILABLE", `${endpoint} serves nothing yet`));
      else service.handler(server);
      return server.handlers;
    },
  );
  client.connect(side);
  return client;
}

/** One side. What it holds is bounded by what windows and credit let the other side send. */
class SimStream implements ByteStream {
  readonly method: string;
  readonly peer: string;
  readonly metadata = NO_METADATA;
  readonly bufferedBytes = 0;
  readonly #isServer: boolean;
  readonly #budget: ByteBudget | undefined;
  readonly #gone = new AbortController();
  #side: ConnectionSide<Frame> | undefined;
  #onMessage: ((message: Buffer) => void) | undefined;
  #onEnd: (() => void) | undefined;
  #onClose: ((status: RpcStatus) => void) | undefined;
  #waiting: Frame[] = [];
  #isPaused = false;
  #isClosed = false;

  constructor(options: {
    readonly method: string;
    readonly peer: string;
    readonly isServer: boolean;
    readonly budget?: ByteBudget | undefined;
  }) {
    this.method = options.method;
    this.peer = options.peer;
    this.#isServer = options.isServer;
    this.#budget = options.budget;
  }

  get signal(): AbortSignal {
    return this.#gone.signal;
  }

  get handlers(): ConnectionHandlers<Frame> {
    return {
      onFrame: (frame) => {
        this.#waiting.push(frame);
        this.#deliver();
      },
      onEnd: (reason) => this.#close(lostStatus(this.peer, reason)),
    };
  }

  connect(side: ConnectionSide<Frame>): void {
    this.#side = side;
  }

  onMessage(handler: (message: Buffer) => void): void {
    this.#onMessage = handler;
    this.#deliver();
  }

  onEnd(handler: () => void): void {
    this.#onEnd = handler;
  }

  onClose(handler: (status: RpcStatus) => void): void {
    this.#onClose = handler;
  }

  /** Never called: nothing is over the high-water mark. */
  onDrain(): void {}

  send(chunks: readonly Uint8Array[]): boolean {
    if (this.#isClosed) return false;
    this.#side?.send({ message: Buffer.concat(chunks) });
    return true;
  }

  pause(): void {
    this.#isPaused = true;
  }

  resume(): void {
    this.#isPaused = false;
    this.#deliver();
  }

  end(status: RpcStatus = OK_STATUS): void {
    if (this.#isClosed) return;
    if (this.#isServer) this.cancel(status);
    else this.#side?.send("half-close");
  }

  cancel(status: RpcStatus = rpcStatus("CANCELLED", "the call was cancelled")): void {
    if (this.#isClosed) return;
    const seen = this.#isServer ? status : rpcStatus("CANCELLED", "the client cancelled the call");
    this.#side?.send({ status: seen });
    this.#close(status);
  }

  #deliver(): void {
    while (this.#onMessage !== undefined && !this.#isPaused && !this.#isClosed) {
      const frame = this.#waiting.shift();
      if (frame === undefined) return;
      if (frame === "half-close") this.#onEnd?.();
      else if ("message" in frame) {
        this.#budget?.take(frame.message.length, ignore);
        this.#onMessage(frame.message);
      } else this.#close(frame.status);
    }
  }

  #close(status: RpcStatus): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#waiting = [];
    this.#side?.close();
    this.#gone.abort(operationError("ABORTED", `the stream to ${this.peer} has ended`));
    this.#onClose?.(status);
  }
}

function lostStatus(peer: string, reason: ConnectionEnd): RpcStatus {
  const text = reason === "refused" ? "nothing listens there" : "the connection broke";
  const connection = reason === "refused" ? "refused" : "lost";
  return { ...rpcStatus("UNAVAILABLE", `cannot reach ${peer}: ${text}`), connection };
}

function ignore(): undefined {
  return undefined;
}
