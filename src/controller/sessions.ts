import type { NodeId } from "../model/ids.ts";

/** Which registration a session belongs to. */
export interface SessionOwner {
  readonly nodeId: NodeId;
  readonly incarnationId: string;
  readonly brokerEpoch: number;
}

/** A broker that counts as alive. Times are ms of the monotonic clock. */
export interface Session extends SessionOwner {
  /** The stream its heartbeats come on; undefined: none now. */
  readonly streamId: number | undefined;
  /** It is taken for dead from then on. */
  readonly deadlineMs: number;
}

export interface SessionsOptions {
  /** Silence that ends a session. */
  readonly timeoutMs: number;
  /** How long a broker whose stream ended may take to open another one, when that is less. */
  readonly reconnectGraceMs: number;
}

/**
 * Which brokers are alive, until when, and on which stream they are heard; at most one session for each node id. Pure:
 * the time is an argument and never goes back.
 */
export class Sessions {
  readonly #options: SessionsOptions;
  readonly #byNode = new Map<NodeId, Session>();
  /** Brokers that want to stop, by the registration that said so; it holds behind the end of the session too. */
  readonly #stopping = new Map<NodeId, number>();

  constructor(options: SessionsOptions) {
    this.#options = options;
  }

  get size(): number {
    return this.#byNode.size;
  }

  get(nodeId: NodeId): Session | undefined {
    return this.#byNode.get(nodeId);
  }

  /** Starts a session afresh at full length, in place of any other of this node id. */
  begin(
    { nodeId, incarnationId, brokerEpoch }: SessionOwner,
    streamId: number | undefined,
    nowMs: number,
  ): void {
    const deadlineMs = nowMs + this.#options.timeoutMs;
    this.#byNode.set(nodeId, { nodeId, incarnationId, brokerEpoch, streamId, deadlineMs });
  }

  /** The broker was heard on its stream: the full length begins again. */
  heard(session: Session, nowMs: number): void {
    this.#update(session, { deadlineMs: nowMs + this.#options.timeoutMs });
  }

  /** The session that was on this stream; it has a short time to come back on another one. */
  streamEnded(nodeId: NodeId, streamId: number, nowMs: number): Session | undefined {
    const session = this.#byNode.get(nodeId);
    if (session?.streamId !== streamId) return undefined;
    const deadlineMs = Math.min(session.deadlineMs, nowMs + this.#options.reconnectGraceMs);
    return this.#update(session, { streamId: undefined, deadlineMs });
  }

  /** The broker wants to stop, which no process ever takes back. */
  stopping({ nodeId, brokerEpoch }: SessionOwner): void {
    this.#stopping.set(nodeId, brokerEpoch);
  }

  /** It has said so under this registration. */
  isStopping({ nodeId, brokerEpoch }: SessionOwner): boolean {
    return this.#stopping.get(nodeId) === brokerEpoch;
  }

  /** The broker is known to be dead, or not to be trusted: its session is due now. */
  expire(session: Session, nowMs: number): void {
    this.#update(session, { deadlineMs: Math.min(session.deadlineMs, nowMs) });
  }

  end(nodeId: NodeId): void {
    this.#byNode.delete(nodeId);
  }

  clear(): void {
    this.#byNode.clear();
    this.#stopping.clear();
  }

  /** Those whose deadline has come, the longest dead first. */
  due(nowMs: number): Session[] {
    return [...this.#byNode.values()]
      .filter(({ deadlineMs }) => deadlineMs <= nowMs)
      .sort((a, b) => a.deadlineMs - b.deadlineMs || a.nodeId - b.nodeId);
  }

  /** The earliest deadline of all; undefined when there is no session. */
  get nextDeadlineMs(): number | undefined {
    let next: number | undefined;
    for (const { deadlineMs } of this.#byNode.values()) {
      if (next === undefined || deadlineMs < next) next = deadlineMs;
    }
    return next;
  }

  /** Changes the session of a node, unless another one took its place. */
  #update(session: Session, change: Partial<Pick<Session, "streamId" | "deadlineMs">>): Session | undefined {
    const current = this.#byNode.get(session.nodeId);
    if (current === undefined || current.brokerEpoch !== session.brokerEpoch) return undefined;
    const next = { ...current, ...change };
    this.#byNode.set(session.nodeId, next);
    return next;
  }
}
