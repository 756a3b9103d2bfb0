import type { ServiceDefinition, UntypedServiceImplementation } from "@grpc/grpc-js";

import type { Logger } from "../../base/logger.ts";
import type { Clock } from "../../platform/clock.ts";
import { PEER_KEEPALIVE, PEER_MAX_MESSAGE_BYTES } from "../../rpc/peer-limits.ts";
import { RequestIds } from "../../rpc/request-id.ts";
import type { StreamHandler } from "../../rpc/stream/byte-stream.ts";
import { grpcJsServerOptions } from "../../rpc/stream/grpc-js-options.ts";
import { grpcJsBidiHandler, passThroughBidi } from "../../rpc/stream/grpc-js-server.ts";
import { InjectedServer } from "./injected-server.ts";
import { withRequestIds } from "./named-requests.ts";

/**
 * The methods of the peer port on @grpc/grpc-js, for callers of any language. The unary ones are served as streams: on
 * the wire there is no difference, and so one handler serves both lanes.
 */
export function peerGrpcServer(
  options: {
    readonly handlers: ReadonlyMap<string, StreamHandler>;
    readonly maxConcurrentStreams: number;
    readonly idleTimeoutMs: number;
  },
  deps: { readonly clock: Clock; readonly logger: Logger },
): InjectedServer {
  const maxMessageBytes = PEER_MAX_MESSAGE_BYTES;
  const server = new InjectedServer(
    {
      ...grpcJsServerOptions({ maxMessageBytes }),
      "grpc.max_concurrent_streams": options.maxConcurrentStreams,
      "grpc.max_connection_idle_ms": options.idleTimeoutMs,
      "grpc.keepalive_time_ms": PEER_KEEPALIVE.intervalMs,
      "grpc.keepalive_timeout_ms": PEER_KEEPALIVE.timeoutMs,
    },
    deps,
  );
  const definition: Record<string, ServiceDefinition[string]> = {};
  const implementation: UntypedServiceImplementation = {};
  for (const [method, handler] of options.handlers) {
    definition[method] = passThroughBidi(method);
    implementation[method] = grpcJsBidiHandler(handler, { maxMessageBytes }, deps);
  }
  server.addService(definition, withRequestIds(implementation, RequestIds.ofServer(deps.clock)));
  return server;
}
