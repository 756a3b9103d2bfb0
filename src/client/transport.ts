import type {
  AddVoterRequest,
  AddVoterResponse,
  AlterTopicConfigsRequest,
  AlterTopicConfigsResponse,
  CreatePartitionsRequest,
  CreatePartitionsResponse,
  CreateTopicsRequest,
  CreateTopicsResponse,
  DeleteRecordsRequest,
  DeleteRecordsResponse,
  DeleteTopicsRequest,
  DeleteTopicsResponse,
  DescribeBrokerConfigRequest,
  DescribeBrokerConfigResponse,
  DescribeClusterRequest,
  DescribeClusterResponse,
  DescribeQuorumRequest,
  DescribeQuorumResponse,
  DescribeTopicsRequest,
  DescribeTopicsResponse,
  DrainBrokerRequest,
  DrainBrokerResponse,
  ElectLeadersRequest,
  ElectLeadersResponse,
  CancelReassignmentsRequest,
  CancelReassignmentsResponse,
  ListReassignmentsRequest,
  ListReassignmentsResponse,
  ListTopicsRequest,
  ListTopicsResponse,
  LogLevelsRequest,
  LogLevelsResponse,
  ReassignPartitionsRequest,
  ReassignPartitionsResponse,
  RemoveVoterRequest,
  RemoveVoterResponse,
  UnregisterBrokerRequest,
  UnregisterBrokerResponse,
  UpdateFeatureRequest,
  UpdateFeatureResponse,
} from "../rpc/admin-messages.ts";
import type * as group from "../rpc/group-messages.ts";
import type {
  InitProducerRequest,
  InitProducerResponse,
  ListOffsetsRequest,
  ListOffsetsResponse,
  MetadataRequest,
  MetadataResponse,
} from "../rpc/messages.ts";
import type { DescribeNodeRequest, DescribeNodeResponse } from "../rpc/node-messages.ts";
import type { ByteStream } from "../rpc/stream/byte-stream.ts";

/** The calls with one request and one answer that the SDK makes: request and response by method. */
export interface UnaryMethods {
  readonly Metadata: { readonly request: MetadataRequest; readonly response: MetadataResponse };
  readonly InitProducer: { readonly request: InitProducerRequest; readonly response: InitProducerResponse };
  readonly ListOffsets: { readonly request: ListOffsetsRequest; readonly response: ListOffsetsResponse };
  readonly CreateTopics: { readonly request: CreateTopicsRequest; readonly response: CreateTopicsResponse };
  readonly DeleteTopics: { readonly request: DeleteTopicsRequest; readonly response: DeleteTopicsResponse };
  readonly ListTopics: { readonly request: ListTopicsRequest; readonly response: ListTopicsResponse };
  readonly DescribeTopics: {
    readonly request: DescribeTopicsRequest;
    readonly response: DescribeTopicsResponse;
  };
  readonly AlterTopicConfigs: {
    readonly request: AlterTopicConfigsRequest;
    readonly response: AlterTopicConfigsResponse;
  };
  readonly CreatePartitions: {
    readonly request: CreatePartitionsRequest;
    readonly response: CreatePartitionsResponse;
  };
  readonly DeleteRecords: {
    readonly request: DeleteRecordsRequest;
    readonly response: DeleteRecordsResponse;
  };
  readonly DescribeBrokerConfig: {
    readonly request: DescribeBrokerConfigRequest;
    readonly response: DescribeBrokerConfigResponse;
  };
  readonly DescribeCluster: {
    readonly request: DescribeClusterRequest;
    readonly response: DescribeClusterResponse;
  };
  readonly DescribeNode: { readonly request: DescribeNodeRequest; readonly response: DescribeNodeResponse };
  readonly DescribeQuorum: {
    readonly request: DescribeQuorumRequest;
    readonly response: DescribeQuorumResponse;
  };
  readonly AddVoter: { readonly request: AddVoterRequest; readonly response: AddVoterResponse };
  readonly RemoveVoter: { readonly request: RemoveVoterRequest; readonly response: RemoveVoterResponse };
  readonly UnregisterBroker: {
    readonly request: UnregisterBrokerRequest;
    readonly response: UnregisterBrokerResponse;
  };
  readonly ElectLeaders: { readonly request: ElectLeadersRequest; readonly response: ElectLeadersResponse };
  readonly ReassignPartitions: {
    readonly request: ReassignPartitionsRequest;
    readonly response: ReassignPartitionsResponse;
  };
  readonly CancelReassignments: {
    readonly request: CancelReassignmentsRequest;
    readonly response: CancelReassignmentsResponse;
  };
  readonly ListReassignments: {
    readonly request: ListReassignmentsRequest;
    readonly response: ListReassignmentsResponse;
  };
  readonly DrainBroker: { readonly request: DrainBrokerRequest; readonly response: DrainBrokerResponse };
  readonly UpdateFeature: {
    readonly request: UpdateFeatureRequest;
    readonly response: UpdateFeatureResponse;
  };
  readonly LogLevels: { readonly request: LogLevelsRequest; readonly response: LogLevelsResponse };
  readonly FindCoordinator: {
    readonly request: group.FindCoordinatorRequest;
    readonly response: group.FindCoordinatorResponse;
  };
  readonly ConsumerGroupHeartbeat: {
    readonly request: group.ConsumerGroupHeartbeatRequest;
    readonly response: group.ConsumerGroupHeartbeatResponse;
  };
  readonly JoinGroup: {
    readonly request: group.JoinGroupRequest;
    readonly response: group.JoinGroupResponse;
  };
  readonly SyncGroup: {
    readonly request: group.SyncGroupRequest;
    readonly response: group.SyncGroupResponse;
  };
  readonly Heartbeat: {
    readonly request: group.HeartbeatRequest;
    readonly response: group.HeartbeatResponse;
  };
  readonly LeaveGroup: {
    readonly request: group.LeaveGroupRequest;
    readonly response: group.LeaveGroupResponse;
  };
  readonly CommitOffsets: {
    readonly request: group.CommitOffsetsRequest;
    readonly response: group.CommitOffsetsResponse;
  };
  readonly FetchOffsets: {
    readonly request: group.FetchOffsetsRequest;
    readonly response: group.FetchOffsetsResponse;
  };
  readonly DeleteOffsets: {
    readonly request: group.DeleteOffsetsRequest;
    readonly response: group.DeleteOffsetsResponse;
  };
  readonly ListGroups: {
    readonly request: group.ListGroupsRequest;
    readonly response: group.ListGroupsResponse;
  };
  readonly DescribeGroups: {
    readonly request: group.DescribeGroupsRequest;
    readonly response: group.DescribeGroupsResponse;
  };
  readonly DeleteGroups: {
    readonly request: group.DeleteGroupsRequest;
    readonly response: group.DeleteGroupsResponse;
  };
}

export type UnaryMethod = keyof UnaryMethods;

/** The service that declares each method. */
export const UNARY_SERVICES: {
  readonly [M in UnaryMethod]: "ClientService" | "AdminService" | "GroupService";
} = {
  Metadata: "ClientService",
  InitProducer: "ClientService",
  ListOffsets: "ClientService",
  CreateTopics: "AdminService",
  DeleteTopics: "AdminService",
  ListTopics: "AdminService",
  DescribeTopics: "AdminService",
  AlterTopicConfigs: "AdminService",
  CreatePartitions: "AdminService",
  DeleteRecords: "AdminService",
  DescribeBrokerConfig: "AdminService",
  DescribeCluster: "AdminService",
  DescribeNode: "AdminService",
  DescribeQuorum: "AdminService",
  AddVoter: "AdminService",
  RemoveVoter: "AdminService",
  UnregisterBroker: "AdminService",
  ElectLeaders: "AdminService",
  ReassignPartitions: "AdminService",
  CancelReassignments: "AdminService",
  ListReassignments: "AdminService",
  DrainBroker: "AdminService",
  UpdateFeature: "AdminService",
  LogLevels: "AdminService",
  FindCoordinator: "GroupService",
  ConsumerGroupHeartbeat: "GroupService",
  JoinGroup: "GroupService",
  SyncGroup: "GroupService",
  Heartbeat: "GroupService",
  LeaveGroup: "GroupService",
  CommitOffsets: "GroupService",
  FetchOffsets: "GroupService",
  DeleteOffsets: "GroupService",
  ListGroups: "GroupService",
  DescribeGroups: "GroupService",
  DeleteGroups: "GroupService",
};

/** Bounds of one unary call. */
export interface UnaryCallOptions {
  readonly timeoutMs: number;
  readonly signal?: AbortSignal;
}

/**
 * The way from the SDK to brokers: gRPC in production, a twin in tests and in the simulator. Addresses are "host:port";
 * connections are made on demand and kept.
 */
export interface ClientTransport {
  /**
   * @throws LograftError CONNECTION_FAILED (retriable) when no broker answers there, TIMEOUT, the reason of `signal`, or
   * the error that the broker named.
   */
  call<M extends UnaryMethod>(
    address: string,
    method: M,
    request: UnaryMethods[M]["request"],
    options: UnaryCallOptions,
  ): Promise<UnaryMethods[M]["response"]>;
  /**
   * Opens at once; failures show as a close. The handlers of the stream are set in the same turn. The methods are those
   * of `method-names.ts`, and their messages bytes: each has a codec in `rpc`.
   */
  openStream(address: string, method: string): ByteStream;
  /** Ends all connections. Idempotent. */
  close(): Promise<void>;
}
