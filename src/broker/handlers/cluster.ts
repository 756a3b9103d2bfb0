import { operationError } from "../../base/errors.ts";
import type { Logger } from "../../base/logger.ts";
import { SUPPORTED_FEATURES } from "../../controller/features.ts";
import { reassignmentsOf } from "../../controller/reassignments.ts";
import type { QuorumView } from "../../controller/voter-control.ts";
import { clientAddressOf } from "../../metadata/client-address.ts";
import type { BrokerImage } from "../../metadata/image.ts";
import { nodeId } from "../../model/ids.ts";
import type { QuorumNode } from "../../quorum/quorum-node.ts";
import { parseReplicaId } from "../../quorum/replica-id.ts";
import type {
  AddVoterCall,
  CancelReassignmentsCall,
  BrokerDescription,
  ClusterDescription,
  ClusterOperations,
  DrainCall,
  DrainOutcome,
  ElectLeadersCall,
  FeatureDescription,
  LeaderElection,
  QuorumDescription,
  QuorumMemberRole,
  QuorumPosition,
  ReassignCall,
  ReassignmentDescription,
  ReassignmentOutcome,
  RemoveVoterCall,
  UnregisterBrokerCall,
  UpdateFeatureCall,
} from "../cluster-view.ts";
import type { MetadataCalls } from "../metadata-calls.ts";
import type { MetadataNode } from "../metadata-node.ts";

/** How long the leader's view is waited for before the own one is told. */
const VIEW_TIMEOUT_MS = 1500;

/** Tells of the cluster and its quorum, and passes changes of them to the controller. */
export class ClusterHandler implements ClusterOperations {
  readonly #node: MetadataNode;
  readonly #metadata: MetadataCalls;
  readonly #logger: Logger;

  constructor(deps: {
    readonly node: MetadataNode;
    readonly metadata: MetadataCalls;
    readonly logger: Logger;
  }) {
    this.#node = deps.node;
    this.#metadata = deps.metadata;
    this.#logger = deps.logger;
  }

  describeCluster(listener?: string): ClusterDescription {
    const { quorum, image, nodeId: self } = this.#node;
    return {
      clusterId: this.#metadata.clusterId,
      controllerId: quorum.role.leader?.nodeId ?? -1,
      controllerEpoch: quorum.role.epoch,
      brokers: Array.from(image.brokers(), (broker) => describeBroker(broker, listener)).sort(
        (a, b) => a.nodeId - b.nodeId,
      ),
      features: describeFeatures(image.features),
      answeredBy: {
        nodeId: self,
        metadataOffset: quorum.appliedOffset === 0 ? -1 : quorum.appliedOffset,
        stateHash: this.#node.stateHash,
      },
    };
  }

  async describeQuorum(signal: AbortSignal): Promise<QuorumDescription> {
    const status = this.#node.quorum.status;
    const answeredBy = this.#position(status);
    try {
      const { result } = await this.#node.call(
        { type: "describeQuorum" },
        { timeoutMs: VIEW_TIMEOUT_MS, signal },
      );
      return { ...describeView(result), answeredBy };
    } catch (error: unknown) {
      if (signal.aborted) throw error;
      // There is no controller now, or it does not answer: what this broker knows is what can be told.
      this.#logger.debug("the controller was not asked for the quorum", { err: error });
      return { ...this.#ownView(status), answeredBy };
    }
  }

  async addVoter(call: AddVoterCall, signal: AbortSignal): Promise<void> {
    await this.#metadata.call({ type: "addVoter", nodeId: nodeId(call.nodeId) }, signal);
  }

  async removeVoter({ nodeId: id, directoryId }: RemoveVoterCall, signal: AbortSignal): Promise<void> {
    await this.#metadata.call({ type: "removeVoter", nodeId: nodeId(id), directoryId }, signal);
  }

  async unregisterBroker(call: UnregisterBrokerCall, signal: AbortSignal): Promise<void> {
    await this.#metadata.call({ type: "unregisterBroker", nodeId: nodeId(call.nodeId) }, signal);
  }

  async electLeaders(call: ElectLeadersCall, signal: AbortSignal): Promise<readonly LeaderElection[]> {
    return (await this.#metadata.call({ type: "electLeaders", topics: call.topics }, signal)).result;
  }

  async reassignPartitions(
    { partitions, validateOnly }: ReassignCall,
    signal: AbortSignal,
  ): Promise<readonly ReassignmentOutcome[]> {
    const wanted = partitions.map((one) => ({ ...one, replicas: one.replicas.map((id) => nodeId(id)) }));
    const request = { type: "reassignPartitions", partitions: wanted, validateOnly } as const;
    return (await this.#metadata.call(request, signal)).result;
  }

  async cancelReassignments(
    { partitions }: CancelReassignmentsCall,
    signal: AbortSignal,
  ): Promise<readonly ReassignmentOutcome[]> {
    return (await this.#metadata.call({ type: "cancelReassignments", partitions }, signal)).result;
  }

  listReassignments(): readonly ReassignmentDescription[] {
    return reassignmentsOf(this.#node.image);
  }

  async drainBroker({ nodeId: id, isDrained }: DrainCall, signal: AbortSignal): Promise<DrainOutcome> {
    const request = { type: "drainBroker", nodeId: nodeId(id), isDrained } as const;
    return (await this.#metadata.call(request, signal)).result;
  }

  async updateFeature(call: UpdateFeatureCall, signal: AbortSignal): Promise<FeatureDescription> {
    const { result } = await this.#metadata.call({ type: "updateFeature", ...call }, signal);
    return result;
  }

  #position(status: QuorumNode["status"]): QuorumPosition {
    const { quorum, stateHash } = this.#node;
    return {
      nodeId: this.#node.nodeId,
      role: roleOf(status),
      epoch: status.term,
      logEndOffset: status.lastIndex + 1,
      durableOffset: status.durableIndex + 1,
      appliedOffset: quorum.appliedOffset === 0 ? -1 : quorum.appliedOffset,
      snapshotOffset: status.snapshotIndex === 0 ? -1 : status.snapshotIndex,
      stateHash,
    };
  }

  /** Without the leader: who the voters are, and nothing of how far they have come. */
  #ownView(status: QuorumNode["status"]): Omit<QuorumDescription, "answeredBy"> {
    const { role } = this.#node.quorum;
    return {
      leaderId: role.leader?.nodeId ?? -1,
      epoch: status.term,
      commitOffset: status.commit === 0 ? -1 : status.commit,
      replicas: status.voters.map(({ id, endpoint }) => ({
        ...identityOf(id),
        endpoint,
        isVoter: true,
        logEndOffset: -1,
        isActive: false,
        isCaughtUp: false,
      })),
    };
  }
}

/** @throws LograftError NO_QUORUM: this broker has found no cluster yet. */
export function notInClusterError(node: number): Error {
  return operationError(
    "NO_QUORUM",
    `broker ${node} belongs to no cluster yet: it waits for the others in controller.quorum.voters or ` +
      "controller.quorum.bootstrap.servers; start them and see its log",
    { retriable: true },
  );
}

function describeBroker(broker: BrokerImage, listener: string | undefined): BrokerDescription {
  const { nodeId: id, rack, brokerHost, peerEndpoint } = broker;
  const { directoryId, incarnationId, brokerEpoch, isFenced, isShuttingDown, isDrained } = broker;
  return {
    nodeId: id,
    ...clientAddressOf(broker, listener),
    rack: rack ?? "",
    brokerHost: brokerHost ?? "",
    peerEndpoint,
    directoryId,
    incarnationId,
    brokerEpoch,
    isFenced,
    isShuttingDown,
    isDrained,
  };
}

function describeFeatures(levels: ReadonlyMap<string, number>): readonly FeatureDescription[] {
  const names = new Set([...levels.keys(), ...SUPPORTED_FEATURES.keys()]);
  return [...names].sort().map((name) => ({
    name,
    level: levels.get(name) ?? 0,
    ...(SUPPORTED_FEATURES.get(name) ?? { min: 0, max: 0 }),
  }));
}

function describeView(view: QuorumView): Omit<QuorumDescription, "answeredBy"> {
  return { ...view, commitOffset: view.commitOffset === 0 ? -1 : view.commitOffset };
}

function identityOf(id: string): { readonly nodeId: number; readonly directoryId: string } {
  return parseReplicaId(id) ?? { nodeId: -1, directoryId: "" };
}

function roleOf(status: QuorumNode["status"]): QuorumMemberRole {
  if (status.role === "leader") return "leader";
  if (!status.voters.some(({ id }) => id === status.id)) return "observer";
  return status.role === "follower" ? "follower" : "candidate";
}
