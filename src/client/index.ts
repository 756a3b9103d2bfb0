export { LograftClient, type LograftClientOptions } from "./client.ts";
export type { ClientLane } from "./grpc-transport.ts";
export { Producer, type WaitOptions } from "./producer.ts";
export type { ProducerHeader, ProducerOptions, ProducerRecord, RecordAck } from "./producer-types.ts";
export { murmur2, roundRobin, sticky, type Partitioner, type PartitionInput } from "./partitioner.ts";
export { Consumer } from "./consumer.ts";
export type {
  AssignmentSpec,
  CommitPace,
  ConsumerEvents,
  ConsumerOptions,
  ConsumerStatus,
  HandlerContext,
  OffsetCommitSpec,
  PartitionLag,
  PointInTime,
  RetryOptions,
  RunOptions,
  StartPosition,
  TopicPartitionRef,
} from "./consumer-types.ts";
export { ConsumedBatch, type ConsumedRecord } from "./consumed-batch.ts";
export type { CommittedPosition } from "./group-offsets.ts";
export type {
  AssignorMember,
  AssignorTopic,
  ClientAssignor,
  MemberPlan,
  SubscriptionContext,
} from "./assignors/assignor.ts";
export { rangeAssignor } from "./assignors/range.ts";
export { roundRobinAssignor } from "./assignors/round-robin.ts";
export { stickyAssignor } from "./assignors/sticky.ts";
export { cooperativeStickyAssignor } from "./assignors/cooperative-sticky.ts";
export { Admin } from "./admin.ts";
export type {
  AdminOptions,
  BrokerConfig,
  ConfigChange,
  ConfigValue,
  DeletedRecords,
  DeleteRecordsSpec,
  ItemOptions,
  NewTopicSpec,
  PartitionDetails,
  TopicDetails,
  TopicOutcome,
  TopicSummary,
  ValidateOptions,
} from "./admin-types.ts";
export type { AddressedOptions } from "./cluster-admin.ts";
export type {
  BrokerLogLevels,
  ClusterBroker,
  ClusterDetails,
  ComponentLogLevel,
  DrainedBroker,
  ElectedLeader,
  FeatureLevel,
  LogLevelChange,
  NodeDetails,
  PartitionReassignment,
  PartitionState,
  QuorumDetails,
  QuorumReplica,
  ReassignedPartition,
  ReplicaCopy,
  WantedReplicas,
} from "./cluster-types.ts";
export type {
  DeletedGroup,
  GroupCoordinator,
  GroupDetails,
  GroupLag,
  GroupList,
  GroupMemberDetails,
  GroupOffset,
  GroupPartitionLag,
  GroupSummary,
  GroupTopic,
  MemberRef,
  PartitionChange,
  PartitionOffset,
  RemovedMember,
  ResetOptions,
  ResetRow,
  ResetTarget,
} from "./group-admin-types.ts";
export type { LookupPosition } from "./leader-calls.ts";
export type { ReadFrom } from "./read-source.ts";
export type { FoundOffset } from "./offset-lookup.ts";
export { DeliveryError, isLograftError, type DeliveryErrorOptions, type DeliveryOutcome } from "./errors.ts";
export { LograftError, type OperationErrorCode } from "../base/errors.ts";
export { ProtocolError, type ErrorName } from "../model/error-code.ts";
export type { Codec } from "../model/compression.ts";
export type { RecordHeader } from "../model/record.ts";
export type { ProcessedWork, ProducedWork, ProduceTrace, Telemetry } from "./telemetry.ts";
export type { ClientTransport, UnaryCallOptions, UnaryMethod, UnaryMethods } from "./transport.ts";
