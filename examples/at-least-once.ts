/*
 * At least once, which is the default: nothing is lost, and some may come twice. An acknowledged record is on the disks of all
 * in-sync replicas, two of three at least; it is committed when its handler has returned. So a broker may go while records are
 * written, and a consumer while it handles them.
 *
 *   node scripts/run.mjs exec examples/at-least-once.ts
 *
 * prints:
 *
 *   the first 100 records: synced on 3 replicas
 *   2000 records acknowledged, although their leader went away; another leads
 *   first run: ended with 700 in its hands
 *   second run: begins with 700
 *   all 2000 handled, one of them twice
 */
import { LograftClient, type RecordAck } from "lograft/client";
import { startCluster } from "lograft/testing";

const COUNT = 2000;

await using cluster = await startCluster();
await using client = new LograftClient({ brokers: cluster.addresses });
const admin = client.admin();
await admin.createTopics([{ name: "payments", partitions: 1 }]);

await using producer = client.producer(); // acks=all, idempotent: retries neither lose, double nor reorder
const acks: RecordAck[] = await write(0, 100);
console.log(`the first 100 records: ${acks[0]?.durability} on ${acks[0]?.replicas} replicas`);
const leader = await leaderOf("payments");
const [, more] = await Promise.all([
  cluster.brokers.find((broker) => broker.nodeId === leader)?.close(),
  write(100, COUNT),
]);
acks.push(...more);
const who = (await leaderOf("payments")) === leader ? "it leads on" : "another leads";
console.log(`${acks.length} records acknowledged, although their leader went away; ${who}`);

const times = new Map<number, number>();
await run(700);
console.log("first run: ended with 700 in its hands");
console.log(`second run: begins with ${await run()}`);
const repeated = [...times.values()].filter((count) => count > 1).length;
console.log(`all ${times.size} handled, ${repeated === 1 ? "one" : repeated} of them twice`);

async function leaderOf(topic: string): Promise<number | undefined> {
  const [partition] = await admin.listPartitions({ topics: [topic] });
  return partition?.leaderId;
}

async function write(from: number, to: number): Promise<RecordAck[]> {
  const written: RecordAck[] = [];
  for (let number = from; number < to; number += 10) {
    const records = Array.from({ length: 10 }, (_, index) => ({ key: "ann", value: String(number + index) }));
    written.push(...(await producer.sendBatch("payments", records)));
  }
  return written;
}

/** A process that reads for the group; it dies when it has handled `fatal`, before that is committed. Answers its first. */
async function run(fatal?: number): Promise<number | undefined> {
  let first: number | undefined;
  await using consumer = client.consumer({ groupId: "ledger", topics: ["payments"] });
  try {
    await consumer.run({
      eachMessage: (record) => {
        const number = Number(record.value);
        first ??= number;
        times.set(number, (times.get(number) ?? 0) + 1);
        if (number === fatal) throw new Error("the process dies");
        if (times.size === COUNT) void consumer.close();
      },
    });
  } catch {
    // It is dead.
  }
  return first;
}
