import { once } from "node:events";
import { connect, createServer, type AddressInfo, type Socket } from "node:net";

import { silentLogger, type LogFields, type Logger } from "../../src/base/logger.ts";
import type { PeerAddress } from "../../src/model/peer-address.ts";
import { GrpcControllerChannel } from "../../src/peer/grpc-controller-channel.ts";
import { GrpcRaftTransport } from "../../src/peer/grpc-raft-transport.ts";
import { NodeClock } from "../../src/platform/node/node-clock.ts";
import { SeededRandom } from "../../src/platform/random.ts";
import { PeerServer } from "../../src/server/peer-server.ts";
import { RecordedPeer } from "../contract/recorded-peer.ts";

export const clock = new NodeClock();

/** The warnings that were logged. */
export class WarningLines implements Logger {
  readonly lines: { readonly message: string; readonly fields: LogFields }[] = [];
  debug(): void {}
  info(): void {}
  error(): void {}
  warn(message: string, fields: LogFields = {}): void {
    this.lines.push({ message, fields });
  }
  child(): Logger {
    return this;
  }
}

/** A node on a real port: the peer server, and both ways out. */
export class PeerProcess {
  readonly peer: RecordedPeer;
  readonly transport: GrpcRaftTransport;
  readonly channel: GrpcControllerChannel;
  readonly #logger: Logger;
  #server: PeerServer;
  #proxy: Proxy | undefined;
  #port: number;

  private constructor(peer: RecordedPeer, server: PeerServer, logger: Logger, maxQueueBytes?: number) {
    this.peer = peer;
    this.#server = server;
    this.#port = server.port;
    this.#logger = logger;
    const identity = () => ({
      nodeId: peer.nodeId,
      directoryId: peer.directoryId,
      clusterId: peer.clusterId,
    });
    const options = maxQueueBytes === undefined ? { identity } : { identity, maxQueueBytes };
    const deps = { clock, random: new SeededRandom(7), logger };
    this.transport = new GrpcRaftTransport(options, deps);
    this.channel = new GrpcControllerChannel({ identity }, deps);
  }

  static async start(
    id: number,
    options: { readonly logger?: Logger; readonly maxQueueBytes?: number } = {},
  ): Promise<PeerProcess> {
    const peer = new RecordedPeer(id);
    const logger = options.logger ?? silentLogger;
    const server = await serve(peer, 0, logger);
    return new PeerProcess(peer, server, logger, options.maxQueueBytes);
  }

  get server(): PeerServer {
    return this.#server;
  }

  get address(): PeerAddress {
    const { nodeId, directoryId } = this.peer;
    return { nodeId, directoryId, endpoint: `127.0.0.1:${this.#proxy?.port ?? this.#port}` };
  }

  /** Puts a proxy in front, which stands between from now on. */
  async behindProxy(): Promise<Proxy> {
    this.#proxy = await Proxy.start(this.#port);
    return this.#proxy;
  }

  /** As a process that ends: its connections break and its port is free. */
  async stop(): Promise<void> {
    this.transport.retain([]);
    await this.#server.close({ graceMs: 0 });
  }

  /** As a process that is killed: no goodbye. Needs the proxy, whose port is then free. */
  async kill(): Promise<void> {
    this.#proxy?.close();
    await this.stop();
  }

  async restart(): Promise<void> {
    this.#server = await serve(this.peer, this.#port, this.#logger);
  }

  async close(): Promise<void> {
    this.transport.close();
    this.channel.close();
    this.#proxy?.close();
    await this.#server.close({ graceMs: 0 });
  }
}

function serve(peer: RecordedPeer, port: number, logger: Logger): Promise<PeerServer> {
  return PeerServer.start({ host: "127.0.0.1", port }, { endpoint: peer, clock, logger });
}

/** A wire that can be cut, or stop without a word as that of a host that lost its power. */
export class Proxy {
  readonly port: number;
  readonly #server: ReturnType<typeof createServer>;
  readonly #sockets: Set<Socket>;

  private constructor(server: ReturnType<typeof createServer>, sockets: Set<Socket>) {
    this.#server = server;
    this.#sockets = sockets;
    this.port = (server.address() as AddressInfo).port;
  }

  static async start(targetPort: number): Promise<Proxy> {
    const sockets = new Set<Socket>();
    const server = createServer((inbound) => {
      const outbound = connect({ host: "127.0.0.1", port: targetPort });
      for (const [from, to] of [
        [inbound, outbound],
        [outbound, inbound],
      ] as const) {
        sockets.add(from);
        from.on("error", () => undefined);
        from.on("data", (chunk: Buffer) => void to.write(chunk));
        from.on("close", () => {
          sockets.delete(from);
          if (from.listenerCount("frozen") === 0) to.destroy();
        });
      }
    });
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    return new Proxy(server, sockets);
  }

  /** Connections stay open and carry nothing any more. */
  freeze(): void {
    for (const socket of this.#sockets) {
      socket.removeAllListeners("data");
      socket.pause();
      socket.on("frozen", () => undefined);
    }
  }

  /** Breaks all connections, and takes new ones. */
  cut(): void {
    for (const socket of this.#sockets) socket.destroy();
  }

  close(): void {
    this.#server.close();
    this.cut();
  }
}
