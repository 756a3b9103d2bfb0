import { expect } from "vitest";
import type { UncleanElection } from "../../src/controller/affected-partitions.ts";
import { partitionPolicyOf } from "../../src/controller/partition-rules.ts";
import { originOf } from "../../src/controller/reassignment-phases.ts";
import { isActive, isServing, settledReplicas } from "../../src/metadata/image.ts";
import type { PartitionImage, TopicImage } from "../../src/metadata/image.ts";
import { NO_NODE } from "../../src/model/ids.ts";
import type { NodeId, TopicId } from "../../src/model/ids.ts";
import type { TestCluster } from "./test-cluster.ts";

/** What a step did, as far as the check must know. */
export interface StepFacts {
  readonly uncleanElections?: readonly UncleanElection[];
  /** Leaders took followers into their ISRs; no controller decision. */
  readonly isCatchUp?: boolean;
  /** Partitions were sent to other brokers, or called back. */
  readonly isMovement?: boolean;
  /** Came back from an unclean end, or is given up. */
  readonly lost?: { readonly nodeId: NodeId; readonly isGivenUp: boolean } | undefined;
}

/**
 * Watches a cluster from outside and knows which replicas really hold all that was ever committed, if commits happen
 * whenever they can: the truth that ISR and ELR claim to tell (KIP-966).
 */
export class ClusterModel {
  readonly #cluster: TestCluster;
  #before = new Map<TopicId, TopicImage>();
  /** By topic id and partition. */
  readonly #holders = new Map<string, Set<NodeId>>();

  constructor(cluster: TestCluster) {
    this.#cluster = cluster;
  }

  /** Call after each step. */
  check(facts: StepFacts): void {
    const after = new Map(Array.from(this.#cluster.state.topics(), (topic) => [topic.topicId, topic]));
    for (const topic of after.values()) {
      for (const [number, state] of topic.partitions.entries()) {
        const old = this.#before.get(topic.topicId)?.partitions[number];
        this.#checkState(topic, state);
        if (old !== undefined) this.#checkChange(topic, number, old, state, facts);
        if (old !== undefined) this.#checkMovement(topic, old, state, facts);
        this.#checkHolders(topic, number, old, state, facts);
      }
    }
    this.#before = after;
  }

  #checkState(topic: TopicImage, state: PartitionImage): void {
    const { replicas, isr, elr, lastKnownElr, leader } = state;
    const all = [...isr, ...elr, ...lastKnownElr];
    expect(new Set(all).size, "no broker in two lists").toBe(all.length);
    expect(replicas, "only replicas count").toEqual(expect.arrayContaining(all));
    const isLastServing = leader !== NO_NODE && this.#isServing(leader);
    expect(
      isr.every((node) => this.#isActive(node) || (node === leader && isLastServing)),
      "the ISR is active, but for a leader that serves to its last moment",
    ).toBe(true);
    if (leader !== NO_NODE) expect(isr, "the leader is in the ISR").toContain(leader);
    else expect([isr, elr.filter((node) => this.#isServing(node))], "nobody could lead").toEqual([[], []]);
    if (leader !== NO_NODE && !this.#isActive(leader)) {
      expect(
        elr.filter((node) => this.#isActive(node)),
        "who steps aside leads what nobody else can",
      ).toEqual([]);
    }
    if (this.#isDrained(leader)) {
      expect(
        isr.every((node) => this.#isDrained(node)),
        "a drained broker leads what nobody else can",
      ).toBe(true);
    }
    const { isUncleanElectionAllowed } = partitionPolicyOf(topic, this.#cluster.rules);
    if (leader === NO_NODE && isUncleanElectionAllowed) {
      expect(
        originOf(state).some((node) => this.#isActive(node)),
        "no last resort",
      ).toBe(false);
    }
    if (isr.length >= this.#minIsr(topic, state))
      expect(elr, "an ISR with its minimum ends the ELR").toEqual([]);
  }

  #checkChange(
    topic: TopicImage,
    partition: number,
    old: PartitionImage,
    now: PartitionImage,
    { uncleanElections = [], isCatchUp = false }: StepFacts,
  ): void {
    expect(now.leaderEpoch).toBeGreaterThanOrEqual(old.leaderEpoch);
    expect(now.partitionEpoch).toBeGreaterThanOrEqual(old.partitionEpoch);
    if (now !== old && JSON.stringify(now) !== JSON.stringify(old)) {
      expect(now.partitionEpoch, "each change has an epoch").toBeGreaterThan(old.partitionEpoch);
    }
    if (now.leader !== old.leader) {
      expect(now.leaderEpoch, "each leader has an epoch").toBeGreaterThan(old.leaderEpoch);
    }
    const added = now.isr.filter((node) => !old.isr.includes(node));
    if (isCatchUp || added.length === 0) return;
    const isUnclean = uncleanElections.some((one) => one.topic === topic.name && one.partition === partition);
    expect(added, "only an elected leader comes into an ISR").toEqual([now.leader]);
    expect(now.isr, "it begins alone").toEqual(added);
    expect(old.elr.includes(now.leader) || isUnclean, "from the ELR, or reported").toBe(true);
  }

  /** H23: nobody goes before the others have everything, and who goes is a stranger from then on. */
  #checkMovement(
    topic: TopicImage,
    old: PartitionImage,
    now: PartitionImage,
    { isMovement = false, isCatchUp = false }: StepFacts,
  ): void {
    const hasLeft = old.replicas.some((node) => !now.replicas.includes(node));
    if (hasLeft) {
      expect(isMovement || isCatchUp, "replicas go when they are told to, or when others came").toBe(true);
      expect(now.leaderEpoch, "who goes is forgotten with its epoch").toBeGreaterThan(old.leaderEpoch);
      const isBack = now.replicas.every((node) => originOf(old).includes(node));
      if (!isBack) expect(now.isr, "all of the target have everything").toHaveLength(now.replicas.length);
    }
    if (!isMovement) return;
    expect(old.isr, "a reassignment takes nobody into an ISR").toEqual(expect.arrayContaining([...now.isr]));
    if (old.isr.length >= this.#minIsr(topic, old)) {
      expect(now.isr.length, "nor does it stop the commits").toBeGreaterThanOrEqual(this.#minIsr(topic, now));
    }
  }

  #checkHolders(
    topic: TopicImage,
    partition: number,
    old: PartitionImage | undefined,
    state: PartitionImage,
    facts: StepFacts,
  ): void {
    const key = `${topic.topicId} ${partition}`;
    let holders = this.#holders.get(key) ?? new Set(state.replicas);
    const { isFlushedOnAck } = partitionPolicyOf(topic, this.#cluster.rules);
    const { lost, isCatchUp = false, uncleanElections = [] } = facts;
    if (lost !== undefined && (lost.isGivenUp || !isFlushedOnAck)) holders.delete(lost.nodeId);
    // What a single replica lost is lost: what it has left is all there is.
    if (settledReplicas(state) === 1 && lost?.isGivenUp === false) holders = new Set(originOf(state));
    const isUnclean = uncleanElections.some((one) => one.topic === topic.name && one.partition === partition);
    if (isUnclean) holders = new Set([state.leader]);
    if (isCatchUp && old !== undefined && holders.has(old.leader))
      for (const node of state.isr) holders.add(node);
    for (const node of [...state.isr, ...state.elr]) {
      expect(holders.has(node), `broker ${node} counts for ${topic.name}-${partition} and holds all`).toBe(
        true,
      );
    }
    // Something is committed at once: those outside the ISR do not have it.
    const commits = state.leader !== NO_NODE && state.isr.length >= this.#minIsr(topic, state);
    this.#holders.set(key, commits ? new Set(state.isr) : holders);
  }

  #minIsr(topic: TopicImage, state: PartitionImage): number {
    return Math.min(partitionPolicyOf(topic, this.#cluster.rules).minInsyncReplicas, settledReplicas(state));
  }

  #isDrained(node: NodeId): boolean {
    return this.#cluster.state.broker(node)?.isDrained === true;
  }

  #isServing(node: NodeId): boolean {
    return isServing(this.#cluster.state.broker(node));
  }

  #isActive(node: NodeId): boolean {
    return isActive(this.#cluster.state.broker(node));
  }
}
