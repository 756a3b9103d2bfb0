import { topicConfigRefusal } from "../controller/configs.ts";
import { PEER_LISTENER } from "../model/configs.ts";
import type { BrokerConfig } from "../model/configs.ts";
import { nodeId } from "../model/ids.ts";
import type { MetadataNodeOptions } from "./metadata-node.ts";

/** Bounds on the number of partitions, inclusive. */
export interface PartitionLimits {
  readonly maxTopicPartitions: number;
  readonly maxPartitions: number;
}

export interface MetadataPlace {
  /** The data directory; the quorum's store is in it. */
  readonly directory: string;
  /** "host:port" where other brokers reach this one; empty: nowhere. */
  readonly peerEndpoint: string;
  /** That the data directory belongs to; undefined: none yet. */
  readonly clusterId: string | undefined;
  readonly reserveBytes: number;
  readonly limits: PartitionLimits;
}

/** Ticks between two heartbeats of the leader: the grain of all the quorum's times. */
const HEARTBEAT_TICKS = 2;

/** The configuration of a broker as its metadata node goes by it. */
export function metadataNodeOptions(config: BrokerConfig, place: MetadataPlace): MetadataNodeOptions {
  const tickMs = Math.max(1, Math.floor(config.raftHeartbeatIntervalMs / HEARTBEAT_TICKS));
  return {
    quorum: {
      nodeId: nodeId(config.nodeId),
      directory: `${place.directory}/quorum`,
      endpoint: place.peerEndpoint,
      clusterId: place.clusterId,
      configuredClusterId: config.clusterId,
      foundingVoters: (config.controllerQuorumVoters ?? []).map((voter) => ({
        nodeId: nodeId(voter.nodeId),
        endpoint: voter.endpoint,
      })),
      bootstrapServers: config.controllerQuorumBootstrapServers ?? [],
      tickMs,
      electionTicks: Math.max(HEARTBEAT_TICKS + 1, Math.ceil(config.raftElectionTimeoutMs / tickMs)),
      heartbeatTicks: HEARTBEAT_TICKS,
      reserveBytes: place.reserveBytes,
    },
    rules: {
      ...place.limits,
      defaultPartitions: config.numPartitions,
      defaultReplicationFactor: config.defaultReplicationFactor,
      defaultMinInsyncReplicas: config.minInsyncReplicas,
      defaultUncleanLeaderElection: config.uncleanLeaderElectionEnable,
      defaultFlushPolicy: config.logFlushPolicy,
      checkConfig: topicConfigRefusal,
    },
    sessionTimeoutMs: config.brokerSessionTimeoutMs,
    heartbeatIntervalMs: config.brokerHeartbeatIntervalMs,
    leaderRebalanceIntervalMs: config.leaderImbalanceCheckIntervalMs,
  };
}

/** Where other brokers reach this one: as the voter list says, as advertised, or where it listens; empty: nowhere. */
export function peerEndpointOf(config: BrokerConfig): string {
  const voter = config.controllerQuorumVoters?.find((one) => one.nodeId === config.nodeId);
  const listener = config.listeners.find(({ name }) => name === PEER_LISTENER);
  if (listener === undefined) return "";
  if (voter !== undefined) return voter.endpoint;
  const advertised = config.advertisedListeners?.find(({ name }) => name === PEER_LISTENER) ?? listener;
  return formatAddress(reachableAddress(advertised));
}

/** An address that says "all interfaces" as one that can be connected to from the same machine. */
export function reachableAddress(address: { readonly host: string; readonly port: number }): {
  readonly host: string;
  readonly port: number;
} {
  const isAll = address.host === "" || address.host === "0.0.0.0" || address.host === "::";
  return { host: isAll ? "localhost" : address.host, port: address.port };
}

function formatAddress({ host, port }: { readonly host: string; readonly port: number }): string {
  return `${host.includes(":") ? `[${host}]` : host}:${port}`;
}
