import { silentLogger } from "../../src/base/logger.ts";
import { PartitionTable } from "../../src/broker/partition-table.ts";
import type { MetadataRecord } from "../../src/metadata/records.ts";
import { MetadataState } from "../../src/metadata/replay.ts";
import { parseBrokerConfig } from "../../src/model/configs.ts";
import type { BrokerConfig } from "../../src/model/configs.ts";
import { nodeId } from "../../src/model/ids.ts";
import type { TopicId } from "../../src/model/ids.ts";
import { leaderEpoch } from "../../src/model/offsets.ts";
import { Scheduler } from "../../src/sim/scheduler.ts";
import { SimClock } from "../../src/sim/sim-clock.ts";
import { nodes, topicIdOf } from "../metadata/arbitrary-history.ts";
import { FakeLogs } from "./fake-logs.ts";

export const NODE = nodeId(1);

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
  #created = 0;

  constructor(config: BrokerConfig = brokerConfig()) {
    this.table = new PartitionTable({ config }, { image: this.state, logs: this.logs, logger: silentLogger });
  }

  commit(records: readonly MetadataRecord[]): void {
    this.table.apply(this.state.replay(records));
  }

  create(name: string, partitions = 1, fields: { leader?: number; epoch?: number } = {}): TopicId {
    const topicId = topicIdOf(++this.#created);
    const records: MetadataRecord[] = [{ type: "Topic", name, topicId }];
    for (let partition = 0; partition < partitions; partition++) {
      records.push({
        type: "Partition",
        topicId,
        partition,
        replicas: nodes(1),
        isr: nodes(1),
        leader: nodeId(fields.leader ?? 1),
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

  /** Raises the leader epoch of all partitions, as an unclean restart does. */
  raiseEpochs(): void {
    const uuid = "AAECAwQFRgeICQoLDA0ODw";
    this.commit([
      { type: "BrokerRegistration", nodeId: NODE, incarnationId: uuid, directoryId: uuid, clean: false },
    ]);
  }

  setConfig(topicId: TopicId, key: string, value: string): void {
    this.commit([{ type: "TopicConfig", topicId, key, value }]);
  }

  /** Lets everything happen that is due now. */
  async settle(): Promise<void> {
    await this.scheduler.advance(0);
  }
}
