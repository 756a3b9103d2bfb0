/*
 * The messages of proto/lograft/v1/admin.proto as plain objects: camelCase names, `number` for 64 bits (check those of a
 * request with `convert.ts`), `Buffer` for bytes, absent optionals left out. The proto file is the reference; a test
 * holds the field names of both against each other.
 */

/** lograft.v1.TopicResult. */
export interface TopicResult {
  readonly name: string;
  readonly topicId: Buffer;
  readonly errorCode: number;
  readonly errorMessage: string;
  readonly partitions: number;
  readonly replicationFactor: number;
}

/** lograft.v1.CreateTopicsRequest. */
export interface CreateTopicsRequest {
  readonly topics: readonly NewTopic[];
  readonly validateOnly: boolean;
}

/** lograft.v1.NewTopic. */
export interface NewTopic {
  readonly name: string;
  /** 0: the broker's default. */
  readonly partitions: number;
  readonly replicationFactor: number;
  readonly configs: { readonly [key: string]: string };
}

/** lograft.v1.CreateTopicsResponse. */
export interface CreateTopicsResponse {
  readonly results: readonly TopicResult[];
}

/** lograft.v1.DeleteTopicsRequest. */
export interface DeleteTopicsRequest {
  readonly names: readonly string[];
}

/** lograft.v1.DeleteTopicsResponse. */
export interface DeleteTopicsResponse {
  readonly results: readonly TopicResult[];
}

/** lograft.v1.ListTopicsRequest. */
export interface ListTopicsRequest {
  readonly includeInternal: boolean;
}

/** lograft.v1.ListTopicsResponse. */
export interface ListTopicsResponse {
  readonly topics: readonly TopicListing[];
}

/** lograft.v1.TopicListing. */
export interface TopicListing {
  readonly name: string;
  readonly topicId: Buffer;
  readonly partitions: number;
  readonly replicationFactor: number;
  readonly isInternal: boolean;
}

/** lograft.v1.DescribeTopicsRequest. */
export interface DescribeTopicsRequest {
  readonly names: readonly string[];
}

/** lograft.v1.DescribeTopicsResponse. */
export interface DescribeTopicsResponse {
  readonly topics: readonly TopicDescription[];
}

/** lograft.v1.TopicDescription. */
export interface TopicDescription {
  readonly name: string;
  readonly topicId: Buffer;
  readonly errorCode: number;
  readonly errorMessage: string;
  readonly isInternal: boolean;
  readonly partitions: readonly PartitionDescription[];
  readonly configs: readonly ConfigEntry[];
}

/** lograft.v1.PartitionDescription. */
export interface PartitionDescription {
  readonly partition: number;
  readonly leaderId: number;
  readonly leaderEpoch: number;
  readonly replicas: readonly number[];
  readonly isr: readonly number[];
  readonly logStartOffset: number;
  /** Next offset that a record will get (exclusive end). */
  readonly logEndOffset: number;
  readonly sizeBytes: number;
  readonly errorCode: number;
  readonly errorMessage: string;
}

/** lograft.v1.ConfigEntry. */
export interface ConfigEntry {
  readonly name: string;
  readonly value: string;
  /** "default", "static" (the broker's own configuration) or "topic". */
  readonly source: string;
  readonly description: string;
}

/** lograft.v1.AlterTopicConfigsRequest. */
export interface AlterTopicConfigsRequest {
  readonly name: string;
  readonly set: { readonly [key: string]: string };
  /** Keys that go back to the default. */
  readonly unset: readonly string[];
  readonly validateOnly: boolean;
}

/** lograft.v1.AlterTopicConfigsResponse. */
export interface AlterTopicConfigsResponse {
  /** Null only from a server that breaks the protocol. */
  readonly result: TopicResult | null;
}

/** lograft.v1.CreatePartitionsRequest. */
export interface CreatePartitionsRequest {
  readonly name: string;
  /** The new count, more than now. */
  readonly totalPartitions: number;
  readonly validateOnly: boolean;
}

/** lograft.v1.CreatePartitionsResponse. */
export interface CreatePartitionsResponse {
  /** Null only from a server that breaks the protocol. */
  readonly result: TopicResult | null;
}

/** lograft.v1.DeleteRecordsRequest. */
export interface DeleteRecordsRequest {
  readonly partitions: readonly DeleteRecordsPartition[];
}

/** lograft.v1.DeleteRecordsPartition. */
export interface DeleteRecordsPartition {
  readonly topic: string;
  readonly partition: number;
  /** Records below it go. -1: up to the high watermark. */
  readonly beforeOffset: number;
}

/** lograft.v1.DeleteRecordsResponse. */
export interface DeleteRecordsResponse {
  readonly results: readonly DeleteRecordsResult[];
}

/** lograft.v1.DeleteRecordsResult. */
export interface DeleteRecordsResult {
  readonly topic: string;
  readonly partition: number;
  readonly errorCode: number;
  readonly errorMessage: string;
  readonly logStartOffset: number;
}

/** lograft.v1.DescribeBrokerConfigRequest. */
export type DescribeBrokerConfigRequest = { readonly [field: string]: never };

/** lograft.v1.DescribeBrokerConfigResponse. */
export interface DescribeBrokerConfigResponse {
  readonly nodeId: number;
  readonly configs: readonly ConfigEntry[];
}

/** lograft.v1.DescribeClusterRequest. */
export type DescribeClusterRequest = { readonly [field: string]: never };

/** lograft.v1.DescribeClusterResponse. */
export interface DescribeClusterResponse {
  readonly clusterId: string;
  /** -1: none that this broker has heard of. */
  readonly controllerId: number;
  /** 0 before the first election. */
  readonly controllerEpoch: number;
  readonly brokers: readonly BrokerDescription[];
  readonly features: readonly FeatureDescription[];
  /** Null only from a server that breaks the protocol. */
  readonly answeredBy: MetadataPosition | null;
}

/** lograft.v1.BrokerDescription. */
export interface BrokerDescription {
  readonly nodeId: number;
  readonly host: string;
  readonly port: number;
  readonly rack: string;
  readonly brokerHost: string;
  readonly peerEndpoint: string;
  readonly directoryId: string;
  readonly incarnationId: string;
  readonly brokerEpoch: number;
  readonly isFenced: boolean;
  readonly isShuttingDown: boolean;
  readonly isDrained: boolean;
}

/** lograft.v1.FeatureDescription. */
export interface FeatureDescription {
  readonly name: string;
  /** 0: not in use. */
  readonly level: number;
  readonly min: number;
  readonly max: number;
}

/** lograft.v1.MetadataPosition. */
export interface MetadataPosition {
  readonly nodeId: number;
  /** -1: nothing is applied. */
  readonly metadataOffset: number;
  readonly stateHash: number;
}

/** lograft.v1.DescribeQuorumRequest. */
export type DescribeQuorumRequest = { readonly [field: string]: never };

/** lograft.v1.DescribeQuorumResponse. */
export interface DescribeQuorumResponse {
  /** -1: none is known. */
  readonly leaderId: number;
  readonly epoch: number;
  /** -1: nothing is committed. */
  readonly commitOffset: number;
  readonly replicas: readonly QuorumReplica[];
  /** Null only from a server that breaks the protocol. */
  readonly answeredBy: QuorumPosition | null;
}

/** lograft.v1.QuorumReplica. */
export interface QuorumReplica {
  readonly nodeId: number;
  readonly directoryId: string;
  readonly endpoint: string;
  readonly isVoter: boolean;
  /** Exclusive; -1: unknown. */
  readonly logEndOffset: number;
  readonly isActive: boolean;
  readonly isCaughtUp: boolean;
}

/** lograft.v1.QuorumPosition. */
export interface QuorumPosition {
  readonly nodeId: number;
  /** "leader", "candidate", "follower" or "observer". */
  readonly role: string;
  readonly epoch: number;
  /** Exclusive. */
  readonly logEndOffset: number;
  /** Exclusive. */
  readonly durableOffset: number;
  /** -1: nothing is applied. */
  readonly appliedOffset: number;
  /** -1: it has no snapshot. */
  readonly snapshotOffset: number;
  readonly stateHash: number;
}

/** lograft.v1.AddVoterRequest. */
export interface AddVoterRequest {
  readonly nodeId: number;
}

/** lograft.v1.AddVoterResponse. */
export type AddVoterResponse = { readonly [field: string]: never };

/** lograft.v1.RemoveVoterRequest. */
export interface RemoveVoterRequest {
  readonly nodeId: number;
  /** "": the voter with this node id. */
  readonly directoryId: string;
}

/** lograft.v1.RemoveVoterResponse. */
export type RemoveVoterResponse = { readonly [field: string]: never };

/** lograft.v1.UnregisterBrokerRequest. */
export interface UnregisterBrokerRequest {
  readonly nodeId: number;
}

/** lograft.v1.UnregisterBrokerResponse. */
export type UnregisterBrokerResponse = { readonly [field: string]: never };

/** lograft.v1.ElectLeadersRequest. */
export interface ElectLeadersRequest {
  readonly topics: readonly string[];
  /** Instead of naming topics. */
  readonly allTopics: boolean;
}

/** lograft.v1.ElectLeadersResponse. */
export interface ElectLeadersResponse {
  readonly results: readonly ElectLeadersResult[];
}

/** lograft.v1.ElectLeadersResult. */
export interface ElectLeadersResult {
  readonly topic: string;
  /** -1: the topic as a whole. */
  readonly partition: number;
  readonly errorCode: number;
  readonly errorMessage: string;
  /** -1: nobody. */
  readonly leaderId: number;
}

/** lograft.v1.ReassignPartitionsRequest. */
export interface ReassignPartitionsRequest {
  readonly partitions: readonly WantedReplicas[];
  readonly validateOnly: boolean;
}

/** lograft.v1.WantedReplicas. */
export interface WantedReplicas {
  readonly topic: string;
  readonly partition: number;
  /** The preferred leader first. */
  readonly replicas: readonly number[];
}

/** lograft.v1.ReassignPartitionsResponse. */
export interface ReassignPartitionsResponse {
  readonly results: readonly ReassignmentResult[];
}

/** lograft.v1.ReassignmentResult. */
export interface ReassignmentResult {
  readonly topic: string;
  readonly partition: number;
  readonly errorCode: number;
  readonly errorMessage: string;
}

/** lograft.v1.CancelReassignmentsRequest. */
export interface CancelReassignmentsRequest {
  readonly partitions: readonly ReassignedPartition[];
  /** Instead of naming partitions. */
  readonly allPartitions: boolean;
}

/** lograft.v1.ReassignedPartition. */
export interface ReassignedPartition {
  readonly topic: string;
  readonly partition: number;
}

/** lograft.v1.CancelReassignmentsResponse. */
export interface CancelReassignmentsResponse {
  readonly results: readonly ReassignmentResult[];
}

/** lograft.v1.ListReassignmentsRequest. */
export type ListReassignmentsRequest = { readonly [field: string]: never };

/** lograft.v1.ListReassignmentsResponse. */
export interface ListReassignmentsResponse {
  readonly reassignments: readonly Reassignment[];
}

/** lograft.v1.Reassignment. */
export interface Reassignment {
  readonly topic: string;
  readonly partition: number;
  readonly target: readonly number[];
  readonly addingReplicas: readonly number[];
  readonly removingReplicas: readonly number[];
  readonly isr: readonly number[];
}

/** lograft.v1.DrainBrokerRequest. */
export interface DrainBrokerRequest {
  readonly nodeId: number;
  readonly isDrained: boolean;
}

/** lograft.v1.DrainBrokerResponse. */
export interface DrainBrokerResponse {
  readonly movedLeaders: number;
  readonly ledPartitions: number;
}

/** lograft.v1.UpdateFeatureRequest. */
export interface UpdateFeatureRequest {
  readonly name: string;
  readonly level: number;
  readonly isDryRun: boolean;
}

/** lograft.v1.UpdateFeatureResponse. */
export interface UpdateFeatureResponse {
  /** Null only from a server that breaks the protocol. */
  readonly feature: FeatureDescription | null;
}

/** lograft.v1.LogLevelsRequest. */
export interface LogLevelsRequest {
  readonly changes: readonly LogLevelChange[];
}

/** lograft.v1.LogLevelChange. */
export interface LogLevelChange {
  readonly component: string;
  readonly level: string;
}

/** lograft.v1.LogLevelsResponse. */
export interface LogLevelsResponse {
  readonly nodeId: number;
  readonly levels: readonly ComponentLogLevel[];
}

/** lograft.v1.ComponentLogLevel. */
export interface ComponentLogLevel {
  readonly component: string;
  readonly level: string;
  readonly configured: string;
}
