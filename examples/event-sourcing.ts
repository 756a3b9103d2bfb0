/*
 * Event sourcing: what happened to an account is written down, and its balance follows from that. A decision is made on the
 * balance, and becomes an event before it counts. A new instance has the same balances, and any older state can be had.
 *
 * One process decides for an account at a time: a broker does not yet refuse an event because another one came first. Who
 * starts several gives each its own partitions, by a group.
 *
 *   node scripts/run.mjs exec examples/event-sourcing.ts
 *
 * prints:
 *
 *   ann: +100 -30 -20 = 50
 *   bob: refused to pay 10, has 0
 *   bob: +10 -10 = 0
 *   a new instance, from 6 events: ann 50, bob 0
 *   after the first 2 events: ann 70
 */
import { LograftClient } from "lograft/client";
import { startBroker } from "lograft/testing";

interface Event {
  readonly type: "paid-in" | "paid-out" | "refused";
  readonly amount: number;
}

await using broker = await startBroker();
await using client = new LograftClient({ brokers: [broker.address] });
// The events are the truth: kept for ever.
await client.admin().createTopics([{ name: "accounts", partitions: 1, configs: { "retention.ms": "-1" } }]);
await using producer = client.producer();
const balances = new Map<string, number>();

await payIn("ann", 100);
await payOut("ann", 30);
await payOut("ann", 20);
console.log(`ann: +100 -30 -20 = ${balances.get("ann")}`);
if (!(await payOut("bob", 10))) console.log(`bob: refused to pay 10, has ${balances.get("bob") ?? 0}`);
await payIn("bob", 10);
await payOut("bob", 10);
console.log(`bob: +10 -10 = ${balances.get("bob")}`);

const [end] = await client.admin().listOffsets([{ topic: "accounts", partition: 0 }], "end");
const all = end?.offset ?? 0;
console.log(`a new instance, from ${all} events: ${shown(await replay(all))}`);
console.log(`after the first 2 events: ${shown(await replay(2))}`);

async function payIn(account: string, amount: number): Promise<void> {
  await record(account, { type: "paid-in", amount });
}

/** False: the balance does not allow it, and that is an event, too. */
async function payOut(account: string, amount: number): Promise<boolean> {
  const isAllowed = (balances.get(account) ?? 0) >= amount;
  await record(account, { type: isAllowed ? "paid-out" : "refused", amount });
  return isAllowed;
}

/** First on the disks of the brokers, then in the state. */
async function record(account: string, event: Event): Promise<void> {
  await producer.send("accounts", { key: account, value: JSON.stringify(event) });
  apply(balances, account, event);
}

function apply(state: Map<string, number>, account: string, { type, amount }: Event): void {
  const before = state.get(account) ?? 0;
  if (type === "paid-in") state.set(account, before + amount);
  if (type === "paid-out") state.set(account, before - amount);
}

/** The state after so many events. */
async function replay(count: number): Promise<Map<string, number>> {
  const state = new Map<string, number>();
  await using consumer = client.consumer({
    assign: [{ topic: "accounts", partition: 0, from: "beginning" }],
  });
  for await (const { key, value, offset } of consumer.messages()) {
    apply(state, String(key), JSON.parse(String(value)) as Event);
    if (offset + 1 === count) break;
  }
  return state;
}

function shown(state: ReadonlyMap<string, number>): string {
  return Array.from(state, ([account, balance]) => `${account} ${balance}`).join(", ");
}
