import { errorCodeOf } from "../model/error-code.ts";
import { shownTopic } from "../model/topic-partition.ts";
import { answered, checked, itemError } from "./admin-calls.ts";
import type { AdminCalls } from "./admin-calls.ts";
import type { AdminOptions, ItemOptions, ValidateOptions } from "./admin-types.ts";
import type {
  BrokerLogLevels,
  ClusterDetails,
  DrainedBroker,
  ElectedLeader,
  FeatureLevel,
  LogLevelChange,
  NodeDetails,
  PartitionReassignment,
  PartitionState,
  QuorumDetails,
  ReassignedPartition,
  ReplicaCopy,
  WantedReplicas,
} from "./cluster-types.ts";
import { measureCopies } from "./copy-progress.ts";
import type { TopicPartitionRef } from "./consumer-types.ts";
import type { ReassignmentResult } from "../rpc/admin-messages.ts";

/** A question that one broker shall answer: by its address ("host:port"), else any. */
export interface AddressedOptions extends AdminOptions {
  readonly address?: string;
}

const NOT_NEEDED = errorCodeOf("ELECTION_NOT_NEEDED");

/**
 * The part of `Admin` about brokers, the metadata quorum, leaders and feature levels. Changes are made by the
 * controller; @throws LograftError NO_QUORUM when none was reached in time.
 */
export class ClusterAdmin {
  readonly #calls: AdminCalls;

  constructor(deps: { readonly calls: AdminCalls }) {
    this.#calls = deps.calls;
  }

  /** What a broker knows of the cluster, without asking others. */
  async describeCluster(options: AddressedOptions = {}): Promise<ClusterDetails> {
    const cluster = await this.#calls.askAt(options.address, "DescribeCluster", {}, options);
    return { ...cluster, answeredBy: answered(cluster.answeredBy, "DescribeCluster") };
  }

  /** What a broker says of itself. @throws ProtocolError UNSUPPORTED_VERSION of releases up to 0.4.0. */
  async describeNode(options: AddressedOptions = {}): Promise<NodeDetails> {
    const node = await this.#calls.askAt(options.address, "DescribeNode", {}, options);
    const { userId, diskFreeBytes, openFiles, openFilesLimit, httpPort } = node;
    return {
      ...node,
      userId: known(userId),
      diskFreeBytes: known(diskFreeBytes),
      openFiles: known(openFiles),
      openFilesLimit: known(openFilesLimit),
      httpPort: known(httpPort),
    };
  }

  /** Voters and observers of the metadata log: the leader's view, or without one that of the broker asked. */
  async describeQuorum(options: AddressedOptions = {}): Promise<QuorumDetails> {
    const quorum = await this.#calls.askAt(options.address, "DescribeQuorum", {}, options);
    return { ...quorum, answeredBy: answered(quorum.answeredBy, "DescribeQuorum") };
  }

  /** The partitions of some topics, or of all. @throws ProtocolError UNKNOWN_TOPIC_OR_PARTITION. */
  async listPartitions(
    options: AdminOptions & { readonly topics?: readonly string[] } = {},
  ): Promise<PartitionState[]> {
    const request = {
      topics: options.topics ?? [],
      allTopics: options.topics === undefined,
      allowAutoCreate: false,
    };
    const { topics } = await this.#calls.ask("Metadata", request, options);
    return topics.flatMap((topic) => {
      const error = itemError(topic.errorCode, topic.errorMessage, `topic ${shownTopic(topic.name)}`);
      if (error !== undefined) throw error;
      return topic.partitions.map(({ partition, leaderId, leaderEpoch, replicas, isr }) => ({
        topic: topic.name,
        partition,
        leaderId,
        leaderEpoch,
        replicas,
        isr,
      }));
    });
  }

  /**
   * Gives a broker that follows the metadata log a vote. @throws ProtocolError DUPLICATE_VOTER, INVALID_VOTER_KEY when
   * it is no observer that has caught up.
   */
  async addVoter(nodeId: number, options: AdminOptions = {}): Promise<void> {
    await this.#calls.change("AddVoter", { nodeId }, options);
  }

  /** Takes a vote away. @throws ProtocolError VOTER_NOT_FOUND, INVALID_VOTER_KEY for the last voter. */
  async removeVoter(
    nodeId: number,
    options: AdminOptions & {
      /** Which of its quorum stores, when a wiped disk left an old one behind. */
      readonly directoryId?: string;
    } = {},
  ): Promise<void> {
    await this.#calls.change("RemoveVoter", { nodeId, directoryId: options.directoryId ?? "" }, options);
  }

  /** Forgets a broker that will not come back, so that its node id is free. @throws ProtocolError BROKER_ID_NOT_REGISTERED. */
  async unregisterBroker(nodeId: number, options: AdminOptions = {}): Promise<void> {
    await this.#calls.change("UnregisterBroker", { nodeId }, options);
  }

  /**
   * Gives leadership back to the first replica of each partition of some topics, or of all. Partitions that it leads
   * already succeed unchanged. @throws ProtocolError PREFERRED_LEADER_NOT_AVAILABLE, UNKNOWN_TOPIC_OR_PARTITION.
   */
  async electLeaders(
    options: ItemOptions & { readonly topics?: readonly string[] } = {},
  ): Promise<ElectedLeader[]> {
    const request = { topics: options.topics ?? [], allTopics: options.topics === undefined };
    const { results } = await this.#calls.change("ElectLeaders", request, options);
    const elected = results.map(({ topic, partition, leaderId, errorCode, errorMessage }): ElectedLeader => {
      const isNeeded = errorCode !== NOT_NEEDED;
      const what = partition < 0 ? `topic ${shownTopic(topic)}` : `${topic}-${partition}`;
      const error = isNeeded ? itemError(errorCode, errorMessage, what) : undefined;
      return { topic, partition, leaderId, isChanged: isNeeded && error === undefined, error };
    });
    return checked(elected, options);
  }

  /**
   * Moves partitions to other brokers. Resolves when they are on their way: `listReassignments` tells of those until they
   * are there. @throws ProtocolError INVALID_REPLICA_ASSIGNMENT (a broker that is not registered, fenced, drained, or named
   * twice), REASSIGNMENT_IN_PROGRESS, UNKNOWN_TOPIC_OR_PARTITION.
   */
  async reassignPartitions(
    partitions: readonly WantedReplicas[],
    options: ItemOptions & ValidateOptions = {},
  ): Promise<ReassignedPartition[]> {
    const request = { partitions, validateOnly: options.validateOnly ?? false };
    const { results } = await this.#calls.change("ReassignPartitions", request, options);
    return checked(results.map(reassigned), options);
  }

  /**
   * Lets partitions that are on their way (all, unless some are named) go back to where they came from.
   * @throws ProtocolError NO_REASSIGNMENT_IN_PROGRESS; INVALID_REPLICA_ASSIGNMENT where only new replicas are in sync.
   */
  async cancelReassignments(
    options: ItemOptions & { readonly partitions?: readonly TopicPartitionRef[] } = {},
  ): Promise<ReassignedPartition[]> {
    const { partitions = [] } = options;
    const request = { partitions, allPartitions: options.partitions === undefined };
    const { results } = await this.#calls.change("CancelReassignments", request, options);
    return checked(results.map(reassigned), options);
  }

  /** Partitions on their way, by topic and number, as the broker that answers knows them. */
  async listReassignments(options: AddressedOptions = {}): Promise<readonly PartitionReassignment[]> {
    return (await this.#calls.askAt(options.address, "ListReassignments", {}, options)).reassignments;
  }

  /** How far the new replicas of these partitions have come, as far as their brokers answer. */
  measureCopies(
    reassignments: readonly PartitionReassignment[],
    options: AdminOptions = {},
  ): Promise<readonly ReplicaCopy[]> {
    return measureCopies(this.#calls, reassignments, options);
  }

  /**
   * Takes a broker out of use: others lead what they can, and it gets no new replicas, also after a restart, until
   * `undrainNode`. It goes on holding what it holds. @throws ProtocolError BROKER_ID_NOT_REGISTERED.
   */
  async drainNode(nodeId: number, options: AdminOptions = {}): Promise<DrainedBroker> {
    return this.#calls.change("DrainBroker", { nodeId, isDrained: true }, options);
  }

  /** Gives a broker back to use; leaders return to it by and by, or by `electLeaders`. */
  async undrainNode(nodeId: number, options: AdminOptions = {}): Promise<DrainedBroker> {
    return this.#calls.change("DrainBroker", { nodeId, isDrained: false }, options);
  }

  /** What a broker writes into its log, by component. */
  logLevels(options: AddressedOptions = {}): Promise<BrokerLogLevels> {
    return this.#calls.askAt(options.address, "LogLevels", { changes: [] }, options);
  }

  /**
   * Changes what a broker writes into its log, until its next start; answers all of its levels. The broker notes the change
   * in its log. @throws ProtocolError INVALID_REQUEST for a component or level that there is not; nothing is changed then.
   */
  setLogLevels(changes: readonly LogLevelChange[], options: AddressedOptions = {}): Promise<BrokerLogLevels> {
    return this.#calls.askAt(options.address, "LogLevels", { changes }, options);
  }

  /**
   * Finalizes a level of a feature; answers the feature as it then is. @throws ProtocolError FEATURE_UPDATE_FAILED when
   * a broker does not support it, INVALID_UPDATE_VERSION.
   */
  async updateFeature(
    name: string,
    level: number,
    options: AdminOptions & {
      /** Check everything, change nothing. */
      readonly isDryRun?: boolean;
    } = {},
  ): Promise<FeatureLevel> {
    const request = { name, level, isDryRun: options.isDryRun ?? false };
    const { feature } = await this.#calls.change("UpdateFeature", request, options);
    return answered(feature, "UpdateFeature");
  }
}

/** The wire has -1 for what is not known. */
function known(value: number): number | undefined {
  return value < 0 ? undefined : value;
}

function reassigned({ topic, partition, errorCode, errorMessage }: ReassignmentResult): ReassignedPartition {
  return { topic, partition, error: itemError(errorCode, errorMessage, `${topic}-${partition}`) };
}
