import type { UntypedServiceImplementation } from "@grpc/grpc-js";
import type { Logger } from "../../base/logger.ts";
import type { ClusterOperations, PartitionName, ReassignmentOutcome } from "../../broker/cluster-view.ts";
import { errorCodeOf, ProtocolError } from "../../model/error-code.ts";
import type * as admin from "../../rpc/admin-messages.ts";
import { unary } from "./unary.ts";

/** The part of `AdminService` that moves replicas and leaders between brokers. */
export function movementMethods(deps: {
  readonly cluster: ClusterOperations;
  readonly logger: Logger;
}): UntypedServiceImplementation {
  const { cluster } = deps;
  return {
    ReassignPartitions: unary<admin.ReassignPartitionsRequest, admin.ReassignPartitionsResponse>(
      async ({ partitions, validateOnly }, signal) => {
        const wanted = partitions.map(({ topic, partition, replicas }) => ({
          ...checkedPartition({ topic, partition }),
          replicas: replicas.map(checkedNodeId),
        }));
        if (wanted.length === 0) throw nothingNamed("partitions and their brokers");
        const results = await cluster.reassignPartitions({ partitions: wanted, validateOnly }, signal);
        return { results: results.map(resultOf) };
      },
      deps,
    ),
    CancelReassignments: unary<admin.CancelReassignmentsRequest, admin.CancelReassignmentsResponse>(
      async (request, signal) => {
        const results = await cluster.cancelReassignments(cancelledPartitions(request), signal);
        return { results: results.map(resultOf) };
      },
      deps,
    ),
    ListReassignments: unary<admin.ListReassignmentsRequest, admin.ListReassignmentsResponse>(
      () => ({ reassignments: cluster.listReassignments() }),
      deps,
    ),
    DrainBroker: unary<admin.DrainBrokerRequest, admin.DrainBrokerResponse>(
      ({ nodeId, isDrained }, signal) =>
        cluster.drainBroker({ nodeId: checkedNodeId(nodeId), isDrained }, signal),
      deps,
    ),
  };
}

/** @throws ProtocolError INVALID_REQUEST. */
export function checkedNodeId(nodeId: number): number {
  if (nodeId >= 0) return nodeId;
  throw new ProtocolError("INVALID_REQUEST", `${nodeId} is no node id; those go from 0 up`);
}

/** @throws ProtocolError INVALID_REQUEST: a forgotten field must not stop everything. */
function cancelledPartitions({ partitions, allPartitions }: admin.CancelReassignmentsRequest): {
  readonly partitions?: readonly PartitionName[];
} {
  if (allPartitions && partitions.length === 0) return {};
  if (!allPartitions && partitions.length > 0) return { partitions: partitions.map(checkedPartition) };
  throw nothingNamed("partitions, or set all_partitions: one of the two is needed");
}

function checkedPartition({ topic, partition }: PartitionName): PartitionName {
  if (partition >= 0) return { topic, partition };
  throw new ProtocolError("INVALID_REQUEST", `${partition} is no partition; those go from 0 up`);
}

function nothingNamed(what: string): ProtocolError {
  return new ProtocolError("INVALID_REQUEST", `name ${what}`);
}

function resultOf({ topic, partition, error, errorMessage }: ReassignmentOutcome): admin.ReassignmentResult {
  return { topic, partition, errorCode: errorCodeOf(error), errorMessage };
}
