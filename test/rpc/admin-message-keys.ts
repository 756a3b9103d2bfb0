import type * as admin from "../../src/rpc/admin-messages.ts";
import type { DescribeNodeResponse, NodeListener } from "../../src/rpc/node-messages.ts";

/** All keys of a message type; the compiler refuses a name too few or too many. */
export type Keys<T> = Readonly<Record<keyof T, 1>>;

const topicResult: Keys<admin.TopicResult> = {
  name: 1,
  topicId: 1,
  errorCode: 1,
  errorMessage: 1,
  partitions: 1,
  replicationFactor: 1,
};
const createTopicsRequest: Keys<admin.CreateTopicsRequest> = { topics: 1, validateOnly: 1 };
const newTopic: Keys<admin.NewTopic> = { name: 1, partitions: 1, replicationFactor: 1, configs: 1 };
const createTopicsResponse: Keys<admin.CreateTopicsResponse> = { results: 1 };
const deleteTopicsRequest: Keys<admin.DeleteTopicsRequest> = { names: 1 };
const deleteTopicsResponse: Keys<admin.DeleteTopicsResponse> = { results: 1 };
const listTopicsRequest: Keys<admin.ListTopicsRequest> = { includeInternal: 1 };
const listTopicsResponse: Keys<admin.ListTopicsResponse> = { topics: 1 };
const topicListing: Keys<admin.TopicListing> = {
  name: 1,
  topicId: 1,
  partitions: 1,
  replicationFactor: 1,
  isInternal: 1,
};
const describeTopicsRequest: Keys<admin.DescribeTopicsRequest> = { names: 1 };
const describeTopicsResponse: Keys<admin.DescribeTopicsResponse> = { topics: 1 };
const topicDescription: Keys<admin.TopicDescription> = {
  name: 1,
  topicId: 1,
  errorCode: 1,
  errorMessage: 1,
  isInternal: 1,
  partitions: 1,
  configs: 1,
};
const partitionDescription: Keys<admin.PartitionDescription> = {
  partition: 1,
  leaderId: 1,
  leaderEpoch: 1,
  replicas: 1,
  isr: 1,
  logStartOffset: 1,
  logEndOffset: 1,
  sizeBytes: 1,
  errorCode: 1,
  errorMessage: 1,
};
const configEntry: Keys<admin.ConfigEntry> = { name: 1, value: 1, source: 1, description: 1 };
const alterTopicConfigsRequest: Keys<admin.AlterTopicConfigsRequest> = {
  name: 1,
  set: 1,
  unset: 1,
  validateOnly: 1,
};
const alterTopicConfigsResponse: Keys<admin.AlterTopicConfigsResponse> = { result: 1 };
const createPartitionsRequest: Keys<admin.CreatePartitionsRequest> = {
  name: 1,
  totalPartitions: 1,
  validateOnly: 1,
};
const createPartitionsResponse: Keys<admin.CreatePartitionsResponse> = { result: 1 };
const deleteRecordsRequest: Keys<admin.DeleteRecordsRequest> = { partitions: 1 };
const deleteRecordsPartition: Keys<admin.DeleteRecordsPartition> = {
  topic: 1,
  partition: 1,
  beforeOffset: 1,
};
const deleteRecordsResponse: Keys<admin.DeleteRecordsResponse> = { results: 1 };
const deleteRecordsResult: Keys<admin.DeleteRecordsResult> = {
  topic: 1,
  partition: 1,
  errorCode: 1,
  errorMessage: 1,
  logStartOffset: 1,
};
const describeBrokerConfigResponse: Keys<admin.DescribeBrokerConfigResponse> = { nodeId: 1, configs: 1 };
const describeClusterResponse: Keys<admin.DescribeClusterResponse> = {
  clusterId: 1,
  controllerId: 1,
  controllerEpoch: 1,
  brokers: 1,
  features: 1,
  answeredBy: 1,
};
const brokerDescription: Keys<admin.BrokerDescription> = {
  nodeId: 1,
  host: 1,
  port: 1,
  rack: 1,
  brokerHost: 1,
  peerEndpoint: 1,
  directoryId: 1,
  incarnationId: 1,
  brokerEpoch: 1,
  isFenced: 1,
  isShuttingDown: 1,
  isDrained: 1,
};
const featureDescription: Keys<admin.FeatureDescription> = { name: 1, level: 1, min: 1, max: 1 };
const metadataPosition: Keys<admin.MetadataPosition> = { nodeId: 1, metadataOffset: 1, stateHash: 1 };
const describeNodeResponse: Keys<DescribeNodeResponse> = {
  nodeId: 1,
  version: 1,
  nodeVersion: 1,
  wallClockMs: 1,
  startedMs: 1,
  processId: 1,
  userId: 1,
  hostName: 1,
  dataDirectory: 1,
  diskFreeBytes: 1,
  residentBytes: 1,
  heapUsedBytes: 1,
  heapLimitBytes: 1,
  memoryBytes: 1,
  openFiles: 1,
  openFilesLimit: 1,
  httpPort: 1,
  listener: 1,
  listeners: 1,
};
const nodeListener: Keys<NodeListener> = { name: 1, host: 1, port: 1 };
const describeQuorumResponse: Keys<admin.DescribeQuorumResponse> = {
  leaderId: 1,
  epoch: 1,
  commitOffset: 1,
  replicas: 1,
  answeredBy: 1,
};
const quorumReplica: Keys<admin.QuorumReplica> = {
  nodeId: 1,
  directoryId: 1,
  endpoint: 1,
  isVoter: 1,
  logEndOffset: 1,
  isActive: 1,
  isCaughtUp: 1,
};
const quorumPosition: Keys<admin.QuorumPosition> = {
  nodeId: 1,
  role: 1,
  epoch: 1,
  logEndOffset: 1,
  durableOffset: 1,
  appliedOffset: 1,
  snapshotOffset: 1,
  stateHash: 1,
};
const addVoterRequest: Keys<admin.AddVoterRequest> = { nodeId: 1 };
const removeVoterRequest: Keys<admin.RemoveVoterRequest> = { nodeId: 1, directoryId: 1 };
const unregisterBrokerRequest: Keys<admin.UnregisterBrokerRequest> = { nodeId: 1 };
const electLeadersRequest: Keys<admin.ElectLeadersRequest> = { topics: 1, allTopics: 1 };
const electLeadersResponse: Keys<admin.ElectLeadersResponse> = { results: 1 };
const electLeadersResult: Keys<admin.ElectLeadersResult> = {
  topic: 1,
  partition: 1,
  errorCode: 1,
  errorMessage: 1,
  leaderId: 1,
};
const reassignPartitionsRequest: Keys<admin.ReassignPartitionsRequest> = { partitions: 1, validateOnly: 1 };
const wantedReplicas: Keys<admin.WantedReplicas> = { topic: 1, partition: 1, replicas: 1 };
const reassignPartitionsResponse: Keys<admin.ReassignPartitionsResponse> = { results: 1 };
const reassignmentResult: Keys<admin.ReassignmentResult> = {
  topic: 1,
  partition: 1,
  errorCode: 1,
  errorMessage: 1,
};
const cancelReassignmentsRequest: Keys<admin.CancelReassignmentsRequest> = {
  partitions: 1,
  allPartitions: 1,
};
const reassignedPartition: Keys<admin.ReassignedPartition> = { topic: 1, partition: 1 };
const cancelReassignmentsResponse: Keys<admin.CancelReassignmentsResponse> = { results: 1 };
const listReassignmentsResponse: Keys<admin.ListReassignmentsResponse> = { reassignments: 1 };
const reassignment: Keys<admin.Reassignment> = {
  topic: 1,
  partition: 1,
  target: 1,
  addingReplicas: 1,
  removingReplicas: 1,
  isr: 1,
};
const drainBrokerRequest: Keys<admin.DrainBrokerRequest> = { nodeId: 1, isDrained: 1 };
const drainBrokerResponse: Keys<admin.DrainBrokerResponse> = { movedLeaders: 1, ledPartitions: 1 };
const updateFeatureRequest: Keys<admin.UpdateFeatureRequest> = { name: 1, level: 1, isDryRun: 1 };
const logLevelsRequest: Keys<admin.LogLevelsRequest> = { changes: 1 };
const logLevelChange: Keys<admin.LogLevelChange> = { component: 1, level: 1 };
const logLevelsResponse: Keys<admin.LogLevelsResponse> = { nodeId: 1, levels: 1 };
const componentLogLevel: Keys<admin.ComponentLogLevel> = { component: 1, level: 1, configured: 1 };
const updateFeatureResponse: Keys<admin.UpdateFeatureResponse> = { feature: 1 };

/** The messages of admin.proto by name, with their fields. */
export const ADMIN_MESSAGES: Readonly<Record<string, object>> = {
  TopicResult: topicResult,
  CreateTopicsRequest: createTopicsRequest,
  NewTopic: newTopic,
  CreateTopicsResponse: createTopicsResponse,
  DeleteTopicsRequest: deleteTopicsRequest,
  DeleteTopicsResponse: deleteTopicsResponse,
  ListTopicsRequest: listTopicsRequest,
  ListTopicsResponse: listTopicsResponse,
  TopicListing: topicListing,
  DescribeTopicsRequest: describeTopicsRequest,
  DescribeTopicsResponse: describeTopicsResponse,
  TopicDescription: topicDescription,
  PartitionDescription: partitionDescription,
  ConfigEntry: configEntry,
  AlterTopicConfigsRequest: alterTopicConfigsRequest,
  AlterTopicConfigsResponse: alterTopicConfigsResponse,
  CreatePartitionsRequest: createPartitionsRequest,
  CreatePartitionsResponse: createPartitionsResponse,
  DeleteRecordsRequest: deleteRecordsRequest,
  DeleteRecordsPartition: deleteRecordsPartition,
  DeleteRecordsResponse: deleteRecordsResponse,
  DeleteRecordsResult: deleteRecordsResult,
  DescribeBrokerConfigResponse: describeBrokerConfigResponse,
  DescribeBrokerConfigRequest: {},
  DescribeClusterRequest: {},
  DescribeClusterResponse: describeClusterResponse,
  BrokerDescription: brokerDescription,
  FeatureDescription: featureDescription,
  MetadataPosition: metadataPosition,
  DescribeNodeRequest: {},
  DescribeNodeResponse: describeNodeResponse,
  NodeListener: nodeListener,
  DescribeQuorumRequest: {},
  DescribeQuorumResponse: describeQuorumResponse,
  QuorumReplica: quorumReplica,
  QuorumPosition: quorumPosition,
  AddVoterRequest: addVoterRequest,
  AddVoterResponse: {},
  RemoveVoterRequest: removeVoterRequest,
  RemoveVoterResponse: {},
  UnregisterBrokerRequest: unregisterBrokerRequest,
  UnregisterBrokerResponse: {},
  ElectLeadersRequest: electLeadersRequest,
  ElectLeadersResponse: electLeadersResponse,
  ElectLeadersResult: electLeadersResult,
  ReassignPartitionsRequest: reassignPartitionsRequest,
  WantedReplicas: wantedReplicas,
  ReassignPartitionsResponse: reassignPartitionsResponse,
  ReassignmentResult: reassignmentResult,
  CancelReassignmentsRequest: cancelReassignmentsRequest,
  ReassignedPartition: reassignedPartition,
  CancelReassignmentsResponse: cancelReassignmentsResponse,
  ListReassignmentsRequest: {},
  ListReassignmentsResponse: listReassignmentsResponse,
  Reassignment: reassignment,
  DrainBrokerRequest: drainBrokerRequest,
  DrainBrokerResponse: drainBrokerResponse,
  UpdateFeatureRequest: updateFeatureRequest,
  UpdateFeatureResponse: updateFeatureResponse,
  LogLevelsRequest: logLevelsRequest,
  LogLevelChange: logLevelChange,
  LogLevelsResponse: logLevelsResponse,
  ComponentLogLevel: componentLogLevel,
};
