import type { handleBidiStreamingCall, MethodDefinition, ServerDuplexStream } from "@grpc/grpc-js";

import type { ByteBudget } from "../../base/byte-budget.ts";
import type { Logger } from "../../base/logger.ts";
import type { Clock } from "../../platform/clock.ts";
import { passBuffer } from "../load-proto.ts";
import { OK_STATUS, RPC_CODES, rpcStatus, type RpcStatus } from "../status.ts";
import type { StreamHandler } from "./byte-stream.ts";
import { fromGrpcJsMetadata, toGrpcJsStatus } from "./grpc-js-metadata.ts";
import { GrpcJsStream, type GrpcJsStreamLimits } from "./grpc-js-stream.ts";

export interface GrpcJsHandlerOptions extends Partial<GrpcJsStreamLimits> {
  /** Of a message that is sent; what is received is bounded by the server's own options. */
  readonly maxMessageBytes: number;
  /** Charged with each message; the handler releases `message.length` when it has dealt with it. */
  readonly budget?: ByteBudget;
}

const DEFAULT_SEND_HIGH_WATER_BYTES = 1024 * 1024;

/** Serves a bidirectional method of a grpc-js server by a handler that knows no lane. See `passThroughBidi`. */
export function grpcJsBidiHandler(
  handler: StreamHandler,
  options: GrpcJsHandlerOptions,
  deps: { readonly clock: Clock; readonly logger: Logger },
): handleBidiStreamingCall<Buffer, Buffer> {
  return (call) => {
    new GrpcJsServerStream(options, { call, ...deps }).start(handler);
  };
}

/** The definition of a bidirectional method whose messages stay bytes, for `Server.addService`. */
export function passThroughBidi(path: string): MethodDefinition<Buffer, Buffer> {
  return {
    path,
    requestStream: true,
    responseStream: true,
    requestSerialize: passBuffer,
    requestDeserialize: passBuffer,
    responseSerialize: passBuffer,
    responseDeserialize: passBuffer,
  };
}

class GrpcJsServerStream extends GrpcJsStream {
  readonly peer: string;
  protected readonly readsWhileEnding = false;
  readonly #call: ServerDuplexStream<Buffer, Buffer>;
  readonly #clock: Clock;
  #status: RpcStatus | undefined;

  constructor(
    options: GrpcJsHandlerOptions,
    deps: {
      readonly call: ServerDuplexStream<Buffer, Buffer>;
      readonly clock: Clock;
      readonly logger: Logger;
    },
  ) {
    super(
      {
        method: deps.call.getPath(),
        metadata: fromGrpcJsMetadata(deps.call.metadata),
        limits: { sendHighWaterBytes: DEFAULT_SEND_HIGH_WATER_BYTES, ...options },
        budget: options.budget,
      },
      deps,
    );
    this.#call = deps.call;
    this.#clock = deps.clock;
    this.peer = deps.call.getPeer();
  }

  start(handler: StreamHandler): void {
    const call = this.#call;
    call.on("end", () => {
      if (!this.isClosed && !this.isEnding) this.notifyEnd();
    });
    // Also comes after an orderly end, as the last event of each call.
    call.on("cancelled", () => this.finish(this.#statusAtCancel()));
    this.runHandler(() => handler(this));
    if (!this.isClosed) this.startReading();
  }

  end(status: RpcStatus = OK_STATUS): void {
    if (this.isClosed || this.isEnding) return;
    this.#conclude(status);
  }

  /** grpc-js cannot take back what it was given, so the status follows that; for the handler the call is over now. */
  cancel(status: RpcStatus = rpcStatus("CANCELLED", "the server cancelled the call")): void {
    if (this.isClosed) return;
    if (!this.isEnding) this.#conclude(status);
    this.finish(status);
  }

  #conclude(status: RpcStatus): void {
    this.markEnding();
    this.#status = status;
    this.#call.resume();
    if (status.code === RPC_CODES.OK) this.#call.end();
    // The way in which grpc-js takes a status other than OK on a stream; it ends the call after what was written.
    else this.#call.emit("error", toGrpcJsStatus(status));
  }

  #statusAtCancel(): RpcStatus {
    if (this.#status !== undefined) return this.#status;
    const deadline = this.#call.getDeadline();
    const deadlineMs = typeof deadline === "number" ? deadline : deadline.getTime();
    return this.#clock.wallMs() >= deadlineMs
      ? rpcStatus("DEADLINE_EXCEEDED", "the deadline of the call passed")
      : rpcStatus("CANCELLED", "the client cancelled the call or its connection was lost");
  }
}
