/*
 * Buffering: sensors write whether the store that keeps their readings is there or not. What it has not taken yet waits on the
 * disks of the brokers, in order; its lag says how much that is. Here the store is away, and comes back.
 *
 *   node scripts/run.mjs exec examples/buffering.ts
 *
 * prints:
 *
 *   20000 readings written while the store is away
 *   waiting for the store: 20000
 *   the store took 20000 readings, each sensor's in order
 *   waiting for the store: 0
 */
import { LograftClient } from "lograft/client";
import { startBroker } from "lograft/testing";

const SENSORS = 50;
const READINGS = 400;

await using broker = await startBroker();
await using client = new LograftClient({ brokers: [broker.address] });
const admin = client.admin();
await admin.createTopics([{ name: "readings", partitions: 4 }]);
// The group exists before its first member: it is to begin at the beginning, and its lag counts from there.
await admin.resetGroupOffsets({
  groupId: "store",
  topics: ["readings"],
  to: "earliest",
  dryRun: false,
  allowNewGroup: true,
});

// `enqueue` keeps no promise for each record: the fastest way. False means that the buffer is full: wait, try again.
{
  await using producer = client.producer({ compression: "zstd" });
  for (let reading = 0; reading < READINGS; reading++) {
    for (let sensor = 0; sensor < SENSORS; sensor++) {
      const record = { key: `sensor-${sensor}`, value: String(reading) };
      while (!producer.enqueue("readings", record)) await producer.drained();
    }
  }
  await producer.flush(); // throws if a record was not acknowledged
}
const written = SENSORS * READINGS;
console.log(`${written} readings written while the store is away`);
console.log(`waiting for the store: ${await waiting()}`);

const next = new Map<string, number>();
let taken = 0;
let isInOrder = true;
const store = client.consumer({
  groupId: "store",
  topics: ["readings"],
  maxPrefetchBytes: 1 << 20, // what may wait in this process; the rest waits at the brokers
});
await store.run({
  // A batch at a time, as a database likes it; it is committed when this returns.
  eachBatch: (batch) => {
    for (const record of batch) {
      const sensor = String(record.key);
      const reading = Number(record.value);
      isInOrder &&= reading === (next.get(sensor) ?? 0);
      next.set(sensor, reading + 1);
      taken++;
    }
    if (taken >= written) void store.close();
  },
});
await store.close();
console.log(`the store took ${taken} readings, each sensor's ${isInOrder ? "in order" : "OUT OF ORDER"}`);
console.log(`waiting for the store: ${await waiting()}`);

async function waiting(): Promise<number | undefined> {
  const [lag] = await admin.groupLags(["store"]);
  return lag?.totalLag;
}
