import type { Client, MethodDefinition, ServiceError } from "@grpc/grpc-js";

import { abortReason } from "../base/abort.ts";
import { operationError } from "../base/errors.ts";
import type { Clock } from "../platform/clock.ts";
import { errorFromStatus } from "./error-details.ts";
import { protoService } from "./load-proto.ts";
import { requestIdOf } from "./request-id.ts";
import { RPC_CODES } from "./status.ts";
import type { RpcMetadata } from "./stream/byte-stream.ts";
import { fromGrpcJsStatus, toGrpcJsMetadata } from "./stream/grpc-js-metadata.ts";

const NO_METADATA: RpcMetadata = new Map();

/** Every unary call has a deadline (H73). */
export interface UnaryOptions {
  readonly timeoutMs: number;
  readonly signal?: AbortSignal;
  readonly metadata?: RpcMetadata;
}

/** A method with the types of its messages, which the loaded proto files do not carry. */
export type UnaryMethod<Request, Response> = MethodDefinition<Request, Response>;

/**
 * Looks up a method. The types are the caller's word; a test holds `messages.ts` against proto/.
 * @param service such as "lograft.v1.AdminService". @param method such as "CreateTopics".
 * @throws LograftError CONFIG_INVALID when proto/ declares no such unary method.
 */
export function unaryMethod<Request, Response>(
  service: string,
  method: string,
): UnaryMethod<Request, Response> {
  const definition = protoService(service)[method];
  if (definition === undefined || definition.requestStream || definition.responseStream) {
    throw operationError("CONFIG_INVALID", `proto/ declares no unary method ${service}/${method}`);
  }
  return definition as UnaryMethod<Request, Response>;
}

/** Where unary calls go: `GrpcJsChannel` is one. */
export interface UnaryTarget {
  readonly client: Client;
  readonly clock: Clock;
}

/**
 * One unary call. Fields left out of `request` have proto3's defaults.
 * @throws ProtocolError or LograftError by the status of the call (`errorFromStatus`): TIMEOUT at the deadline,
 * CONNECTION_FAILED without a connection; the reason of `signal` when that fires first.
 */
export function callUnary<Request, Response>(
  target: UnaryTarget,
  method: UnaryMethod<Request, Response>,
  request: Partial<Request>,
  options: UnaryOptions,
): Promise<Response> {
  const { signal, metadata = NO_METADATA } = options;
  return new Promise((resolve, reject) => {
    if (signal?.aborted === true) {
      reject(abortReason(signal));
      return;
    }
    const call = target.client.makeUnaryRequest<Request, Response>(
      method.path,
      method.requestSerialize,
      method.responseDeserialize,
      // proto-loader fills in what is missing.
      request as Request,
      toGrpcJsMetadata(metadata),
      { deadline: target.clock.wallMs() + options.timeoutMs },
      (error: ServiceError | null, response?: Response) => {
        signal?.removeEventListener("abort", onAbort);
        if (signal?.aborted === true && error?.code === RPC_CODES.CANCELLED) reject(abortReason(signal));
        else if (error !== null) reject(errorFromStatus(fromGrpcJsStatus(error), requestIdOf({ metadata })));
        else if (response !== undefined) resolve(response);
        else reject(operationError("CONNECTION_FAILED", `${method.path} was answered without a message`));
      },
    );
    const onAbort = (): void => call.cancel();
    signal?.addEventListener("abort", onAbort, { once: true });
  });
}
