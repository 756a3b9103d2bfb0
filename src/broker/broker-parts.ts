import { Deferred } from "../base/deferred.ts";
import { operationError } from "../base/errors.ts";
import type { LogManager } from "../log/log-manager.ts";
import type { TopicImage } from "../metadata/image.ts";
import type { MetadataDelta } from "../metadata/replay.ts";
import { nodeId } from "../model/ids.ts";
import type { ClusterId } from "../model/ids.ts";
import type { BrokerDeps, BrokerOptions } from "./broker-options.ts";
import { ClusterHandler, notInClusterError } from "./handlers/cluster.ts";
import { FetchHandler } from "./handlers/fetch.ts";
import { MetadataHandler } from "./handlers/metadata.ts";
import { OffsetsHandler } from "./handlers/offsets.ts";
import { ProduceHandler } from "./handlers/produce.ts";
import { ProducersHandler } from "./handlers/producers.ts";
import { PublishHandler } from "./handlers/publish.ts";
import { TopicsHandler } from "./handlers/topics.ts";
import type { MetadataCalls } from "./metadata-calls.ts";
import { MetadataNode } from "./metadata-node.ts";
import { metadataNodeOptions } from "./metadata-options.ts";
import { PartitionTable } from "./partition-table.ts";
import { ServingHealth } from "./serving-health.ts";
import { findLeftovers, openLogs } from "./storage.ts";

/** What a broker is made of. */
export interface BrokerParts {
  readonly node: MetadataNode;
  readonly metadata: MetadataCalls;
  readonly logs: LogManager;
  readonly table: PartitionTable;
  readonly produce: ProduceHandler;
  readonly publish: PublishHandler;
  readonly fetch: FetchHandler;
  readonly offsets: OffsetsHandler;
  readonly producers: ProducersHandler;
  readonly topics: TopicsHandler;
  readonly clientMetadata: MetadataHandler;
  readonly cluster: ClusterHandler;
  readonly failure: Promise<Error>;
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
  const failure = new Deferred<Error>();
  const self = { nodeId: nodeId(config.nodeId) };
  // The logs ask for settings of topics, and the metadata tells of changes, before there is a table to ask or to tell.
  const hosted: { table?: PartitionTable } = {};
  const logs = await openLogs(
    { ...self, directory, config },
    {
      platform,
      logger,
      configOf: (topic) => hosted.table?.topic(topic)?.logConfig,
      onFailure: (error) => failure.resolve(error),
    },
  );
  try {
    const removed: TopicImage[] = [];
    const onChange = (delta: MetadataDelta): void => {
      if (hosted.table === undefined) removed.push(...delta.removed);
      else hosted.table.apply(delta);
    };
    const node = await openNode(options, deps, { directory, logs, onChange });
    void node.failure.then((error) => failure.resolve(error));
    const table = new PartitionTable({ config }, { image: node.image, logs, logger });
    hosted.table = table;
    for (const { topicPartition, topicId } of await findLeftovers(
      node.image,
      removed,
      { directory, logs },
      deps,
    )) {
      table.deleteFiles(topicPartition.topic, topicId, [topicPartition.partition]);
    }
    return { logs, table, node, failure: failure.promise, ...handlersOf(options, deps, node, table) };
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
  },
): Promise<MetadataNode> {
  const { directory, logs, onChange } = parts;
  const { platform, logger, transport, channel } = deps;
  return MetadataNode.open(
    metadataNodeOptions(options.config.config, {
      directory,
      peerEndpoint: options.peerEndpoint ?? "",
      clusterId: logs.clusterId,
      reserveBytes: options.diskReserveBytes ?? 0,
      limits: options.limits ?? DEFAULT_LIMITS,
    }),
    {
      platform,
      logger,
      transport,
      channel,
      joinCluster: (clusterId) => logs.joinCluster(clusterId),
      onChange,
      health: new ServingHealth({ clock: platform.clock, syncs: () => logs.resources.syncs.stats }),
    },
  );
}

function handlersOf(
  options: BrokerOptions,
  { platform, logger }: BrokerDeps,
  node: MetadataNode,
  table: PartitionTable,
): Omit<BrokerParts, "logs" | "table" | "node" | "failure"> {
  const { clock } = platform;
  const self = { nodeId: node.nodeId };
  const metadata: MetadataCalls = {
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
  const produce = new ProduceHandler(self, { table, clock, isContactLost: () => node.isContactLost });
  const topics = new TopicsHandler({ config: options.config }, { metadata, table });
  return {
    metadata,
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
