/*
 * Decoupling: the shop writes down what was ordered and knows nobody who wants to know. Each reader is a group of its own: it
 * gets everything, at its own pace, and none notices another. The newest one begins with what was written before it existed.
 *
 *   node scripts/run.mjs exec examples/decoupling.ts
 *
 * prints:
 *
 *   shop: 4 orders written, nobody reads yet
 *   billing: 12 + 30 + 7 + 51 = 100
 *   warehouse: parcels for ann 2, bob 1, eve 1
 *   shop: 1 more order, as ever
 *   billing goes on behind what it has: 9
 *   analytics, new today, from the beginning: 5 orders
 */
import { LograftClient, type ConsumedRecord } from "lograft/client";
import { startBroker } from "lograft/testing";

interface Order {
  readonly customer: string;
  readonly total: number;
}

await using broker = await startBroker();
await using client = new LograftClient({ brokers: [broker.address] });
await using producer = client.producer();

const orders: readonly Order[] = [
  { customer: "ann", total: 12 },
  { customer: "bob", total: 30 },
  { customer: "ann", total: 7 },
  { customer: "eve", total: 51 },
];
await shop(orders);
console.log(`shop: ${orders.length} orders written, nobody reads yet`);

const bills = await read("billing", orders.length);
const total = bills.reduce((sum, order) => sum + order.total, 0);
console.log(`billing: ${bills.map((order) => order.total).join(" + ")} = ${total}`);

const parcels = new Map<string, number>();
for (const { customer } of await read("warehouse", orders.length)) {
  parcels.set(customer, (parcels.get(customer) ?? 0) + 1);
}
console.log(
  `warehouse: parcels for ${Array.from(parcels, ([name, count]) => `${name} ${count}`).join(", ")}`,
);

await shop([{ customer: "bob", total: 9 }]);
console.log("shop: 1 more order, as ever");
const [next] = await read("billing", 1);
console.log(`billing goes on behind what it has: ${next?.total}`);
const all = await read("analytics", orders.length + 1);
console.log(`analytics, new today, from the beginning: ${all.length} orders`);

/** Its promise is kept when the orders are on disk, whoever reads them and when. */
async function shop(placed: readonly Order[]): Promise<void> {
  for (const order of placed)
    await producer.send("orders", { key: order.customer, value: JSON.stringify(order) });
}

/** A service that runs until it has handled `count` orders, and goes on there when it is started again. */
async function read(groupId: string, count: number): Promise<Order[]> {
  const handled: Order[] = [];
  const consumer = client.consumer({ groupId, topics: ["orders"] });
  await consumer.run({
    eachMessage: (record: ConsumedRecord) => {
      handled.push(JSON.parse(String(record.value)) as Order);
      if (handled.length === count) void consumer.close(); // commits what is handled, leaves, and ends `run`
    },
  });
  await consumer.close();
  return handled;
}
