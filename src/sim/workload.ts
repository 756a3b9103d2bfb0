import { deadlineSignal } from "../base/abort.ts";
import { InvariantError } from "../base/assert.ts";
import { errorMessage, LograftError } from "../base/errors.ts";
import type { MetadataNode } from "../broker/metadata-node.ts";
import type { ControllerRequest, RequestOf } from "../controller/requests.ts";
import type { PartitionImage } from "../metadata/image.ts";
import type { Random } from "../platform/random.ts";
import { parseReplicaId } from "../quorum/replica-id.ts";
import { configToken, producerIdsToken, removalToken, topicToken } from "./invariants/metadata-model.ts";
import { mustHold } from "./invariants/violation.ts";
import type { MetadataCluster } from "./metadata-cluster.ts";
import type { SimMachine } from "./sim-machine.ts";
import { SimulatedCrash } from "./simulated-crash.ts";

const ELECT_LEADERS: ControllerRequest = { type: "electLeaders", topics: undefined };
/** Topics of other names are somebody else's, and left alone. */
const TOPIC_PREFIX = "topic-";
/** How long a client waits for an answer, ms. */
const CALL_TIMEOUT_MS = 3_000;
/** Share of the new leaders that are asked for a change of voters at once. */
const EAGER_SHARE = 0.3;
/** After an unknown outcome a voter change may still be on its way for so long, ms. */
const STRAY_MS = 4_000;

interface PendingCall {
  readonly machine: SimMachine;
  readonly name: string;
  readonly sinceMs: number;
}

/** One thing a client does, through the node of a machine. */
interface Operation {
  readonly name: string;
  /** Not through any node, but at the one that leads. */
  readonly isAtLeader?: boolean;
  run(node: MetadataNode, machine: SimMachine): Promise<void>;
}

/**
 * Clients of the metadata: changes topics, configurations, producer ids and the voters through whatever node they happen
 * to ask, and remembers every change that was acknowledged.
 */
export class Workload {
  readonly #cluster: MetadataCluster;
  readonly #random: Random;
  readonly #pending = new Set<PendingCall>();
  readonly #deleted = new Set<string>();
  #counter = 0;
  #isOver = false;

  constructor(deps: { readonly cluster: MetadataCluster; readonly random: Random }) {
    this.#cluster = deps.cluster;
    this.#random = deps.random;
  }

  /** Calls that nodes which still run have not answered. */
  pendingOn(machines: ReadonlySet<number>): PendingCall[] {
    return [...this.#pending].filter(({ machine }) => machines.has(machine.index));
  }

  /** Begins an operation every so often, until `end`. */
  begin(meanGapMs: number): void {
    const next = (): void => {
      if (this.#isOver) return;
      this.#cluster.scheduler.schedule(this.#random.fraction() * 2 * meanGapMs, next);
      const operation = this.#draw();
      const machine = operation.isAtLeader === true ? this.#cluster.leader() : this.#anyMachine();
      if (machine?.host?.isPaused === false) this.#start(machine, operation);
    };
    next();
    // The moment before a leader's first commit is short, and the only one at which some rules matter (H7).
    this.#cluster.onElected = (machine) => {
      if (this.#isOver || this.#random.fraction() >= EAGER_SHARE) return;
      this.#start(machine, { name: "changeVotersAtOnce", run: (...at) => this.#changeVoters(...at) });
    };
  }

  end(): void {
    this.#isOver = true;
  }

  /** A change through this machine's node, which a healthy cluster must acknowledge. */
  probe(machine: SimMachine): void {
    this.#start(machine, { name: "probe", run: (node) => this.#createTopic(node) });
  }

  /**
   * What an operator does about brokers whose disk was replaced: they cannot come back until somebody says that the old
   * disk is gone, and with it the topics that only it had.
   */
  forgetReplaced(asked: SimMachine): void {
    const { machines, checker } = this.#cluster;
    for (const { nodeId, directoryId } of machines) {
      const known = checker.model.image.broker(nodeId);
      if (
        known === undefined ||
        directoryId === undefined ||
        known.directoryId === directoryId ||
        !known.isFenced
      )
        continue;
      const run = async (node: MetadataNode): Promise<void> => {
        for (const topic of this.#topicsOnlyOn(nodeId)) await this.#deleteTopic(node, topic, true);
        await this.#call(node, { type: "unregisterBroker", nodeId });
        this.#cluster.trace.add("unregistered", { from: nodeId - 1 });
      };
      this.#start(asked, { name: "unregister", run });
    }
  }

  #start(machine: SimMachine, operation: Operation): void {
    const { node, host } = machine;
    if (node === undefined || host === undefined) return;
    const entry = { machine, name: operation.name, sinceMs: this.#cluster.scheduler.nowMs };
    this.#pending.add(entry);
    // The answer of a process that died never comes.
    const forget = host.onDeath(() => {
      if (this.#pending.delete(entry)) this.#cluster.checker.acknowledged.unknown();
    });
    operation
      .run(node, machine)
      .catch((error: unknown) => this.#failed(machine, error))
      .finally(() => {
        forget();
        this.#pending.delete(entry);
      });
  }

  #failed(machine: SimMachine, error: unknown): void {
    if (error instanceof SimulatedCrash) {
      this.#cluster.checker.acknowledged.unknown();
      return;
    }
    if (!(error instanceof LograftError)) {
      this.#cluster.fail(error instanceof Error ? error : new InvariantError(String(error)));
      return;
    }
    if (error.code === "TIMEOUT" || error.context["isIndefinite"] === true)
      this.#cluster.checker.acknowledged.unknown();
    this.#cluster.trace.add("callFailed", {
      from: machine.index,
      note: `${error.code} ${errorMessage(error)}`,
    });
  }

  #draw(): Operation {
    const dice = this.#random.below(100);
    if (dice < 24) return { name: "createTopic", run: (node) => this.#createTopic(node) };
    if (dice < 32)
      return { name: "deleteTopic", run: (node) => this.#deleteTopic(node, this.#anyTopic(node)) };
    if (dice < 54) return { name: "alterConfig", run: (node) => this.#alterConfig(node) };
    if (dice < 68) return { name: "allocateProducerIds", run: (node) => this.#allocateProducerIds(node) };
    if (dice < 74) return { name: "electLeaders", run: (node) => this.#call(node, ELECT_LEADERS) };
    if (dice < 80) return { name: "read", isAtLeader: true, run: (...at) => this.#read(...at) };
    if (dice < 84) return { name: "transfer", isAtLeader: true, run: (...at) => this.#transfer(...at) };
    return { name: "changeVoters", run: (node) => this.#changeVoters(node) };
  }

  async #createTopic(node: MetadataNode): Promise<void> {
    const partitions = 1 + this.#random.below(3);
    const name = `${TOPIC_PREFIX}${this.#counter++}`;
    const active = [...node.image.brokers()].filter(({ isFenced }) => !isFenced).length;
    const replicationFactor = Math.max(1, Math.min(active, 1 + this.#random.below(3)));
    const { result } = await node.call(
      {
        type: "createTopics",
        topics: [{ name, partitions, replicationFactor, configs: new Map() }],
        validateOnly: false,
      },
      { timeoutMs: CALL_TIMEOUT_MS },
    );
    if (result[0]?.error !== "NONE") return;
    this.#acknowledged(topicToken(name));
    mustHold(
      node.image.topic(name) !== undefined || this.#deleted.has(name),
      "EffectIsSeen",
      "a node was told of a topic that it does not see",
      () => ({ node: node.nodeId, name }),
    );
  }

  async #deleteTopic(node: MetadataNode, name: string | undefined, isForced = false): Promise<void> {
    if (name === undefined || (this.#deleted.has(name) && !isForced)) return;
    this.#deleted.add(name);
    const { result } = await node.call(
      { type: "deleteTopics", names: [name] },
      { timeoutMs: CALL_TIMEOUT_MS },
    );
    if (result[0]?.error === "NONE") this.#acknowledged(removalToken(name));
    else this.#deleted.delete(name);
  }

  async #alterConfig(node: MetadataNode): Promise<void> {
    const name = this.#anyTopic(node);
    if (name === undefined) return;
    const value = String(1_000_000 + this.#counter++);
    const { result } = await node.call(
      {
        type: "alterConfigs",
        name,
        set: new Map([["retention.ms", value]]),
        unset: [],
        validateOnly: false,
      },
      { timeoutMs: CALL_TIMEOUT_MS },
    );
    if (result.error === "NONE") this.#acknowledged(configToken(value));
  }

  async #allocateProducerIds(node: MetadataNode): Promise<void> {
    const { nodeId } = node;
    const brokerEpoch = node.image.broker(nodeId)?.brokerEpoch;
    if (brokerEpoch === undefined) return;
    const { result } = await node.call(
      { type: "allocateProducerIds", nodeId, brokerEpoch },
      { timeoutMs: CALL_TIMEOUT_MS },
    );
    this.#acknowledged(producerIdsToken(result.first));
    this.#cluster.markers.hit("producerIdsAllocated");
  }

  /** A read point must not lie before what was committed when it was asked for (H10). */
  async #read(node: MetadataNode, { platform }: SimMachine): Promise<void> {
    const committed = this.#cluster.checker.ledger.commitIndex;
    using deadline = deadlineSignal(platform.clock, CALL_TIMEOUT_MS);
    const offset = await node.quorum.readBarrier(deadline.signal);
    mustHold(offset >= committed, "LinearizableRead", "a read point lies before a committed change", () => ({
      node: node.nodeId,
      offset,
      committed,
    }));
  }

  async #transfer(node: MetadataNode, { platform }: SimMachine): Promise<void> {
    using deadline = deadlineSignal(platform.clock, CALL_TIMEOUT_MS);
    await node.quorum.transferLeadership(undefined, deadline.signal);
  }

  /** Adds or removes one voter, within what the quorum can bear; with `leader` at its quorum's own door. */
  async #changeVoters(node: MetadataNode, leader?: SimMachine): Promise<void> {
    const { safety, machines, checker, scheduler } = this.#cluster;
    const voters = safety.committedVoters;
    if (voters.length === 0 || safety.hasOpenChange) return;
    const isVoter = (machine: SimMachine): boolean => {
      const id = checker.logs.onMachine(machine.index)?.id;
      return voters.some((voter) => voter.id === id);
    };
    const outside = machines.filter((machine) => {
      const isThere = machine.node !== undefined && !this.#cluster.hasJustLostStore(machine.index);
      return isThere && !isVoter(machine);
    });
    const removable = voters.filter(({ id }) => safety.mayRemove(id));
    const lost = removable.find(({ id }) => checker.logs.of(id)?.isLost === true);
    const added = outside[this.#random.below(Math.max(outside.length, 1))];
    const removed = lost ?? removable[this.#random.below(Math.max(removable.length, 1))];
    const mustGrow = voters.length < 3 && lost === undefined;
    let request: RequestOf<"addVoter" | "removeVoter">;
    if (added !== undefined && (mustGrow || removed === undefined || this.#random.fraction() < 0.6)) {
      request = { type: "addVoter", nodeId: added.nodeId };
    } else {
      const replica = removed === undefined ? undefined : parseReplicaId(removed.id);
      if (replica === undefined || voters.length < 2) return;
      request = { type: "removeVoter", nodeId: replica.nodeId, directoryId: replica.directoryId };
    }
    const type = request.type === "addVoter" ? "add" : "remove";
    const end = safety.begin({ type, nodeId: request.nodeId });
    try {
      if (leader === undefined) {
        await this.#call(node, request);
      } else {
        using deadline = deadlineSignal(leader.platform.clock, CALL_TIMEOUT_MS);
        const { nodeId } = request;
        const directoryId = request.type === "removeVoter" ? request.directoryId : undefined;
        const change = { type, nodeId, ...(directoryId === undefined ? {} : { directoryId }) } as const;
        await node.quorum.changeVoters(change, deadline.signal);
      }
      end();
    } catch (error: unknown) {
      // Where the outcome is open, or the answer got lost, the change may still come.
      scheduler.schedule(STRAY_MS, end);
      throw error;
    }
  }

  async #call(node: MetadataNode, request: ControllerRequest): Promise<void> {
    await node.call(request, { timeoutMs: CALL_TIMEOUT_MS });
  }

  #acknowledged(token: string): void {
    this.#cluster.trace.add("acknowledged", { note: token });
    this.#cluster.checker.acknowledged.add(token);
  }

  #topicsOnlyOn(nodeId: number): string[] {
    const isOnly = ({ isr, elr }: PartitionImage): boolean => [...isr, ...elr].every((id) => id === nodeId);
    const topics = [...this.#cluster.checker.model.image.topics()];
    return topics.filter(({ partitions }) => partitions.some(isOnly)).map(({ name }) => name);
  }

  #anyMachine(): SimMachine | undefined {
    const machines = this.#cluster.machines.filter(({ node }) => node !== undefined);
    return machines[this.#random.below(Math.max(machines.length, 1))];
  }

  #anyTopic(node: MetadataNode): string | undefined {
    const all = Array.from(node.image.topics(), ({ name }) => name);
    const names = all.filter((name) => name.startsWith(TOPIC_PREFIX));
    return names[this.#random.below(Math.max(names.length, 1))];
  }
}
