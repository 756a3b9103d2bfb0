import * as fc from "fast-check";
import { expect, test } from "vitest";
import { decideAlterConfigs } from "../../src/controller/configs.ts";
import { decideElectLeaders, decideRebalance } from "../../src/controller/elections.ts";
import { decideCancelReassignments, decideReassign } from "../../src/controller/reassignments.ts";
import { decideAddPartitions, decideDeleteTopics } from "../../src/controller/topics.ts";
import { recordsOfImage } from "../../src/metadata/image.ts";
import { decodeMetadataRecords, encodeMetadataRecords } from "../../src/metadata/record-codec.ts";
import { MetadataState, stateHash } from "../../src/metadata/replay.ts";
import { nodeId } from "../../src/model/ids.ts";
import { ClusterModel } from "./cluster-model.ts";
import type { StepFacts } from "./cluster-model.ts";
import { TestCluster, wish } from "./test-cluster.ts";

const BROKERS = 4;
const broker = fc.integer({ min: 1, max: BROKERS });
const someBrokers = fc.uniqueArray(broker, { minLength: 1, maxLength: 3 });
const name = fc.constantFrom("a", "b", "c");
const setting = fc.constantFrom(
  ["min.insync.replicas", "1"],
  ["min.insync.replicas", "2"],
  ["min.insync.replicas", "3"],
  ["unclean.leader.election.enable", "true"],
  ["unclean.leader.election.enable", "false"],
);

const kind = <K extends string>(value: K): fc.Arbitrary<K> => fc.constant(value);

const step = fc.oneof(
  { weight: 3, arbitrary: fc.record({ kind: kind("fence"), ids: someBrokers }) },
  { weight: 4, arbitrary: fc.record({ kind: kind("unfence"), ids: someBrokers }) },
  { weight: 4, arbitrary: fc.record({ kind: kind("restart"), id: broker, isClean: fc.boolean() }) },
  { weight: 1, arbitrary: fc.record({ kind: kind("shutDown"), id: broker }) },
  { weight: 2, arbitrary: fc.record({ kind: kind("stepAside"), id: broker, isDiskFull: fc.boolean() }) },
  { weight: 1, arbitrary: fc.record({ kind: kind("unregister"), id: broker }) },
  {
    weight: 2,
    arbitrary: fc.record({
      kind: kind("create"),
      name,
      replicas: fc.integer({ min: 1, max: 3 }),
      isFlushed: fc.boolean(),
    }),
  },
  { weight: 1, arbitrary: fc.record({ kind: kind("grow"), name, to: fc.integer({ min: 2, max: 4 }) }) },
  { weight: 1, arbitrary: fc.record({ kind: kind("delete"), name }) },
  { weight: 4, arbitrary: fc.record({ kind: kind("catchUp"), name }) },
  { weight: 1, arbitrary: fc.record({ kind: kind("configure"), name, setting }) },
  {
    weight: 3,
    arbitrary: fc.record({ kind: kind("reassign"), name, partition: fc.nat(1), ids: someBrokers }),
  },
  { weight: 1, arbitrary: fc.record({ kind: kind("cancel") }) },
  { weight: 1, arbitrary: fc.record({ kind: kind("drain"), id: broker, isDrained: fc.boolean() }) },
  { weight: 1, arbitrary: fc.record({ kind: kind("elect"), isAll: fc.boolean() }) },
);

type Step = typeof step extends fc.Arbitrary<infer T> ? T : never;

function run(cluster: TestCluster, one: Step): StepFacts {
  const { state, rules } = cluster;
  switch (one.kind) {
    case "fence":
      return cluster.fence(...one.ids);
    case "unfence":
      return cluster.unfence(...one.ids);
    case "restart": {
      const { isClean, uncleanElections } = cluster.register(one.id, { wasCleanShutdown: one.isClean });
      return { uncleanElections, lost: isClean ? undefined : { nodeId: nodeId(one.id), isGivenUp: false } };
    }
    case "shutDown":
      return cluster.shutDown(one.id);
    case "stepAside":
      return cluster.stepAside(one.id, one.isDiskFull);
    case "unregister": {
      const { error, uncleanElections } = cluster.unregister(one.id);
      return {
        uncleanElections,
        lost: error === "NONE" ? { nodeId: nodeId(one.id), isGivenUp: true } : undefined,
      };
    }
    case "create": {
      const configs = new Map([["flush.policy", one.isFlushed ? "ack" : "os"]]);
      cluster.create([wish(one.name, { partitions: 2, replicationFactor: one.replicas, configs })]);
      return {};
    }
    case "grow":
      cluster.commit(
        decideAddPartitions(state, { name: one.name, totalPartitions: one.to, validateOnly: false }, rules),
      );
      return {};
    case "delete":
      cluster.commit(decideDeleteTopics(state, [one.name]));
      return {};
    case "catchUp":
      if (state.topic(one.name) !== undefined) cluster.catchUp(one.name);
      return { isCatchUp: true };
    case "configure": {
      const [key, value] = one.setting as [string, string];
      const command = { name: one.name, set: new Map([[key, value]]), unset: [], validateOnly: false };
      return cluster.commit(decideAlterConfigs(state, command, rules));
    }
    case "reassign": {
      const partitions = [{ topic: one.name, partition: one.partition, replicas: one.ids.map(nodeId) }];
      cluster.commit(decideReassign(state, { partitions, validateOnly: false }, rules));
      return { isMovement: true };
    }
    case "cancel":
      cluster.commit(decideCancelReassignments(state, { partitions: undefined }, rules));
      return { isMovement: true };
    case "drain":
      return cluster.drain(one.id, one.isDrained);
    default:
      if (one.isAll) cluster.commit(decideElectLeaders(state, {}, rules));
      else cluster.commit(decideRebalance(state, { maxElections: 2 }, rules));
      return {};
  }
}

test("whatever happens to brokers and topics, no decision breaks what ISR, ELR and epochs promise (H25, H27)", () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), fc.boolean(), (steps, isSmall) => {
      const cluster = TestCluster.of(BROKERS, { defaultMinInsyncReplicas: isSmall ? 1 : 2 });
      const model = new ClusterModel(cluster);
      const configs = new Map([["unclean.leader.election.enable", "true"]]);
      cluster.create([
        wish("a", { partitions: 2, replicationFactor: 3 }),
        wish("b", { replicationFactor: 2 }),
        wish("c", { replicationFactor: 3, configs }),
      ]);
      model.check({});
      for (const one of steps) model.check(run(cluster, one));
    }),
    { numRuns: 400 },
  );
});

test("a node that restored a snapshot midway comes to the same state as one that replayed everything (H19)", () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 40 }), fc.nat(40), (steps, cut) => {
      const cluster = TestCluster.of(BROKERS);
      cluster.create([wish("a", { partitions: 2, replicationFactor: 3 })]);
      for (const one of steps) run(cluster, one);
      const follower = new MetadataState();
      let restored = new MetadataState();
      for (const [position, records] of cluster.log.entries()) {
        const bytes = encodeMetadataRecords(records);
        follower.replay(decodeMetadataRecords(bytes));
        restored.replay(decodeMetadataRecords(bytes));
        if (position !== cut) continue;
        const snapshot = encodeMetadataRecords(recordsOfImage(restored));
        restored = new MetadataState();
        restored.replay(decodeMetadataRecords(snapshot));
      }
      const hash = stateHash(cluster.state);
      expect([stateHash(follower), stateHash(restored)]).toEqual([hash, hash]);
    }),
    { numRuns: 150 },
  );
});

test("decisions on a clone that runs ahead are those that the committed state would have given", () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 30 }), (steps) => {
      const cluster = TestCluster.of(BROKERS);
      cluster.create([wish("a", { partitions: 2, replicationFactor: 3 })]);
      const committed = cluster.state.clone();
      const applied = cluster.log.length;
      for (const one of steps) run(cluster, one);
      for (const records of cluster.log.slice(applied)) committed.replay(records);
      expect(stateHash(committed)).toBe(stateHash(cluster.state));
    }),
    { numRuns: 50 },
  );
});
