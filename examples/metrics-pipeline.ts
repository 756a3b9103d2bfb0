/*
 * A metrics pipeline: hosts send a value a second; a step in between makes one line of each ten seconds and host, and writes it to
 * a compacted topic, which keeps the last line of each key for ever, while the raw values go after a day. A dashboard reads
 * the few lines. The step keeps nothing of its own: when it starts it sees from its lines where one is missing.
 *
 *   node scripts/run.mjs exec examples/metrics-pipeline.ts
 *
 * prints:
 *
 *   1200 values of 20 hosts written
 *   first run: dies when it has made 50 lines
 *   second run: makes what is missing
 *   the dashboard has 120 lines, 6 windows of each host
 *   host-7: 17 17 17 17 17 17
 */
import { LograftClient, type ConsumedRecord, type ProducerRecord } from "lograft/client";
import { startBroker } from "lograft/testing";

const HOSTS = 20;
const SECONDS = 60;
const WINDOW_MS = 10_000;
const LINES = (HOSTS * SECONDS * 1000) / WINDOW_MS;

await using broker = await startBroker();
await using client = new LograftClient({ brokers: [broker.address] });
const admin = client.admin();
await admin.createTopics([
  { name: "cpu", partitions: 4, configs: { "retention.ms": "1d" } },
  { name: "cpu-10s", partitions: 1, configs: { "cleanup.policy": "compact" } },
]);

// A record carries the time of its measurement, not that of its arrival.
const begin = Math.floor(Date.now() / WINDOW_MS) * WINDOW_MS - SECONDS * 1000;
await using producer = client.producer({ compression: "lz4" });
for (let second = 0; second < SECONDS; second++) {
  for (let host = 0; host < HOSTS; host++) {
    const value = String(host + (second % 10) * 2 + 1);
    const record: ProducerRecord = { key: `host-${host}`, value, timestamp: begin + second * 1000 };
    while (!producer.enqueue("cpu", record)) await producer.drained();
  }
}
await producer.flush();
console.log(`${HOSTS * SECONDS} values of ${HOSTS} hosts written`);

await roll(50);
console.log("first run: dies when it has made 50 lines");
await roll();
console.log("second run: makes what is missing");
const dashboard = await lines();
console.log(`the dashboard has ${dashboard.size} lines, ${dashboard.size / HOSTS} windows of each host`);
console.log(`host-7: ${[0, 1, 2, 3, 4, 5].map((window) => dashboard.get(`host-7 ${window}`)).join(" ")}`);

/** A process that makes lines, until all are made or it dies. */
async function roll(fatalCount?: number): Promise<void> {
  const made = new Map(await lines());
  // The first window that some host lacks. Later ones that are there already are made again: under the same key, the same.
  let first = 0;
  while (Array.from({ length: HOSTS }, (_, host) => made.has(`host-${host} ${first}`)).every(Boolean))
    first++;
  const open = new Map<string, { sum: number; count: number }>();
  await using values = client.consumer({ topics: ["cpu"], from: { timestamp: begin + first * WINDOW_MS } });
  for await (const record of values.messages()) {
    const name = `${String(record.key)} ${windowOf(record)}`;
    const window = open.get(name) ?? { sum: 0, count: 0 };
    window.sum += Number(record.value);
    window.count++;
    open.set(name, window);
    if (window.count < WINDOW_MS / 1000) continue;
    open.delete(name);
    await producer.send("cpu-10s", { key: name, value: String(window.sum / window.count) });
    made.set(name, "");
    if (made.size === LINES || made.size === fatalCount) break;
  }
}

function windowOf({ timestamp }: ConsumedRecord): number {
  return Math.floor((timestamp - begin) / WINDOW_MS);
}

/** The lines that there are, by host and window. */
async function lines(): Promise<ReadonlyMap<string, string>> {
  const found = new Map<string, string>();
  const [end] = await admin.listOffsets([{ topic: "cpu-10s", partition: 0 }], "end");
  if (end === undefined || end.offset === 0) return found;
  await using consumer = client.consumer({ topics: ["cpu-10s"] });
  for await (const { key, value, offset } of consumer.messages()) {
    found.set(String(key), String(value));
    if (offset === end.offset - 1) break;
  }
  return found;
}
