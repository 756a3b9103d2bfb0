import { expect, test } from "vitest";
import { groupPartition, OFFSETS_TOPIC } from "../../src/broker/offsets-topic.ts";
import { isLograftError, LograftClient } from "../../src/client/index.ts";
import { SeededRandom } from "../../src/platform/random.ts";
import { BrokerProgram } from "../../src/sim/broker-program.ts";
import { ClientProcess } from "../../src/sim/client-process.ts";
import { MarkerCounts } from "../../src/sim/markers.ts";
import { MetadataCluster } from "../../src/sim/metadata-cluster.ts";
import { endpointOf } from "../../src/sim/sim-network.ts";
import { SimTransport } from "../../src/sim/sim-transport.ts";

const GROUP = "g";
const KILLS = 12;
const DOWN_MS = 2_000;

/** From each death of a coordinator to the next commit of a member, in virtual ms: of one that was the controller, or not. */
async function commitGaps(
  seed: number,
): Promise<{ readonly controllers: number[]; readonly others: number[] }> {
  const cluster = new MetadataCluster(
    {
      seed,
      voterCount: 3,
      learnerCount: 0,
      clientCount: 1,
      shownEvents: 0,
      program: (place) =>
        new BrokerProgram(
          { config: { "offsets.topic.num.partitions": "3", "min.insync.replicas": "2" } },
          place,
        ),
    },
    { markers: new MarkerCounts() },
  );
  const { scheduler, machines } = cluster;
  const settle = <T>(promise: Promise<T>): Promise<T> => scheduler.settle(promise, 60_000);
  cluster.start();
  await scheduler.runUntil(() => machines.every(({ broker }) => broker?.state === "running"), 60_000);
  const host = new ClientProcess({ machine: 3 }, { scheduler });
  const { clock } = host;
  const client = new LograftClient({
    brokers: machines.map(({ index }) => endpointOf(index)),
    clock,
    random: new SeededRandom(seed),
    transport: new SimTransport({ network: cluster.network, clock, from: host }),
  });
  const topic = { name: "t", partitions: 1, replicationFactor: 3, configs: new Map<string, string>() };
  await settle(
    machines[0]?.broker?.createTopics({ topics: [topic], validateOnly: false }) ??
      Promise.reject(new Error("no broker")),
  );
  const producer = client.producer();
  const consumer = client.consumer({ groupId: GROUP, topics: ["t"], commit: "manual" });
  const taken = consumer.batches()[Symbol.asyncIterator]();
  const sent = producer.send("t", { value: Buffer.from("v") });
  await settle(Promise.all([sent, taken.next()]));
  const place = { topic: "t", partition: 0, offset: 1 };
  const coordinator = (): number =>
    cluster.checker.model.image.topic(OFFSETS_TOPIC)?.partitions[groupPartition(GROUP, 3)]?.leader ?? -1;
  const isWhole = (): boolean =>
    machines.every(({ broker }) => broker?.state === "running") &&
    (cluster.checker.model.image.topic(OFFSETS_TOPIC)?.partitions.every(({ isr }) => isr.length === 3) ??
      false);
  const gaps = { controllers: [] as number[], others: [] as number[] };
  for (let kill = 0; kill < KILLS; kill++) {
    await scheduler.runUntil(isWhole, 120_000);
    await scheduler.advance(1_000);
    await settle(consumer.commitOffsets([place], { timeoutMs: 30_000 }));
    const killed = coordinator() - 1;
    const wasController = cluster.leader()?.index === killed;
    cluster.crash(killed, "kill", DOWN_MS);
    const killedMs = scheduler.nowMs;
    await settle(consumer.commitOffsets([place], { timeoutMs: 30_000 }));
    (wasController ? gaps.controllers : gaps.others).push(scheduler.nowMs - killedMs);
  }
  await settle(Promise.allSettled([consumer.close({ timeoutMs: 1_000 }), producer.close()]));
  await settle(client.close()).catch((error: unknown) => {
    if (!isLograftError(error)) throw error;
  });
  host.die();
  cluster.dispose();
  return gaps;
}

// Virtual time: no machine is slow here, so this is what all of them wait for, and nothing else.
test("after the death of a coordinator members commit as soon as there is another one", async () => {
  const runs = [await commitGaps(1), await commitGaps(2)];
  const others = runs.flatMap((run) => run.others);
  const controllers = runs.flatMap((run) => run.controllers);
  expect([others.length, controllers.length].every((count) => count > 0)).toBe(true);
  // The first pause of the client.
  expect(Math.max(...others)).toBeLessThan(200);
  // That, an election, and until the next controller knows that the one before has died.
  expect(Math.max(...controllers)).toBeLessThan(400);
}, 60_000);
