import type { AcceptedSession } from "../../src/broker/controller-channel.ts";
import type { PeerEndpoint } from "../../src/broker/peer-endpoint.ts";
import { nodeId, type NodeId } from "../../src/model/ids.ts";
import type { Hello } from "../../src/quorum/raft-transport.ts";
import type { AcceptedReplica, ReplicaInput } from "../../src/replication/leader-endpoint.ts";

/** A session as its controller sees it. */
export interface RecordedSession {
  readonly stream: AcceptedSession;
  readonly frames: string[];
  ends: number;
}

/** A follower's stream as its leader sees it. */
export interface RecordedReplica {
  readonly stream: AcceptedReplica;
  readonly frames: Buffer[];
  drains: number;
  ends: number;
}

/** A node that writes down what its peers say, answers what it is told to, and lets a test wait for a turn of events. */
export class RecordedPeer implements PeerEndpoint {
  readonly nodeId: NodeId;
  directoryId: string;
  clusterId: string | undefined = "cluster-a";
  readonly received: Buffer[] = [];
  readonly hellos: Hello[] = [];
  readonly closedPeers: NodeId[] = [];
  readonly sessions: RecordedSession[] = [];
  readonly replicas: RecordedReplica[] = [];
  answerHello: (from: Hello) => Hello;
  answerCall: (request: Buffer, signal: AbortSignal) => Promise<Buffer> = async (request) => request;
  onFrame: (session: RecordedSession, frame: Buffer) => void = () => undefined;
  onReplicaFrame: (replica: RecordedReplica, frame: Buffer) => void = () => undefined;
  onReplicaDrain: (replica: RecordedReplica) => void = () => undefined;
  /** Set: what is thrown at followers instead of taking them. */
  replicaRefusal: Error | undefined;
  readonly #watchers = new Set<() => void>();

  constructor(id: number) {
    this.nodeId = nodeId(id);
    this.directoryId = `store-${id}`;
    this.answerHello = () => this.helloOf("");
  }

  /** What this node says of itself when it knows nobody else. */
  helloOf(endpoint: string): Hello {
    const { directoryId, clusterId } = this;
    const unknown = { foundingVoters: [], voters: [], leader: undefined, epoch: 0 };
    return { nodeId: this.nodeId, directoryId, endpoint, clusterId, ...unknown };
  }

  /** Resolves when the condition holds, which is looked at after each event. */
  async until(condition: () => boolean): Promise<void> {
    while (!condition()) {
      await new Promise<void>((resolve) => {
        const wake = (): void => {
          this.#watchers.delete(wake);
          resolve();
        };
        this.#watchers.add(wake);
      });
    }
  }

  /** Tells those who wait to look again. */
  wake(): void {
    for (const watcher of this.#watchers) watcher();
  }

  receive(message: Buffer): void {
    this.received.push(message);
    this.wake();
  }

  hello(from: Hello): Hello {
    this.hellos.push(from);
    this.wake();
    return this.answerHello(from);
  }

  peerClosed(id: NodeId): void {
    this.closedPeers.push(id);
    this.wake();
  }

  handleCall(request: Buffer, signal: AbortSignal): Promise<Buffer> {
    this.wake();
    return this.answerCall(request, signal);
  }

  acceptSession(stream: AcceptedSession): { onFrame(frame: Buffer): void; onEnd(): void } {
    const session: RecordedSession = { stream, frames: [], ends: 0 };
    this.sessions.push(session);
    this.wake();
    return {
      onFrame: (frame) => {
        session.frames.push(frame.toString());
        this.wake();
        this.onFrame(session, frame);
      },
      onEnd: () => {
        session.ends += 1;
        this.wake();
      },
    };
  }

  acceptReplica(stream: AcceptedReplica): ReplicaInput {
    if (this.replicaRefusal !== undefined) throw this.replicaRefusal;
    const replica: RecordedReplica = { stream, frames: [], drains: 0, ends: 0 };
    this.replicas.push(replica);
    this.wake();
    return {
      onFrame: (frame) => {
        replica.frames.push(frame);
        this.wake();
        this.onReplicaFrame(replica, frame);
      },
      onDrain: () => {
        replica.drains += 1;
        this.wake();
        this.onReplicaDrain(replica);
      },
      onEnd: () => {
        replica.ends += 1;
        this.wake();
      },
    };
  }
}
