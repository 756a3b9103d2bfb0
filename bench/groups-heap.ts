import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { silentLogger } from "../src/base/logger.ts";
import { Broker } from "../src/broker/broker.ts";
import { parseBrokerConfig } from "../src/model/configs.ts";
import { createNodePlatform } from "../src/platform/node/node-platform.ts";

/**
 * Heap that a coordinator needs for one group, bytes: the growth of a broker in this process from none to `groups` groups of
 * `members` members each, over what the broker itself needs. Without connections.
 */
export async function heapOfGroup(groups: number, members: number): Promise<number> {
  const directory = await mkdtemp(join(tmpdir(), "lograft-heap-"));
  const config = parseBrokerConfig({
    "log.dirs": directory,
    "offsets.topic.replication.factor": "1",
    "log.flush.policy": "os",
    // Nobody sends heartbeats here.
    "group.consumer.session.timeout.ms": "60000",
  });
  if (!config.ok) throw new Error(config.errors.map(({ message }) => message).join("; "));
  const advertised = { host: "127.0.0.1", port: 9092 };
  const options = { config, advertised };
  const broker = await Broker.start(options, { platform: createNodePlatform(), logger: silentLogger });
  try {
    const wish = { name: "t", partitions: members, replicationFactor: 1, configs: new Map<string, string>() };
    await broker.createTopics({ topics: [wish], validateOnly: false });
    // The topic of the coordinators, its partitions and their logs are there before the first group.
    await joinGroups(broker, "warm", WARM_GROUPS, 1);
    const before = heapUsed();
    await joinGroups(broker, "group", groups, members);
    return (heapUsed() - before) / groups;
  } finally {
    await broker.close();
    await rm(directory, { recursive: true, force: true });
  }
}

const WARM_GROUPS = 500;
const AT_ONCE = 32;

async function joinGroups(broker: Broker, name: string, groups: number, members: number): Promise<void> {
  let next = 0;
  const work = async (): Promise<void> => {
    for (let index = next++; index < groups; index = next++) {
      await joinGroup(broker, `${name}-${index}`, members);
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, work));
}

/** The members of a group join, and are told what each has. */
async function joinGroup(broker: Broker, groupId: string, members: number): Promise<void> {
  for (let index = 0; index < members; index++) {
    for (;;) {
      const { error, errorMessage } = await broker.groups.consumerGroupHeartbeat({
        groupId,
        memberId: `member-${index}-of-${groupId}`,
        memberEpoch: 0,
        rebalanceTimeoutMs: 60_000,
        subscribedTopicNames: ["t"],
        topicPartitions: [],
        clientId: "bench",
        clientHost: "127.0.0.1",
      });
      if (error === "NONE") break;
      if (!RETRIED.has(error)) throw new Error(`${groupId} was not joined: ${errorMessage}`);
      await broker.groups.findCoordinator([groupId]);
      await new Promise((resolve) => {
        setTimeout(resolve, 1);
      });
    }
  }
}

/** While a coordinator is made or loaded. */
const RETRIED: ReadonlySet<string> = new Set([
  "NOT_COORDINATOR",
  "COORDINATOR_NOT_AVAILABLE",
  "COORDINATOR_LOAD_IN_PROGRESS",
]);

function heapUsed(): number {
  setFlagsFromString("--expose-gc");
  const collect = runInNewContext("gc") as () => void;
  for (let round = 0; round < 3; round++) collect();
  return process.memoryUsage().heapUsed;
}
