import { Server, ServerCredentials } from "@grpc/grpc-js";
import { LeveledLogger } from "../../src/base/leveled-logger.ts";
import { LogLevels } from "../../src/base/log-levels.ts";
import { silentLogger, type Logger } from "../../src/base/logger.ts";
import type {
  BrokerDescription,
  ClusterDescription,
  ClusterOperations,
  FeatureDescription,
  LeaderElection,
  DrainOutcome,
  QuorumDescription,
  ReassignmentDescription,
  ReassignmentOutcome,
  ReplicaDescription,
} from "../../src/broker/cluster-view.ts";
import type { LograftError } from "../../src/base/errors.ts";
import type {
  DescribeTopicsRequest,
  DescribeTopicsResponse,
  ListTopicsRequest,
  ListTopicsResponse,
} from "../../src/rpc/admin-messages.ts";
import { protoService } from "../../src/rpc/load-proto.ts";
import type { MetadataRequest, MetadataResponse, PartitionMetadata } from "../../src/rpc/messages.ts";
import { clusterMethods } from "../../src/server/grpc/cluster-service.ts";
import { logLevelMethods } from "../../src/server/grpc/log-level-methods.ts";
import { LogLevelControl } from "../../src/server/log-level-control.ts";
import { unary } from "../../src/server/grpc/unary.ts";

const logger = silentLogger;

/** A call that changes something, as the brokers got it. */
export type FakeChange = readonly [
  method:
    | "addVoter"
    | "removeVoter"
    | "unregisterBroker"
    | "electLeaders"
    | "updateFeature"
    | "reassignPartitions"
    | "cancelReassignments"
    | "drainBroker",
  call: unknown,
];

export interface FakePartition {
  readonly leaderId: number;
  readonly replicas: readonly number[];
  readonly isr: readonly number[];
}

/**
 * Brokers that answer on real ports by the real service, from one state that a test changes at will. They hold no data:
 * what they say of themselves is what the test wants the cluster to look like.
 */
export class FakeBrokers implements AsyncDisposable {
  readonly changes: FakeChange[] = [];
  brokers: BrokerDescription[] = [];
  leaderId = 1;
  replicas: ReplicaDescription[] = [];
  topics: Record<string, readonly FakePartition[]> = {};
  minInsyncReplicas = 1;
  features: FeatureDescription[] = [
    { name: "metadata.version", level: 1, min: 1, max: 2 },
    { name: "raft.version", level: 1, min: 1, max: 1 },
  ];
  /** Where each broker is in the metadata log; the others are at offset 120 with hash 4711. */
  readonly positions = new Map<number, { readonly metadataOffset: number; readonly stateHash: number }>();
  /** Thrown by every change. */
  refusal: LograftError | undefined;
  elections: LeaderElection[] = [];
  /** On their way. */
  reassignments: ReassignmentDescription[] = [];
  /** What reassignments and their cancellation are answered with. */
  outcomes: ReassignmentOutcome[] = [];
  /** What the brokers wrote into their logs when their levels were changed. */
  readonly logLines: unknown[] = [];
  drained: DrainOutcome = { movedLeaders: 0, ledPartitions: 0 };
  /** Called before each description of the cluster. */
  onLook: () => void = () => {};
  readonly #servers = new Map<number, Server>();

  private constructor() {}

  /** Starts brokers 1 to `count`, all voters, broker 1 leading, one topic with three partitions. */
  static async start(count: number): Promise<FakeBrokers> {
    const fake = new FakeBrokers();
    const nodeIds = Array.from({ length: count }, (_, index) => index + 1);
    for (const nodeId of nodeIds) fake.brokers.push(await fake.#serve(nodeId));
    fake.replicas = nodeIds.map((nodeId) => replica(nodeId));
    fake.topics = {
      orders: [0, 1, 2].map((partition) => ({
        leaderId: (partition % count) + 1,
        replicas: nodeIds,
        isr: nodeIds,
      })),
    };
    return fake;
  }

  /** "host:port" of a broker. */
  address(nodeId: number): string {
    const broker = this.brokers.find((candidate) => candidate.nodeId === nodeId);
    if (broker === undefined) throw new Error(`no broker ${nodeId}`);
    return `${broker.host}:${broker.port}`;
  }

  /** Replaces parts of what is said of a broker. */
  setBroker(nodeId: number, change: Partial<BrokerDescription>): void {
    this.brokers = this.brokers.map((broker) =>
      broker.nodeId === nodeId ? { ...broker, ...change } : broker,
    );
  }

  setReplica(nodeId: number, change: Partial<ReplicaDescription>): void {
    this.replicas = this.replicas.map((one) => (one.nodeId === nodeId ? { ...one, ...change } : one));
  }

  setPartition(topic: string, partition: number, change: Partial<FakePartition>): void {
    const partitions = this.topics[topic] ?? [];
    this.topics[topic] = partitions.map((one, index) => (index === partition ? { ...one, ...change } : one));
  }

  /** Its port refuses connections from now on. */
  stop(nodeId: number): void {
    this.#servers.get(nodeId)?.forceShutdown();
    this.#servers.delete(nodeId);
  }

  [Symbol.asyncDispose](): Promise<void> {
    for (const nodeId of this.#servers.keys()) this.stop(nodeId);
    return Promise.resolve();
  }

  async #serve(nodeId: number): Promise<BrokerDescription> {
    const server = new Server();
    server.addService(protoService("lograft.v1.AdminService"), {
      ...clusterMethods({ cluster: this.#operations(nodeId), logger }),
      ...logLevelMethods({ nodeId, logLevels: this.#logLevels(nodeId), logger }),
      DescribeTopics: unary<DescribeTopicsRequest, DescribeTopicsResponse>(
        ({ names }) => this.#describeTopics(names),
        { logger },
      ),
      ListTopics: unary<ListTopicsRequest, ListTopicsResponse>(() => this.#listTopics(), { logger }),
    });
    server.addService(protoService("lograft.v1.ClientService"), {
      Metadata: unary<MetadataRequest, MetadataResponse>((request) => this.#metadata(request), { logger }),
    });
    const port = await new Promise<number>((resolve, reject) => {
      server.bindAsync("127.0.0.1:0", ServerCredentials.createInsecure(), (error, bound) => {
        if (error === null) resolve(bound);
        else reject(error);
      });
    });
    this.#servers.set(nodeId, server);
    return {
      nodeId,
      host: "127.0.0.1",
      port,
      rack: "",
      brokerHost: "",
      peerEndpoint: `node-${nodeId}:9093`,
      directoryId: `data-${nodeId}`,
      incarnationId: `start-${nodeId}`,
      brokerEpoch: 10 + nodeId,
      isFenced: false,
      isShuttingDown: false,
      isDrained: false,
    };
  }

  #logLevels(nodeId: number): LogLevelControl {
    const levels = new LogLevels({ level: "info", levels: new Map([["raft", "debug"]]) });
    const sink: Logger = { ...silentLogger, info: (...line) => void this.logLines.push(line) };
    const fields = { nodeId };
    return new LogLevelControl({
      levels,
      logger: new LeveledLogger({ component: "broker", fields }, { sink, levels }),
    });
  }

  #operations(nodeId: number): ClusterOperations {
    const change = (method: FakeChange[0], call: unknown): void => {
      this.changes.push([method, call]);
      if (this.refusal !== undefined) throw this.refusal;
    };
    return {
      describeCluster: () => this.#describeCluster(nodeId),
      describeQuorum: () => Promise.resolve(this.#describeQuorum(nodeId)),
      addVoter: async (call) => {
        await Promise.resolve();
        change("addVoter", call);
      },
      removeVoter: async (call) => {
        await Promise.resolve();
        change("removeVoter", call);
      },
      unregisterBroker: async (call) => {
        await Promise.resolve();
        change("unregisterBroker", call);
      },
      electLeaders: async (call) => {
        await Promise.resolve();
        change("electLeaders", call);
        return this.elections;
      },
      reassignPartitions: async (call) => {
        await Promise.resolve();
        change("reassignPartitions", call);
        return this.outcomes;
      },
      cancelReassignments: async (call) => {
        await Promise.resolve();
        change("cancelReassignments", call);
        return this.outcomes;
      },
      listReassignments: () => this.reassignments,
      drainBroker: async (call) => {
        await Promise.resolve();
        change("drainBroker", call);
        return this.drained;
      },
      updateFeature: async (call) => {
        await Promise.resolve();
        change("updateFeature", call);
        const { name, level } = call;
        return { name, level, min: 1, max: level };
      },
    };
  }

  #positionOf(nodeId: number): { readonly metadataOffset: number; readonly stateHash: number } {
    return this.positions.get(nodeId) ?? { metadataOffset: 120, stateHash: 4711 };
  }

  #describeCluster(nodeId: number): ClusterDescription {
    this.onLook();
    return {
      clusterId: "fake-cluster",
      controllerId: this.leaderId,
      controllerEpoch: 7,
      brokers: this.brokers,
      features: this.features,
      answeredBy: { nodeId, ...this.#positionOf(nodeId) },
    };
  }

  #describeQuorum(nodeId: number): QuorumDescription {
    const { metadataOffset, stateHash } = this.#positionOf(nodeId);
    return {
      leaderId: this.leaderId,
      epoch: 7,
      commitOffset: 120,
      replicas: this.replicas,
      answeredBy: {
        nodeId,
        role: nodeId === this.leaderId ? "leader" : "follower",
        epoch: 7,
        logEndOffset: 121,
        durableOffset: 121,
        appliedOffset: metadataOffset,
        snapshotOffset: -1,
        stateHash,
      },
    };
  }

  #metadata({ topics, allTopics }: MetadataRequest): MetadataResponse {
    const names = allTopics ? Object.keys(this.topics) : topics;
    return {
      clusterId: "fake-cluster",
      controllerId: this.leaderId,
      brokers: this.brokers.map(({ nodeId, host, port, rack }) => ({ nodeId, host, port, rack })),
      topics: names.map((name) => ({
        errorCode: 0,
        errorMessage: "",
        name,
        topicId: Buffer.alloc(16, 1),
        isInternal: false,
        maxMessageBytes: 1 << 20,
        partitions: (this.topics[name] ?? []).map((one, partition): PartitionMetadata => ({
          errorCode: 0,
          partition,
          leaderEpoch: 3,
          ...one,
        })),
      })),
      features: {},
      maxBatchBytes: 1 << 20,
    };
  }

  #listTopics(): ListTopicsResponse {
    const topicId = Buffer.alloc(16, 1);
    const topics = Object.entries(this.topics).map(([name, partitions]) => ({
      name,
      topicId,
      partitions: partitions.length,
      replicationFactor: partitions[0]?.replicas.length ?? 0,
      isInternal: false,
    }));
    return { topics };
  }

  #describeTopics(names: readonly string[]): DescribeTopicsResponse {
    return {
      topics: names.map((name) => ({
        name,
        topicId: Buffer.alloc(16, 1),
        errorCode: 0,
        errorMessage: "",
        isInternal: false,
        partitions: [],
        configs: [
          {
            name: "min.insync.replicas",
            value: String(this.minInsyncReplicas),
            source: "topic",
            description: "",
          },
        ],
      })),
    };
  }
}

function replica(nodeId: number): ReplicaDescription {
  return {
    nodeId,
    directoryId: `quorum-${nodeId}`,
    endpoint: `node-${nodeId}:9093`,
    isVoter: true,
    logEndOffset: 121,
    isActive: true,
    isCaughtUp: true,
  };
}
