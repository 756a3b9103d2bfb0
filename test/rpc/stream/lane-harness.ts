import { once } from "node:events";
import { createServer, type AddressInfo, type Socket } from "node:net";

import { Server, ServerCredentials } from "@grpc/grpc-js";

import type { ByteBudget } from "../../../src/base/byte-budget.ts";
import { silentLogger } from "../../../src/base/logger.ts";
import { NodeClock } from "../../../src/platform/node/node-clock.ts";
import type { StreamChannel, StreamHandler } from "../../../src/rpc/stream/byte-stream.ts";
import { DirectChannel } from "../../../src/rpc/stream/direct-channel.ts";
import { DirectServer, type DirectServerOptions } from "../../../src/rpc/stream/direct-server.ts";
import { GrpcJsChannel } from "../../../src/rpc/stream/grpc-js-channel.ts";
import { grpcJsServerOptions } from "../../../src/rpc/stream/grpc-js-options.ts";
import { grpcJsBidiHandler, passThroughBidi } from "../../../src/rpc/stream/grpc-js-server.ts";

export type LaneName = "direct" | "grpc-js";

export const clock = new NodeClock();
export const deps = { clock, logger: silentLogger };

/** A server of one lane on a port of its own. */
export interface LaneServer {
  readonly port: number;
  /** Destroys the sockets of all connections, as a lost network would. */
  cutConnections(): void;
  close(): Promise<void>;
}

export interface LaneServerOptions {
  readonly handlers: Readonly<Record<string, StreamHandler>>;
  readonly maxMessageBytes: number;
  readonly budget?: ByteBudget;
  readonly direct?: Partial<DirectServerOptions>;
}

export async function startLaneServer(lane: LaneName, options: LaneServerOptions): Promise<LaneServer> {
  const sockets = new Set<Socket>();
  const target = lane === "direct" ? directTarget(options) : grpcJsTarget(options);
  const tcp = createServer((socket) => {
    sockets.add(socket);
    socket.on("error", () => undefined);
    socket.on("close", () => sockets.delete(socket));
    target.accept(socket);
  });
  tcp.listen(0, "127.0.0.1");
  await once(tcp, "listening");
  const cutConnections = (): void => {
    for (const socket of sockets) socket.destroy();
  };
  return {
    port: (tcp.address() as AddressInfo).port,
    cutConnections,
    async close() {
      const closed = once(tcp, "close");
      tcp.close();
      await target.close();
      cutConnections();
      await closed;
    },
  };
}

export function openLaneChannel(lane: LaneName, port: number, maxMessageBytes: number): StreamChannel {
  const options = { host: "127.0.0.1", port, maxMessageBytes };
  return lane === "direct" ? new DirectChannel(options, deps) : new GrpcJsChannel(options, deps);
}

interface Target {
  accept(socket: Socket): void;
  close(): Promise<void>;
}

function directTarget(options: LaneServerOptions): Target {
  const server = new DirectServer({ maxMessageBytes: options.maxMessageBytes, ...options.direct }, deps);
  for (const [method, handler] of Object.entries(options.handlers)) {
    server.handle(method, handler, options.budget === undefined ? {} : { budget: options.budget });
  }
  return { accept: (socket) => server.accept(socket), close: () => server.close({ graceMs: 100 }) };
}

function grpcJsTarget(options: LaneServerOptions): Target {
  const { maxMessageBytes } = options;
  const server = new Server(grpcJsServerOptions({ maxMessageBytes }));
  const definition: Record<string, ReturnType<typeof passThroughBidi>> = {};
  const implementation: Record<string, ReturnType<typeof grpcJsBidiHandler>> = {};
  for (const [method, handler] of Object.entries(options.handlers)) {
    definition[method] = passThroughBidi(method);
    implementation[method] = grpcJsBidiHandler(
      handler,
      options.budget === undefined ? { maxMessageBytes } : { maxMessageBytes, budget: options.budget },
      deps,
    );
  }
  server.addService(definition, implementation);
  const injector = server.createConnectionInjector(ServerCredentials.createInsecure());
  return {
    accept: (socket) => injector.injectConnection(socket),
    async close() {
      injector.destroy();
      server.forceShutdown();
      await Promise.resolve();
    },
  };
}
