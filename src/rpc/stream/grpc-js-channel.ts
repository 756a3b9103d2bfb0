import { Client, credentials, type ClientDuplexStream, type StatusObject } from "@grpc/grpc-js";

import type { Logger } from "../../base/logger.ts";
import type { Clock } from "../../platform/clock.ts";
import { passBuffer } from "../load-proto.ts";
import { RPC_CODES, rpcStatus, type RpcStatus } from "../status.ts";
import type { ByteStream, CallOptions, RpcMetadata, StreamChannel } from "./byte-stream.ts";
import { ClosedStream } from "./closed-stream.ts";
import { fromGrpcJsStatus, toGrpcJsMetadata } from "./grpc-js-metadata.ts";
import { grpcJsChannelOptions } from "./grpc-js-options.ts";
import { GrpcJsStream, type GrpcJsStreamLimits } from "./grpc-js-stream.ts";

export interface GrpcJsChannelOptions extends Partial<GrpcJsStreamLimits> {
  readonly host: string;
  readonly port: number;
  /** Of a message, either way. */
  readonly maxMessageBytes: number;
}

const DEFAULT_SEND_HIGH_WATER_BYTES = 1024 * 1024;
const NO_METADATA: RpcMetadata = new Map();

/** The client side of the grpc-js lane. Its `client` also carries unary calls (`unary-client.ts`). */
export class GrpcJsChannel implements StreamChannel {
  readonly peer: string;
  readonly client: Client;
  readonly #limits: GrpcJsStreamLimits;
  readonly clock: Clock;
  readonly #logger: Logger;
  readonly #streams = new Set<ByteStream>();
  #isClosed = false;

  constructor(options: GrpcJsChannelOptions, deps: { readonly clock: Clock; readonly logger: Logger }) {
    const host = options.host.includes(":") ? `[${options.host}]` : options.host;
    this.peer = `${host}:${options.port}`;
    this.#limits = { sendHighWaterBytes: DEFAULT_SEND_HIGH_WATER_BYTES, ...options };
    this.clock = deps.clock;
    this.#logger = deps.logger;
    this.client = new Client(this.peer, credentials.createInsecure(), grpcJsChannelOptions(options));
  }

  /** @throws LograftError INVALID_ARGUMENT for metadata that gRPC cannot carry. */
  openStream(method: string, options: CallOptions = {}): ByteStream {
    const metadata = options.metadata ?? NO_METADATA;
    const grpcMetadata = toGrpcJsMetadata(metadata);
    const refusal = this.#refusalOf(options);
    if (refusal !== undefined) {
      return new ClosedStream({ method, peer: this.peer, metadata, status: refusal }, { clock: this.clock });
    }
    const call: ClientDuplexStream<Buffer, Buffer> = this.client.makeBidiStreamRequest<Buffer, Buffer>(
      method,
      passBuffer,
      passBuffer,
      grpcMetadata,
      options.timeoutMs === undefined ? {} : { deadline: this.clock.wallMs() + options.timeoutMs },
    );
    const stream = new GrpcJsClientStream(
      { method, peer: this.peer, metadata, limits: this.#limits, signal: options.signal },
      { call, logger: this.#logger },
    );
    this.#streams.add(stream);
    stream.signal.addEventListener("abort", () => this.#streams.delete(stream), { once: true });
    return stream;
  }

  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    for (const stream of this.#streams) stream.cancel(rpcStatus("CANCELLED", "the channel was closed"));
    this.client.close();
  }

  #refusalOf(options: CallOptions): RpcStatus | undefined {
    if (this.#isClosed) return rpcStatus("CANCELLED", "the channel is closed");
    if (options.signal?.aborted === true)
      return rpcStatus("CANCELLED", "the call was aborted before it began");
    if (options.timeoutMs !== undefined && options.timeoutMs <= 0) {
      return rpcStatus("DEADLINE_EXCEEDED", "the call had no time left when it began");
    }
    return undefined;
  }
}

class GrpcJsClientStream extends GrpcJsStream {
  readonly peer: string;
  protected readonly readsWhileEnding = true;
  readonly #call: ClientDuplexStream<Buffer, Buffer>;
  readonly #abortSignal: AbortSignal | undefined;
  #status: RpcStatus | undefined;
  #hasEnded = false;

  constructor(
    options: {
      readonly method: string;
      readonly peer: string;
      readonly metadata: RpcMetadata;
      readonly limits: GrpcJsStreamLimits;
      readonly signal: AbortSignal | undefined;
    },
    deps: { readonly call: ClientDuplexStream<Buffer, Buffer>; readonly logger: Logger },
  ) {
    super(options, deps);
    this.peer = options.peer;
    this.#call = deps.call;
    this.#abortSignal = options.signal;
    options.signal?.addEventListener("abort", this.#onAbort, { once: true });
    const { call } = deps;
    // Each error is followed by the status, which says the same.
    call.on("error", () => undefined);
    call.on("status", (status: StatusObject) => {
      this.#status = fromGrpcJsStatus(status);
      this.#settle();
    });
    call.on("end", () => {
      this.#hasEnded = true;
      this.#settle();
    });
    this.startReading();
  }

  /** Half-closes. */
  end(): void {
    if (this.isClosed || this.isEnding) return;
    this.markEnding();
    this.#call.end();
  }

  cancel(status: RpcStatus = rpcStatus("CANCELLED", "the call was cancelled")): void {
    if (this.isClosed) return;
    this.#call.cancel();
    this.#closeWith(status);
  }

  readonly #onAbort = (): void => {
    const reason: unknown = this.#abortSignal?.reason;
    this.cancel(rpcStatus("CANCELLED", reason instanceof Error ? reason.message : "the call was aborted"));
  };

  /**
   * An OK ends the call after the last message. Another status does not wait for a reader that is paused: it may be a
   * lost connection or a deadline, which must be told at once, and grpc-js does not say which.
   */
  #settle(): void {
    const status = this.#status;
    if (status === undefined || this.isClosed) return;
    if (this.#hasEnded || (status.code !== RPC_CODES.OK && this.isPaused)) this.#closeWith(status);
  }

  #closeWith(status: RpcStatus): void {
    this.#abortSignal?.removeEventListener("abort", this.#onAbort);
    this.finish(status);
  }
}
