import { ProtocolError } from "../model/error-code.ts";
import type { NodeId } from "../model/ids.ts";
import type { AlteredPartition, AlterPartitionsCommand } from "./alter-partitions.ts";
import type { AlterConfigsCommand } from "./configs.ts";
import type { DamagedReplica, DamagedReplicasCommand } from "./damaged-replicas.ts";
import type { DrainCommand, DrainResult } from "./drains.ts";
import type { ElectLeadersResult } from "./elections.ts";
import type { ProducerIdBlock } from "./producer-ids.ts";
import type { CancelReassignmentsCommand, ReassignCommand, ReassignmentResult } from "./reassignments.ts";
import type { AddPartitionsCommand, NewTopic, TopicResult } from "./topics.ts";
import type { QuorumView } from "./voter-control.ts";

/** A feature as the cluster has it now (or would, in a dry run), and what the controller supports. */
export interface FeatureResult {
  readonly name: string;
  readonly level: number;
  /** Inclusive, like `max`. */
  readonly min: number;
  readonly max: number;
}

/** The fields of each request to the active controller. */
interface RequestFields {
  /** Each topic succeeds or fails alone; those that succeed come into being in one commit. */
  readonly createTopics: { readonly topics: readonly NewTopic[]; readonly validateOnly: boolean };
  /** One of the topics that coordinators keep their state in, which no client can create. Brokers only. */
  readonly createInternalTopic: NewTopic;
  readonly deleteTopics: { readonly names: readonly string[] };
  readonly addPartitions: AddPartitionsCommand;
  readonly alterConfigs: AlterConfigsCommand;
  /** For one broker: an older registration of it gets no more ids (KIP-730). */
  readonly allocateProducerIds: { readonly nodeId: NodeId; readonly brokerEpoch: number };
  /** Gives leadership back to the first replica where that one can lead. Undefined: in all topics. */
  readonly electLeaders: { readonly topics: readonly string[] | undefined };
  readonly addVoter: { readonly nodeId: NodeId };
  /** Undefined directory: the voter with this node id, whichever store it has. */
  readonly removeVoter: { readonly nodeId: NodeId; readonly directoryId: string | undefined };
  readonly unregisterBroker: { readonly nodeId: NodeId };
  readonly updateFeature: { readonly name: string; readonly level: number; readonly isDryRun: boolean };
  readonly describeQuorum: object;
  /** A leader proposes ISRs; each partition succeeds or fails alone, and all that succeed do so in one commit (KIP-497). */
  readonly alterPartitions: AlterPartitionsCommand;
  /** A broker says of which partitions its log is damaged; each succeeds or fails alone. */
  readonly reportDamage: DamagedReplicasCommand;
  /** Each partition begins to move, or is refused, alone; all that begin do so in one commit. */
  readonly reassignPartitions: ReassignCommand;
  readonly cancelReassignments: CancelReassignmentsCommand;
  readonly drainBroker: DrainCommand;
}

/** What each request is answered with; failures of the request as a whole are thrown. */
export interface ControllerResults {
  /** One for each topic, in the order of the request. */
  readonly createTopics: readonly TopicResult[];
  readonly createInternalTopic: TopicResult;
  readonly deleteTopics: readonly TopicResult[];
  readonly addPartitions: TopicResult;
  readonly alterConfigs: TopicResult;
  readonly allocateProducerIds: ProducerIdBlock;
  readonly electLeaders: ElectLeadersResult;
  readonly addVoter: null;
  readonly removeVoter: null;
  readonly unregisterBroker: null;
  readonly updateFeature: FeatureResult;
  readonly describeQuorum: QuorumView;
  /** One for each partition, in the order of the request. */
  readonly alterPartitions: readonly AlteredPartition[];
  /** One for each partition, in the order of the request. */
  readonly reportDamage: readonly DamagedReplica[];
  /** One for each partition, in the order of the request. */
  readonly reassignPartitions: readonly ReassignmentResult[];
  readonly cancelReassignments: readonly ReassignmentResult[];
  readonly drainBroker: DrainResult;
}

export type RequestType = keyof RequestFields;

/** Requests of the given types. */
export type RequestOf<Type extends RequestType> = {
  readonly [T in Type]: { readonly type: T } & RequestFields[T];
}[Type];

/** Responses to requests of the given types. */
export type ResponseOf<Type extends RequestType> = {
  readonly [T in Type]: {
    readonly type: T;
    /** Metadata offset that holds the effect: whoever has applied it sees what was answered. */
    readonly offset: number;
    readonly result: ControllerResults[T];
  };
}[Type];

/** A request to the active controller. */
export type ControllerRequest = RequestOf<RequestType>;

/** What the controller answers once the effect is committed. */
export type ControllerResponse = ResponseOf<RequestType>;

/**
 * The response as the type that belongs to the request. @throws ProtocolError CORRUPT_MESSAGE when it answers another
 * one, which only a broken peer does.
 */
export function responseTo<Type extends RequestType>(
  request: { readonly type: Type },
  response: ControllerResponse,
): ResponseOf<Type> {
  // The tag tells the type: this is what makes the cast true.
  if (response.type === request.type) return response as ResponseOf<Type>;
  const text = `the controller was asked for ${request.type} and answered ${response.type}`;
  throw new ProtocolError("CORRUPT_MESSAGE", `${text}; are both brokers of the same release?`);
}
