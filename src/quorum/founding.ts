import type { PeerAddress } from "../model/peer-address.ts";
import type { Voter, VoterSet } from "../raft/types.ts";
import type { FoundingVoter } from "./quorum-types.ts";
import type { Hello } from "./raft-transport.ts";
import { replicaIdOf } from "./replica-id.ts";

/** An endpoint that was asked and what it answered; undefined: nothing. */
export interface HelloAnswer {
  readonly endpoint: string;
  readonly hello: Hello | undefined;
}

/** What a node without a cluster does next. */
export type FoundingStep =
  /** Nobody to follow and not all founders here yet. */
  | { readonly type: "wait"; readonly missing: readonly string[] }
  /** All founders are here, empty and of one mind, and this one has the lowest id: it begins the log. */
  | { readonly type: "found"; readonly voters: VoterSet }
  /** There is a cluster. */
  | { readonly type: "join"; readonly clusterId: string }
  /** The configuration cannot be right. */
  | { readonly type: "refuse"; readonly reason: string };

/**
 * Decides from one round of questions. A cluster that exists is joined, never doubled; a new one begins only when every
 * listed founder answered in this very round, has nothing, and lists the same voters. Only the lowest node id may begin,
 * so two beginnings cannot be. An answer of an earlier round does not count: its disk may have been wiped since.
 */
export function foundingStep(
  self: Hello,
  configuredClusterId: string | undefined,
  answers: readonly HelloAnswer[],
): FoundingStep {
  return joinStep(configuredClusterId, answers) ?? foundStep(self, answers);
}

function joinStep(configured: string | undefined, answers: readonly HelloAnswer[]): FoundingStep | undefined {
  let found: { readonly clusterId: string; readonly endpoint: string } | undefined;
  for (const { hello, endpoint } of answers) {
    if (hello?.clusterId === undefined) continue;
    const { clusterId } = hello;
    if (configured !== undefined && configured !== clusterId) {
      return refuse(`${endpoint} belongs to cluster ${clusterId}, this node is configured for ${configured}`);
    }
    if (found !== undefined && found.clusterId !== clusterId) {
      return refuse(
        `${found.endpoint} belongs to cluster ${found.clusterId}, ${endpoint} to ${clusterId}; list nodes of one cluster`,
      );
    }
    found ??= { clusterId, endpoint };
  }
  return found === undefined ? undefined : { type: "join", clusterId: found.clusterId };
}

function foundStep(self: Hello, answers: readonly HelloAnswer[]): FoundingStep {
  const mine = formatVoters(self.foundingVoters);
  const founders = [...self.foundingVoters].sort((a, b) => a.nodeId - b.nodeId);
  const voters: Voter[] = [];
  const missing: string[] = [];
  for (const { nodeId, endpoint } of founders) {
    if (nodeId === self.nodeId) {
      voters.push({ id: replicaIdOf(nodeId, self.directoryId), endpoint });
      continue;
    }
    const hello = answers.find((answer) => answer.endpoint === endpoint)?.hello;
    if (hello === undefined) {
      missing.push(`${nodeId}@${endpoint}`);
      continue;
    }
    if (hello.nodeId !== nodeId) {
      return refuse(
        `${endpoint} is node ${hello.nodeId}, and controller.quorum.voters lists it as node ${nodeId}`,
      );
    }
    const theirs = formatVoters(hello.foundingVoters);
    if (theirs !== mine) {
      return refuse(
        `node ${nodeId} at ${endpoint} lists other voters: it has "${theirs}", node ${self.nodeId} has "${mine}"; ` +
          "give all founding voters the same controller.quorum.voters",
      );
    }
    voters.push({ id: replicaIdOf(nodeId, hello.directoryId), endpoint });
  }
  const [lowest] = founders;
  if (missing.length > 0 || lowest?.nodeId !== self.nodeId) return { type: "wait", missing };
  return { type: "found", voters: voters.sort((a, b) => (a.id < b.id ? -1 : 1)) };
}

/**
 * The leader to ask for the log: of the highest epoch that any node of the cluster names, if it is not this replica and
 * this replica is no voter that is known where it is. Undefined: none is known, or it will come by itself.
 */
export function leaderToObserve(
  self: Hello,
  clusterId: string,
  answers: readonly HelloAnswer[],
): PeerAddress | undefined {
  let best: Hello | undefined;
  for (const { hello } of answers) {
    if (hello?.clusterId !== clusterId || hello.leader === undefined) continue;
    if (hello.leader.directoryId !== "" && hello.epoch > (best?.epoch ?? -1)) best = hello;
  }
  if (best?.leader === undefined || best.leader.directoryId === self.directoryId) return undefined;
  const voter = best.voters.find(({ directoryId }) => directoryId === self.directoryId);
  // A voter that moved must say so, for nobody reaches it where they look.
  return voter?.endpoint === self.endpoint ? undefined : best.leader;
}

function refuse(reason: string): FoundingStep {
  return { type: "refuse", reason };
}

/** In the form of the configuration, sorted, so that two lists can be held against each other and shown. */
function formatVoters(voters: readonly FoundingVoter[]): string {
  const sorted = [...voters].sort((a, b) => a.nodeId - b.nodeId);
  return sorted.map(({ nodeId, endpoint }) => `${nodeId}@${endpoint}`).join(",");
}
