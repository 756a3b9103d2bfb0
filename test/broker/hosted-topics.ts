import { silentLogger } from "../../src/base/logger.ts";
import { PartitionTable } from "../../src/broker/partition-table.ts";
import type { MetadataRecord } from "../../src/metadata/records.ts";
import { MetadataState } from "../../src/metadata/replay.ts";
import { parseBrokerConfig } from "../../src/model/configs.ts";
import type { BrokerConfig } from "../../src/model/configs.ts";
import { nodeId } from "../../src/model/ids.ts";
import type { NodeId, TopicId } from "../../src/model/ids.ts";
import { leaderEpoch, offset } from "../../src/model/offsets.ts";
import { Scheduler } from "../../src/sim/scheduler.ts";
import { SimClock } from "../../src/sim/sim-clock.ts";
import { topicIdOf } from "../metadata/arbitrary-history.ts";
import { FakeLogs } from "./fake-logs.ts";

export const NODE = nodeId(1);
const OTHER = nodeId(2);

export function brokerConfig(entries: Readonly<Record<string, string>> = {}): BrokerConfig {
  const parsed = parseBrokerConfig(entries);
  if (!parsed.ok) throw new Error(parsed.errors.map(({ message }) => message).join("; "));
  return parsed.config;
}

/** A partition table over fake logs, with topics that appear and go as the controller would have it. */
export class HostedTopics {
  readonly scheduler = new Scheduler();
  readonly clock = new SimClock({}, { scheduler: this.scheduler });
  readonly state = new MetadataState();
  readonly logs = new FakeLogs();
  readonly table: PartitionTable;
  /** The table is not told of it: `table.contactLost` does that. */
  isContactLost = false;
  #created = 0;

  constructor(config: BrokerConfig = brokerConfig()) {
    this.table = new PartitionTable(
      { nodeId: NODE, config },
      {
        image: this.state,
        logs: this.logs,
        clock: this.clock,
        logger: silentLogger,
        onDamage: () => undefined,
        onIsrNews: () => undefined,
        highWatermarkOf: () => offset(0),
        isContactLost: () => this.isContactLost,
      },
    );
    this.commit(registered(NODE, 1));
    this.commit(registered(OTHER, 2));
  }

  commit(records: readonly MetadataRecord[]): void {
    this.table.apply(this.state.replay(records));
  }

  create(
    name: string,
    partitions = 1,
    fields: { leader?: number; epoch?: number; replicas?: readonly number[]; isr?: readonly number[] } = {},
  ): TopicId {
    const topicId = topicIdOf(++this.#created);
    const leader = nodeId(fields.leader ?? 1);
    const records: MetadataRecord[] = [{ type: "Topic", name, topicId }];
    for (let partition = 0; partition < partitions; partition++) {
      records.push({
        type: "Partition",
        topicId,
        partition,
        replicas: (fields.replicas ?? [leader]).map(nodeId),
        isr: (fields.isr ?? [leader]).map(nodeId),
        elr: [],
        lastKnownElr: [],
        addingReplicas: [],
        removingReplicas: [],
        leader,
        leaderEpoch: leaderEpoch(fields.epoch ?? 0),
        partitionEpoch: 0,
      });
    }
    this.commit(records);
    return topicId;
  }

  remove(topicId: TopicId): void {
    this.commit([{ type: "RemoveTopic", topicId }]);
  }

  /** Raises the leader epoch of all partitions, as a restart of their leader does. */
  raiseEpochs(): void {
    for (const { topicId, partitions } of this.state.topics()) {
      this.commit(
        partitions.map((state, partition) => ({
          type: "Partition",
          topicId,
          partition,
          ...state,
          leaderEpoch: leaderEpoch(state.leaderEpoch + 1),
          partitionEpoch: state.partitionEpoch + 1,
        })),
      );
    }
  }

  setConfig(topicId: TopicId, key: string, value: string): void {
    this.commit([{ type: "TopicConfig", topicId, key, value }]);
  }

  /** Lets everything happen that is due now. */
  async settle(): Promise<void> {
    await this.scheduler.advance(0);
  }
}

/** A broker that takes part. */
function registered(node: NodeId, brokerEpoch: number): readonly MetadataRecord[] {
  const uuid = "AAECAwQFRgeICQoLDA0ODw";
  const record = {
    type: "BrokerRegistration",
    nodeId: node,
    incarnationId: uuid,
    directoryId: uuid,
    brokerEpoch,
    clean: true,
    host: "127.0.0.1",
    port: 9092,
    peerEndpoint: "",
    rack: null,
    brokerHost: null,
    features: new Map(),
    listeners: [],
  } as const;
  return [
    record,
    {
      type: "BrokerChange",
      nodeId: node,
      brokerEpoch,
      isFenced: false,
      isShuttingDown: false,
      isDrained: false,
    },
  ];
}
