/*
 * Stream processing: orders are joined with what is known of their customers, and the result is a topic again. The table of
 * customers is a compacted topic that each instance reads to its end first, and follows from then on.
 *
 *   node scripts/run.mjs exec examples/stream-processing.ts
 *
 * prints:
 *
 *   the table has 3 customers
 *   ann in Oslo: 12
 *   bob in Rome: 30
 *   eve in Bern: 7
 *   ann has moved
 *   ann in Lima: 51
 *   committed behind the results: 4 of 4
 */
import { LograftClient, type ConsumedRecord } from "lograft/client";
import { startBroker } from "lograft/testing";

await using broker = await startBroker();
await using client = new LograftClient({ brokers: [broker.address] });
const admin = client.admin();
await admin.createTopics([
  { name: "customers", partitions: 1, configs: { "cleanup.policy": "compact" } },
  { name: "orders", partitions: 3 },
  { name: "orders-with-city", partitions: 3 },
]);
await using producer = client.producer();
for (const [key, city] of [
  ["ann", "Paris"],
  ["bob", "Rome"],
  ["eve", "Bern"],
  ["ann", "Oslo"],
] as const) {
  await producer.send("customers", { key, value: city });
}

/** Customer to city: the last record of each key; a record without a value takes the key away. */
const cities = new Map<string, string>();
await using table = client.consumer({ topics: ["customers"], from: "beginning" });
const follow = apply(table.messages());
await follow.until(await endOf("customers"));
console.log(`the table has ${cities.size} customers`);

let joined = 0;
const join = client.consumer({ groupId: "join", topics: ["orders"] });
const joining = join.run({ concurrency: 3, eachMessage: withCity });

await using results = client.consumer({ topics: ["orders-with-city"] });
const seen = results.messages();
for (const [key, value] of [
  ["ann", "12"],
  ["bob", "30"],
  ["eve", "7"],
] as const)
  await order(key, value);
await producer.send("customers", { key: "ann", value: "Lima" });
await follow.until(await endOf("customers"));
console.log("ann has moved");
await order("ann", "51");

await join.close(); // commits what is handled
await joining;
const committed = await admin.fetchGroupOffsets("join");
const sum = committed.reduce((total, { offset }) => total + Math.max(0, offset), 0);
console.log(`committed behind the results: ${sum} of ${joined}`);

/** What is written waits for its acknowledgement, and only then counts as processed: no order is lost on the way. */
async function withCity({ key, value }: ConsumedRecord): Promise<void> {
  const city = cities.get(String(key)) ?? "an unknown place";
  await producer.send("orders-with-city", { key, value: `${String(key)} in ${city}: ${String(value)}` });
  joined++;
}

async function order(key: string, value: string): Promise<void> {
  await producer.send("orders", { key, value });
  const { value: result } = await seen.next();
  if (result) console.log(String(result.value));
}

/** Brings the records of the table into the map, up to an offset (exclusive). */
function apply(records: AsyncGenerator<ConsumedRecord, void>): { until(end: number): Promise<void> } {
  let next = 0;
  return {
    until: async (end) => {
      while (next < end) {
        const { value: record } = await records.next();
        if (!record) return;
        if (record.value === null) cities.delete(String(record.key));
        else cities.set(String(record.key), String(record.value));
        next = record.offset + 1;
      }
    },
  };
}

async function endOf(topic: string): Promise<number> {
  const [end] = await admin.listOffsets([{ topic, partition: 0 }], "end");
  return end?.offset ?? 0;
}
