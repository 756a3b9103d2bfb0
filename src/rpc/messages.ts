/*
 * The messages of proto/lograft/v1/client.proto as plain objects: camelCase names, `number` for 64 bits (check those of a
 * request with `convert.ts`), `Buffer` for bytes, absent optionals left out. The proto file is the reference; a test
 * holds the field names of both against each other.
 */

/** How much had happened to a record when its answer was sent; the numbers of the enum of that name. */
export const DURABILITY = {
  UNKNOWN: 0,
  NONE: 1,
  WRITTEN: 2,
  SYNCED: 3,
} as const;

/** A number of `DURABILITY`; a newer broker may send others. */
export type Durability = number;

/** Attached (as google.rpc.Status details, header grpc-status-details-bin) to every failed call. */
export interface ErrorInfo {
  readonly errorCode: number;
  /** Stable name: a Kafka error name, or an operation code of lograft. */
  readonly errorName: string;
  readonly retriable: boolean;
  /** Who to ask instead, when the error says that another broker leads. -1: not known. */
  readonly leaderId: number;
  readonly context: { readonly [key: string]: string };
}

/** lograft.v1.MetadataRequest. */
export interface MetadataRequest {
  /** Empty: no topics; see all_topics. */
  readonly topics: readonly string[];
  readonly allTopics: boolean;
  readonly allowAutoCreate: boolean;
}

/** lograft.v1.MetadataResponse. */
export interface MetadataResponse {
  readonly clusterId: string;
  readonly controllerId: number;
  readonly brokers: readonly BrokerInfo[];
  readonly topics: readonly TopicMetadata[];
  /** What this broker can do: feature name -> level. */
  readonly features: { readonly [key: string]: number };
  /** Largest batch the broker accepts unless a topic says otherwise. */
  readonly maxBatchBytes: number;
}

/** lograft.v1.BrokerInfo. */
export interface BrokerInfo {
  readonly nodeId: number;
  readonly host: string;
  readonly port: number;
  readonly rack: string;
}

/** lograft.v1.TopicMetadata. */
export interface TopicMetadata {
  readonly errorCode: number;
  readonly errorMessage: string;
  readonly name: string;
  /** 16 bytes. */
  readonly topicId: Buffer;
  readonly isInternal: boolean;
  readonly partitions: readonly PartitionMetadata[];
  readonly maxMessageBytes: number;
}

/** lograft.v1.PartitionMetadata. */
export interface PartitionMetadata {
  readonly errorCode: number;
  readonly partition: number;
  readonly leaderId: number;
  readonly leaderEpoch: number;
  readonly replicas: readonly number[];
  readonly isr: readonly number[];
}

/** lograft.v1.ProduceRequest. */
export interface ProduceRequest {
  readonly correlationId: number;
  /** 0: no answer; 1: the leader; -1: all in-sync replicas. */
  readonly acks: number;
  readonly timeoutMs: number;
  readonly partitions: readonly ProducePartition[];
}

/** lograft.v1.ProducePartition. */
export interface ProducePartition {
  readonly topic: string;
  readonly partition: number;
  /** -1: not known. A broker that knows another epoch refuses (FENCED_LEADER_EPOCH, UNKNOWN_LEADER_EPOCH). */
  readonly leaderEpoch: number;
  /** One record batch. */
  readonly records: Buffer;
}

/** lograft.v1.ProduceResponse. */
export interface ProduceResponse {
  readonly correlationId: number;
  readonly results: readonly ProducePartitionResult[];
  /**
   * Bytes of requests that may be unanswered on this stream; in the first message (correlation_id 0, no results)
   * and whenever it changes.
   */
  readonly windowBytes: number;
  readonly throttleTimeMs: number;
}

/** lograft.v1.ProducePartitionResult. */
export interface ProducePartitionResult {
  readonly topic: string;
  readonly partition: number;
  readonly errorCode: number;
  readonly errorMessage: string;
  /** Offset of the first record. -1 on an error. */
  readonly baseOffset: number;
  /** Set when the topic stamps records itself; else -1. */
  readonly logAppendTimeMs: number;
  readonly logStartOffset: number;
  readonly leaderEpoch: number;
  readonly durability: Durability;
  /** Replicas that hold the batch with that durability, the leader included. */
  readonly replicas: number;
  /** True when these very records were there already (a retry of an idempotent producer). */
  readonly duplicate: boolean;
  readonly leaderId: number;
}

/** lograft.v1.InitProducerRequest. */
export type InitProducerRequest = { readonly [field: string]: never };

/** lograft.v1.InitProducerResponse. */
export interface InitProducerResponse {
  readonly producerId: number;
  readonly producerEpoch: number;
}

/** lograft.v1.FetchStreamRequest. */
export interface FetchStreamRequest {
  /** Partitions to add, or to move to another offset (same topic and partition again). */
  readonly add: readonly FetchPartition[];
  readonly remove: readonly TopicPartitionRef[];
  /** Bytes of records the broker may send beyond those granted before. The first message must grant some. */
  readonly creditBytes: number;
  /** In the first message only. */
  readonly options?: FetchOptions;
}

/** lograft.v1.FetchOptions. */
export interface FetchOptions {
  /** Largest message the broker sends, 64 KiB to 16 MiB; 0: 1 MiB. A batch larger than this still comes, alone. */
  readonly maxMessageBytes: number;
  /** Wait until so many bytes are there for a partition, or max_wait_ms passed. 0: send at once. */
  readonly minBytes: number;
  readonly maxWaitMs: number;
  readonly readCommitted: boolean;
  /**
   * Followers serve too, what they know to be committed (KIP-392); one that lacks the offset says OFFSET_NOT_AVAILABLE, and
   * its error says nothing of the partition as such: ask the leader. Unset: only leaders answer.
   */
  readonly fromFollower: boolean;
}

/** lograft.v1.FetchPartition. */
export interface FetchPartition {
  readonly topic: string;
  readonly partition: number;
  /** First offset wanted. */
  readonly offset: number;
  readonly leaderEpoch: number;
  /** Given back in each answer, so that answers from before a seek can be told from those after it. */
  readonly generation: number;
}

/** lograft.v1.TopicPartitionRef. */
export interface TopicPartitionRef {
  readonly topic: string;
  readonly partition: number;
}

/** lograft.v1.FetchStreamResponse. */
export interface FetchStreamResponse {
  readonly partitions: readonly FetchPartitionData[];
}

/** lograft.v1.FetchPartitionData. */
export interface FetchPartitionData {
  readonly topic: string;
  readonly partition: number;
  readonly generation: number;
  /** An error ends the partition's part of the stream; add it again to go on. */
  readonly errorCode: number;
  readonly errorMessage: string;
  /** Records below it are readable (exclusive). */
  readonly highWatermark: number;
  readonly logStartOffset: number;
  readonly leaderEpoch: number;
  /** Whole batches; the first may begin before the offset asked for. Empty: news of the fields above only. */
  readonly records: Buffer;
  readonly leaderId: number;
}

/** lograft.v1.FetchRequest. */
export interface FetchRequest {
  readonly maxWaitMs: number;
  readonly minBytes: number;
  readonly maxBytes: number;
  readonly readCommitted: boolean;
  readonly partitions: readonly FetchUnaryPartition[];
  /** As FetchOptions.from_follower. */
  readonly fromFollower: boolean;
}

/** lograft.v1.FetchUnaryPartition. */
export interface FetchUnaryPartition {
  readonly topic: string;
  readonly partition: number;
  readonly offset: number;
  readonly leaderEpoch: number;
  readonly maxBytes: number;
}

/** lograft.v1.FetchResponse. */
export interface FetchResponse {
  readonly partitions: readonly FetchPartitionData[];
  readonly throttleTimeMs: number;
}

/** lograft.v1.ListOffsetsRequest. */
export interface ListOffsetsRequest {
  readonly partitions: readonly ListOffsetsPartition[];
}

/** lograft.v1.ListOffsetsPartition. */
export interface ListOffsetsPartition {
  readonly topic: string;
  readonly partition: number;
  /**
   * Milliseconds since 1970: the first offset whose record is not older. -1: the end. -2: the start. -3: the
   * offset of the largest timestamp.
   */
  readonly timestampMs: number;
}

/** lograft.v1.ListOffsetsResponse. */
export interface ListOffsetsResponse {
  readonly results: readonly ListOffsetsResult[];
}

/** lograft.v1.ListOffsetsResult. */
export interface ListOffsetsResult {
  readonly topic: string;
  readonly partition: number;
  readonly errorCode: number;
  readonly errorMessage: string;
  /** -1: no record is that young. */
  readonly offset: number;
  readonly timestampMs: number;
  readonly leaderEpoch: number;
}

/** lograft.v1.PublishRequest. */
export interface PublishRequest {
  readonly correlationId: number;
  readonly topic: string;
  /** Unset: by the hash of the key (murmur2, as Kafka's clients do), or spread when there is no key. */
  readonly partition?: number;
  readonly records: readonly Record[];
  /** 0, 1 or -1; unset is -1 (all in-sync replicas). */
  readonly acks?: number;
  readonly timeoutMs: number;
}

/** lograft.v1.Record. */
export interface Record {
  readonly key?: Buffer;
  /** Unset: a tombstone. */
  readonly value?: Buffer;
  readonly headers: readonly RecordHeader[];
  /** Unset: the broker's time. */
  readonly timestampMs?: number;
  /** Set in answers only. */
  readonly offset: number;
  readonly partition: number;
  readonly topic: string;
}

/** lograft.v1.RecordHeader. */
export interface RecordHeader {
  readonly key: string;
  readonly value?: Buffer;
}

/** lograft.v1.PublishResponse. */
export interface PublishResponse {
  readonly correlationId: number;
  /** One for each record of the request, in its order. */
  readonly results: readonly PublishResult[];
}

/** lograft.v1.PublishResult. */
export interface PublishResult {
  readonly errorCode: number;
  readonly errorMessage: string;
  readonly partition: number;
  readonly offset: number;
  readonly leaderEpoch: number;
  readonly durability: Durability;
  readonly retriable: boolean;
}

/** lograft.v1.SubscribeRequest. */
export interface SubscribeRequest {
  readonly topic: string;
  /** Empty: all partitions that the answering broker leads. */
  readonly partitions: readonly number[];
  readonly offset?: number;
  readonly timestampMs?: number;
  /** The default. */
  readonly beginning?: boolean;
  readonly end?: boolean;
  /** Which of the fields of this choice is set; for reading only. */
  readonly from?: "offset" | "timestampMs" | "beginning" | "end";
  /** End the stream after so many records; 0: never. */
  readonly maxRecords: number;
  /** End the stream at the end that each partition had when the call came. */
  readonly stopAtEnd: boolean;
  /** Largest message, 0: 256 KiB. */
  readonly maxMessageBytes: number;
}

/** lograft.v1.SubscribeResponse. */
export interface SubscribeResponse {
  readonly records: readonly Record[];
}
