import { expect } from "vitest";
import type { UncleanElection } from "../../src/controller/affected-partitions.ts";
import { partitionPolicyOf } from "../../src/controller/partition-rules.ts";
import { isActive } from "../../src/metadata/image.ts";
import type { PartitionImage, TopicImage } from "../../src/metadata/image.ts";
import { NO_NODE } from "../../src/model/ids.ts";
import type { NodeId, TopicId } from "../../src/model/ids.ts";
import type { TestCluster } from "./test-cluster.ts";

/** What a step did, as far as the check must know. */
export interface StepFacts {
  readonly uncleanElections?: readonly UncleanElection[];
  /** Leaders took followers into their ISRs; no controller decision. */
  readonly isCatchUp?: boolean;
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
        this.#checkHolders(topic, number, state, facts);
      }
    }
    this.#before = after;
  }

  #checkState(topic: TopicImage, state: PartitionImage): void {
    const { replicas, isr, elr, lastKnownElr, leader } = state;
    const all = [...isr, ...elr, ...lastKnownElr];
    expect(new Set(all).size, "no broker in two lists").toBe(all.length);
    expect(replicas, "only replicas count").toEqual(expect.arrayContaining(all));
    const isLastServing = leader !== NO_NODE && this.#cluster.state.broker(leader)?.isFenced === false;
    expect(
      isr.every((node) => this.#isActive(node) || (node === leader && isLastServing)),
      "the ISR is active, but for a leader that serves to its last moment",
    ).toBe(true);
    if (leader !== NO_NODE) expect(isr, "the leader is in the ISR").toContain(leader);
    else expect([isr, elr.filter((node) => this.#isActive(node))], "nobody could lead").toEqual([[], []]);
    const { isUncleanElectionAllowed } = partitionPolicyOf(topic, this.#cluster.rules);
    if (leader === NO_NODE && isUncleanElectionAllowed) {
      expect(
        replicas.some((node) => this.#isActive(node)),
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

  #checkHolders(topic: TopicImage, partition: number, state: PartitionImage, facts: StepFacts): void {
    const key = `${topic.topicId} ${partition}`;
    let holders = this.#holders.get(key) ?? new Set(state.replicas);
    const { isFlushedOnAck } = partitionPolicyOf(topic, this.#cluster.rules);
    const { lost, isCatchUp = false, uncleanElections = [] } = facts;
    if (lost !== undefined && (lost.isGivenUp || !isFlushedOnAck)) holders.delete(lost.nodeId);
    // What a single replica lost is lost: what it has left is all there is.
    if (state.replicas.length === 1 && lost?.isGivenUp === false) holders = new Set(state.replicas);
    const isUnclean = uncleanElections.some((one) => one.topic === topic.name && one.partition === partition);
    if (isUnclean) holders = new Set([state.leader]);
    if (isCatchUp && holders.has(state.leader)) for (const node of state.isr) holders.add(node);
    for (const node of [...state.isr, ...state.elr]) {
      expect(holders.has(node), `broker ${node} counts for ${topic.name}-${partition} and holds all`).toBe(
        true,
      );
    }
    // Something is committed at once: those outside the ISR do not have it.
    const commits = state.leader !== NO_NODE && state.isr.length >= this.#minIsr(topic, state);
    this.#holders.set(key, commits ? new Set(state.isr) : holders);
  }

  #minIsr(topic: TopicImage, { replicas }: PartitionImage): number {
    return Math.min(partitionPolicyOf(topic, this.#cluster.rules).minInsyncReplicas, replicas.length);
  }

  #isActive(node: NodeId): boolean {
    return isActive(this.#cluster.state.broker(node));
  }
}
