import type { UntypedServiceImplementation } from "@grpc/grpc-js";
import type { Logger } from "../../base/logger.ts";
import type { ClusterOperations } from "../../broker/cluster-view.ts";
import { errorCodeOf, ProtocolError } from "../../model/error-code.ts";
import type * as admin from "../../rpc/admin-messages.ts";
import { checkedNodeId, movementMethods } from "./movement-methods.ts";
import { unary } from "./unary.ts";

/** The part of `AdminService` about brokers, the metadata quorum, leaders and feature levels. */
export function clusterMethods(deps: {
  readonly cluster: ClusterOperations;
  readonly logger: Logger;
  /** The name of the listener that the calls come in on. Default: brokers are told with their first addresses. */
  readonly listener?: string;
}): UntypedServiceImplementation {
  const { cluster, listener } = deps;
  return {
    DescribeCluster: unary<admin.DescribeClusterRequest, admin.DescribeClusterResponse>(
      () => cluster.describeCluster(listener),
      deps,
    ),
    DescribeQuorum: unary<admin.DescribeQuorumRequest, admin.DescribeQuorumResponse>(
      (_request, signal) => cluster.describeQuorum(signal),
      deps,
    ),
    AddVoter: unary<admin.AddVoterRequest, admin.AddVoterResponse>(async ({ nodeId }, signal) => {
      await cluster.addVoter({ nodeId: checkedNodeId(nodeId) }, signal);
      return {};
    }, deps),
    RemoveVoter: unary<admin.RemoveVoterRequest, admin.RemoveVoterResponse>(
      async ({ nodeId, directoryId }, signal) => {
        const call = { nodeId: checkedNodeId(nodeId) };
        await cluster.removeVoter(directoryId === "" ? call : { ...call, directoryId }, signal);
        return {};
      },
      deps,
    ),
    UnregisterBroker: unary<admin.UnregisterBrokerRequest, admin.UnregisterBrokerResponse>(
      async ({ nodeId }, signal) => {
        await cluster.unregisterBroker({ nodeId: checkedNodeId(nodeId) }, signal);
        return {};
      },
      deps,
    ),
    ElectLeaders: unary<admin.ElectLeadersRequest, admin.ElectLeadersResponse>(async (request, signal) => {
      const results = await cluster.electLeaders(electedTopics(request), signal);
      return {
        results: results.map(({ topic, partition, error, errorMessage, leaderId }) => ({
          topic,
          partition,
          errorCode: errorCodeOf(error),
          errorMessage,
          leaderId,
        })),
      };
    }, deps),
    ...movementMethods(deps),
    UpdateFeature: unary<admin.UpdateFeatureRequest, admin.UpdateFeatureResponse>(
      async ({ name, level, isDryRun }, signal) => ({
        feature: await cluster.updateFeature({ name, level, isDryRun }, signal),
      }),
      deps,
    ),
  };
}

/** @throws ProtocolError INVALID_REQUEST: a forgotten field must not move the leaders of everything. */
function electedTopics({ topics, allTopics }: admin.ElectLeadersRequest): {
  readonly topics?: readonly string[];
} {
  if (allTopics && topics.length === 0) return {};
  if (!allTopics && topics.length > 0) return { topics };
  throw new ProtocolError("INVALID_REQUEST", "name topics, or set all_topics: one of the two is needed");
}
