import { expect, test } from "vitest";
import type { HealthCheck } from "../../src/cli/cluster-health.ts";
import { judgeHealth, leaderEndOffset } from "../../src/cli/cluster-health.ts";
import type { BrokerReport, ClusterSurvey } from "../../src/cli/cluster-survey.ts";
import { clientEndpoint } from "../../src/cli/cluster-survey.ts";
import type { ClusterBroker, PartitionState, QuorumReplica } from "../../src/client/index.ts";

/** Brokers 1 to 3, all well, no partitions. */
function survey(change: Partial<ClusterSurvey> = {}): ClusterSurvey {
  return {
    cluster: {
      clusterId: "c",
      controllerId: 1,
      controllerEpoch: 7,
      brokers: [broker(1), broker(2), broker(3)],
      features: [],
      answeredBy: { nodeId: 1, metadataOffset: 10, stateHash: 5 },
    },
    quorum: {
      leaderId: 1,
      epoch: 7,
      commitOffset: 4999,
      replicas: [replica(1), replica(2), replica(3)],
      answeredBy: {
        nodeId: 1,
        role: "leader",
        epoch: 7,
        logEndOffset: 5000,
        durableOffset: 5000,
        appliedOffset: 4999,
        snapshotOffset: -1,
        stateHash: 5,
      },
    },
    reports: [report(1), report(2), report(3)],
    partitions: [],
    minInsyncReplicas: new Map(),
    ...change,
  };
}

function broker(nodeId: number): ClusterBroker {
  return {
    nodeId,
    host: `h${nodeId}`,
    port: 9092,
    rack: "",
    brokerHost: "",
    peerEndpoint: "",
    directoryId: "",
    incarnationId: "",
    brokerEpoch: 1,
    isFenced: false,
    isShuttingDown: false,
    isDrained: false,
  };
}

function replica(nodeId: number, change: Partial<QuorumReplica> = {}): QuorumReplica {
  const base = { directoryId: "d", endpoint: `h${nodeId}:9093`, isVoter: true, logEndOffset: 5000 };
  return { nodeId, ...base, isActive: true, isCaughtUp: true, ...change };
}

function report(nodeId: number, metadataOffset = 10, stateHash = 5): BrokerReport {
  return { nodeId, address: `h${nodeId}:9092`, position: { nodeId, metadataOffset, stateHash }, failure: "" };
}

function partition(number: number, change: Partial<PartitionState> = {}): PartitionState {
  const base = { leaderId: 1, leaderEpoch: 0, replicas: [1, 2, 3], isr: [1, 2, 3] };
  return { topic: "t", partition: number, ...base, ...change };
}

/** The names of the checks that fail. */
function failing(of: ClusterSurvey): string[] {
  return judgeHealth(of).checks.flatMap(({ name, isOk }) => (isOk ? [] : [name]));
}

function check(of: ClusterSurvey, name: HealthCheck["name"]): HealthCheck | undefined {
  return judgeHealth(of).checks.find((candidate) => candidate.name === name);
}

test("a sound cluster passes every check and needs nothing done", () => {
  const verdict = judgeHealth(survey({ partitions: [partition(0)] }));
  expect(verdict).toMatchObject({ clusterId: "c", controllerId: 1, isHealthy: true });
  expect(verdict.checks.map(({ next }) => next)).toEqual(["", "", "", "", "", "", ""]);
});

test("without a leader the voters to start are named with their endpoints", () => {
  const leaderless = survey({ quorum: { ...survey().quorum, leaderId: -1 } });
  expect(failing(leaderless)).toEqual(["controller", "voters"]);
  expect(check(leaderless, "controller")?.next).toContain("1 at h1:9093, 2 at h2:9093, 3 at h3:9093");
});

test("a voter may be a little behind, not far; an observer may be anything", () => {
  const withReplica = (third: QuorumReplica): ClusterSurvey =>
    survey({ quorum: { ...survey().quorum, replicas: [replica(1), replica(2), third] } });
  expect(failing(withReplica(replica(3, { logEndOffset: 4000 })))).toEqual([]);
  expect(failing(withReplica(replica(3, { logEndOffset: 3999 })))).toEqual(["voters"]);
  expect(failing(withReplica(replica(3, { logEndOffset: 0, isVoter: false, isActive: false })))).toEqual([]);
});

test("a leader that gave its vote away still leads; its end is at least what is committed", () => {
  const quorum = { ...survey().quorum, leaderId: 9 };
  expect(leaderEndOffset(quorum)).toBe(5000);
  expect(failing(survey({ quorum }))).toEqual([]);
});

test("when the asked broker cannot reach the leader, the voters are not called silent", () => {
  const replicas = [1, 2, 3].map((nodeId) => replica(nodeId, { logEndOffset: -1, isActive: false }));
  const apart = survey({ quorum: { ...survey().quorum, leaderId: 2, replicas } });
  expect(failing(apart)).toEqual(["voters"]);
  expect(check(apart, "voters")?.detail).toContain("broker 1, which was asked, cannot reach the leader 2");
  expect(check(apart, "voters")?.affected).toEqual([]);
});

test("metadata of one offset must be equal; brokers that do not answer are not compared", () => {
  const silent: BrokerReport = { ...report(3), position: undefined, failure: "refused" };
  expect(failing(survey({ reports: [report(1), report(2, 10, 6), report(3)] }))).toEqual(["metadata"]);
  expect(failing(survey({ reports: [report(1), report(2, 11, 6), silent] }))).toEqual(["brokers"]);
  const apart = survey({ reports: [report(1, 10, 1), report(2, 9, 2), report(3, 11, 3)] });
  expect(check(apart, "metadata")?.detail).toBe(
    "at offset 9, 10, 11; none compared, as no two are at the same offset",
  );
});

test("each broker in trouble is named once, with the most telling reason", () => {
  const brokers = [{ ...broker(1), isFenced: true }, { ...broker(2), isShuttingDown: true }, broker(3)];
  const gone = (nodeId: number): BrokerReport => ({
    ...report(nodeId),
    position: undefined,
    failure: "h3:9092 answers as broker 7",
  });
  const troubled = survey({
    cluster: { ...survey().cluster, brokers },
    reports: [gone(1), report(2), gone(3)],
  });
  expect(check(troubled, "brokers")?.affected).toEqual([
    "broker 1 (fenced)",
    "broker 2 (shutting down, or its disk is full)",
    "broker 3 (does not answer: h3:9092 answers as broker 7)",
  ]);
});

test("partitions fail each check that they are against", () => {
  const of = (state: PartitionState, minIsr: number): string[] =>
    failing(survey({ partitions: [state], minInsyncReplicas: new Map([["t", minIsr]]) }));
  expect(of(partition(0, { isr: [1, 2] }), 2)).toEqual(["replicas"]);
  expect(of(partition(0, { isr: [1] }), 2)).toEqual(["replicas", "min-isr"]);
  expect(of(partition(0, { isr: [], leaderId: -1 }), 1)).toEqual(["leaders", "replicas", "min-isr"]);
});

test("an IPv6 host is written so that its port can be told apart", () => {
  expect(clientEndpoint({ host: "::1", port: 9092 })).toBe("[::1]:9092");
  expect(clientEndpoint({ host: "broker-1", port: 9092 })).toBe("broker-1:9092");
});
