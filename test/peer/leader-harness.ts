import { once } from "node:events";
import { createServer, type AddressInfo, type Socket } from "node:net";

import { silentLogger } from "../../src/base/logger.ts";
import { nodeId } from "../../src/model/ids.ts";
import { GrpcLeaderEndpoint } from "../../src/peer/grpc-leader-endpoint.ts";
import { targetOf } from "../../src/peer/peer-channel.ts";
import { ReplicaConnection } from "../../src/peer/replica-connection.ts";
import type { LeaderEndpoint } from "../../src/replication/leader-endpoint.ts";
import type { PeerIdentity } from "../../src/rpc/peer-headers.ts";
import { PEER_MAX_MESSAGE_BYTES } from "../../src/rpc/peer-limits.ts";
import { GrpcJsChannel } from "../../src/rpc/stream/grpc-js-channel.ts";
import { Draining } from "../../src/server/grpc/draining.ts";
import { peerGrpcServer } from "../../src/server/grpc/peer-grpc-server.ts";
import { peerHandlers } from "../../src/server/grpc/peer-service.ts";
import { PeerServer } from "../../src/server/peer-server.ts";
import type { LeaderHarness } from "../contract/leader-endpoint.ts";
import { RecordedPeer } from "../contract/recorded-peer.ts";
import type { LaneName } from "../rpc/stream/lane-harness.ts";
import { clock, Proxy } from "./peer-harness.ts";

const deps = { clock, logger: silentLogger };
const FOLLOWER: PeerIdentity = { nodeId: nodeId(1), directoryId: "store-1", clusterId: "cluster-a" };

/** The real form, with the lane of each side to choose; a wire in between that can be cut or frozen. */
export interface WiredLeader extends LeaderHarness {
  readonly proxy: Proxy;
  /** Open connections of the leader's peer port. */
  readonly connectionCount: number;
  /** Begins to stop the leader's port. */
  drain(): void;
}

export async function startLeader(lanes: {
  readonly client: LaneName;
  readonly server: LaneName;
}): Promise<WiredLeader> {
  const leader = new RecordedPeer(2);
  const port = lanes.server === "direct" ? await directPort(leader) : await grpcJsPort(leader);
  const proxy = await Proxy.start(port.number);
  const { nodeId: id, directoryId } = leader;
  const stop = async (): Promise<void> => {
    proxy.close();
    await port.close();
  };
  return {
    endpoint:
      lanes.client === "direct" ? new GrpcLeaderEndpoint({ identity: () => FOLLOWER }, deps) : grpcJsEndpoint,
    leader,
    address: { nodeId: id, directoryId, endpoint: `127.0.0.1:${proxy.port}` },
    proxy,
    get connectionCount() {
      return port.connectionCount();
    },
    drain: () => port.drain(),
    kill: stop,
    close: stop,
  };
}

/** As a follower whose HTTP/2 is that of @grpc/grpc-js. */
const grpcJsEndpoint: LeaderEndpoint = {
  open: (to, handlers) => {
    const channel = new GrpcJsChannel(
      { ...targetOf(to.endpoint), maxMessageBytes: PEER_MAX_MESSAGE_BYTES },
      deps,
    );
    return new ReplicaConnection({ address: to, identity: FOLLOWER }, { channel, handlers });
  },
};

interface Port {
  readonly number: number;
  connectionCount(): number;
  drain(): void;
  close(): Promise<void>;
}

/** The port as a broker opens it; whoever connects is served by the direct lane. */
async function directPort(leader: RecordedPeer): Promise<Port> {
  const server = await PeerServer.start(
    { host: "127.0.0.1", port: 0, isDirectOnly: true },
    { endpoint: leader, ...deps },
  );
  return {
    number: server.port,
    connectionCount: () => server.connectionCount,
    drain: () => server.drain(),
    close: () => server.close({ graceMs: 0 }),
  };
}

/** The same handlers, with all connections given to @grpc/grpc-js, whatever lane they ask for. */
async function grpcJsPort(leader: RecordedPeer): Promise<Port> {
  const draining = new Draining();
  const handlers = peerHandlers({ endpoint: leader, draining, ...deps });
  const server = peerGrpcServer({ handlers, maxConcurrentStreams: 64, idleTimeoutMs: 60_000 }, deps);
  const sockets = new Set<Socket>();
  const tcp = createServer((socket) => {
    sockets.add(socket);
    socket.on("error", () => undefined);
    socket.on("close", () => sockets.delete(socket));
    server.accept(socket);
  });
  tcp.listen(0, "127.0.0.1");
  await once(tcp, "listening");
  return {
    number: (tcp.address() as AddressInfo).port,
    connectionCount: () => sockets.size,
    drain: () => draining.begin(),
    async close() {
      tcp.close();
      // A frozen connection would not answer the goodbye.
      for (const socket of sockets) socket.destroy();
      await server.close({ graceMs: 0 });
    },
  };
}
