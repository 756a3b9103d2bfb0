import { deadlineSignal } from "../base/abort.ts";
import { Backoff } from "../base/backoff.ts";
import { operationError } from "../base/errors.ts";
import { ProtocolError, refreshesMetadata } from "../model/error-code.ts";
import { shownTopic } from "../model/topic-partition.ts";
import { AdminCalls, checked, itemError, MAX_ROUNDS } from "./admin-calls.ts";
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
import { ClusterAdmin } from "./cluster-admin.ts";
import type { PointInTime, TopicPartitionRef } from "./consumer-types.ts";
import { describeTopics } from "./topic-details.ts";
import { listOffsetsAt, lookupTimestamp, type FoundOffset } from "./offset-lookup.ts";
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
 * Topics, their configuration, and (inherited) the cluster. Questions go to any broker that answers; changes go once, to
 * a broker that has just answered, because a change whose answer was lost may have been made.
 */
export class Admin extends ClusterAdmin {
  readonly #context: ClientContext;
  readonly #calls: AdminCalls;

  /** Made by `LograftClient.admin`. */
  constructor(deps: { readonly context: ClientContext }) {
    const calls = new AdminCalls(deps);
    super({ calls });
    this.#context = deps.context;
    this.#calls = calls;
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
    const found = await this.#atLeaders(partitions, options, async (address, group, signal, timeoutMs) => {
      const answer = await this.#context.transport.call(
        address,
        "DeleteRecords",
        { partitions: group },
        { timeoutMs, signal },
      );
      return group.map(({ topic, partition }) => deletedRecords(answer.results, topic, partition));
    });
    return checked(found, options);
  }

  /** Offsets of a position in each partition, in the order asked. @throws ProtocolError UNKNOWN_TOPIC_OR_PARTITION... */
  async listOffsets(
    partitions: readonly TopicPartitionRef[],
    position: "beginning" | "end" | "latest-timestamp" | PointInTime | { readonly timestamp: number },
    options: AdminOptions = {},
  ): Promise<FoundOffset[]> {
    const timestampMs = lookupTimestamp(position);
    const found = await this.#atLeaders(partitions, options, (address, group, signal, timeoutMs) => {
      const wanted = group.map(({ topic, partition }) => ({ topic, partition, timestampMs }));
      return listOffsetsAt(this.#context, address, wanted, { timeoutMs, signal });
    });
    return found.map((result) => {
      if (result instanceof ProtocolError) throw result;
      return result;
    });
  }

  /** Of a broker by its address ("host:port"), else of one that answers. */
  describeBrokerConfig(options: AdminOptions & { readonly address?: string } = {}): Promise<BrokerConfig> {
    return this.#calls.askAt(options.address, "DescribeBrokerConfig", {}, options);
  }

  /** Splits the items by leader, asks each leader, and answers in the order of the items; old leaders are asked again. */
  async #atLeaders<I extends TopicPartitionRef, R extends DeletedRecords | FoundOffset | ProtocolError>(
    items: readonly I[],
    options: AdminOptions,
    call: (
      address: string,
      group: readonly I[],
      signal: AbortSignal,
      timeoutMs: number,
    ) => Promise<readonly R[]>,
  ): Promise<R[]> {
    const { timeoutMs } = this.#calls.bounds(options);
    const { metadata, clock } = this.#context;
    const backoff = new Backoff(this.#context.retry, this.#context);
    using deadline = deadlineSignal(clock, timeoutMs, options.signal);
    const results = new Map<I, R>();
    const { signal } = deadline;
    for (const topic of new Set(items.map((item) => item.topic))) {
      await metadata.waitForTopic(topic, { timeoutMs, allowAutoCreate: false, signal });
    }
    // Partitions may have been added since.
    const isKnown = (item: I): boolean =>
      metadata.topic(item.topic)?.partitions[item.partition] !== undefined;
    if (!items.every(isKnown)) await metadata.refresh({ timeoutMs, signal });
    for (let round = 0; results.size < items.length; round++) {
      const groups = new Map<string, I[]>();
      for (const item of items) {
        if (results.has(item)) continue;
        const leaderId = this.#leaderOf(item);
        const address = leaderId < 0 ? undefined : metadata.addressOf(leaderId);
        if (address !== undefined) groups.set(address, [...(groups.get(address) ?? []), item]);
      }
      for (const [address, group] of groups) {
        const isLast = round + 1 >= MAX_ROUNDS;
        const answers = await call(address, group, signal, timeoutMs);
        for (const [index, item] of group.entries()) {
          const answer = answers[index];
          const error = answer === undefined ? undefined : errorOfItem(answer);
          const isStale = error !== undefined && refreshesMetadata(error.code) && !isLast;
          if (answer !== undefined && !isStale) results.set(item, answer);
        }
      }
      if (results.size === items.length) break;
      await clock.sleep(backoff.nextMs(), signal);
      await metadata.refresh({ timeoutMs, signal });
    }
    return items.map((item) => results.get(item)).filter((result) => result !== undefined);
  }

  #leaderOf({ topic, partition }: TopicPartitionRef): number {
    const info = this.#context.metadata.topic(topic);
    const found = info?.partitions[partition];
    if (info === undefined || found !== undefined) return found?.leaderId ?? -1;
    throw operationError(
      "INVALID_ARGUMENT",
      `topic ${topic} has partitions 0 to ${info.partitions.length - 1}, not ${partition}`,
    );
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

function errorOfItem(item: DeletedRecords | FoundOffset | ProtocolError): ProtocolError | undefined {
  if (item instanceof ProtocolError) return item;
  return "error" in item ? item.error : undefined;
}
