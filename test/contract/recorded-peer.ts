import type { AcceptedSession } from "../../src/broker/controller-channel.ts";
import type { PeerEndpoint } from "../../src/broker/peer-endpoint.ts";
import { nodeId, type NodeId } from "../../src/model/ids.ts";
import type { Hello } from "../../src/quorum/raft-transport.ts";

/** A session as its controller sees it. */
export interface RecordedSession {
  readonly stream: AcceptedSession;
  readonly frames: string[];
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
  answerHello: (from: Hello) => Hello;
  answerCall: (request: Buffer, signal: AbortSignal) => Promise<Buffer> = async (request) => request;
  onFrame: (session: RecordedSession, frame: Buffer) => void = () => undefined;
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
}
