import { isActive } from "../../src/metadata/image.ts";
import type { PartitionImage } from "../../src/metadata/image.ts";
import { decideAlterPartitions } from "../../src/controller/alter-partitions.ts";
import type { AlteredPartition } from "../../src/controller/alter-partitions.ts";
import type { BrokerStateChange } from "../../src/controller/broker-states.ts";
import { decideBrokerStates, decideControlledShutdown } from "../../src/controller/broker-states.ts";
import { decideRegister, decideUnregister } from "../../src/controller/brokers.ts";
import type { RegisterCommand } from "../../src/controller/brokers.ts";
import { decideDrain } from "../../src/controller/drains.ts";
import type { Decision } from "../../src/controller/result.ts";
import { decideCreateTopics } from "../../src/controller/topics.ts";
import type { NewTopic, TopicRules } from "../../src/controller/topics.ts";
import type { MetadataRecord } from "../../src/metadata/records.ts";
import { MetadataState } from "../../src/metadata/replay.ts";
import { NO_NODE, nodeId } from "../../src/model/ids.ts";
import type { NodeId } from "../../src/model/ids.ts";
import { registrationOf, topicIdOf } from "../metadata/arbitrary-history.ts";

export const RULES: TopicRules = {
  defaultPartitions: 3,
  defaultReplicationFactor: 1,
  maxTopicPartitions: 10,
  maxPartitions: 20,
  defaultMinInsyncReplicas: 2,
  defaultUncleanLeaderElection: false,
  defaultFlushPolicy: "interval",
  checkConfig: (key) => (key === "bad" ? "bad is not a key" : undefined),
};

/** A topic to create: one partition, one replica, nothing set, unless `fields` say otherwise. */
export function wish(name: string, fields: Partial<NewTopic> = {}): NewTopic {
  return { name, partitions: 1, replicationFactor: 1, configs: new Map(), ...fields };
}

/** A cluster that changes by decisions alone; each commits at once, as the next entry of the log. */
export class TestCluster {
  readonly state = new MetadataState();
  /** Every entry so far. */
  readonly log: (readonly MetadataRecord[])[] = [];
  rules: TopicRules;
  #created = 0;
  #runs = 0;

  constructor(rules: Partial<TopicRules> = {}) {
    this.rules = { ...RULES, ...rules };
  }

  /** Brokers 1 to `count`, registered and unfenced. */
  static of(count: number, rules: Partial<TopicRules> = {}): TestCluster {
    const cluster = new TestCluster(rules);
    for (let id = 1; id <= count; id++) cluster.start(id);
    return cluster;
  }

  /** Offset of the next entry. */
  get nextOffset(): number {
    return this.log.length + 1;
  }

  commit<Response>({ records, response }: Decision<Response>): Response {
    if (records.length > 0) this.log.push(records);
    this.state.replay(records);
    return response;
  }

  /** A new process of a broker, cleanly stopped before, unless `fields` say otherwise. */
  register(
    id: number,
    fields: Partial<Omit<RegisterCommand, "broker">> & { readonly broker?: object } = {},
  ): ReturnType<typeof decideRegister>["response"] {
    const { type: _, brokerEpoch: __, clean: ___, ...identity } = registrationOf(id);
    const broker = { ...identity, incarnationId: `run ${++this.#runs}`, ...fields.broker };
    const command: RegisterCommand = {
      previousBrokerEpoch: this.state.broker(nodeId(id))?.brokerEpoch,
      wasCleanShutdown: true,
      brokerEpoch: this.nextOffset,
      hasLiveSession: false,
      ...fields,
      broker,
    };
    return this.commit(decideRegister(this.state, command, this.rules));
  }

  /** Registers and unfences. */
  start(id: number, fields: Parameters<TestCluster["register"]>[1] = {}): void {
    this.register(id, fields);
    this.unfence(id);
  }

  fence(...ids: number[]): ReturnType<typeof decideBrokerStates>["response"] {
    return this.change(ids.map((id) => ({ ...this.#session(id), isFenced: true })));
  }

  unfence(...ids: number[]): ReturnType<typeof decideBrokerStates>["response"] {
    return this.change(ids.map((id) => ({ ...this.#session(id), isFenced: false })));
  }

  change(changes: readonly BrokerStateChange[]): ReturnType<typeof decideBrokerStates>["response"] {
    return this.commit(decideBrokerStates(this.state, changes, this.rules));
  }

  shutDown(id: number): ReturnType<typeof decideControlledShutdown>["response"] {
    return this.commit(decideControlledShutdown(this.state, this.#session(id), this.rules));
  }

  /** Its disk is full, or has room again. */
  stepAside(id: number, isDiskFull = true): ReturnType<typeof decideBrokerStates>["response"] {
    return this.change([{ ...this.#session(id), isShuttingDown: isDiskFull }]);
  }

  unregister(id: number): ReturnType<typeof decideUnregister>["response"] {
    return this.commit(decideUnregister(this.state, { nodeId: nodeId(id) }, this.rules));
  }

  drain(id: number, isDrained = true): ReturnType<typeof decideDrain>["response"] {
    return this.commit(decideDrain(this.state, { nodeId: nodeId(id), isDrained }, this.rules));
  }

  /** The leader of a partition proposes this ISR, in the present epochs of everything. */
  propose(topic: string, partition: number, ids: readonly number[]): AlteredPartition | undefined {
    const image = this.state.topic(topic);
    const state = image?.partitions[partition];
    if (image === undefined || state === undefined || state.leader === NO_NODE) return undefined;
    const { leader, leaderEpoch, partitionEpoch } = state;
    const isr = ids.map((id) => this.#session(id));
    const proposal = { topicId: image.topicId, partition, leaderEpoch, partitionEpoch, isr };
    const command = { ...this.#session(leader), partitions: [proposal] };
    return this.commit(decideAlterPartitions(this.state, command, this.rules))[0];
  }

  create(
    topics: readonly NewTopic[],
    validateOnly = false,
  ): ReturnType<typeof decideCreateTopics>["response"] {
    const topicIds = topics.map(() => topicIdOf(++this.#created));
    return this.commit(decideCreateTopics(this.state, { topics, topicIds, validateOnly }, this.rules));
  }

  partition(topic: string, partition = 0): PartitionImage {
    const state = this.state.topic(topic)?.partitions[partition];
    if (state === undefined) throw new Error(`there is no partition ${topic}-${partition}`);
    return state;
  }

  /** Leader, ISR, ELR and last known ELR in one line, such as "1 [1,2] [3] []"; "-" for no leader. */
  shown(topic: string, partition = 0): string {
    const { leader, isr, elr, lastKnownElr } = this.partition(topic, partition);
    const lists = [isr, elr, lastKnownElr].map((nodes) => `[${nodes.join(",")}]`);
    return [leader === NO_NODE ? "-" : String(leader), ...lists].join(" ");
  }

  /** The leader takes everybody into the ISR who may be in one, as it does when they have caught up. */
  catchUp(topic: string): void {
    const image = this.state.topic(topic);
    if (image === undefined) throw new Error(`there is no topic ${topic}`);
    for (const [partition, { leader, replicas, isr }] of image.partitions.entries()) {
      const whole = replicas.filter((node) => node === leader || isActive(this.state.broker(node)));
      if (whole.length > isr.length) this.propose(topic, partition, whole);
    }
  }

  #session(id: number): { nodeId: NodeId; brokerEpoch: number } {
    return { nodeId: nodeId(id), brokerEpoch: this.state.broker(nodeId(id))?.brokerEpoch ?? -1 };
  }
}
