import { operationError } from "../base/errors.ts";
import type { Logger } from "../base/logger.ts";
import type { AlterConfigsCommand } from "../controller/configs.ts";
import type { AddPartitionsCommand, NewTopic, TopicResult } from "../controller/topics.ts";
import type { LogManager } from "../log/log-manager.ts";
import type { MetadataImage } from "../metadata/image.ts";
import type { ClientListener } from "../metadata/records.ts";
import { describeBrokerConfig } from "../model/configs.ts";
import type { ConfigRow, ParsedBrokerConfig } from "../model/configs.ts";
import { randomClusterId, UUID_BYTES } from "../model/ids.ts";
import type { ClusterId, NodeId } from "../model/ids.ts";
import type { Platform } from "../platform/platform.ts";
import type { BrokerDeps, BrokerOptions } from "./broker-options.ts";
import { assembleBroker } from "./broker-parts.ts";
import type { BrokerParts } from "./broker-parts.ts";
import type { ClusterOperations } from "./cluster-view.ts";
import type { FetchSession, FetchSink, FetchStreamOptions } from "./fetch-session.ts";
import type { FetchedPartition } from "./fetched-partition.ts";
import type { FetchCall } from "./handlers/fetch.ts";
import type { ClusterMetadata, MetadataCall } from "./handlers/metadata.ts";
import type {
  DeleteRecordsPartition,
  DeleteRecordsResult,
  ListOffsetsPartition,
  ListOffsetsResult,
} from "./handlers/offsets.ts";
import type { ProduceCall, ProduceResult } from "./handlers/produce.ts";
import type { InitializedProducer } from "./handlers/producers.ts";
import type { PublishCall, PublishResult } from "./handlers/publish.ts";
import { openSubscription } from "./handlers/subscribe.ts";
import type { SubscribeCall, SubscribeSink, Subscription } from "./handlers/subscribe.ts";
import type { TopicDescription, TopicListing } from "./handlers/topics.ts";
import type { Partition } from "./partition.ts";
import type { PeerEndpoint } from "./peer-endpoint.ts";
import type { GroupCoordinator } from "./group-coordinator.ts";
import { BrokerMetrics } from "./metrics/broker-metrics.ts";
import { readinessChecks } from "./readiness.ts";
import type { ReadinessCheck } from "./readiness.ts";
import type { RequestMeter } from "./request-meter.ts";
import { WorkGate } from "./work-gate.ts";

export type { BrokerDeps, BrokerOptions } from "./broker-options.ts";

/** What clients are told to connect to. */
export interface ClientAddress {
  readonly host: string;
  readonly port: number;
  /** By listener, when there are several; the address above is that of the first. Default: there is one. */
  readonly listeners?: readonly ClientListener[];
}

export type BrokerState = "starting" | "running" | "closing" | "closed";

/**
 * One broker without a wire: what every protocol, and the simulator, calls. Outcomes about a topic or partition are in
 * the results; a call throws LograftError NO_QUORUM before the broker has joined its cluster and where a change finds no
 * controller, CLOSED while the broker stops, BUFFER_EXHAUSTED when too much waits, DISK_* when the metadata could not be
 * stored.
 */
export class Broker implements AsyncDisposable {
  readonly nodeId: NodeId;
  /** Resolves with the error after which the broker must not go on: stop it and end the process (H15, H45). */
  readonly failure: Promise<Error>;
  /** What `/metrics` tells of this broker. */
  readonly metrics: BrokerMetrics;
  readonly #config: ParsedBrokerConfig;
  readonly #platform: Platform;
  readonly #logger: Logger;
  readonly #parts: BrokerParts;
  readonly #gate: WorkGate;
  #brokerEpoch: number | undefined;
  #closing: Promise<void> | undefined;
  #isClosed = false;

  private constructor(options: BrokerOptions, deps: BrokerDeps, parts: BrokerParts) {
    this.nodeId = parts.node.nodeId;
    this.failure = parts.failure;
    this.#config = options.config;
    this.#platform = deps.platform;
    this.#logger = deps.logger;
    this.#parts = parts;
    this.#gate = new WorkGate({ isOpen: false, nodeId: this.nodeId });
    this.metrics = new BrokerMetrics(options.config.config, {
      parts,
      disk: deps.platform.disk,
      clock: deps.platform.clock,
      callsInProgress: () => this.#gate.count,
    });
  }

  /**
   * Opens the data directory. The broker answers its peers from now on, and clients once it has joined.
   * @throws LograftError DATA_DIR_LOCKED while another process has it, METADATA_CORRUPT when what was acknowledged is not
   * all there and nobody else has it, CONFIG_INVALID, DATA_DIR_VERSION, DISK_*.
   */
  static async open(options: BrokerOptions, deps: BrokerDeps): Promise<Broker> {
    return new Broker(options, deps, await assembleBroker(options, deps));
  }

  /** Opens, takes part in the quorum, joins the cluster. @throws as `open` and `join`. */
  static async start(
    options: BrokerOptions & { readonly advertised: ClientAddress },
    deps: BrokerDeps,
  ): Promise<Broker> {
    const broker = await Broker.open(options, deps);
    try {
      broker.takePart();
      await broker.join(options.advertised, new AbortController().signal);
      return broker;
    } catch (error: unknown) {
      await broker.close();
      throw error;
    }
  }

  /** Founds or joins the quorum, votes, follows. For after the peer listener is there. */
  takePart(): void {
    this.#parts.node.start();
  }

  /**
   * Registers with the controller and serves clients from when the cluster counts on it. Waits as long as there is no
   * controller. @throws ProtocolError INVALID_REGISTRATION and others when the cluster refuses this broker; the failure
   * that ended it; ABORTED with `signal`.
   */
  async join(advertised: ClientAddress, signal: AbortSignal): Promise<void> {
    const { node, logs } = this.#parts;
    const { config } = this.#config;
    const { brokerEpoch } = await Promise.race([
      node.join(
        {
          host: advertised.host,
          port: advertised.port,
          listeners: advertised.listeners ?? [],
          incarnationId: randomClusterId(this.#platform.random.bytes(UUID_BYTES)),
          directoryId: logs.directoryId,
          rack: config.rack ?? null,
          brokerHost: config.host ?? null,
          wasCleanShutdown: logs.wasCleanShutdown,
          previousBrokerEpoch: logs.previousBrokerEpoch,
        },
        signal,
      ),
      this.failure.then((error) => Promise.reject(error)),
    ]);
    this.#brokerEpoch = brokerEpoch;
    this.#parts.replicas.start();
    this.#parts.groups.start();
    this.#gate.open();
    const { topicCount, partitionCount } = this.image;
    this.#logger.info("broker is up", {
      clusterId: this.clusterId,
      brokerEpoch,
      topics: topicCount,
      partitions: partitionCount,
    });
  }

  /** @throws LograftError NO_QUORUM before this broker belongs to a cluster. */
  get clusterId(): ClusterId {
    return this.#parts.metadata.clusterId;
  }

  /** What other brokers ask of this one. */
  get peer(): PeerEndpoint {
    return this.#parts.node;
  }

  /** The cluster as a whole: also answered while this broker has not joined or has lost its quorum. */
  get cluster(): ClusterOperations {
    return this.#parts.cluster;
  }

  /** Consumer groups: those that this broker coordinates, and where the others are. */
  get groups(): GroupCoordinator {
    return this.#parts.groups;
  }

  get state(): BrokerState {
    if (this.#isClosed) return "closed";
    if (this.#gate.isShut) return "closing";
    return this.#brokerEpoch === undefined ? "starting" : "running";
  }

  /** Whether clients should come to this broker, and why not. */
  get readiness(): readonly ReadinessCheck[] {
    const { node, fullDisk, logs } = this.#parts;
    return readinessChecks({
      nodeId: this.nodeId,
      state: this.state,
      controllerId: node.quorum.role.leader?.nodeId ?? -1,
      isContactLost: node.isContactLost,
      isFenced: this.image.broker(this.nodeId)?.isFenced !== false,
      isDiskFull: fullDisk.isFull,
      isDiskFailed: logs.isOffline,
    });
  }

  /** Where whoever answers requests counts them, for metrics. */
  get requests(): RequestMeter {
    return this.#parts.requests;
  }

  /** The committed metadata. */
  get image(): MetadataImage {
    return this.#parts.node.image;
  }

  /** Open fetch sessions and calls in progress, for metrics. */
  get load(): { readonly sessions: number; readonly calls: number } {
    return { sessions: this.#parts.fetch.sessionCount, calls: this.#gate.count };
  }

  /** Partitions that somebody has used since the start, with their roles; for metrics and those who watch. */
  get partitions(): Iterable<Partition> {
    return this.#parts.table.inUse();
  }

  /** The storage's shared parts, for metrics. */
  get storage(): LogManager {
    return this.#parts.logs;
  }

  /** Free space for this process where the data directory is. @throws LograftError DISK_READ_FAILED. */
  freeDiskBytes(): Promise<number> {
    const [directory = "."] = this.#config.config.logDirs;
    return this.#platform.disk.freeBytes(directory);
  }

  /** What a client needs to find its way; creates missing topics when the call and the configuration allow it. */
  metadata(call: MetadataCall): Promise<ClusterMetadata> {
    return this.#gate.run(() => this.#parts.clientMetadata.metadata(call));
  }

  /** Appends batches; one result for each partition, in order. The buffers are the broker's from now on. */
  produce(call: ProduceCall): Promise<readonly ProduceResult[]> {
    return this.#gate.run(() => this.#parts.produce.produce(call));
  }

  /** Appends plain records; one result for each, in order. */
  publish(call: PublishCall): Promise<readonly PublishResult[]> {
    return this.#gate.run(() => this.#parts.publish.publish(call));
  }

  /** One long poll; one result for each partition, in order. @throws the reason of `signal`. */
  fetch(call: FetchCall, signal: AbortSignal): Promise<readonly FetchedPartition[]> {
    return this.#gate.run(() => this.#parts.fetch.fetch(call, signal));
  }

  /** A push session; close it. @throws LograftError CLOSED. */
  openFetch(options: FetchStreamOptions, sink: FetchSink): FetchSession {
    this.#gate.check();
    return this.#parts.fetch.openSession(options, sink);
  }

  /** A push session of plain records; close it, or wait for its end. @throws LograftError CLOSED. */
  subscribe(call: SubscribeCall, sink: SubscribeSink): Subscription {
    this.#gate.check();
    return openSubscription(call, sink, this.#parts);
  }

  listOffsets(partitions: readonly ListOffsetsPartition[]): Promise<readonly ListOffsetsResult[]> {
    return this.#gate.run(() => this.#parts.offsets.listOffsets(partitions));
  }

  deleteRecords(partitions: readonly DeleteRecordsPartition[]): Promise<readonly DeleteRecordsResult[]> {
    return this.#gate.run(() => this.#parts.offsets.deleteRecords(partitions));
  }

  /** A producer id that nobody had before. */
  initProducer(): Promise<InitializedProducer> {
    return this.#gate.run(() => this.#parts.producers.initProducer());
  }

  createTopics(call: {
    readonly topics: readonly NewTopic[];
    readonly validateOnly: boolean;
  }): Promise<readonly TopicResult[]> {
    return this.#gate.run(() => this.#parts.topics.create(call));
  }

  deleteTopics(names: readonly string[]): Promise<readonly TopicResult[]> {
    return this.#gate.run(() => this.#parts.topics.delete(names));
  }

  createPartitions(
    call: Pick<AddPartitionsCommand, "name" | "totalPartitions" | "validateOnly">,
  ): Promise<TopicResult> {
    return this.#gate.run(() => this.#parts.topics.addPartitions(call));
  }

  alterTopicConfigs(call: AlterConfigsCommand): Promise<TopicResult> {
    return this.#gate.run(() => this.#parts.topics.alterConfigs(call));
  }

  listTopics(call: { readonly includeInternal: boolean }): readonly TopicListing[] {
    this.#gate.check();
    return this.#parts.topics.list(call);
  }

  describeTopics(names: readonly string[]): Promise<readonly TopicDescription[]> {
    return this.#gate.run(() => this.#parts.topics.describe(names));
  }

  /** Every configuration key of this broker with its value and source. */
  describeBrokerConfig(): readonly ConfigRow[] {
    return describeBrokerConfig(this.#config);
  }

  /**
   * Refuses new work, ends sessions and long polls, lets calls in progress finish (for half of `shutdown.timeout.ms` at
   * most), makes everything durable and marks the stop as clean. Idempotent.
   */
  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  async #close(): Promise<void> {
    const { node, logs, table, fetch, replicas, senders, isrUpdates, repair, watermarks, fullDisk } =
      this.#parts;
    // While clients are still served: leaderships move to others first.
    if (this.#brokerEpoch !== undefined) await node.leave(LEAVE_TIMEOUT_MS);
    this.#gate.shut();
    fetch.close(operationError("CLOSED", "the broker is stopping; ask another one", { retriable: true }));
    await this.#finishCalls();
    replicas.close();
    senders.close();
    isrUpdates.close();
    repair.close();
    await fullDisk.close();
    await node.close();
    await table.idle();
    await watermarks.close();
    // Last, because its marker says that everything before it went well, and because it gives the lock away. Without an
    // epoch there is no marker: what was found stays as it is.
    await logs.close(this.#brokerEpoch === undefined ? undefined : { brokerEpoch: this.#brokerEpoch });
    this.#isClosed = true;
    this.#logger.info("broker is down");
  }

  /**
   * Lets calls in progress end, and ends what they wait for when it will not come: replicas that have gone answer no more,
   * and when the controller is gone too nobody takes a leadership away, which is what else would end such a wait.
   */
  async #finishCalls(): Promise<void> {
    const { clock } = this.#platform;
    const groups = this.#parts.groups.close();
    const replied = new AbortController();
    const late = clock.sleep(REPLICATION_GRACE_MS, replied.signal).catch(() => undefined);
    await Promise.race([Promise.all([groups, this.#gate.empty(clock, REPLICATION_GRACE_MS)]), late]);
    replied.abort();
    this.#parts.table.stopLeading();
    await groups;
    // Half of the time, so that there is some left for making everything durable.
    const isEmpty = await this.#gate.empty(clock, this.#config.config.shutdownTimeoutMs / 2);
    if (!isEmpty)
      this.#logger.warn("calls are still in progress and are cut off", { calls: this.#gate.count });
  }
}

/** For giving leaderships to others before a stop. */
const LEAVE_TIMEOUT_MS = 5000;
/** For the in-sync replicas of what could not be given away, to have what was appended before the stop. */
const REPLICATION_GRACE_MS = 1000;
