import * as fc from "fast-check";
import type { MetadataRecord } from "../../src/metadata/records.ts";
import { nodeId, randomTopicId } from "../../src/model/ids.ts";
import type { NodeId, TopicId } from "../../src/model/ids.ts";
import { leaderEpoch } from "../../src/model/offsets.ts";

export function topicIdOf(seed: number): TopicId {
  const bytes = new Uint8Array(16);
  new DataView(bytes.buffer).setUint32(4, seed);
  return randomTopicId(bytes);
}

export const nodes = (...ids: number[]): NodeId[] => ids.map((id) => nodeId(id));

const UUID = "AAECAwQFRgeICQoLDA0ODw";

/** One step of a made-up cluster; `pick` chooses among what exists. */
type Step =
  | { readonly kind: "create"; readonly partitions: number }
  | { readonly kind: "grow" | "remove" | "reelect"; readonly pick: number }
  | { readonly kind: "config"; readonly pick: number; readonly key: string; readonly value: string | null }
  | { readonly kind: "register"; readonly node: number; readonly clean: boolean }
  | { readonly kind: "producerIds"; readonly count: number };

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
    node: fc.integer({ min: 1, max: 3 }),
    clean: fc.boolean(),
  }),
  fc.record({ kind: fc.constant("producerIds" as const), count: fc.integer({ min: 1, max: 2000 }) }),
);

interface Model {
  topics: {
    topicId: TopicId;
    partitions: { leader: number; leaderEpoch: number; partitionEpoch: number }[];
  }[];
  created: number;
  nextProducerId: number;
}

/** Batches of records that a real cluster could have logged, each batch one entry. */
export const history: fc.Arbitrary<MetadataRecord[][]> = fc
  .array(fc.array(step, { minLength: 1, maxLength: 4 }), { maxLength: 25 })
  .map((batches) => {
    const model: Model = { topics: [], created: 0, nextProducerId: 0 };
    return batches.map((steps) => steps.flatMap((one) => recordsOf(one, model)));
  });

function recordsOf(one: Step, model: Model): MetadataRecord[] {
  switch (one.kind) {
    case "create": {
      const topicId = topicIdOf(++model.created);
      const topic = { topicId, partitions: [] };
      model.topics.push(topic);
      const added = Array.from({ length: one.partitions }, () => addPartition(topic));
      return [{ type: "Topic", name: `topic-${model.created}`, topicId }, ...added];
    }
    case "register":
      for (const { partitions } of one.clean ? [] : model.topics) {
        for (const state of partitions.filter(({ leader }) => leader === one.node)) {
          state.leaderEpoch++;
          state.partitionEpoch++;
        }
      }
      return [
        {
          type: "BrokerRegistration",
          nodeId: nodeId(one.node),
          incarnationId: UUID,
          directoryId: UUID,
          clean: one.clean,
        },
      ];
    case "producerIds":
      model.nextProducerId += one.count;
      return [{ type: "ProducerIds", nextProducerId: model.nextProducerId }];
    default:
      return recordsAbout(one, model);
  }
}

function recordsAbout(
  one: Exclude<Step, { kind: "create" | "register" | "producerIds" }>,
  model: Model,
): MetadataRecord[] {
  const topic = model.topics[one.pick % Math.max(model.topics.length, 1)];
  if (topic === undefined) return [];
  const { topicId } = topic;
  switch (one.kind) {
    case "grow":
      return [addPartition(topic)];
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
      return [partitionRecord(topicId, partition, state)];
    }
    default:
      return [];
  }
}

function addPartition(topic: Model["topics"][number]): MetadataRecord {
  const state = { leader: (topic.partitions.length % 3) + 1, leaderEpoch: 0, partitionEpoch: 0 };
  topic.partitions.push(state);
  return partitionRecord(topic.topicId, topic.partitions.length - 1, state);
}

function partitionRecord(
  topicId: TopicId,
  partition: number,
  state: Model["topics"][number]["partitions"][number],
): MetadataRecord {
  return {
    type: "Partition",
    topicId,
    partition,
    replicas: nodes(1, 2, 3),
    isr: nodes(1, 2, 3),
    leader: nodeId(state.leader),
    leaderEpoch: leaderEpoch(state.leaderEpoch),
    partitionEpoch: state.partitionEpoch,
  };
}
