import { expect } from "vitest";
import { decideCommand } from "../../src/controller/commands.ts";
import { decideAlterConfigs } from "../../src/controller/configs.ts";
import { partitionPolicyOf } from "../../src/controller/partition-rules.ts";
import { isActive } from "../../src/metadata/image.ts";
import type { PartitionImage } from "../../src/metadata/image.ts";
import { MetadataState } from "../../src/metadata/replay.ts";
import { requiredInSync } from "../../src/model/insync.ts";
import { NO_NODE, nodeId } from "../../src/model/ids.ts";
import type { NodeId } from "../../src/model/ids.ts";
import { offset } from "../../src/model/offsets.ts";
import type { LeaderEpoch } from "../../src/model/offsets.ts";
import { SeededRandom } from "../../src/platform/random.ts";
import { IsrState } from "../../src/replication/isr.ts";
import type { IsrProposal, IsrStart } from "../../src/replication/isr.ts";
import type { FollowerIdentity } from "../../src/replication/replica.ts";
import { TestCluster, wish } from "../controller/test-cluster.ts";

export const NODES = 3;
export const LAG_MS = 100;

/** What a leader's follower has reported, kept in the plainest way. */
interface Reported {
  readonly brokerEpoch: number;
  end: number;
  /** The last moment at which it had all that the leader had. */
  upToDateMs: number;
}

interface Leader {
  readonly isr: IsrState;
  readonly epoch: LeaderEpoch;
  highWatermark: number;
  inFlight: IsrProposal | undefined;
  readonly reported: Map<NodeId, Reported>;
}

interface Follower {
  readonly epoch: LeaderEpoch;
  readonly leader: NodeId;
  /** The very leader that it has found its place with. */
  followed: Leader | undefined;
}

interface Node {
  readonly id: NodeId;
  /** A number for each record ever written, unlike all others. */
  log: number[];
  durable: number;
  highWatermark: number;
  state: MetadataState;
  /** Entries of the metadata log that it has applied. */
  applied: number;
  brokerEpoch: number;
  leader?: Leader | undefined;
  follower?: Follower | undefined;
}

interface Request {
  readonly sender: Node;
  readonly brokerEpoch: number;
  readonly leader: Leader;
  readonly proposal: IsrProposal;
  isAwaited: boolean;
}

interface LateReport {
  readonly to: Node;
  readonly leader: Leader;
  readonly from: FollowerIdentity;
  readonly end: number;
}

export interface IsrModelOptions {
  readonly sabotage?: IsrStart["sabotage"];
  /** Checks only what must come of the rules (no record is lost), not the rules. */
  readonly isOutcomeOnly?: boolean;
}

/**
 * One partition on three brokers with real controller decisions and a real `IsrState` at whoever takes itself for the
 * leader. Metadata, requests, answers and reports arrive late, in any order, or never. Records are on a disk only when
 * they were flushed, and a broker that crashes loses the rest. The truth is the list of all records that were ever below
 * some leader's high watermark.
 */
export class IsrModel {
  readonly cluster = TestCluster.of(NODES, { defaultFlushPolicy: "ack" });
  readonly nodes: readonly Node[];
  /** On their way to the controller, the oldest first. */
  readonly requests: Request[] = [];
  readonly answers: {
    readonly request: Request;
    readonly error: string;
    readonly state: PartitionImage | undefined;
  }[] = [];
  readonly lateReports: LateReport[] = [];
  /** How often something worth seeing happened, so that a run cannot pass by doing nothing. */
  readonly counts = { joins: 0, leaves: 0, lost: 0, epochs: 0, committed: 0 };
  readonly #options: IsrModelOptions;
  readonly #truth: number[] = [];
  #nowMs = 0;
  #written = 0;

  constructor(options: IsrModelOptions = {}) {
    this.#options = options;
    this.cluster.create([wish("a", { replicationFactor: NODES })]);
    this.nodes = Array.from({ length: NODES }, (_, index) => {
      const id = nodeId(index + 1);
      const brokerEpoch = this.cluster.state.broker(id)!.brokerEpoch;
      return {
        id,
        log: [],
        durable: 0,
        highWatermark: 0,
        state: new MetadataState(),
        applied: 0,
        brokerEpoch,
      };
    });
    for (const node of this.nodes) this.applyMetadata(node);
  }

  get highWatermarks(): readonly (number | undefined)[] {
    return this.nodes.map(({ leader }) => leader?.isr.highWatermark);
  }

  node(id: number): Node {
    return this.nodes[id - 1]!;
  }

  wait(ms: number): void {
    this.#nowMs += ms;
    for (const { leader } of this.nodes) if (leader !== undefined) this.#noteUpToDate(leader);
  }

  append({ leader, log }: Node, count: number): void {
    if (leader === undefined) return;
    for (let left = count; left > 0; left--) log.push(++this.#written);
  }

  flush(node: Node): void {
    node.durable = node.log.length;
  }

  /** The leader's role hears of its log. */
  advance({ leader, log, durable }: Node): void {
    leader?.isr.ownAdvanced(offset(log.length), offset(durable), this.#nowMs);
    if (leader !== undefined) this.#noteUpToDate(leader);
  }

  /** Finds its place with the leader that it knows, then reads on; nothing if that one leads no more or not yet. */
  fetch(node: Node, maxRecords: number): void {
    const { follower } = node;
    if (follower === undefined) return;
    const from = this.node(follower.leader);
    const { leader } = from;
    if (leader?.epoch !== follower.epoch) return;
    if (follower.followed !== leader) {
      follower.followed = leader;
      const differs = node.log.findIndex((record, position) => record !== from.log[position]);
      if (differs >= 0) node.log.length = differs;
      node.durable = Math.min(node.durable, node.log.length);
      this.#followed(leader, node);
    }
    node.log.push(...from.log.slice(node.log.length, node.log.length + maxRecords));
    node.highWatermark = Math.max(node.highWatermark, Math.min(leader.isr.highWatermark, node.log.length));
  }

  report(node: Node): void {
    const { follower, id, brokerEpoch, durable } = node;
    if (follower?.followed === undefined) return;
    const to = this.node(follower.leader);
    const late = { to, leader: follower.followed, from: { nodeId: id, brokerEpoch }, end: durable };
    this.lateReports.push(late);
    this.deliverReport(late);
  }

  /** Dropped when that leader leads no more. */
  deliverReport({ to, leader, from, end }: LateReport): void {
    if (to.leader !== leader) return;
    const reported = leader.reported.get(from.nodeId);
    if (reported?.brokerEpoch === from.brokerEpoch) reported.end = Math.max(reported.end, end);
    leader.isr.progress(from, offset(end), this.#nowMs);
    this.#noteUpToDate(leader);
  }

  /** The leader asks for what it wants. */
  ask(node: Node): void {
    const { leader, state, id, brokerEpoch } = node;
    const proposal = leader?.isr.proposal(this.#nowMs, (other, epoch) => {
      const broker = state.broker(other);
      return broker?.brokerEpoch === epoch && isActive(broker);
    });
    if (leader === undefined || proposal === undefined) return;
    if (this.#options.isOutcomeOnly !== true) this.#checkProposal(node, leader, proposal);
    leader.isr.proposed(proposal);
    leader.inFlight = proposal;
    this.requests.push({ sender: this.node(id), brokerEpoch, leader, proposal, isAwaited: true });
  }

  /** The controller decides on the request at that place of the queue. */
  deliver(place: number): void {
    const [request] = this.requests.splice(place % Math.max(this.requests.length, 1), 1);
    if (request === undefined) return;
    const { sender, brokerEpoch, proposal } = request;
    const { topicId } = this.cluster.state.topic("a")!;
    const command = { nodeId: sender.id, brokerEpoch, partitions: [{ topicId, partition: 0, ...proposal }] };
    const context = { rules: this.cluster.rules, random: new SeededRandom(1) };
    const type = "alterPartitions";
    const answer = this.cluster.commit(
      decideCommand(type, this.cluster.state, { type, ...command }, context),
    );
    if (!request.isAwaited) return;
    if (!answer.ok) this.answers.push({ request, error: answer.refusal.error, state: undefined });
    else this.answers.push({ request, error: answer.result[0]!.error, state: answer.result[0]!.state });
  }

  /** The leader takes the state from the answer, or waits for the metadata. */
  answer(isStateTaken: boolean): void {
    const next = this.answers.shift();
    if (next === undefined) return;
    const { request, error, state } = next;
    const { sender, leader, proposal } = request;
    if (sender.leader !== leader || !request.isAwaited) return;
    request.isAwaited = false;
    if (state !== undefined && isStateTaken) this.#committed(leader, state);
    if (error === "NONE") return;
    leader.isr.rejected(proposal);
    if (leader.inFlight === proposal) leader.inFlight = undefined;
  }

  /** The oldest request that waits for an answer gets none; it may yet come to the controller. */
  lose(): void {
    const awaiting = [...this.answers.map(({ request }) => request), ...this.requests];
    const request = awaiting.find(({ isAwaited }) => isAwaited);
    if (request === undefined) return;
    request.isAwaited = false;
    this.counts.lost++;
    const { sender, leader, proposal } = request;
    if (sender.leader !== leader) return;
    leader.isr.lost(proposal);
    if (leader.inFlight === proposal) leader.inFlight = undefined;
  }

  /** Applies the next entries of the metadata log, and becomes what they say. */
  applyMetadata(node: Node, maxEntries = Infinity): void {
    const entries = this.cluster.log.slice(node.applied, node.applied + maxEntries);
    for (const records of entries) node.state.replay(records);
    node.applied += entries.length;
    const image = node.state.topic("a")?.partitions[0];
    if (image === undefined) return;
    const { leader, leaderEpoch } = image;
    if (leader !== node.id) {
      node.leader = undefined;
      if (leader === NO_NODE) node.follower = undefined;
      else if (node.follower?.epoch !== leaderEpoch) {
        node.follower = { epoch: leaderEpoch, leader, followed: undefined };
      }
    } else if (node.leader?.epoch === leaderEpoch) {
      node.leader.isr.minInsyncChanged(this.#minInsyncReplicas(node));
      this.#checkLeader(node);
      this.#committed(node.leader, image);
    } else {
      node.leader = this.#newLeader(node, image);
      node.follower = undefined;
    }
  }

  /** A new process, known to the controller but fenced. A crash loses what was not flushed. */
  restart(node: Node, isCrash: boolean): void {
    if (isCrash) node.log.length = node.durable;
    else node.durable = node.log.length;
    node.highWatermark = Math.min(node.highWatermark, node.log.length);
    node.leader = undefined;
    node.follower = undefined;
    this.cluster.register(node.id, { wasCleanShutdown: !isCrash });
    node.brokerEpoch = this.cluster.state.broker(node.id)!.brokerEpoch;
    this.applyMetadata(node);
  }

  setMinInsyncReplicas(count: number): void {
    const set = new Map([["min.insync.replicas", String(count)]]);
    const command = { name: "a", set, unset: [], validateOnly: false };
    this.cluster.commit(decideAlterConfigs(this.cluster.state, command, this.cluster.rules));
  }

  /** Call after each step. */
  check(): void {
    for (const node of this.nodes) this.#checkLeader(node);
    const { isr, elr } = this.cluster.partition("a");
    for (const member of [...isr, ...elr]) {
      const { log, durable } = this.node(member);
      const stored = log.slice(0, durable).slice(0, this.#truth.length);
      expect(stored, `broker ${member} counts and has stored all that was ever committed`).toEqual(
        this.#truth,
      );
    }
  }

  /** Everybody is well again and everything arrives: all is committed everywhere, and everybody is in sync. */
  settle(): void {
    for (const node of this.nodes) {
      if (this.cluster.state.broker(node.id)?.isShuttingDown === true) this.restart(node, false);
      this.cluster.unfence(node.id);
    }
    for (let round = 0; round < 12; round++) {
      for (const node of this.nodes) {
        this.applyMetadata(node);
        this.fetch(node, Infinity);
        this.flush(node);
        this.advance(node);
        this.report(node);
        this.check();
      }
      for (const node of this.nodes) this.ask(node);
      while (this.requests.length > 0) this.deliver(0);
      while (this.answers.length > 0) this.answer(round % 2 === 0);
      this.wait(1);
      this.check();
    }
    const { isr, elr, leader } = this.cluster.partition("a");
    expect(isr, "everybody is in sync in the end").toHaveLength(NODES);
    expect(elr).toEqual([]);
    const { log } = this.node(leader);
    for (const node of this.nodes) expect(node.log, `broker ${node.id} has the leader's log`).toEqual(log);
    expect(this.#truth, "everything is committed in the end").toEqual(log);
  }

  #newLeader(node: Node, image: PartitionImage): Leader {
    this.counts.epochs++;
    const { sabotage } = this.#options;
    const isr = new IsrState({
      self: node.id,
      image,
      logEndOffset: offset(node.log.length),
      durableEndOffset: offset(node.durable),
      highWatermark: offset(node.highWatermark),
      minInsyncReplicas: this.#minInsyncReplicas(node),
      lagTimeMaxMs: LAG_MS,
      nowMs: this.#nowMs,
      ...(sabotage === undefined ? {} : { sabotage }),
    });
    const upToDateMs = this.#nowMs;
    const reported = new Map(image.isr.map((id) => [id, { brokerEpoch: -1, end: -1, upToDateMs }]));
    return { isr, epoch: image.leaderEpoch, highWatermark: 0, inFlight: undefined, reported };
  }

  #followed({ isr, reported }: Leader, { id, brokerEpoch, log }: Node): void {
    const known = reported.get(id);
    const end = known?.brokerEpoch === brokerEpoch ? Math.min(known.end, log.length) : -1;
    reported.set(id, { brokerEpoch, end, upToDateMs: known?.upToDateMs ?? -Infinity });
    isr.followed({ nodeId: id, brokerEpoch }, offset(log.length), this.#nowMs);
  }

  #committed(leader: Leader, image: PartitionImage): void {
    leader.isr.committed(image);
    if (leader.isr.image === image) leader.inFlight = undefined;
  }

  #minInsyncReplicas({ state }: Node): number {
    return partitionPolicyOf(state.topic("a")!, this.cluster.rules).minInsyncReplicas;
  }

  #noteUpToDate(leader: Leader): void {
    const { log } = this.nodes.find((node) => node.leader === leader) ?? { log: [] };
    for (const reported of leader.reported.values()) {
      if (reported.end >= log.length) reported.upToDateMs = this.#nowMs;
    }
  }

  #checkLeader(node: Node): void {
    const { leader, log, durable } = node;
    if (leader === undefined) return;
    const { highWatermark, image } = leader.isr;
    const before = leader.highWatermark;
    expect(highWatermark, "the high watermark never goes back").toBeGreaterThanOrEqual(before);
    leader.highWatermark = highWatermark;
    node.highWatermark = Math.max(node.highWatermark, highWatermark);
    const committed = log.slice(0, highWatermark);
    expect(committed.slice(0, this.#truth.length), "what is committed is the same for ever").toEqual(
      this.#truth.slice(0, highWatermark),
    );
    this.counts.committed += Math.max(committed.length - this.#truth.length, 0);
    this.#truth.push(...committed.slice(this.#truth.length));
    if (this.#options.isOutcomeOnly === true) return;
    expect(highWatermark, "the leader itself has stored it").toBeLessThanOrEqual(durable);
    if (before === highWatermark || before === 0) return;
    const minIsr = requiredInSync(this.#minInsyncReplicas(node), image.replicas.length);
    expect(image.isr.length, "nothing is committed below the minimum").toBeGreaterThanOrEqual(minIsr);
    for (const member of [...image.isr, ...(leader.inFlight?.isr ?? []).map(({ nodeId: id }) => id)]) {
      const other = this.node(member);
      expect(other.durable, `broker ${member} may be in the ISR`).toBeGreaterThanOrEqual(highWatermark);
    }
  }

  #checkProposal({ id, log, state }: Node, leader: Leader, proposal: IsrProposal): void {
    const { epochStartOffset, highWatermark, image } = leader.isr;
    const { isr } = image;
    expect(leader.inFlight, "one proposal at a time").toBeUndefined();
    expect(proposal).toMatchObject({ leaderEpoch: leader.epoch, partitionEpoch: image.partitionEpoch });
    for (const { nodeId: member, brokerEpoch } of proposal.isr) {
      if (isr.includes(member)) continue;
      this.counts.joins++;
      const reported = leader.reported.get(member);
      expect(reported?.brokerEpoch, "it follows in this epoch, as the broker it is now").toBe(brokerEpoch);
      expect(state.broker(member)).toMatchObject({ brokerEpoch, isFenced: false, isShuttingDown: false });
      expect(reported!.end).toBeGreaterThanOrEqual(highWatermark);
      expect(reported!.end).toBeGreaterThanOrEqual(epochStartOffset);
    }
    const members = proposal.isr.map(({ nodeId: member }) => member);
    expect(members, "the leader stays").toContain(id);
    for (const gone of isr.filter((member) => !members.includes(member))) {
      this.counts.leaves++;
      const { end, upToDateMs } = leader.reported.get(gone) ?? { end: -1, upToDateMs: -Infinity };
      expect(end, "nobody leaves who has everything").toBeLessThan(log.length);
      expect(this.#nowMs - upToDateMs, "nor before the lag time").toBeGreaterThan(LAG_MS);
    }
  }
}
