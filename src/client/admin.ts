import { ProtocolError } from "../model/error-code.ts";
import { shownTopic } from "../model/topic-partition.ts";
import { AdminCalls, checked, itemError } from "./admin-calls.ts";
import type {
  AdminOptions,
  BrokerConfig,
  ConfigChange,
  DeletedRecords,
  DeleteRecordsSpec,
  ItemOptions,
  NewTopicSpec,
  TopicDetails,
  TopicOutcome,
  TopicSummary,
  ValidateOptions,
} from "./admin-types.ts";
import type { ClientContext } from "./client-context.ts";
import type { TopicPartitionRef } from "./consumer-types.ts";
import { GroupAdmin } from "./group-admin.ts";
import { LeaderCalls, type LookupPosition } from "./leader-calls.ts";
import type { FoundOffset } from "./offset-lookup.ts";
import { describeTopics } from "./topic-details.ts";
import type { DeleteRecordsResult } from "../rpc/admin-messages.ts";

interface WireTopicResult {
  readonly name: string;
  readonly topicId: Buffer;
  readonly errorCode: number;
  readonly errorMessage: string;
  readonly partitions: number;
  readonly replicationFactor: number;
}

/**
 * Topics, their configuration, and (inherited) groups and the cluster. Questions go to any broker that answers; changes
 * go once, to a broker that has just answered, because a change whose answer was lost may have been made.
 */
export class Admin extends GroupAdmin {
  readonly #context: ClientContext;
  readonly #calls: AdminCalls;
  readonly #leaders: LeaderCalls;

  /** Made by `LograftClient.admin`. */
  constructor(deps: { readonly context: ClientContext }) {
    const calls = new AdminCalls(deps);
    const leaders = new LeaderCalls({ context: deps.context, calls });
    super({ context: deps.context, calls, leaders });
    this.#context = deps.context;
    this.#calls = calls;
    this.#leaders = leaders;
  }

  /** @throws ProtocolError TOPIC_ALREADY_EXISTS, INVALID_TOPIC_EXCEPTION, INVALID_PARTITIONS, INVALID_CONFIG... */
  async createTopics(
    topics: readonly NewTopicSpec[],
    options: ItemOptions & ValidateOptions = {},
  ): Promise<TopicOutcome[]> {
    const request = {
      topics: topics.map(({ name, partitions = 0, replicationFactor = 0, configs = {} }) => ({
        name,
        partitions,
        replicationFactor,
        configs,
      })),
      validateOnly: options.validateOnly ?? false,
    };
    const { results } = await this.#calls.change("CreateTopics", request, options);
    return checked(results.map(topicOutcome), options);
  }

  /** @throws ProtocolError UNKNOWN_TOPIC_OR_PARTITION... */
  async deleteTopics(names: readonly string[], options: ItemOptions = {}): Promise<TopicOutcome[]> {
    const { results } = await this.#calls.change("DeleteTopics", { names }, options);
    return checked(results.map(topicOutcome), options);
  }

  async listTopics(
    options: AdminOptions & { readonly includeInternal?: boolean } = {},
  ): Promise<TopicSummary[]> {
    const { topics } = await this.#calls.ask(
      "ListTopics",
      { includeInternal: options.includeInternal ?? false },
      options,
    );
    return topics.map(({ topicId, ...topic }) => ({ ...topic, topicId: topicId.toString("base64url") }));
  }

  /**
   * Where topics are, what they are set to, and how far each partition goes as its leader says. @throws ProtocolError
   * UNKNOWN_TOPIC_OR_PARTITION...
   */
  async describeTopics(names: readonly string[], options: ItemOptions = {}): Promise<TopicDetails[]> {
    const details = await describeTopics(this.#calls, names, options);
    return checked(details, options);
  }

  /** @throws ProtocolError INVALID_CONFIG, UNKNOWN_TOPIC_OR_PARTITION... */
  async alterTopicConfigs(name: string, change: ConfigChange & ValidateOptions): Promise<void> {
    const request = {
      name,
      set: change.set ?? {},
      unset: change.unset ?? [],
      validateOnly: change.validateOnly ?? false,
    };
    const { result } = await this.#calls.change("AlterTopicConfigs", request, change);
    if (result !== null) checked([topicOutcome(result)], {});
  }

  /** @param total the new count, more than now. @throws ProtocolError INVALID_PARTITIONS... */
  async createPartitions(name: string, total: number, options: ValidateOptions = {}): Promise<void> {
    const request = { name, totalPartitions: total, validateOnly: options.validateOnly ?? false };
    const { result } = await this.#calls.change("CreatePartitions", request, options);
    if (result !== null) checked([topicOutcome(result)], {});
    // The producers and consumers of this client need not wait for the age of their metadata.
    this.#context.metadata.requestUpdate();
  }

  /** Removes records below an offset; asks the leaders. @throws ProtocolError OFFSET_OUT_OF_RANGE... */
  async deleteRecords(
    partitions: readonly DeleteRecordsSpec[],
    options: ItemOptions = {},
  ): Promise<DeletedRecords[]> {
    const found = await this.#leaders.atLeaders(
      partitions,
      options,
      async (address, group, signal, timeoutMs) => {
        const answer = await this.#context.transport.call(
          address,
          "DeleteRecords",
          { partitions: group },
          { timeoutMs, signal },
        );
        return group.map(({ topic, partition }) => deletedRecords(answer.results, topic, partition));
      },
    );
    return checked(found, options);
  }

  /** Offsets of a position in each partition, in the order asked. @throws ProtocolError UNKNOWN_TOPIC_OR_PARTITION... */
  async listOffsets(
    partitions: readonly TopicPartitionRef[],
    position: LookupPosition,
    options: AdminOptions = {},
  ): Promise<FoundOffset[]> {
    const found = await this.#leaders.listOffsets(partitions, position, options);
    return found.map((result) => {
      if (result instanceof ProtocolError) throw result;
      return result;
    });
  }

  /** Of a broker by its address ("host:port"), else of one that answers. */
  describeBrokerConfig(options: AdminOptions & { readonly address?: string } = {}): Promise<BrokerConfig> {
    return this.#calls.askAt(options.address, "DescribeBrokerConfig", {}, options);
  }
}

function topicOutcome(result: WireTopicResult): TopicOutcome {
  return {
    name: result.name,
    topicId: result.errorCode === 0 ? result.topicId.toString("base64url") : "",
    partitions: result.partitions,
    replicationFactor: result.replicationFactor,
    error: itemError(result.errorCode, result.errorMessage, `topic ${shownTopic(result.name)}`),
  };
}

function deletedRecords(
  results: readonly DeleteRecordsResult[],
  topic: string,
  partition: number,
): DeletedRecords {
  const result = results.find((item) => item.topic === topic && item.partition === partition);
  const error =
    result === undefined
      ? new ProtocolError("UNKNOWN_SERVER_ERROR", `${topic}-${partition} is missing in the answer`)
      : itemError(result.errorCode, result.errorMessage, `${topic}-${partition}`);
  return {
    topic,
    partition,
    logStartOffset: error === undefined ? (result?.logStartOffset ?? -1) : -1,
    error,
  };
}
