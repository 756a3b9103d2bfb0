import { LograftError } from "../../src/base/errors.ts";
import type { PeerAddress } from "../../src/model/peer-address.ts";
import type {
  AcceptedReplica,
  LeaderEndpoint,
  ReplicaChannel,
  ReplicaChannelHandlers,
  ReplicaInput,
} from "../../src/replication/leader-endpoint.ts";
import type { Scheduler } from "../../src/sim/scheduler.ts";

/** A broker, as far as the wire needs it. */
export interface WireNode {
  readonly isDown: boolean;
  readonly senders: { accept(stream: AcceptedReplica): ReplicaInput };
}

interface Connection {
  readonly nodes: readonly [number, number];
  end(cause: Error, side: "both" | "follower"): void;
}

/** Streams between the nodes: whole frames, in order, 1 ms on their way. */
export class TestWire {
  readonly scheduler: Scheduler;
  readonly connections = new Set<Connection>();
  /** Frames that arrived, by direction. */
  readonly frames = { toLeader: 0, toFollower: 0 };
  opened = 0;
  /** Bytes on their way above which a sender is told to stop. */
  highWaterBytes = Number.POSITIVE_INFINITY;
  /** Nothing arrives at followers. */
  isStuck = false;
  readonly errors: unknown[] = [];
  readonly #nodes: ReadonlyMap<number, WireNode>;
  #held: (() => void)[] = [];

  constructor(scheduler: Scheduler, nodes: ReadonlyMap<number, WireNode>) {
    this.scheduler = scheduler;
    this.#nodes = nodes;
  }

  unstick(): void {
    this.isStuck = false;
    const held = this.#held;
    this.#held = [];
    for (const deliver of held) deliver();
  }

  cutAll(isMeant: (nodes: readonly [number, number]) => boolean = () => true): void {
    for (const connection of this.connections) {
      if (isMeant(connection.nodes)) connection.end(new Error("connection cut"), "both");
    }
  }

  endpointOf(from: number): LeaderEndpoint {
    return { open: (to, handlers) => this.#open(from, to, handlers) };
  }

  #open(from: number, to: PeerAddress, handlers: ReplicaChannelHandlers): ReplicaChannel {
    this.opened += 1;
    let isFollowerEnded = false;
    let isLeaderEnded = false;
    let input: ReplicaInput | undefined;
    let flying = 0;
    let isBlocked = false;
    const later = (run: () => void): void => void this.scheduler.schedule(1, run);
    const connection: Connection = {
      nodes: [from, to.nodeId],
      end: (cause, side) => {
        this.connections.delete(connection);
        if (!isFollowerEnded) {
          isFollowerEnded = true;
          later(() => handlers.onEnd(cause));
        }
        if (side === "both" && !isLeaderEnded) later(() => input?.onEnd());
        isLeaderEnded = true;
      },
    };
    this.connections.add(connection);
    const stream: AcceptedReplica = {
      send: (chunks) => {
        if (isLeaderEnded) return true;
        const frame = Buffer.concat(chunks);
        flying += frame.length;
        const deliver = (): void => {
          if (this.isStuck) {
            this.#held.push(deliver);
            return;
          }
          flying -= frame.length;
          if (!isFollowerEnded) {
            this.frames.toFollower += 1;
            handlers.onFrame(frame);
          }
          if (isBlocked && flying <= this.highWaterBytes / 2) {
            isBlocked = false;
            if (!isLeaderEnded) input?.onDrain();
          }
        };
        later(deliver);
        isBlocked ||= flying > this.highWaterBytes;
        return !isBlocked;
      },
      close: (error) => {
        if (error !== undefined) this.errors.push(error);
        connection.end(error ?? new Error("closed by the leader"), "follower");
      },
    };
    later(() => {
      const node = this.#nodes.get(to.nodeId);
      if (node === undefined || node.isDown || this.#nodes.get(from)?.isDown === true) {
        connection.end(new Error("connection refused"), "both");
      } else {
        input = node.senders.accept(stream);
      }
    });
    return {
      send: (chunks) => {
        if (isFollowerEnded) return true;
        const frame = Buffer.concat(chunks);
        later(() => {
          if (isLeaderEnded || input === undefined) return;
          this.frames.toLeader += 1;
          try {
            input.onFrame(frame);
          } catch (error: unknown) {
            if (!(error instanceof LograftError)) throw error;
            this.errors.push(error);
            isLeaderEnded = true;
            connection.end(error, "follower");
          }
        });
        return true;
      },
      close: () => {
        if (isFollowerEnded) return;
        isFollowerEnded = true;
        connection.end(new Error("closed by the follower"), "both");
      },
    };
  }
}
