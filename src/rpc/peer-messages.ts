import { operationError } from "../base/errors.ts";
import type { NodeId } from "../model/ids.ts";
import { nodeId } from "../model/ids.ts";
import type { PeerAddress } from "../model/peer-address.ts";
import { ProtoReader } from "./proto-wire.ts";
import { ProtoWriter } from "./proto-writer.ts";

/*
 * NodeHello of peer.proto, which HelloRequest and HelloResponse wrap (`payload-codec.ts`). Written by hand like all
 * messages of the peer port, so that one handler serves both lanes.
 */

/** lograft.v1.NodeHello; the same fields as the `Hello` of the quorum. */
export interface NodeHello {
  readonly nodeId: NodeId;
  readonly directoryId: string;
  readonly endpoint: string;
  readonly clusterId: string | undefined;
  readonly foundingVoters: readonly PeerAddress[];
  readonly voters: readonly PeerAddress[];
  readonly leader: PeerAddress | undefined;
  readonly epoch: number;
  readonly wallClockMs?: number;
}

/** A node to send; founding voters have no directory id yet. */
export interface PeerNodeInput {
  readonly nodeId: NodeId;
  readonly directoryId?: string;
  readonly endpoint: string;
}

/** A NodeHello to send. */
export interface NodeHelloInput extends Omit<NodeHello, "foundingVoters"> {
  readonly foundingVoters: readonly PeerNodeInput[];
}

/** Voters that are read from one message; a quorum has a handful. */
const MAX_PEERS = 1000;

const writer = new ProtoWriter();

export function encodeNodeHello(hello: NodeHelloInput): Uint8Array[] {
  writer.begin();
  writer.uint(1, hello.nodeId);
  writer.string(2, hello.directoryId);
  writer.string(3, hello.endpoint);
  if (hello.clusterId !== undefined) writer.string(4, hello.clusterId);
  for (const voter of hello.foundingVoters) writePeer(5, voter);
  for (const voter of hello.voters) writePeer(6, voter);
  if (hello.leader !== undefined) writePeer(7, hello.leader);
  writer.uint(8, hello.epoch);
  if (hello.wallClockMs !== undefined) writer.uint(9, hello.wallClockMs);
  return writer.finish();
}

/** @throws LograftError SERIALIZATION_FAILED. */
export function decodeNodeHello(message: Buffer): NodeHello {
  const reader = new ProtoReader(message);
  const foundingVoters: PeerAddress[] = [];
  const voters: PeerAddress[] = [];
  let node = nodeId(0);
  let directoryId = "";
  let endpoint = "";
  let clusterId: string | undefined;
  let leader: PeerAddress | undefined;
  let epoch = 0;
  let wallClockMs: number | undefined;
  for (let tag = reader.tag(); tag !== 0; tag = reader.tag()) {
    switch (tag) {
      case 8:
        node = readNodeId(reader);
        break;
      case 18:
        directoryId = reader.string();
        break;
      case 26:
        endpoint = reader.string();
        break;
      case 34:
        clusterId = reader.string();
        break;
      case 42:
        addPeer(foundingVoters, reader);
        break;
      case 50:
        addPeer(voters, reader);
        break;
      case 58:
        leader = readPeer(reader);
        break;
      case 64:
        epoch = reader.uint64();
        break;
      case 72:
        wallClockMs = reader.uint64();
        break;
      default:
        reader.skip(tag);
    }
  }
  const clock = wallClockMs === undefined ? {} : { wallClockMs };
  return { nodeId: node, directoryId, endpoint, clusterId, foundingVoters, voters, leader, epoch, ...clock };
}

function writePeer(field: number, peer: PeerNodeInput): void {
  const mark = writer.open(field);
  writer.uint(1, peer.nodeId);
  writer.string(2, peer.directoryId ?? "");
  writer.string(3, peer.endpoint);
  writer.close(mark);
}

function addPeer(peers: PeerAddress[], reader: ProtoReader): void {
  if (peers.length === MAX_PEERS) {
    throw operationError("SERIALIZATION_FAILED", `a hello names more than ${MAX_PEERS} voters`);
  }
  peers.push(readPeer(reader));
}

function readPeer(reader: ProtoReader): PeerAddress {
  const outerEnd = reader.enter();
  let node = nodeId(0);
  let directoryId = "";
  let endpoint = "";
  for (let tag = reader.tag(); tag !== 0; tag = reader.tag()) {
    if (tag === 8) node = readNodeId(reader);
    else if (tag === 18) directoryId = reader.string();
    else if (tag === 26) endpoint = reader.string();
    else reader.skip(tag);
  }
  reader.leave(outerEnd);
  return { nodeId: node, directoryId, endpoint };
}

function readNodeId(reader: ProtoReader): NodeId {
  const value = reader.int32();
  if (value >= 0) return nodeId(value);
  throw operationError("SERIALIZATION_FAILED", `a node id is ${value}; it must be 0 to 2^31 - 1`);
}
