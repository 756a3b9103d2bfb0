import type { Logger } from "../../src/base/logger.ts";
import { silentLogger } from "../../src/base/logger.ts";
import { nodeId } from "../../src/model/ids.ts";
import { encodePayload } from "../../src/rpc/payload-codec.ts";
import { peerMetadata, type PeerIdentity } from "../../src/rpc/peer-headers.ts";
import { PEER_MAX_MESSAGE_BYTES } from "../../src/rpc/peer-limits.ts";
import type { RpcMetadata, StreamChannel } from "../../src/rpc/stream/byte-stream.ts";
import { PeerServer } from "../../src/server/peer-server.ts";
import { Recorder } from "../contract/byte-stream.ts";
import { RecordedPeer } from "../contract/recorded-peer.ts";
import { clock, openLaneChannel, type LaneName } from "../rpc/stream/lane-harness.ts";

export const LANES: readonly LaneName[] = ["direct", "grpc-js"];

/** Run after each test, last first. */
export const closers: (() => Promise<void> | void)[] = [];
/** For `afterEach`. */
export async function closeAll(): Promise<void> {
  for (const close of closers.splice(0).reverse()) await close();
}

/** The peer port of node 2 of cluster-a. */
export async function start(
  options: { readonly isDirectOnly?: boolean; readonly logger?: Logger } = {},
): Promise<{ server: PeerServer; peer: RecordedPeer }> {
  const peer = new RecordedPeer(2);
  const server = await PeerServer.start(
    { host: "127.0.0.1", port: 0, isDirectOnly: options.isDirectOnly ?? false },
    { endpoint: peer, clock, logger: options.logger ?? silentLogger },
  );
  closers.push(() => server.close({ graceMs: 0 }));
  return { server, peer };
}

export function openChannel(server: PeerServer, lane: LaneName = "direct"): StreamChannel {
  const channel = openLaneChannel(lane, server.port, PEER_MAX_MESSAGE_BYTES);
  closers.push(() => channel.close());
  return channel;
}

const CALLER: PeerIdentity = { nodeId: nodeId(1), directoryId: "store-1", clusterId: "cluster-a" };
export const TARGET = { nodeId: nodeId(2), directoryId: "store-2" };
/** The metadata of node 1 that calls node 2. */
export const GOOD = peerMetadata(CALLER, TARGET);

export function open(channel: StreamChannel, method: string, metadata: RpcMetadata = GOOD): Recorder {
  return new Recorder(channel.openStream(method, { metadata }));
}

export const payload = (text: string): Uint8Array[] => encodePayload([Buffer.from(text)]);
