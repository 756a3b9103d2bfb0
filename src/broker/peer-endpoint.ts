import type { NodeId } from "../model/ids.ts";
import type { Hello } from "../quorum/raft-transport.ts";
import type { AcceptedReplica, ReplicaInput } from "../replication/leader-endpoint.ts";
import type { AcceptedSession } from "./controller-channel.ts";

/** What the peer port hands on: one node as the other brokers see it. */
export interface PeerEndpoint {
  readonly nodeId: NodeId;
  /** Of the quorum's store. */
  readonly directoryId: string;
  /** Undefined while this node belongs to no cluster. */
  readonly clusterId: string | undefined;
  /** One Raft message, the receiver's to keep. Must not throw for bad bytes. */
  receive(message: Buffer): void;
  /** Who asks, and the answer. @throws LograftError, which the asker gets. */
  hello(from: Hello): Hello;
  /** A Raft stream from that node ended; another one may be open. A hint. */
  peerClosed(nodeId: NodeId): void;
  /** One request for the active controller. `signal` fires when the asker is gone. @throws LograftError, which the asker gets. */
  handleCall(request: Buffer, signal: AbortSignal): Promise<Buffer>;
  /**
   * A heartbeat stream of a broker. `onEnd` comes once, when it ended otherwise than by `stream.close`. What `onFrame`
   * throws ends the stream with that error.
   */
  acceptSession(stream: AcceptedSession): { onFrame(frame: Buffer): void; onEnd(): void };
  /** A follower's stream for what this broker leads. @throws LograftError, which the follower gets. */
  acceptReplica(stream: AcceptedReplica): ReplicaInput;
}
