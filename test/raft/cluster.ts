import type { RaftMessage, RaftSabotage } from "../../src/raft/types.ts";
import { foundingEntry, replicaId, SimReplica } from "./replica.ts";
import { Safety } from "./safety.ts";

/** One step of a random schedule; what the numbers pick is told by the name, always modulo what there is. */
export interface Step {
  readonly kind: StepKind;
  readonly a: number;
  readonly b: number;
}

/** How often each kind of step comes, relative to the others. */
export const STEP_WEIGHTS = {
  deliver: 30,
  deliverAll: 8,
  double: 3,
  drop: 3,
  dropAll: 1,
  write: 14,
  chunk: 4,
  tick: 8,
  propose: 8,
  crash: 2,
  restart: 4,
  campaign: 2,
  standAtOnce: 1,
  add: 2,
  remove: 2,
  move: 1,
  observe: 3,
  snapshot: 4,
  transfer: 1,
  read: 4,
  run: 3,
} as const;

export type StepKind = keyof typeof STEP_WEIGHTS;

/** Replicas on a network that loses, doubles and reorders, checked after each step. */
export class SimCluster {
  readonly replicas: readonly SimReplica[];
  readonly #safety = new Safety();
  #network: RaftMessage[] = [];
  /** What happened, to know that a schedule was worth its time. */
  readonly seen = { applied: 0, voterChanges: 0, restores: 0, reads: 0, terms: 0 };
  #proposed = 0;
  #reads = 0;
  #randomState: number;

  /** The first `voters` of `size` replicas found the group; the others are observers to be. */
  constructor(options: {
    readonly size: number;
    readonly voters: number;
    readonly seed: number;
    readonly sabotage?: RaftSabotage;
  }) {
    const { size, voters, seed, sabotage } = options;
    this.#randomState = seed >>> 0;
    const limits = {
      electionTicks: 4,
      heartbeatTicks: 1,
      maxAppendBytes: 80,
      maxInflightAppends: 3,
      maxUncommittedBytes: 2000,
      snapshotChunkBytes: 100,
    };
    const names = Array.from({ length: size }, (_, at) => `${at + 1}`);
    this.replicas = names.map((name) => {
      const id = replicaId(name);
      return new SimReplica(name, sabotage === undefined ? limits : { ...limits, sabotage }, this.#random, {
        onSend: (message) => {
          this.#safety.sent(message);
          this.#network.push(message);
        },
        onApply: (entry) => {
          this.#safety.applied(id, entry);
          this.seen.applied++;
          if (entry.kind === "voters" && entry.index > 1) this.seen.voterChanges++;
          this.seen.terms = Math.max(this.seen.terms, entry.term);
        },
        onRestore: () => {
          this.seen.restores++;
        },
        onRead: ({ token, index }) => {
          this.#safety.readAnswered(token, index);
          if (index !== undefined) this.seen.reads++;
        },
      });
    });
    const founders = names.slice(0, voters);
    for (const replica of this.replicas.slice(0, voters)) {
      replica.disk.entries = [foundingEntry(...founders)];
      replica.disk.hardState = { term: 1, vote: undefined, commit: 1 };
    }
    for (const replica of this.replicas) replica.start();
    this.#safety.check(this.replicas);
  }

  do({ kind, a, b }: Step): void {
    const replica = pick(this.replicas, a);
    const other = pick(this.replicas, b).id;
    if (kind === "restart" && !replica.isUp) replica.start();
    else if (!this.#disturb(kind, a) && replica.isUp) this.#act(replica, kind, b, other);
    this.#safety.check(this.replicas);
  }

  /** All are up and all arrives. Answers the rounds until everybody has a new entry; throws when that takes too long. */
  heal(): number {
    for (const replica of this.replicas) if (!replica.isUp) replica.start();
    let wanted: number | undefined;
    for (let round = 1; round <= 200; round++) {
      this.#calm();
      const leader = this.replicas.find(({ status }) => status.isSettled);
      if (leader === undefined) continue;
      for (const replica of this.replicas) {
        if (replica.status.leader !== undefined || replica.id === leader.id) continue;
        replica.input((node) => node.observe(leader.id, `${replica.id}:1`));
      }
      if (wanted === undefined) {
        const proposed = leader.input((node) => node.propose(Buffer.from("healed")));
        if (typeof proposed !== "string") wanted = proposed.index;
      }
      const goal = wanted ?? Infinity;
      if (this.replicas.every(({ applied }) => applied.length >= goal)) return round;
    }
    throw new Error(`not healed: ${JSON.stringify(this.replicas.map(({ status }) => status))}`);
  }

  /** One round in which everything works. */
  #calm(): void {
    for (const replica of this.replicas) if (replica.isUp) replica.input((node) => node.tick());
    for (let left = 50; left > 0; left--) {
      for (const replica of this.replicas) while (replica.finishWrite() || replica.finishSnapshotWrite());
      const messages = this.#network.splice(0);
      for (const message of messages) this.#give(message);
      this.#safety.check(this.replicas);
      if (messages.length === 0) return;
    }
  }

  /** Steps of the network and of everybody; false for all others. */
  #disturb(kind: StepKind, a: number): boolean {
    const network = this.#network;
    const at = network.length === 0 ? 0 : a % network.length;
    switch (kind) {
      case "deliver":
      case "drop":
        for (const message of network.splice(at, 1)) if (kind === "deliver") this.#give(message);
        return true;
      case "double":
        for (const message of network.slice(at, at + 1)) this.#give(message);
        return true;
      case "deliverAll":
        for (const message of network.splice(0)) this.#give(message);
        return true;
      case "dropAll":
        network.length = 0;
        return true;
      case "run":
        for (let left = 1 + (a % 8); left > 0; left--) this.#calm();
        return true;
      default:
        return false;
    }
  }

  #act(replica: SimReplica, kind: StepKind, b: number, other: ReturnType<typeof replicaId>): void {
    switch (kind) {
      case "write":
        replica.finishWrite();
        return;
      case "chunk":
        replica.finishSnapshotWrite();
        return;
      case "tick":
        for (let left = 1 + (b % 6); left > 0; left--) replica.input((node) => node.tick());
        return;
      case "propose":
        for (let left = 1 + (b % 4); left > 0; left--) {
          replica.input((node) => node.propose(Buffer.from(`p${++this.#proposed}`)));
        }
        return;
      case "crash":
        replica.crash();
        return;
      case "campaign":
        replica.input((node) => node.campaign());
        return;
      case "standAtOnce": {
        const { id, term } = replica.status;
        replica.input((node) => node.step({ type: "TimeoutNowRequest", from: other, to: id, term }));
        return;
      }
      case "add":
      case "remove":
        replica.input((node) => node.changeVoters({ type: kind, id: other }));
        return;
      case "move":
        replica.input((node) => node.changeVoters({ type: kind, id: other, endpoint: `${other}:${b}` }));
        return;
      case "observe":
        replica.input((node) => node.observe(other, `${replica.id}:1`));
        return;
      case "snapshot":
        replica.snapshot(b % 4);
        return;
      case "transfer":
        replica.input((node) => node.transferLeadership(other));
        return;
      case "read": {
        const token = ++this.#reads;
        this.#safety.readAsked(token);
        replica.input((node) => node.readIndex(token));
        return;
      }
      default:
    }
  }

  #give(message: RaftMessage): void {
    const replica = this.replicas.find(({ id }) => id === message.to);
    if (replica?.isUp === true) replica.input((node) => node.step(message));
  }

  /** A linear congruence: enough to spread the election timeouts, and the same for the same seed. */
  readonly #random = (maxExclusive: number): number => {
    this.#randomState = (Math.imul(this.#randomState, 1664525) + 1013904223) >>> 0;
    return Math.floor((this.#randomState / 2 ** 32) * maxExclusive);
  };
}

function pick<T>(from: readonly T[], at: number): T {
  const one = from[at % from.length];
  if (one === undefined) throw new Error("nothing to pick from");
  return one;
}
