import type { handleUnaryCall, UntypedServiceImplementation } from "@grpc/grpc-js";
import type { Logger } from "../../base/logger.ts";
import type { Broker } from "../../broker/broker.ts";
import * as answers from "./group-answers.ts";
import type { Caller } from "./group-answers.ts";
import { hostOfPeer } from "./peer-host.ts";
import { unary } from "./unary.ts";

/** The calls of `GroupService` with one request and one answer. */
export function groupUnaryMethods(deps: {
  readonly broker: Broker;
  readonly logger: Logger;
  /** The name of the listener that the calls come in on. */
  readonly listener: string;
}): UntypedServiceImplementation {
  const { listener } = deps;
  const serve = <Request, Response>(
    answer: (broker: Broker, request: Request, caller: Caller) => Promise<Response>,
  ): handleUnaryCall<Request, Response> =>
    unary<Request, Response>(
      (request, signal, { peer }) =>
        answer(deps.broker, request, { host: hostOfPeer(peer), listener, signal }),
      deps,
    );
  return {
    FindCoordinator: serve(answers.findCoordinatorAnswer),
    ConsumerGroupHeartbeat: serve(answers.consumerGroupHeartbeatAnswer),
    JoinGroup: serve(answers.joinGroupAnswer),
    SyncGroup: serve(answers.syncGroupAnswer),
    Heartbeat: serve(answers.heartbeatAnswer),
    LeaveGroup: serve(answers.leaveGroupAnswer),
    CommitOffsets: serve(answers.commitOffsetsAnswer),
    FetchOffsets: serve(answers.fetchOffsetsAnswer),
    DeleteOffsets: serve(answers.deleteOffsetsAnswer),
    ListGroups: serve(answers.listGroupsAnswer),
    DescribeGroups: serve(answers.describeGroupsAnswer),
    DeleteGroups: serve(answers.deleteGroupsAnswer),
  };
}
