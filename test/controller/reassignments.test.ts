import { describe, expect, test } from "vitest";
import {
  decideCancelReassignments,
  decideReassign,
  reassignmentsOf,
} from "../../src/controller/reassignments.ts";
import type { ReassignmentResult } from "../../src/controller/reassignments.ts";
import { nodes } from "../metadata/arbitrary-history.ts";
import { TestCluster, wish } from "./test-cluster.ts";

/** Brokers 1 to 5 and a topic "a" of one partition on 1, 2 and 3, led by 1; its minimum is 2. */
function onThree(replicas = 3): TestCluster {
  const cluster = TestCluster.of(5);
  cluster.create([wish("a", { replicationFactor: replicas })]);
  return cluster;
}

function reassign(cluster: TestCluster, ...replicas: number[]): ReassignmentResult {
  const partitions = [{ topic: "a", partition: 0, replicas: nodes(...replicas) }];
  const command = { partitions, validateOnly: false };
  return cluster.commit(decideReassign(cluster.state, command, cluster.rules))[0]!;
}

function cancel(cluster: TestCluster): ReassignmentResult {
  const partitions = [{ topic: "a", partition: 0 }];
  return cluster.commit(decideCancelReassignments(cluster.state, { partitions }, cluster.rules))[0]!;
}

/** The leader proposes this ISR. */
function propose(cluster: TestCluster, ...isr: number[]): string | undefined {
  return cluster.propose("a", 0, isr)?.error;
}

/** Replicas, those that are new, those that go, the ISR and the leader: "4,1,2 +4 -2 [1,2] 1". */
function shown(cluster: TestCluster): string {
  const { replicas, addingReplicas, removingReplicas, isr, leader } = cluster.partition("a");
  return `${replicas.join(",")} +${addingReplicas.join(",")} -${removingReplicas.join(",")} [${isr.join(",")}] ${leader}`;
}

describe("a reassignment", () => {
  test("grows, catches up, and shrinks when the last of the target is in the ISR (H23)", () => {
    const cluster = onThree();
    expect(reassign(cluster, 4, 5, 2).error).toBe("NONE");
    expect(shown(cluster)).toBe("4,5,2,1,3 +4,5 -1,3 [1,2,3] 1");
    expect(cluster.partition("a")).toMatchObject({ leaderEpoch: 0, partitionEpoch: 1 });
    expect(propose(cluster, 1, 2, 3, 5)).toBe("NONE");
    expect(shown(cluster)).toBe("4,5,2,1,3 +4,5 -1,3 [5,2,1,3] 1");
    expect(propose(cluster, 1, 2, 3, 4, 5)).toBe("NONE");
    expect(shown(cluster)).toBe("4,5,2 + - [4,5,2] 4");
    expect(cluster.partition("a")).toMatchObject({ leaderEpoch: 1, partitionEpoch: 3 });
  });

  test("keeps a leader that stays, in an epoch of its own: who left begins anew when it comes back (H23, H39)", () => {
    const cluster = onThree();
    reassign(cluster, 1, 2, 4);
    propose(cluster, 1, 2, 3, 4);
    expect(shown(cluster)).toBe("1,2,4 + - [1,2,4] 1");
    expect(cluster.partition("a").leaderEpoch).toBe(1);
    reassign(cluster, 1, 2, 4, 3);
    expect(shown(cluster)).toBe("1,2,4,3 +3 - [1,2,4] 1");
  });

  test("completes though those that go have left the ISR, and not while one of the target is away", () => {
    const cluster = onThree();
    reassign(cluster, 4, 5);
    propose(cluster, 1, 2, 4);
    cluster.fence(4);
    expect(shown(cluster)).toBe("4,5,1,2,3 +4,5 -1,2,3 [1,2] 1");
    propose(cluster, 1, 2, 5);
    expect(shown(cluster)).toBe("4,5,1,2,3 +4,5 -1,2,3 [5,1,2] 1");
    cluster.unfence(4);
    propose(cluster, 1, 4, 5);
    expect(shown(cluster)).toBe("4,5 + - [4,5] 4");
  });

  test("to brokers that are all in sync is done at once; only the order changes nothing else", () => {
    const cluster = onThree();
    reassign(cluster, 3, 2);
    expect(shown(cluster)).toBe("3,2 + - [3,2] 3");
    expect(cluster.partition("a")).toMatchObject({ leaderEpoch: 1, partitionEpoch: 1 });
    reassign(cluster, 2, 3);
    expect(shown(cluster)).toBe("2,3 + - [3,2] 3");
    expect(cluster.partition("a")).toMatchObject({ leaderEpoch: 1, partitionEpoch: 2 });
  });

  test("of a single replica needs no more in-sync replicas than before until all have caught up", () => {
    const cluster = onThree(1);
    reassign(cluster, 1, 2, 3);
    // A minimum of 2 for one replica is 1: what leaves the ISR would be kept in the ELR otherwise.
    expect(propose(cluster, 1)).toBe("NONE");
    expect(cluster.shown("a")).toBe("1 [1] [] []");
    propose(cluster, 1, 2);
    propose(cluster, 1);
    expect(cluster.shown("a")).toBe("1 [1] [] []");
    propose(cluster, 1, 2, 3);
    expect(shown(cluster)).toBe("1,2,3 + - [1,2,3] 1");
    propose(cluster, 1);
    expect(cluster.shown("a")).toBe("1 [1] [2,3] []");
  });

  test("prefers no leader that is drained", () => {
    const cluster = onThree();
    reassign(cluster, 4, 5, 2);
    cluster.drain(4);
    propose(cluster, 1, 2, 3, 4, 5);
    expect(shown(cluster)).toBe("4,5,2 + - [4,5,2] 5");
  });

  test("again to the same place changes nothing; elsewhere it is refused until the first is over", () => {
    const cluster = onThree();
    reassign(cluster, 1, 2, 4);
    const { nextOffset } = cluster;
    expect(reassign(cluster, 1, 2, 4).error).toBe("NONE");
    const { error, errorMessage } = reassign(cluster, 1, 2, 5);
    expect(error).toBe("REASSIGNMENT_IN_PROGRESS");
    expect(errorMessage).toBe(
      "partition a-0 moves to [1, 2, 4] already; wait until it is there (lograft partitions status), or cancel that " +
        "first (lograft partitions cancel)",
    );
    expect(cluster.nextOffset).toBe(nextOffset);
  });

  test.each<[string, (cluster: TestCluster) => unknown, number[], RegExp]>([
    ["no broker", () => 0, [], /at least one replica/],
    ["a broker twice", () => 0, [1, 4, 1], /named twice/],
    [
      "an unknown broker",
      () => 0,
      [1, 9],
      /^partition a-0 cannot be on \[1, 9\]: broker 9 is not registered/,
    ],
    ["a new broker that is fenced", (cluster) => cluster.fence(4), [1, 4], /broker 4 is fenced/],
    ["a new broker that stops", (cluster) => cluster.shutDown(4), [1, 4], /broker 4 is shutting down/],
    ["a new broker that is drained", (cluster) => cluster.drain(4), [1, 4], /lograft node undrain 4/],
  ])("to %s is refused", (_what, prepare, target, message) => {
    const cluster = onThree();
    prepare(cluster);
    const before = cluster.partition("a");
    const { error, errorMessage } = reassign(cluster, ...target);
    expect(error).toBe("INVALID_REPLICA_ASSIGNMENT");
    expect(errorMessage).toMatch(message);
    expect(cluster.partition("a")).toBe(before);
  });

  test("may keep a replica that is fenced or drained", () => {
    const cluster = onThree();
    cluster.fence(2);
    cluster.drain(3);
    expect(reassign(cluster, 1, 2, 3, 4).error).toBe("NONE");
    expect(shown(cluster)).toBe("1,2,3,4 +4 - [1,3] 1");
  });

  test("of what there is not, or named twice, fails alone", () => {
    const cluster = onThree();
    const named = (topic: string, partition: number) => ({ topic, partition, replicas: nodes(1, 4) });
    const partitions = [named("a", 0), named("b", 0), named("a", 7), named("a", 0)];
    const decided = decideReassign(cluster.state, { partitions, validateOnly: false }, cluster.rules);
    expect(cluster.commit(decided).map(({ error }) => error)).toEqual([
      "NONE",
      "UNKNOWN_TOPIC_OR_PARTITION",
      "UNKNOWN_TOPIC_OR_PARTITION",
      "INVALID_REQUEST",
    ]);
    expect(shown(cluster)).toBe("1,4,2,3 +4 -2,3 [1,2,3] 1");
  });

  test("is checked and not begun when that is all that is asked for", () => {
    const cluster = onThree();
    const partitions = [{ topic: "a", partition: 0, replicas: nodes(1, 4) }];
    const decided = decideReassign(cluster.state, { partitions, validateOnly: true }, cluster.rules);
    expect(decided.records).toEqual([]);
    expect(decided.response).toMatchObject([{ error: "NONE" }]);
  });

  test("is listed while it is under way, by topic and partition", () => {
    const cluster = onThree();
    cluster.create([wish("A", { partitions: 2, replicationFactor: 1 })]);
    reassign(cluster, 4, 2);
    const partitions = [1, 0].map((partition) => ({ topic: "A", partition, replicas: nodes(5) }));
    cluster.commit(decideReassign(cluster.state, { partitions, validateOnly: false }, cluster.rules));
    expect(reassignmentsOf(cluster.state).map(({ topic, partition }) => `${topic}-${partition}`)).toEqual([
      "A-0",
      "A-1",
      "a-0",
    ]);
    expect(reassignmentsOf(cluster.state).at(-1)).toEqual({
      topic: "a",
      partition: 0,
      target: [4, 2],
      addingReplicas: [4],
      removingReplicas: [1, 3],
      isr: [1, 2, 3],
    });
  });
});

describe("a reassignment that is taken back", () => {
  test("leaves the replicas that there were, in another leader epoch", () => {
    const cluster = onThree();
    reassign(cluster, 4, 5, 2);
    propose(cluster, 1, 2, 3, 5);
    expect(cancel(cluster).error).toBe("NONE");
    expect(shown(cluster)).toBe("2,1,3 + - [2,1,3] 1");
    expect(cluster.partition("a")).toMatchObject({ leaderEpoch: 1, partitionEpoch: 3 });
    expect(reassignmentsOf(cluster.state)).toEqual([]);
  });

  test("finds another leader when a new replica led", () => {
    const cluster = onThree();
    reassign(cluster, 4, 5, 2);
    propose(cluster, 1, 2, 3, 4);
    cluster.fence(1);
    expect(shown(cluster)).toBe("4,5,2,1,3 +4,5 -1,3 [4,2,3] 4");
    cancel(cluster);
    expect(shown(cluster)).toBe("2,1,3 + - [2,3] 2");
  });

  test("is refused while a new replica is needed to have what is committed", () => {
    const cluster = onThree();
    reassign(cluster, 4, 5);
    propose(cluster, 1, 4);
    const before = cluster.partition("a");
    const { error, errorMessage } = cancel(cluster);
    expect(error).toBe("INVALID_REPLICA_ASSIGNMENT");
    expect(errorMessage).toContain("too few of them are in sync without [4]; wait");
    expect(cluster.partition("a")).toBe(before);
    propose(cluster, 1, 2, 4);
    expect(cancel(cluster).error).toBe("NONE");
  });

  test("is refused when there is none; all of them are taken back when none is named", () => {
    const cluster = onThree();
    expect(cancel(cluster).error).toBe("NO_REASSIGNMENT_IN_PROGRESS");
    reassign(cluster, 4, 5);
    const all = decideCancelReassignments(cluster.state, { partitions: undefined }, cluster.rules);
    expect(cluster.commit(all)).toEqual([{ topic: "a", partition: 0, error: "NONE", errorMessage: "" }]);
    expect(shown(cluster)).toBe("1,2,3 + - [1,2,3] 1");
  });
});
