import { describe, expect, test } from "vitest";
import { decideAlterPartitions } from "../../src/controller/alter-partitions.ts";
import type { AlteredPartition, ProposedIsr, ProposedMember } from "../../src/controller/alter-partitions.ts";
import { decideCommand } from "../../src/controller/commands.ts";
import { NO_BROKER_EPOCH, nodeId } from "../../src/model/ids.ts";
import { leaderEpoch } from "../../src/model/offsets.ts";
import { SeededRandom } from "../../src/platform/random.ts";
import { topicIdOf } from "../metadata/arbitrary-history.ts";
import { TestCluster, wish } from "./test-cluster.ts";

/** Brokers 1 to 3 and a topic "a" on all of them, led by 1; its minimum is 2. */
function threeReplicas(configs: ReadonlyMap<string, string> = new Map()): TestCluster {
  const cluster = TestCluster.of(3);
  cluster.create([wish("a", { partitions: 2, replicationFactor: 3, configs })]);
  return cluster;
}

/** Members by their present registrations. */
function members(cluster: TestCluster, ...ids: number[]): ProposedMember[] {
  return ids.map((id) => ({
    nodeId: nodeId(id),
    brokerEpoch: cluster.state.broker(nodeId(id))!.brokerEpoch,
  }));
}

/** A proposal for partition a-0 as it is now, unless `fields` say otherwise. */
function proposal(cluster: TestCluster, ids: number[], fields: Partial<ProposedIsr> = {}): ProposedIsr {
  const image = cluster.state.topic("a")!;
  const state = image.partitions[fields.partition ?? 0]!;
  return {
    topicId: image.topicId,
    partition: 0,
    leaderEpoch: state.leaderEpoch,
    partitionEpoch: state.partitionEpoch,
    isr: members(cluster, ...ids),
    ...fields,
  };
}

function alter(
  cluster: TestCluster,
  sender: number,
  ...partitions: ProposedIsr[]
): readonly AlteredPartition[] {
  const brokerEpoch = cluster.state.broker(nodeId(sender))?.brokerEpoch ?? 0;
  const command = { nodeId: nodeId(sender), brokerEpoch, partitions };
  return cluster.commit(decideAlterPartitions(cluster.state, command, cluster.rules));
}

/** Asserts that the proposal is refused, that nothing changes, and which state comes with the answer. */
function expectRefused(cluster: TestCluster, sender: number, proposed: ProposedIsr, error: string): string {
  const before = cluster.partition("a");
  const { nextOffset } = cluster;
  const [result] = alter(cluster, sender, proposed);
  expect(result).toMatchObject({ error, state: before });
  expect(cluster.nextOffset).toBe(nextOffset);
  expect(cluster.partition("a")).toBe(before);
  return result!.errorMessage;
}

describe("an ISR that its leader proposes", () => {
  test("shrinks and grows, in the order of the replicas; each time the partition epoch moves and the leader epoch stays", () => {
    const cluster = threeReplicas();
    const before = cluster.partition("a");
    const [shrunk] = alter(cluster, 1, proposal(cluster, [3, 1]));
    expect(shrunk).toEqual({
      topicId: topicIdOf(1),
      partition: 0,
      error: "NONE",
      errorMessage: "",
      state: { ...before, isr: [1, 3], partitionEpoch: before.partitionEpoch + 1 },
    });
    expect(cluster.partition("a")).toEqual(shrunk!.state);
    const [grown] = alter(cluster, 1, proposal(cluster, [3, 1, 2]));
    expect(grown!.state).toEqual({ ...before, partitionEpoch: before.partitionEpoch + 2 });
  });

  test("may lose one member and win another at once", () => {
    const cluster = threeReplicas();
    alter(cluster, 1, proposal(cluster, [1, 2]));
    alter(cluster, 1, proposal(cluster, [1, 3]));
    expect(cluster.shown("a")).toBe("1 [1,3] [] []");
  });

  test("moves the partition epoch also when it is the present one, so that an earlier request is past", () => {
    const cluster = threeReplicas();
    alter(cluster, 1, proposal(cluster, [1, 2]));
    const earlier = proposal(cluster, [1, 2, 3]);
    const { partitionEpoch } = cluster.partition("a");
    expect(alter(cluster, 1, proposal(cluster, [2, 1]))).toMatchObject([{ error: "NONE" }]);
    expect(cluster.shown("a")).toBe("1 [1,2] [] []");
    expect(cluster.partition("a").partitionEpoch).toBe(partitionEpoch + 1);
    expectRefused(cluster, 1, earlier, "INVALID_UPDATE_VERSION");
  });

  test("several are decided on each alone and committed together; one that is named twice counts once", () => {
    const cluster = threeReplicas();
    const { nextOffset } = cluster;
    const results = alter(
      cluster,
      1,
      proposal(cluster, [1, 2]),
      proposal(cluster, [2, 3], { partition: 1 }),
      proposal(cluster, [1, 3]),
      { ...proposal(cluster, [1]), partition: 2 },
    );
    expect(results.map(({ partition, error }) => [partition, error])).toEqual([
      [0, "NONE"],
      [1, "NOT_LEADER_OR_FOLLOWER"],
      [0, "INVALID_REQUEST"],
      [2, "UNKNOWN_TOPIC_OR_PARTITION"],
    ]);
    expect(results[2]!.state).toEqual(cluster.partition("a"));
    expect(cluster.nextOffset).toBe(nextOffset + 1);
    expect(cluster.shown("a")).toBe("1 [1,2] [] []");
  });
});

describe("below the minimum (KIP-966, H25)", () => {
  test("those who leave go to the ELR, and it ends when the ISR has its minimum again", () => {
    const cluster = threeReplicas();
    alter(cluster, 1, proposal(cluster, [1, 2]));
    expect(cluster.shown("a")).toBe("1 [1,2] [] []");
    alter(cluster, 1, proposal(cluster, [1]));
    expect(cluster.shown("a")).toBe("1 [1] [2] []");
    alter(cluster, 1, proposal(cluster, [1, 3]));
    expect(cluster.shown("a")).toBe("1 [1,3] [] []");
  });

  test("a member that returns from the ELR while the ISR still lacks its minimum is in the ISR alone", () => {
    const cluster = threeReplicas(new Map([["min.insync.replicas", "3"]]));
    alter(cluster, 1, proposal(cluster, [1]));
    expect(cluster.shown("a")).toBe("1 [1] [2,3] []");
    alter(cluster, 1, proposal(cluster, [1, 3]));
    expect(cluster.shown("a")).toBe("1 [1,3] [2] []");
  });
});

describe("a leader that is on its way out", () => {
  test("hands over to whom it has brought up to date, and leaves the ISR with that", () => {
    const cluster = threeReplicas(new Map([["min.insync.replicas", "1"]]));
    alter(cluster, 1, proposal(cluster, [1]));
    cluster.shutDown(1);
    expect(cluster.shown("a")).toBe("1 [1] [] []");
    const before = cluster.partition("a");
    const [result] = alter(cluster, 1, proposal(cluster, [1, 2]));
    expect(result).toMatchObject({ error: "NONE", state: { leader: 2, isr: [2] } });
    expect(cluster.partition("a").leaderEpoch).toBe(before.leaderEpoch + 1);
  });

  test("keeps what nobody in the ISR can take over, though its topic allows unclean elections (H25)", () => {
    const settings = { "min.insync.replicas": "1", "unclean.leader.election.enable": "true" };
    const cluster = threeReplicas(new Map(Object.entries(settings)));
    alter(cluster, 1, proposal(cluster, [1]));
    cluster.shutDown(1);
    alter(cluster, 1, proposal(cluster, [1]));
    expect(cluster.shown("a")).toBe("1 [1] [] []");
  });
});

describe("refused, with the present state for the leader to go on from", () => {
  test("from an earlier leader epoch, whoever sends it (H22)", () => {
    const cluster = threeReplicas();
    const old = proposal(cluster, [1, 2]);
    cluster.fence(1);
    cluster.unfence(1);
    expect(expectRefused(cluster, 1, old, "FENCED_LEADER_EPOCH")).toContain("a-0 is in leader epoch");
    expectRefused(cluster, 2, old, "FENCED_LEADER_EPOCH");
  });

  test("from a broker that does not lead", () => {
    const cluster = threeReplicas();
    expect(expectRefused(cluster, 2, proposal(cluster, [1, 2]), "NOT_LEADER_OR_FOLLOWER")).toContain(
      "led by broker 1",
    );
  });

  test("made for another state of the partition", () => {
    const cluster = threeReplicas();
    const old = proposal(cluster, [1, 2]);
    cluster.fence(3);
    expectRefused(cluster, 1, old, "INVALID_UPDATE_VERSION");
  });

  test("of brokers that are not replicas, or twice one, or not the leader", () => {
    const cluster = threeReplicas();
    cluster.start(4);
    for (const ids of [[1, 4], [1, 2, 2], [2, 3], []]) {
      expectRefused(cluster, 1, proposal(cluster, ids), "INVALID_REQUEST");
    }
  });

  test("with a fenced broker, or one on its way out (KIP-841)", () => {
    const cluster = threeReplicas();
    cluster.fence(3);
    expectRefused(cluster, 1, proposal(cluster, [1, 2, 3]), "INELIGIBLE_REPLICA");
    cluster.unfence(3);
    cluster.shutDown(3);
    expectRefused(cluster, 1, proposal(cluster, [1, 2, 3]), "INELIGIBLE_REPLICA");
  });

  test("with a broker that was restarted, maybe empty, after it had followed (KIP-903)", () => {
    const cluster = threeReplicas();
    alter(cluster, 1, proposal(cluster, [1, 2]));
    const beforeRestart = members(cluster, 1, 2, 3);
    cluster.start(3);
    const late = proposal(cluster, [], { isr: beforeRestart });
    expect(expectRefused(cluster, 1, late, "INELIGIBLE_REPLICA")).toContain("broker 3");
    alter(cluster, 1, proposal(cluster, [1, 2, 3]));
    expect(cluster.shown("a")).toBe("1 [1,2,3] [] []");
  });

  test("with a newcomer of no known registration; a member may stay without", () => {
    const cluster = threeReplicas();
    const unknown = (...ids: number[]): ProposedMember[] =>
      ids.map((id) => ({ nodeId: nodeId(id), brokerEpoch: NO_BROKER_EPOCH }));
    alter(cluster, 1, proposal(cluster, [], { isr: unknown(1, 2) }));
    expect(cluster.shown("a")).toBe("1 [1,2] [] []");
    const joining = proposal(cluster, [], { isr: unknown(1, 2, 3) });
    expectRefused(cluster, 1, joining, "INELIGIBLE_REPLICA");
  });
});

describe("refused without a state", () => {
  test("by a controller that knows less than the leader: it is one no longer", () => {
    const cluster = threeReplicas();
    const { leaderEpoch: epoch, partitionEpoch } = cluster.partition("a");
    const results = [{ leaderEpoch: leaderEpoch(epoch + 1) }, { partitionEpoch: partitionEpoch + 1 }].flatMap(
      (ahead) => alter(cluster, 1, proposal(cluster, [1, 2], ahead)),
    );
    for (const result of results) expect(result).toMatchObject({ error: "NOT_CONTROLLER", state: undefined });
  });

  test("for a topic that is gone", () => {
    const cluster = threeReplicas();
    const [result] = alter(cluster, 1, proposal(cluster, [1], { topicId: topicIdOf(99) }));
    expect(result).toMatchObject({ error: "UNKNOWN_TOPIC_ID", state: undefined });
  });
});

test("an earlier registration of the sender is refused as a whole, before any partition is looked at", () => {
  const cluster = threeReplicas();
  const request = {
    type: "alterPartitions",
    nodeId: nodeId(1),
    brokerEpoch: cluster.state.broker(nodeId(1))!.brokerEpoch - 1,
    partitions: [proposal(cluster, [1, 2])],
  } as const;
  const context = { rules: cluster.rules, random: new SeededRandom(1) };
  const { records, response } = decideCommand("alterPartitions", cluster.state, request, context);
  expect(records).toEqual([]);
  expect(response).toMatchObject({ ok: false, refusal: { error: "STALE_BROKER_EPOCH" } });
});
