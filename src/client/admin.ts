import { deadlineSignal } from "../base/abort.ts";
import { Backoff } from "../base/backoff.ts";
import { type LograftError, operationError } from "../base/errors.ts";
import { errorNameOf, ProtocolError, refreshesMetadata } from "../model/error-code.ts";
import { shownTopic } from "../model/topic-partition.ts";
import type {
  AdminOptions,
  BrokerConfig,
  ClusterDetails,
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
import { isLograftError } from "./errors.ts";
import type { PointInTime, TopicPartitionRef } from "./consumer-types.ts";
import { listOffsetsAt, lookupTimestamp, type FoundOffset } from "./offset-lookup.ts";
import type { UnaryMethod, UnaryMethods } from "./transport.ts";
import type { DeleteRecordsResult } from "../rpc/admin-messages.ts";

/** The error of one item of an answer, or undefined. */
function itemError(errorCode: number, message: string, what: string): ProtocolError | undefined {
  if (errorCode === 0) return undefined;
  const name = errorNameOf(errorCode);
  return new ProtocolError(name, `${what}: ${message === "" ? name : message}`, { context: { what } });
}

interface WireTopicResult {
  readonly name: string;
  readonly topicId: Buffer;
  readonly errorCode: number;
  readonly errorMessage: string;
  readonly partitions: number;
  readonly replicationFactor: number;
}

/**
 * Topics, their configuration, and the cluster. Questions go to any broker that answers; changes go once, to a broker
 * that has just answered, because a change whose answer was lost may have been made.
 */
export class Admin {
  readonly #context: ClientContext;

  /** Made by `LograftClient.admin`. */
  constructor(deps: { readonly context: ClientContext }) {
    this.#context = deps.context;
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
    const { results } = await this.#change("CreateTopics", request, options);
    return checked(results.map(topicOutcome), options);
  }

  /** @throws ProtocolError UNKNOWN_TOPIC_OR_PARTITION... */
  async deleteTopics(names: readonly string[], options: ItemOptions = {}): Promise<TopicOutcome[]> {
    const { results } = await this.#change("DeleteTopics", { names }, options);
    return checked(results.map(topicOutcome), options);
  }

  async listTopics(
    options: AdminOptions & { readonly includeInternal?: boolean } = {},
  ): Promise<TopicSummary[]> {
    const { topics } = await this.#ask(
      "ListTopics",
      { includeInternal: options.includeInternal ?? false },
      options,
    );
    return topics.map(({ topicId, ...topic }) => ({ ...topic, topicId: topicId.toString("base64url") }));
  }

  /** @throws ProtocolError UNKNOWN_TOPIC_OR_PARTITION... */
  async describeTopics(names: readonly string[], options: ItemOptions = {}): Promise<TopicDetails[]> {
    const { topics } = await this.#ask("DescribeTopics", { names }, options);
    const details = topics.map((topic): TopicDetails => ({
      name: topic.name,
      topicId: topic.topicId.toString("base64url"),
      isInternal: topic.isInternal,
      configs: topic.configs,
      error: itemError(topic.errorCode, topic.errorMessage, `topic ${shownTopic(topic.name)}`),
      partitions: topic.partitions.map(({ errorCode, errorMessage, ...partition }) => ({
        ...partition,
        error: itemError(errorCode, errorMessage, `${topic.name}-${partition.partition}`),
      })),
    }));
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
    const { result } = await this.#change("AlterTopicConfigs", request, change);
    if (result !== null) checked([topicOutcome(result)], {});
  }

  /** @param total the new count, more than now. @throws ProtocolError INVALID_PARTITIONS... */
  async createPartitions(name: string, total: number, options: ValidateOptions = {}): Promise<void> {
    const request = { name, totalPartitions: total, validateOnly: options.validateOnly ?? false };
    const { result } = await this.#change("CreatePartitions", request, options);
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

  async describeCluster(options: AdminOptions = {}): Promise<ClusterDetails> {
    const request = { topics: [], allTopics: false, allowAutoCreate: false };
    const { clusterId, controllerId, brokers, features, maxBatchBytes } = await this.#ask(
      "Metadata",
      request,
      options,
    );
    return { clusterId, controllerId, brokers, features, maxBatchBytes };
  }

  /** Of a broker by its address ("host:port"), else of one that answers. */
  describeBrokerConfig(options: AdminOptions & { readonly address?: string } = {}): Promise<BrokerConfig> {
    if (options.address === undefined) return this.#ask("DescribeBrokerConfig", {}, options);
    return this.#context.transport.call(options.address, "DescribeBrokerConfig", {}, this.#bounds(options));
  }

  #bounds(options: AdminOptions): { readonly timeoutMs: number; readonly signal?: AbortSignal } {
    const timeoutMs = options.timeoutMs ?? this.#context.requestTimeoutMs;
    return options.signal === undefined ? { timeoutMs } : { timeoutMs, signal: options.signal };
  }

  /** A question: brokers are asked one after the other until one answers. */
  async #ask<M extends UnaryMethod>(
    method: M,
    request: UnaryMethods[M]["request"],
    options: AdminOptions,
  ): Promise<UnaryMethods[M]["response"]> {
    const found = await this.#firstAnswer(options, (address, bounds) =>
      this.#context.transport.call(address, method, request, bounds),
    );
    return found.answer;
  }

  async #change<M extends UnaryMethod>(
    method: M,
    request: UnaryMethods[M]["request"],
    options: AdminOptions,
  ): Promise<UnaryMethods[M]["response"]> {
    const probe = { topics: [], allTopics: false, allowAutoCreate: false };
    const { address } = await this.#firstAnswer(options, (candidate, bounds) =>
      this.#context.transport.call(candidate, "Metadata", probe, bounds),
    );
    return this.#context.transport.call(address, method, request, this.#bounds(options));
  }

  async #firstAnswer<T>(
    options: AdminOptions,
    call: (
      address: string,
      bounds: { readonly timeoutMs: number; readonly signal: AbortSignal },
    ) => Promise<T>,
  ): Promise<{ readonly address: string; readonly answer: T }> {
    const { timeoutMs } = this.#bounds(options);
    const backoff = new Backoff(this.#context.retry, this.#context);
    using deadline = deadlineSignal(this.#context.clock, timeoutMs, options.signal);
    let failure: LograftError | undefined;
    for (let round = 0; round < MAX_ROUNDS; round++) {
      for (const address of this.#context.metadata.candidates()) {
        try {
          const answer = await call(address, { timeoutMs, signal: deadline.signal });
          return { address, answer };
        } catch (error: unknown) {
          if (!isLograftError(error) || !error.retriable || deadline.signal.aborted) {
            throw deadline.signal.aborted ? (failure ?? error) : error;
          }
          failure = error;
        }
      }
      if (round + 1 < MAX_ROUNDS) await this.#context.clock.sleep(backoff.nextMs(), deadline.signal);
    }
    throw (
      failure ?? operationError("CONFIG_INVALID", "there is no broker to ask: the list of brokers is empty")
    );
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
    const { timeoutMs } = this.#bounds(options);
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

/** Passes over the known brokers before a question fails; within the deadline anyway. */
const MAX_ROUNDS = 4;

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

function checked<T extends { readonly error: ProtocolError | undefined }>(
  items: T[],
  options: ItemOptions,
): T[] {
  if (options.throwOnError === false) return items;
  for (const { error } of items) if (error !== undefined) throw error;
  return items;
}
