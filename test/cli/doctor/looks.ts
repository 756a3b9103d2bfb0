import type { ClusterLook, SeenAddress, SeenBroker } from "../../../src/cli/doctor/cluster-look.ts";
import type { Reached } from "../../../src/cli/doctor/dial.ts";
import type { ClusterBroker, NodeDetails } from "../../../src/client/index.ts";

/* What doctor may have seen of a cluster. */

const GIB = 1024 ** 3;

export function answering(nodeId: number, clusterId = "the-cluster"): Reached {
  return {
    kind: "broker",
    cluster: {
      clusterId,
      controllerId: 1,
      controllerEpoch: 1,
      brokers: [],
      features: [],
      answeredBy: { nodeId, metadataOffset: 1, stateHash: 1 },
    },
  };
}

export function broker(nodeId: number, change: Partial<ClusterBroker> = {}): ClusterBroker {
  return {
    nodeId,
    host: "localhost",
    port: 9092,
    rack: "",
    brokerHost: "",
    peerEndpoint: "",
    directoryId: "",
    incarnationId: "",
    brokerEpoch: nodeId,
    isFenced: false,
    isShuttingDown: false,
    isDrained: false,
    ...change,
  };
}

export function node(nodeId: number, change: Partial<NodeDetails> = {}): NodeDetails {
  return {
    nodeId,
    version: "1.2.3",
    nodeVersion: "v24.0.0",
    wallClockMs: 1_000_000,
    startedMs: 1,
    processId: 7,
    userId: 1000,
    hostName: `host-${nodeId}`,
    dataDirectory: "/data",
    diskFreeBytes: 100 * GIB,
    residentBytes: GIB,
    heapUsedBytes: GIB / 2,
    heapLimitBytes: 2 * GIB,
    memoryBytes: 8 * GIB,
    openFiles: 50,
    openFilesLimit: 65_536,
    httpPort: undefined,
    listener: "OUTSIDE",
    listeners: [],
    ...change,
  };
}

/** A broker that is well, but for what `change` says. Its clock was asked for a tenth of a second. */
export function seen(
  nodeId: number,
  change: {
    readonly host?: string;
    readonly reached?: Reached;
    readonly isFenced?: boolean;
    readonly others?: readonly SeenAddress[];
    readonly node?: Partial<NodeDetails> | "silent";
    readonly http?: string;
  } = {},
): SeenBroker {
  const { host = "localhost", reached = answering(nodeId), isFenced = false, others = [], http } = change;
  const details = change.node === "silent" ? undefined : node(nodeId, change.node);
  return {
    broker: broker(nodeId, { host, isFenced }),
    address: { listener: "OUTSIDE", host, port: 9092, reached },
    others,
    node: details,
    clock: details && { askedMs: 999_950, theirsMs: details.wallClockMs, answeredMs: 1_000_050 },
    settings: new Map([
      ["storage.max.open.files", "1000"],
      ["storage.cache.bytes", String(GIB / 8)],
      ["server.max.inflight.bytes", String(GIB / 4)],
    ]),
    http,
  };
}

export function look(brokers: readonly SeenBroker[], level = 3): ClusterLook {
  return {
    brokers,
    survey: {
      cluster: {
        clusterId: "the-cluster",
        controllerId: 1,
        controllerEpoch: 1,
        brokers: brokers.map((one) => one.broker),
        features: [{ name: "metadata.version", level, min: 1, max: 3 }],
        answeredBy: { nodeId: 1, metadataOffset: 1, stateHash: 1 },
      },
      quorum: {
        leaderId: 1,
        epoch: 1,
        commitOffset: 1,
        replicas: [],
        answeredBy: {
          nodeId: 1,
          role: "leader",
          epoch: 1,
          logEndOffset: 2,
          durableOffset: 2,
          appliedOffset: 1,
          snapshotOffset: -1,
          stateHash: 1,
        },
      },
      reports: [],
      partitions: [],
      minInsyncReplicas: new Map(),
    },
  };
}
