import { Deferred } from "../base/deferred.ts";
import { operationError } from "../base/errors.ts";
import { componentLogger } from "../base/logger.ts";
import type { LogManager } from "../log/log-manager.ts";
import type { TopicImage } from "../metadata/image.ts";
import type { MetadataDelta } from "../metadata/replay.ts";
import type { BrokerConfig } from "../model/configs.ts";
import { nodeId } from "../model/ids.ts";
import type { ClusterId, TopicId } from "../model/ids.ts";
import type { LeaderEpoch } from "../model/offsets.ts";
import { ReplicaFetchers } from "../replication/replica-fetchers.ts";
import { ReplicaSenders } from "../replication/replica-senders.ts";
import type { FollowerIdentity, LeaderReplica, ReplicaRefusal } from "../replication/replica.ts";
import { raftSabotageOf, coordinatorSabotageOf } from "./broker-options.ts";
import type { BrokerDeps, BrokerOptions } from "./broker-options.ts";
import { ClusterHandler, notInClusterError } from "./handlers/cluster.ts";
import { FetchHandler } from "./handlers/fetch.ts";
import { MetadataHandler } from "./handlers/metadata.ts";
import { OffsetsHandler } from "./handlers/offsets.ts";
import { ProduceHandler } from "./handlers/produce.ts";
import { ProducersHandler } from "./handlers/producers.ts";
import { PublishHandler } from "./handlers/publish.ts";
import { TopicsHandler } from "./handlers/topics.ts";
import { FullDiskWatch } from "./full-disk-watch.ts";
import { GroupCoordinator } from "./group-coordinator.ts";
import type { MetadataCalls } from "./metadata-calls.ts";
import { IsrUpdates } from "./isr-updates.ts";
import { MetadataNode } from "./metadata-node.ts";
import { metadataNodeOptions } from "./metadata-options.ts";
import { PartitionTable } from "./partition-table.ts";
import { ReplicaManager } from "./replica-manager.ts";
import { ReplicaRepair } from "./replica-repair.ts";
import { RequestMeter } from "./request-meter.ts";
import { ServingHealth } from "./serving-health.ts";
import { findLeftovers, openLogs } from "./storage.ts";
import { WatermarkCheckpoint } from "./watermark-checkpoint.ts";

/** What a broker is made of. */
export interface BrokerParts extends Handlers {
  readonly node: MetadataNode;
  readonly metadata: MetadataCalls;
  readonly logs: LogManager;
  readonly table: PartitionTable;
  readonly replicas: ReplicaManager;
  readonly senders: ReplicaSenders;
  readonly isrUpdates: IsrUpdates;
  readonly repair: ReplicaRepair;
  readonly watermarks: WatermarkCheckpoint;
  readonly fullDisk: FullDiskWatch;
  readonly groups: GroupCoordinator;
  /** Counts of answered requests, for metrics. */
  readonly requests: RequestMeter;
  readonly failure: Promise<Error>;
}

/** What answers the requests of clients. */
interface Handlers {
  readonly produce: ProduceHandler;
  readonly publish: PublishHandler;
  readonly fetch: FetchHandler;
  readonly offsets: OffsetsHandler;
  readonly producers: ProducersHandler;
  readonly topics: TopicsHandler;
  readonly clientMetadata: MetadataHandler;
  readonly cluster: ClusterHandler;
}

const DEFAULT_LIMITS = { maxTopicPartitions: 50_000, maxPartitions: 200_000 };
/** How long a change waits for a controller. */
const CALL_TIMEOUT_MS = 10_000;

/** Opens the logs, then the metadata, and binds the handlers to them. Closes again what it opened when it cannot go on. */
export async function assembleBroker(options: BrokerOptions, deps: BrokerDeps): Promise<BrokerParts> {
  const { config } = options.config;
  const [directory] = config.logDirs;
  if (directory === undefined)
    throw operationError("CONFIG_INVALID", "log.dirs names no directory; name one");
  const { platform, logger } = deps;
  const ofReplication = componentLogger(logger, "replication");
  const failure = new Deferred<Error>();
  const self = { nodeId: nodeId(config.nodeId) };
  // The logs ask for settings of topics, and the metadata tells of changes, before there is a table to ask or to tell.
  const hosted: {
    table?: PartitionTable;
    replicas?: ReplicaManager;
    groups?: GroupCoordinator;
    node?: MetadataNode;
    isrUpdates?: IsrUpdates;
  } = {};
  const fullDisk = new FullDiskWatch(
    { directory },
    { disk: platform.disk, clock: platform.clock, logger, onChange: () => hosted.node?.beat() },
  );
  const logs = await openLogs(
    { ...self, directory, config, sabotage: options.sabotage },
    {
      platform,
      logger: componentLogger(logger, "log"),
      configOf: (topic) => hosted.table?.topic(topic)?.logConfig,
      highWatermarkOf: (topicPartition) => hosted.table?.committedEndOf(topicPartition),
      onFailure: (error) => failure.resolve(error),
      onDiskFull: () => fullDisk.noteFull(),
    },
  );
  try {
    const removed: TopicImage[] = [];
    const onChange = (delta: MetadataDelta): void => {
      if (hosted.table === undefined) removed.push(...delta.removed);
      else hosted.table.apply(delta);
      hosted.replicas?.apply(delta);
      hosted.groups?.apply(delta);
      if (delta.brokers.length > 0) hosted.isrUpdates?.brokersChanged();
    };
    const senders = new ReplicaSenders(
      {},
      {
        clock: platform.clock,
        logger: ofReplication,
        replicas: { find: (...at) => find(hosted.replicas, ...at) },
      },
    );
    const onContactLost = (): void => hosted.table?.contactLost();
    const isDiskFull = (): boolean => fullDisk.isFull;
    const node = await openNode(options, deps, {
      directory,
      logs,
      onChange,
      onContactLost,
      isDiskFull,
      senders,
    });
    hosted.node = node;
    void node.failure.then((error) => failure.resolve(error));
    const metadata = metadataCalls(node);
    const { clock, disk } = platform;
    const isrUpdates = new IsrUpdates(
      { ...self, lagTimeMs: config.replicaLagTimeMaxMs },
      { metadata, clock, logger: ofReplication },
    );
    hosted.isrUpdates = isrUpdates;
    const repair = new ReplicaRepair(self, {
      metadata,
      clock,
      logger: ofReplication,
      onRepaired: (partition) => hosted.replicas?.repaired(partition),
    });
    const watermarks = await WatermarkCheckpoint.open(
      { directory },
      { disk, clock, logger: ofReplication, current: () => hosted.table?.highWatermarks() ?? [] },
    );
    const table = new PartitionTable(
      { ...self, config, sabotage: options.sabotage },
      {
        image: node.image,
        logs,
        clock,
        logger: ofReplication,
        highWatermarkOf: (topicPartition) => watermarks.of(topicPartition),
        isContactLost: () => node.isContactLost,
        onDamage: (partition) => repair.note(partition),
        onIsrNews: (role) => {
          isrUpdates.note(role);
          watermarks.note();
        },
      },
    );
    hosted.table = table;
    const replicas = replicaManagerOf(config, deps, node, table);
    hosted.replicas = replicas;
    const groups = new GroupCoordinator(
      { ...self, config, sabotage: coordinatorSabotageOf(options.sabotage) },
      { metadata, table, clock, random: platform.random, logger: componentLogger(logger, "coordinator") },
    );
    hosted.groups = groups;
    for (const { topicPartition, topicId } of await findLeftovers(
      node.image,
      removed,
      { directory, logs, sabotage: options.sabotage },
      deps,
    )) {
      table.deleteFiles(topicPartition.topic, topicId, [topicPartition.partition]);
    }
    const replication = { replicas, isrUpdates, repair, watermarks, senders, fullDisk, groups };
    const requests = new RequestMeter();
    return {
      logs,
      table,
      node,
      metadata,
      requests,
      failure: failure.promise,
      ...replication,
      ...handlersOf(options, deps, { node, table, metadata, requests }),
    };
  } catch (error: unknown) {
    // What was found stays as it is: without the epoch of a registration the marker of a clean stop means nothing.
    await logs.close();
    throw error;
  }
}

function openNode(
  options: BrokerOptions,
  deps: BrokerDeps,
  parts: {
    readonly directory: string;
    readonly logs: LogManager;
    readonly onChange: (delta: MetadataDelta) => void;
    readonly onContactLost: () => void;
    readonly isDiskFull: () => boolean;
    readonly senders: ReplicaSenders;
  },
): Promise<MetadataNode> {
  const { directory, logs, onChange, onContactLost, isDiskFull, senders } = parts;
  const { platform, logger, transport, channel } = deps;
  const nodeOptions = metadataNodeOptions(options.config.config, {
    directory,
    peerEndpoint: options.peerEndpoint ?? "",
    clusterId: logs.clusterId,
    reserveBytes: options.diskReserveBytes ?? 0,
    limits: options.limits ?? DEFAULT_LIMITS,
  });
  const isEveryStopClean = options.sabotage === "keepUncleanInIsr";
  const raftSabotage = raftSabotageOf(options.sabotage);
  const { quorum, rules } = nodeOptions;
  return MetadataNode.open(
    {
      ...nodeOptions,
      quorum: { ...quorum, ...(raftSabotage === undefined ? {} : { sabotage: raftSabotage }) },
      rules: { ...rules, ...(isEveryStopClean ? { isEveryStopClean } : {}) },
    },
    {
      platform,
      logger,
      transport,
      channel,
      joinCluster: (clusterId) => logs.joinCluster(clusterId),
      onChange,
      onContactLost,
      isDiskFull,
      checksClock: options.checksClock ?? false,
      acceptReplica: (stream) => senders.accept(stream),
      health: new ServingHealth({ clock: platform.clock, syncs: () => logs.resources.syncs.stats }),
    },
  );
}

/** Followers of a broker that has just started come before it knows what it leads. */
function find(
  replicas: ReplicaManager | undefined,
  topicId: TopicId,
  partition: number,
): Promise<LeaderReplica | ReplicaRefusal> {
  if (replicas !== undefined) return replicas.find(topicId, partition);
  const leaderEpoch = -1 as LeaderEpoch;
  const message = "the broker is starting";
  return Promise.resolve({ type: "refused", error: "UNKNOWN_LEADER_EPOCH", message, leaderEpoch });
}

function metadataCalls(node: MetadataNode): MetadataCalls {
  return {
    get image() {
      return node.image;
    },
    get clusterId() {
      if (node.clusterId === undefined) throw notInClusterError(node.nodeId);
      return node.clusterId as ClusterId;
    },
    get leaderId() {
      return node.quorum.role.leader?.nodeId;
    },
    call: (request, signal) =>
      node.call(request, { timeoutMs: CALL_TIMEOUT_MS, ...(signal === undefined ? {} : { signal }) }),
  };
}

function replicaManagerOf(
  config: BrokerConfig,
  deps: BrokerDeps,
  node: MetadataNode,
  table: PartitionTable,
): ReplicaManager {
  const { platform, leaderEndpoint: endpoint } = deps;
  const logger = componentLogger(deps.logger, "replication");
  const { clock, random } = platform;
  const { nodeId: self } = node;
  const identity = (): FollowerIdentity | undefined => {
    const brokerEpoch = node.image.broker(self)?.brokerEpoch;
    return brokerEpoch === undefined ? undefined : { nodeId: self, brokerEpoch };
  };
  const fetchers =
    endpoint === undefined
      ? undefined
      : new ReplicaFetchers({}, { identity, endpoint, clock, random, logger });
  const configuredPeers = new Map(
    (config.controllerQuorumVoters ?? []).map((voter) => [nodeId(voter.nodeId), voter.endpoint]),
  );
  return new ReplicaManager(
    { nodeId: self, configuredPeers },
    { image: node.image, table, fetchers, clock, random, logger },
  );
}

function handlersOf(
  options: BrokerOptions,
  { platform, logger }: BrokerDeps,
  parts: {
    readonly node: MetadataNode;
    readonly table: PartitionTable;
    readonly metadata: MetadataCalls;
    readonly requests: RequestMeter;
  },
): Handlers {
  const { node, table, metadata, requests } = parts;
  const { clock } = platform;
  const self = { nodeId: node.nodeId };
  const produce = new ProduceHandler(
    { ...self, sabotage: options.sabotage },
    { table, clock, requests, isContactLost: () => node.isContactLost },
  );
  const topics = new TopicsHandler({ config: options.config }, { metadata, table });
  return {
    produce,
    topics,
    publish: new PublishHandler({ table, produce, clock }),
    fetch: new FetchHandler(self, { table, clock }),
    offsets: new OffsetsHandler(self, { table }),
    producers: new ProducersHandler(self, { metadata }),
    clientMetadata: new MetadataHandler({ config: options.config.config }, { metadata, topics }),
    cluster: new ClusterHandler({ node, metadata, logger }),
  };
}
