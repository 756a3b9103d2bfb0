import * as fc from "fast-check";
import type {
  BrokerRegistrationRecord,
  MetadataRecord,
  PartitionRecord,
} from "../../src/metadata/records.ts";
import { nodeId, randomTopicId } from "../../src/model/ids.ts";
import type { NodeId, TopicId } from "../../src/model/ids.ts";
import { leaderEpoch } from "../../src/model/offsets.ts";

export function topicIdOf(seed: number): TopicId {
  const bytes = new Uint8Array(16);
  new DataView(bytes.buffer).setUint32(10, seed);
  return randomTopicId(bytes);
}

export const nodes = (...ids: number[]): NodeId[] => ids.map((id) => nodeId(id));

/** A broker's registration with epoch 1, unless `fields` say otherwise. */
export function registrationOf(
  id: number,
  fields: Partial<BrokerRegistrationRecord> = {},
): BrokerRegistrationRecord {
  return {
    type: "BrokerRegistration",
    nodeId: nodeId(id),
    incarnationId: `run-1-of-node-${id}-......`,
    directoryId: `directory-of-node-${id}..`,
    brokerEpoch: 1,
    clean: true,
    host: `host-${id}`,
    port: 9092,
    peerEndpoint: `host-${id}:9093`,
    rack: null,
    brokerHost: null,
    features: new Map([["metadata.version", { min: 1, max: 3 }]]),
    listeners: [],
    ...fields,
  };
}

/** The records of brokers that are registered with epoch 1 and unfenced. */
export function unfencedBrokers(...ids: number[]): MetadataRecord[] {
  return ids.flatMap((id) => [
    registrationOf(id),
    {
      type: "BrokerChange",
      nodeId: nodeId(id),
      brokerEpoch: 1,
      isFenced: false,
      isShuttingDown: false,
      isDrained: false,
    },
  ]);
}

/** The first state of a partition on brokers 1 and 2, unless `fields` say otherwise. */
export function partitionOf(
  topicSeed: number,
  partition: number,
  fields: Partial<PartitionRecord> = {},
): PartitionRecord {
  const replicas = fields.replicas ?? nodes(1, 2);
  const isr = fields.isr ?? replicas;
  return {
    type: "Partition",
    topicId: topicIdOf(topicSeed),
    partition,
    replicas,
    isr,
    elr: [],
    lastKnownElr: [],
    addingReplicas: [],
    removingReplicas: [],
    leader: isr[0] ?? nodeId(0),
    leaderEpoch: leaderEpoch(0),
    partitionEpoch: 0,
    ...fields,
  };
}

/** One step of a made-up cluster; `pick` chooses among what exists. */
type Step =
  | { readonly kind: "create"; readonly partitions: number }
  | { readonly kind: "grow" | "remove" | "reelect"; readonly pick: number }
  | { readonly kind: "config"; readonly pick: number; readonly key: string; readonly value: string | null }
  | { readonly kind: "register"; readonly node: number; readonly clean: boolean }
  | { readonly kind: "change"; readonly node: number; readonly isFenced: boolean }
  | { readonly kind: "feature"; readonly level: number }
  | { readonly kind: "unregister" }
  | { readonly kind: "producerIds"; readonly count: number };

/** A broker without replicas, so that it may come and go. */
const SPARE = 4;

const step: fc.Arbitrary<Step> = fc.oneof(
  fc.record({ kind: fc.constant("create" as const), partitions: fc.integer({ min: 1, max: 5 }) }),
  fc.record({
    kind: fc.constantFrom("grow" as const, "remove" as const, "reelect" as const),
    pick: fc.nat(50),
  }),
  fc.record({
    kind: fc.constant("config" as const),
    pick: fc.nat(50),
    key: fc.constantFrom("retention.ms", "flush.policy", "größe"),
    value: fc.option(fc.string({ maxLength: 8 })),
  }),
  fc.record({
    kind: fc.constant("register" as const),
    node: fc.integer({ min: 1, max: SPARE }),
    clean: fc.boolean(),
  }),
  fc.record({
    kind: fc.constant("change" as const),
    node: fc.integer({ min: 1, max: SPARE }),
    isFenced: fc.boolean(),
  }),
  fc.record({ kind: fc.constant("feature" as const), level: fc.integer({ min: 1, max: 9 }) }),
  fc.constant({ kind: "unregister" as const }),
  fc.record({ kind: fc.constant("producerIds" as const), count: fc.integer({ min: 1, max: 2000 }) }),
);

interface PartitionModel {
  leader: number;
  leaderEpoch: number;
  partitionEpoch: number;
}

interface Model {
  topics: { topicId: TopicId; partitions: PartitionModel[] }[];
  created: number;
  nextProducerId: number;
  /** Epochs of the registered brokers. */
  readonly brokers: Map<number, number>;
  registrations: number;
}

/** Batches of records that a real cluster could have logged, each batch one entry. */
export const history: fc.Arbitrary<MetadataRecord[][]> = fc
  .array(fc.array(step, { minLength: 1, maxLength: 4 }), { maxLength: 25 })
  .map((batches) => {
    const model: Model = { topics: [], created: 0, nextProducerId: 0, brokers: new Map(), registrations: 0 };
    const first = [1, 2, 3].map((node) => registerOne(node, true, model));
    return [first, ...batches.map((steps) => steps.flatMap((one) => recordsOf(one, model)))];
  });

function recordsOf(one: Step, model: Model): MetadataRecord[] {
  switch (one.kind) {
    case "create": {
      const topicId = topicIdOf(++model.created);
      const topic = { topicId, partitions: [] };
      model.topics.push(topic);
      const seed = model.created;
      const added = Array.from({ length: one.partitions }, () => addPartition(seed, topic));
      return [{ type: "Topic", name: `topic-${model.created}`, topicId }, ...added];
    }
    case "register":
      return [registerOne(one.node, one.clean, model)];
    case "change": {
      const brokerEpoch = model.brokers.get(one.node);
      if (brokerEpoch === undefined) return [];
      const { isFenced } = one;
      return [
        {
          type: "BrokerChange",
          nodeId: nodeId(one.node),
          brokerEpoch,
          isFenced,
          isShuttingDown: one.node === 2,
          isDrained: one.node === 3,
        },
      ];
    }
    case "unregister":
      return model.brokers.delete(SPARE) ? [{ type: "UnregisterBroker", nodeId: nodeId(SPARE) }] : [];
    case "feature":
      return [{ type: "FeatureLevel", name: `feature-${one.level % 3}`, level: one.level }];
    case "producerIds":
      model.nextProducerId += one.count;
      return [{ type: "ProducerIds", nextProducerId: model.nextProducerId }];
    default:
      return recordsAbout(one, model);
  }
}

function registerOne(node: number, clean: boolean, model: Model): MetadataRecord {
  const brokerEpoch = ++model.registrations;
  model.brokers.set(node, brokerEpoch);
  return registrationOf(node, { brokerEpoch, clean, rack: node === 3 ? null : `rack-${node}` });
}

function recordsAbout(
  one: Extract<Step, { kind: "grow" | "remove" | "reelect" | "config" }>,
  model: Model,
): MetadataRecord[] {
  const topic = model.topics[one.pick % Math.max(model.topics.length, 1)];
  if (topic === undefined) return [];
  const { topicId } = topic;
  const seed = seedOf(topicId, model);
  switch (one.kind) {
    case "grow":
      return [addPartition(seed, topic)];
    case "remove":
      model.topics = model.topics.filter((other) => other !== topic);
      return [{ type: "RemoveTopic", topicId }];
    case "config":
      return [{ type: "TopicConfig", topicId, key: one.key, value: one.value }];
    case "reelect": {
      const partition = one.pick % topic.partitions.length;
      const state = topic.partitions[partition];
      if (state === undefined) return [];
      state.leader = (state.leader % 3) + 1;
      state.leaderEpoch++;
      state.partitionEpoch++;
      return [partitionRecord(seed, partition, state)];
    }
    default:
      return [];
  }
}

function seedOf(topicId: TopicId, { created }: Model): number {
  for (let seed = 1; seed <= created; seed++) if (topicIdOf(seed) === topicId) return seed;
  throw new Error("a topic of the model was never created");
}

function addPartition(seed: number, topic: Model["topics"][number]): MetadataRecord {
  const state = { leader: (topic.partitions.length % 3) + 1, leaderEpoch: 0, partitionEpoch: 0 };
  topic.partitions.push(state);
  return partitionRecord(seed, topic.partitions.length - 1, state);
}

/** Every second change leaves the leader alone in the ISR, with the others in the two other lists. */
function partitionRecord(seed: number, partition: number, state: PartitionModel): MetadataRecord {
  const { leader, partitionEpoch } = state;
  const [next, last] = [(leader % 3) + 1, ((leader + 1) % 3) + 1];
  const isAlone = partitionEpoch % 2 === 1;
  return partitionOf(seed, partition, {
    replicas: nodes(1, 2, 3),
    isr: isAlone ? nodes(leader) : nodes(1, 2, 3),
    // Every third is on its way.
    addingReplicas: partitionEpoch % 3 === 2 ? nodes(next) : [],
    removingReplicas: partitionEpoch % 3 === 2 ? nodes(last) : [],
    elr: isAlone ? nodes(next) : [],
    lastKnownElr: isAlone ? nodes(last) : [],
    leader: nodeId(leader),
    leaderEpoch: leaderEpoch(state.leaderEpoch),
    partitionEpoch,
  });
}
