/*
 * Activity tracking: each page writes who looked at it, keyed by visitor, so that one visitor's views keep their order. A live
 * board reads from now on; a report, begun later, reads the same records from a moment in the past. Neither disturbs the other.
 *
 *   node scripts/run.mjs exec examples/activity-tracking.ts
 *
 * prints:
 *
 *   live: /home 30, /pay 10, /shoes 20
 *   report of the last minute: 60 views of 30 visitors
 *   ways: /home 10, /home > /shoes 10, /home > /shoes > /pay 10
 */
import { LograftClient } from "lograft/client";
import { startBroker } from "lograft/testing";

const WAYS = [["/home"], ["/home", "/shoes"], ["/home", "/shoes", "/pay"]];
const VISITORS = 30;
const VIEWS = 60;

await using broker = await startBroker();
await using client = new LograftClient({ brokers: [broker.address] });
await client.admin().createTopics([{ name: "views", partitions: 4, configs: { "retention.ms": "30d" } }]);

// Views of long ago: the live board does not want them, and the report of the last minute neither.
await using producer = client.producer({ acks: 1, compression: "lz4" }); // a lost view in a failover is no harm here
await producer.send("views", { key: "old", value: "/home", timestamp: Date.now() - 3_600_000 });

await using board = client.consumer({ topics: ["views"], from: "end" });
await board.ready(); // it has its positions: what is written from here on is live
const live = new Map<string, number>();
const boardIsUpToDate = watch();
for (let step = 0; step < 3; step++) {
  for (let visitor = 0; visitor < VISITORS; visitor++) {
    const page = WAYS[visitor % WAYS.length]?.[step];
    if (page !== undefined) await track(`visitor-${visitor}`, page);
  }
}
await producer.flush();
await boardIsUpToDate;
console.log(`live: ${shown(live)}`);

const ways = new Map<string, string>();
let views = 0;
await using report = client.consumer({ topics: ["views"], from: { timestamp: Date.now() - 60_000 } });
for await (const { key, value } of report.messages()) {
  const before = ways.get(String(key));
  ways.set(String(key), before === undefined ? String(value) : `${before} > ${String(value)}`);
  views++;
  if (views === VIEWS) break;
}
console.log(`report of the last minute: ${views} views of ${ways.size} visitors`);
const byWay = new Map<string, number>();
for (const way of ways.values()) byWay.set(way, (byWay.get(way) ?? 0) + 1);
console.log(`ways: ${shown(byWay)}`);

/** Nobody waits for it: a page is not slower because it is counted. */
async function track(visitor: string, page: string): Promise<void> {
  while (!producer.enqueue("views", { key: visitor, value: page })) await producer.drained();
}

async function watch(): Promise<void> {
  let seen = 0;
  for await (const { value } of board.messages()) {
    live.set(String(value), (live.get(String(value)) ?? 0) + 1);
    seen++;
    if (seen === VIEWS) break;
  }
}

function shown(counts: ReadonlyMap<string, number>): string {
  const names = [...counts.keys()].toSorted();
  return names.map((name) => `${name} ${counts.get(name)}`).join(", ");
}
