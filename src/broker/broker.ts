import { Deferred } from "../base/deferred.ts";
import { errorMessage, operationError } from "../base/errors.ts";
import type { Logger } from "../base/logger.ts";
import type { AlterConfigsCommand } from "../controller/configs.ts";
import { Controller } from "../controller/controller.ts";
import type { MetadataLog } from "../controller/metadata-log.ts";
import type { AddPartitionsCommand, NewTopic, TopicResult } from "../controller/topics.ts";
import type { MetadataImage } from "../metadata/image.ts";
import { describeBrokerConfig } from "../model/configs.ts";
import type { ConfigRow, ParsedBrokerConfig } from "../model/configs.ts";
import { nodeId } from "../model/ids.ts";
import type { ClusterId, NodeId } from "../model/ids.ts";
import type { Platform } from "../platform/platform.ts";
import type { FetchSession, FetchSink, FetchStreamOptions } from "./fetch-session.ts";
import type { FetchedPartition } from "./fetched-partition.ts";
import { FetchHandler } from "./handlers/fetch.ts";
import type { FetchCall } from "./handlers/fetch.ts";
import { MetadataHandler } from "./handlers/metadata.ts";
import type { ClusterMetadata, MetadataCall } from "./handlers/metadata.ts";
import { OffsetsHandler } from "./handlers/offsets.ts";
import type {
  DeleteRecordsPartition,
  DeleteRecordsResult,
  ListOffsetsPartition,
  ListOffsetsResult,
} from "./handlers/offsets.ts";
import { ProduceHandler } from "./handlers/produce.ts";
import type { ProduceCall, ProduceResult } from "./handlers/produce.ts";
import { ProducersHandler } from "./handlers/producers.ts";
import type { InitializedProducer } from "./handlers/producers.ts";
import { PublishHandler } from "./handlers/publish.ts";
import type { PublishCall, PublishResult } from "./handlers/publish.ts";
import { openSubscription } from "./handlers/subscribe.ts";
import type { SubscribeCall, SubscribeSink, Subscription } from "./handlers/subscribe.ts";
import { TopicsHandler } from "./handlers/topics.ts";
import type { PartitionLimits, TopicDescription, TopicListing } from "./handlers/topics.ts";
import { isLograftError } from "./lograft-error.ts";
import { PartitionTable } from "./partition-table.ts";
import { openStorage } from "./storage.ts";
import type { Storage } from "./storage.ts";
import { WorkGate } from "./work-gate.ts";

export interface BrokerOptions {
  /** As `parseBrokerConfig` gave it. The data is in the first of `log.dirs`. */
  readonly config: ParsedBrokerConfig;
  /** What clients are told to connect to; see `Broker.advertise` for a port that is known later. */
  readonly advertised: { readonly host: string; readonly port: number };
  /** Default: 50,000 partitions of a topic, 200,000 of all. */
  readonly limits?: PartitionLimits;
  /** Room that is kept on the disk for metadata that must be written when it is full. Default 0. */
  readonly diskReserveBytes?: number;
}

export interface BrokerDeps {
  readonly platform: Platform;
  readonly logger: Logger;
}

export type BrokerState = "running" | "closing" | "closed";

const DEFAULT_LIMITS: PartitionLimits = { maxTopicPartitions: 50_000, maxPartitions: 200_000 };
/** Metadata changes that may wait for the one that is being committed. */
const MAX_WAITING_COMMANDS = 1000;

/**
 * One broker without a wire: what every protocol, and the simulator, calls. Outcomes about a topic or partition are in
 * the results; a call throws LograftError CLOSED while the broker stops, BUFFER_EXHAUSTED when too much waits, DISK_*
 * when the metadata could not be stored.
 */
export class Broker implements AsyncDisposable {
  readonly nodeId: NodeId;
  readonly clusterId: ClusterId;
  /** Resolves with the error if a disk fails so that the broker must not go on: stop it and end the process (H15, H45). */
  readonly failure: Promise<Error>;
  readonly #config: ParsedBrokerConfig;
  readonly #platform: Platform;
  readonly #logger: Logger;
  readonly #storage: Storage;
  readonly #table: PartitionTable;
  readonly #controller: Controller;
  readonly #gate = new WorkGate();
  readonly #produce: ProduceHandler;
  readonly #publish: PublishHandler;
  readonly #fetch: FetchHandler;
  readonly #offsets: OffsetsHandler;
  readonly #producers: ProducersHandler;
  readonly #topics: TopicsHandler;
  readonly #metadata: MetadataHandler;
  #closing: Promise<void> | undefined;
  #isClosed = false;

  private constructor(options: BrokerOptions, deps: BrokerDeps, parts: BrokerParts) {
    const { storage, table, failure } = parts;
    const { clock, random } = deps.platform;
    const { config } = options.config;
    this.nodeId = nodeId(config.nodeId);
    this.clusterId = storage.clusterId;
    this.failure = failure.promise;
    this.#config = options.config;
    this.#platform = deps.platform;
    this.#logger = deps.logger;
    this.#storage = storage;
    this.#table = table;
    this.#controller = new Controller(
      { maxWaiting: MAX_WAITING_COMMANDS },
      {
        state: storage.state,
        log: failing(storage.metadataLog, (error) => failure.resolve(error)),
        onCommit: (delta) => table.apply(delta),
      },
    );
    const self = { nodeId: this.nodeId };
    this.#produce = new ProduceHandler(self, { table, clock });
    this.#publish = new PublishHandler({ table, produce: this.#produce, clock });
    this.#fetch = new FetchHandler(self, { table, clock });
    this.#offsets = new OffsetsHandler(self, { table });
    this.#producers = new ProducersHandler({ controller: this.#controller });
    this.#topics = new TopicsHandler(
      { config: options.config, limits: options.limits ?? DEFAULT_LIMITS },
      { controller: this.#controller, table, random },
    );
    this.#metadata = new MetadataHandler(
      {
        clusterId: this.clusterId,
        self: { nodeId: this.nodeId, ...options.advertised, rack: config.rack ?? "" },
        config,
      },
      { controller: this.#controller, topics: this.#topics },
    );
  }

  /**
   * Opens the data directory and serves. @throws LograftError DATA_DIR_LOCKED while another process has it,
   * METADATA_CORRUPT when what was acknowledged is not all there, CONFIG_INVALID, DATA_DIR_VERSION, DISK_*.
   */
  static async start(options: BrokerOptions, deps: BrokerDeps): Promise<Broker> {
    const { config } = options.config;
    const [directory] = config.logDirs;
    if (directory === undefined)
      throw operationError("CONFIG_INVALID", "log.dirs names no directory; name one");
    const { logger } = deps;
    const failure = new Deferred<Error>();
    // The logs ask for settings of topics, which are known only once the logs are open and the metadata is replayed.
    const hosted: { table?: PartitionTable } = {};
    const storage = await openStorage(
      { nodeId: nodeId(config.nodeId), directory, config, reserveBytes: options.diskReserveBytes ?? 0 },
      {
        platform: deps.platform,
        logger,
        configOf: (topic) => hosted.table?.topic(topic)?.logConfig,
        onFailure: (error) => failure.resolve(error),
      },
    );
    const table = new PartitionTable({ config }, { image: storage.state, logs: storage.logs, logger });
    hosted.table = table;
    for (const { topicPartition, topicId } of storage.leftovers) {
      table.deleteFiles(topicPartition.topic, topicId, [topicPartition.partition]);
    }
    const broker = new Broker(options, deps, { storage, table, failure });
    const { topicCount, partitionCount } = storage.state;
    logger.info("broker is up", {
      clusterId: broker.clusterId,
      topics: topicCount,
      partitions: partitionCount,
    });
    return broker;
  }

  get state(): BrokerState {
    if (this.#isClosed) return "closed";
    return this.#gate.isShut ? "closing" : "running";
  }

  /** The committed metadata. */
  get image(): MetadataImage {
    return this.#controller.image;
  }

  /** Open fetch sessions and calls in progress, for metrics. */
  get load(): { readonly sessions: number; readonly calls: number } {
    return { sessions: this.#fetch.sessionCount, calls: this.#gate.count };
  }

  /** The storage's shared parts, for metrics. */
  get storage(): Storage["logs"] {
    return this.#storage.logs;
  }

  /** What clients are told from now on, once the listener knows its port. */
  advertise(address: { readonly host: string; readonly port: number }): void {
    this.#metadata.advertise(address);
  }

  /** What a client needs to find its way; creates missing topics when the call and the configuration allow it. */
  metadata(call: MetadataCall): Promise<ClusterMetadata> {
    return this.#gate.run(() => this.#metadata.metadata(call));
  }

  /** Appends batches; one result for each partition, in order. The buffers are the broker's from now on. */
  produce(call: ProduceCall): Promise<readonly ProduceResult[]> {
    return this.#gate.run(() => this.#produce.produce(call));
  }

  /** Appends plain records; one result for each, in order. */
  publish(call: PublishCall): Promise<readonly PublishResult[]> {
    return this.#gate.run(() => this.#publish.publish(call));
  }

  /** One long poll; one result for each partition, in order. @throws the reason of `signal`. */
  fetch(call: FetchCall, signal: AbortSignal): Promise<readonly FetchedPartition[]> {
    return this.#gate.run(() => this.#fetch.fetch(call, signal));
  }

  /** A push session; close it. @throws LograftError CLOSED. */
  openFetch(options: FetchStreamOptions, sink: FetchSink): FetchSession {
    this.#gate.check();
    return this.#fetch.openSession(options, sink);
  }

  /** A push session of plain records; close it, or wait for its end. @throws LograftError CLOSED. */
  subscribe(call: SubscribeCall, sink: SubscribeSink): Subscription {
    this.#gate.check();
    return openSubscription(call, sink, { table: this.#table, fetch: this.#fetch, offsets: this.#offsets });
  }

  listOffsets(partitions: readonly ListOffsetsPartition[]): Promise<readonly ListOffsetsResult[]> {
    return this.#gate.run(() => this.#offsets.listOffsets(partitions));
  }

  deleteRecords(partitions: readonly DeleteRecordsPartition[]): Promise<readonly DeleteRecordsResult[]> {
    return this.#gate.run(() => this.#offsets.deleteRecords(partitions));
  }

  /** A producer id that nobody had before. */
  initProducer(): Promise<InitializedProducer> {
    return this.#gate.run(() => this.#producers.initProducer());
  }

  createTopics(call: {
    readonly topics: readonly NewTopic[];
    readonly validateOnly: boolean;
  }): Promise<readonly TopicResult[]> {
    return this.#gate.run(() => this.#topics.create(call));
  }

  deleteTopics(names: readonly string[]): Promise<readonly TopicResult[]> {
    return this.#gate.run(() => this.#topics.delete(names));
  }

  createPartitions(call: Omit<AddPartitionsCommand, "brokers">): Promise<TopicResult> {
    return this.#gate.run(() => this.#topics.addPartitions(call));
  }

  alterTopicConfigs(call: AlterConfigsCommand): Promise<TopicResult> {
    return this.#gate.run(() => this.#topics.alterConfigs(call));
  }

  listTopics(call: { readonly includeInternal: boolean }): readonly TopicListing[] {
    this.#gate.check();
    return this.#topics.list(call);
  }

  describeTopics(names: readonly string[]): Promise<readonly TopicDescription[]> {
    return this.#gate.run(() => this.#topics.describe(names));
  }

  /** Every configuration key of this broker with its value and source. */
  describeBrokerConfig(): readonly ConfigRow[] {
    return describeBrokerConfig(this.#config);
  }

  /**
   * Refuses new work, ends sessions and long polls, lets calls in progress finish (for `shutdown.timeout.ms` at most),
   * makes everything durable and marks the stop as clean. Idempotent.
   */
  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  async #close(): Promise<void> {
    const { metadataLog, logs, brokerEpoch } = this.#storage;
    this.#gate.shut();
    this.#fetch.close(
      operationError("CLOSED", "the broker is stopping; ask another one", { retriable: true }),
    );
    const isEmpty = await this.#gate.empty(this.#platform.clock, this.#config.config.shutdownTimeoutMs);
    if (!isEmpty)
      this.#logger.warn("calls are still in progress and are cut off", { calls: this.#gate.count });
    await this.#controller.close();
    await this.#table.idle();
    try {
      await metadataLog.close();
    } catch (error: unknown) {
      this.#logger.error("the metadata log could not be closed in order", { cause: errorMessage(error) });
    }
    // Last, because its marker says that everything before it went well, and because it gives the lock away.
    await logs.close({ brokerEpoch });
    this.#isClosed = true;
    this.#logger.info("broker is down");
  }
}

interface BrokerParts {
  readonly storage: Storage;
  readonly table: PartitionTable;
  readonly failure: Deferred<Error>;
}

/** The log, with its failures told to the broker as well as to the caller. */
function failing(log: MetadataLog, onFailure: (error: Error) => void): MetadataLog {
  return {
    replayAll: (visit) => log.replayAll(visit),
    close: () => log.close(),
    append: async (records) => {
      try {
        return await log.append(records);
      } catch (error: unknown) {
        // A full disk refused the records before they were written; anything else leaves the store in doubt.
        const isInDoubt =
          isLograftError(error) && error.code.startsWith("DISK_") && error.code !== "DISK_FULL";
        if (isInDoubt) onFailure(error);
        throw error;
      }
    },
  };
}
