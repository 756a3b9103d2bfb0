/*
 * Peak shaving: a sale begins and 5,000 orders come at once. All are taken, and answered when they are safe; the database behind,
 * which stands four inserts at a time, never sees more. The peak becomes a little lag that goes away by itself.
 *
 *   node scripts/run.mjs exec examples/peak-shaving.ts
 *
 * prints:
 *
 *   5000 orders taken at once
 *   5000 orders in the database, never more than 4 inserts at the same time
 */
import { setTimeout as sleep } from "node:timers/promises";
import { LograftClient } from "lograft/client";
import { startBroker } from "lograft/testing";

const ORDERS = 5000;

await using broker = await startBroker();
await using client = new LograftClient({ brokers: [broker.address] });
await client.admin().createTopics([{ name: "orders", partitions: 8 }]);

// `sendBatch` answers when every record is acknowledged. What waits is bounded by `maxBufferBytes` (64 MiB): past it callers
// wait, and `deliveryTimeoutMs` says for how long at most.
await using producer = client.producer();
const orders = Array.from({ length: ORDERS }, (_, number) => ({ key: `order-${number}`, value: "1 ticket" }));
const acks = await producer.sendBatch("orders", orders);
console.log(`${acks.length} orders taken at once`);

let inProgress = 0;
let most = 0;
let stored = 0;
const writer = client.consumer({ groupId: "writer", topics: ["orders"] });
await writer.run({
  concurrency: 4, // partitions in work at the same time; each has one batch in work at a time
  eachBatch: async (batch) => {
    inProgress++;
    most = Math.max(most, inProgress);
    await insert(batch.recordCount);
    inProgress--;
    stored += batch.recordCount;
    if (stored >= ORDERS) void writer.close();
  },
});
await writer.close();
const isBounded = most <= 4;
console.log(
  `${stored} orders in the database, ${isBounded ? "never " : ""}more than 4 inserts at the same time`,
);

/** Stands for a database. */
async function insert(rows: number): Promise<void> {
  await sleep(20 + rows / 100);
}
