import { describe, expect, test } from "vitest";
import { changePartition } from "../../src/controller/partition-change.ts";
import type { PartitionChange } from "../../src/controller/partition-change.ts";
import { partitionPolicyOf } from "../../src/controller/partition-rules.ts";
import type { PartitionPolicy } from "../../src/controller/partition-rules.ts";
import type { PartitionImage } from "../../src/metadata/image.ts";
import { NO_NODE, nodeId } from "../../src/model/ids.ts";
import { leaderEpoch } from "../../src/model/offsets.ts";
import { nodes } from "../metadata/arbitrary-history.ts";
import { RULES } from "./test-cluster.ts";

const POLICY: PartitionPolicy = {
  minInsyncReplicas: 2,
  isUncleanElectionAllowed: false,
  isFlushedOnAck: false,
};

interface Given {
  readonly replicas?: readonly number[];
  /** Default: none. */
  readonly adding?: readonly number[];
  readonly isr: readonly number[];
  readonly elr?: readonly number[];
  readonly known?: readonly number[];
  /** Default: the first of the ISR. */
  readonly leader?: number;
  readonly active: readonly number[];
  /** Unfenced, beside the active ones: about to stop. Default: none. */
  readonly serving?: readonly number[];
  /** Default: none. */
  readonly drained?: readonly number[];
  readonly lost?: number;
  readonly cause?: "unclean" | "unregistered";
  readonly isPreferredWanted?: boolean;
  readonly policy?: Partial<PartitionPolicy>;
}

function partitionOf({
  replicas = [1, 2, 3],
  adding = [],
  isr,
  elr = [],
  known = [],
  leader = isr[0] ?? -1,
}: Given): PartitionImage {
  return {
    replicas: nodes(...replicas),
    isr: nodes(...isr),
    elr: nodes(...elr),
    lastKnownElr: nodes(...known),
    addingReplicas: nodes(...adding),
    removingReplicas: [],
    leader: leader === -1 ? NO_NODE : nodeId(leader),
    leaderEpoch: leaderEpoch(5),
    partitionEpoch: 8,
  };
}

/** The next state as "leader ISR ELR lastKnownElr, leaderEpoch/partitionEpoch", "!" behind it when it is unclean. */
function outcomeOf(given: Given): string | undefined {
  const { lost, cause = "unclean", active, serving = [], drained = [], isPreferredWanted = false } = given;
  const change: PartitionChange = {
    isActive: (node) => active.includes(node),
    isServing: (node) => serving.includes(node),
    isDrained: (node) => drained.includes(node),
    lost: lost === undefined ? undefined : { nodeId: nodeId(lost), cause },
    isPreferredWanted,
  };
  const outcome = changePartition(partitionOf(given), change, { ...POLICY, ...given.policy });
  if (outcome === undefined) return undefined;
  const { leader, isr, elr, lastKnownElr, leaderEpoch: epoch, partitionEpoch } = outcome.next;
  const lists = [isr, elr, lastKnownElr].map((list) => `[${list.join(",")}]`).join(" ");
  const sign = outcome.isUncleanElection ? "!" : "";
  return `${leader === NO_NODE ? "-" : leader} ${lists}, ${epoch}/${partitionEpoch}${sign}`;
}

describe("members that go away", () => {
  test.each<[string, Given, string | undefined]>([
    ["a partition that all its members serve stays", { isr: [1, 2, 3], active: [1, 2, 3] }, undefined],
    ["a follower leaves the ISR, within the epoch", { isr: [1, 2, 3], active: [1, 2] }, "1 [1,2] [] [], 5/9"],
    [
      "the next in the ISR leads when the leader goes",
      { isr: [1, 2, 3], active: [2, 3] },
      "2 [2,3] [] [], 6/9",
    ],
    [
      "replicas are asked in their order, not the ISR's",
      { isr: [1, 3, 2], active: [2, 3] },
      "2 [3,2] [] [], 6/9",
    ],
    ["below the minimum it goes to the ELR", { isr: [1, 2], active: [1, 3] }, "1 [1] [2] [], 5/9"],
    [
      "one that had left above the minimum is not eligible",
      { isr: [1, 2], active: [3] },
      "- [] [1,2] [], 6/9",
    ],
    ["the last of the ISR goes to the ELR", { isr: [1], elr: [2], active: [3] }, "- [] [1,2] [], 6/9"],
    ["the ELR stays while the ISR is too small", { isr: [1], elr: [2], active: [1] }, undefined],
    [
      "a minimum of one keeps the last member eligible",
      { isr: [1], active: [2], policy: { minInsyncReplicas: 1 } },
      "- [] [1] [], 6/9",
    ],
    [
      "a minimum above the replicas means all of them",
      { replicas: [1, 2], isr: [1, 2], active: [1, 2], policy: { minInsyncReplicas: 3 } },
      undefined,
    ],
    [
      "a leader that is about to stop and has no successor serves on",
      { replicas: [1], isr: [1], active: [], serving: [1] },
      undefined,
    ],
    ["one with a successor does not", { isr: [1, 2], active: [2], serving: [1] }, "2 [2] [1] [], 6/9"],
    [
      "one that serves on is better than an unclean leader",
      { isr: [1], active: [3], serving: [1], policy: { isUncleanElectionAllowed: true } },
      undefined,
    ],
    ["a single replica waits for itself", { replicas: [1], isr: [1], active: [] }, "- [] [1] [], 6/9"],
  ])("%s", (_what, given, expected) => {
    expect(outcomeOf(given)).toBe(expected);
  });
});

describe("members that come back", () => {
  test.each<[string, Given, string | undefined]>([
    ["nobody comes into an ISR that has a leader", { isr: [1], elr: [2], active: [1, 2, 3] }, undefined],
    [
      "an ELR member leads a partition without a leader",
      { isr: [], elr: [1, 2], active: [2] },
      "2 [2] [1] [], 6/9",
    ],
    [
      "its ISR may be enough, and the ELR is empty then",
      { isr: [], elr: [1, 2], known: [3], active: [2], policy: { minInsyncReplicas: 1 } },
      "2 [2] [] [], 6/9",
    ],
    [
      "a single replica leads again, in a new epoch",
      { replicas: [1], isr: [], elr: [1], active: [1] },
      "1 [1] [] [], 6/9",
    ],
    ["one in neither does not, whoever waits", { isr: [], elr: [1, 2], known: [], active: [3] }, undefined],
    ["one of the last known ELR does not", { isr: [], elr: [], known: [3], active: [3] }, undefined],
  ])("%s", (_what, given, expected) => {
    expect(outcomeOf(given)).toBe(expected);
  });
});

describe("members that lost what they confirmed (H27)", () => {
  test.each<[string, Given, string | undefined]>([
    ["it leaves the ISR and is only known", { isr: [1, 2], active: [2, 3], lost: 1 }, "2 [2] [] [1], 6/9"],
    ["it leaves the ELR", { isr: [1], elr: [2], active: [1], lost: 2 }, "1 [1] [] [2], 5/9"],
    [
      "it leaves although the other one is away: that one is waited for",
      { isr: [], elr: [1, 2], active: [], lost: 1 },
      "- [] [2] [1], 5/9",
    ],
    [
      "above the minimum nothing is noted of it",
      { isr: [1, 2, 3], active: [2, 3], lost: 1 },
      "2 [2,3] [] [], 6/9",
    ],
    ["the last one leaves too", { isr: [], elr: [1], known: [2], active: [], lost: 1 }, "- [] [] [1,2], 5/9"],
    [
      "the last one stays when records are on the disk before they are confirmed",
      { isr: [1], active: [], lost: 1, policy: { isFlushedOnAck: true } },
      "- [] [1] [], 6/9",
    ],
    [
      "it does not stay for that when another one has all",
      { isr: [1], elr: [2], active: [], lost: 1, policy: { isFlushedOnAck: true } },
      "- [] [2] [1], 6/9",
    ],
    [
      "a single replica stays: nobody has more",
      { replicas: [1], isr: [1], active: [], lost: 1 },
      "- [] [1] [], 6/9",
    ],
    [
      "a single replica that is given up does not stay",
      { replicas: [1], isr: [], elr: [1], active: [], lost: 1, cause: "unregistered" },
      "- [] [] [], 5/9",
    ],
    [
      "one that is given up is not even known",
      { isr: [], elr: [2, 3], known: [1], active: [], lost: 1, cause: "unregistered" },
      "- [] [2,3] [], 5/9",
    ],
    [
      "it makes no difference where it counted for nothing",
      { isr: [2, 3], active: [2, 3], lost: 1 },
      undefined,
    ],
  ])("%s", (_what, given, expected) => {
    expect(outcomeOf(given)).toBe(expected);
  });
});

describe("unclean elections (H25)", () => {
  const policy = { isUncleanElectionAllowed: true };
  test.each<[string, Given, string | undefined]>([
    [
      "a clean candidate is always preferred",
      { isr: [], elr: [3], known: [1], active: [1, 3], policy },
      "3 [3] [] [1], 6/9",
    ],
    [
      "any replica leads when no clean one is there, alone",
      { isr: [1], elr: [2], active: [3], policy },
      "3 [3] [] [], 6/9!",
    ],
    [
      "one that once had everything comes first",
      { isr: [], elr: [], known: [3], active: [2, 3], policy },
      "3 [3] [] [], 6/9!",
    ],
    ["without any active replica it waits", { isr: [], elr: [1], active: [], policy }, undefined],
  ])("%s", (_what, given, expected) => {
    expect(outcomeOf(given)).toBe(expected);
  });
});

describe("the preferred leader", () => {
  test.each<[string, Given, string | undefined]>([
    [
      "it leads when it is in the ISR",
      { isr: [2, 1], active: [1, 2, 3], isPreferredWanted: true },
      "1 [2,1] [] [], 6/9",
    ],
    ["it does not when it is not", { isr: [2, 3], active: [1, 2, 3], isPreferredWanted: true }, undefined],
    ["it does not when nobody asks", { isr: [2, 1], active: [1, 2, 3] }, undefined],
  ])("%s", (_what, given, expected) => {
    expect(outcomeOf(given)).toBe(expected);
  });
});

describe("brokers that are drained", () => {
  test.each<[string, Given, string | undefined]>([
    [
      "a leader gives way to one that is not",
      { isr: [1, 2, 3], active: [1, 2, 3], drained: [1, 2] },
      "3 [1,2,3] [] [], 6/9",
    ],
    ["it stays where all are", { isr: [1, 2], active: [1, 2], drained: [1, 2] }, undefined],
    [
      "one leads when nobody else is left in sync",
      { isr: [1, 2], active: [2, 3], drained: [2], policy: { minInsyncReplicas: 1 } },
      "2 [2] [] [], 6/9",
    ],
    [
      "the ELR is asked for the others first",
      { isr: [], elr: [1, 2], leader: -1, active: [1, 2], drained: [1] },
      "2 [2] [1] [], 6/9",
    ],
    [
      "nobody prefers them",
      { isr: [2, 1], active: [1, 2], drained: [1], isPreferredWanted: true },
      undefined,
    ],
  ])("%s", (_what, given, expected) => {
    expect(outcomeOf(given)).toBe(expected);
  });
});

test("a replica that is new is no last resort, unless it has once had everything (H23)", () => {
  const given = { replicas: [3, 1, 2], adding: [3], isr: [], leader: -1, active: [3] };
  const policy = { isUncleanElectionAllowed: true };
  expect(outcomeOf({ ...given, policy })).toBeUndefined();
  expect(outcomeOf({ ...given, known: [3], policy })).toBe("3 [3] [] [], 6/9!");
  expect(outcomeOf({ ...given, active: [3, 2], policy })).toBe("2 [2] [] [], 6/9!");
});

describe("the policy of a topic", () => {
  const policyOf = (configs: Readonly<Record<string, string>>): PartitionPolicy =>
    partitionPolicyOf({ configs: new Map(Object.entries(configs)) }, RULES);

  test("is the broker's where the topic sets nothing", () => {
    expect(policyOf({ "retention.ms": "5" })).toEqual(POLICY);
  });

  test("is the topic's where it sets something", () => {
    const configs = {
      "min.insync.replicas": "3",
      "unclean.leader.election.enable": "true",
      "flush.policy": "ack",
    };
    expect(policyOf(configs)).toEqual({
      minInsyncReplicas: 3,
      isUncleanElectionAllowed: true,
      isFlushedOnAck: true,
    });
  });

  test("is the broker's where a value cannot be read", () => {
    expect(policyOf({ "min.insync.replicas": "many", "flush.policy": "ack" })).toEqual({
      ...POLICY,
      isFlushedOnAck: true,
    });
  });
});
