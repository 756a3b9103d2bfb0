/*
 * At least once, which is the default: nothing is lost, and some may come twice. An acknowledged record is on the disks of all
 * in-sync replicas, two of three at least; a reader's position passes it when its handler has returned. So a broker may go
 * while records are written, and a consumer while it handles them.
 *
 *   node scripts/run.mjs exec examples/at-least-once.ts
 *
 * prints:
 *
 *   the first 100 records: synced, on two replicas at least
 *   2000 records acknowledged, the last ones by another leader
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
const copies = Math.min(...acks.map(({ replicas }) => replicas));
console.log(
  `the first 100 records: ${acks[0]?.durability}, on ${copies >= 2 ? "two" : "ONE"} replicas at least`,
);
const [partition] = await admin.listPartitions({ topics: ["payments"] });
const leader = cluster.brokers.find((broker) => broker.nodeId === partition?.leaderId);
const leaving = leader?.close();
acks.push(...(await write(100, 1900)));
await leaving;
acks.push(...(await write(1900, COUNT)));
// Each leader has an epoch of its own, and every acknowledgement names it.
const hasMoved = (acks.at(-1)?.leaderEpoch ?? 0) > (acks[0]?.leaderEpoch ?? 0);
console.log(
  `${acks.length} records acknowledged, the last ones by ${hasMoved ? "another leader" : "THE SAME"}`,
);

const times = new Map<number, number>();
await run(700);
console.log("first run: ended with 700 in its hands");
console.log(`second run: begins with ${await run()}`);
const repeated = [...times.values()].filter((count) => count > 1).length;
console.log(`all ${times.size} handled, ${repeated === 1 ? "one" : repeated} of them twice`);

async function write(from: number, to: number): Promise<RecordAck[]> {
  const written: RecordAck[] = [];
  for (let number = from; number < to; number += 50) {
    const records = Array.from({ length: 50 }, (_, index) => ({ key: "ann", value: String(number + index) }));
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
