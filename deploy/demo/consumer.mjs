import { LograftClient } from "lograft/client";

/*
 * Reads what producer.mjs writes, as the only member of its group, and counts the numbers that are missing and those that
 * came twice. After a failover a member may read some records again; none may be missing.
 *
 *   LOGRAFT_BROKERS   where to begin (localhost:9092)
 *   TOPIC, GROUP      default: demo
 */
const REPORT_MS = 5000;

const topic = process.env.TOPIC ?? "demo";
const brokers = (process.env.LOGRAFT_BROKERS ?? "localhost:9092").split(",");
const stop = new AbortController();
for (const signal of ["SIGINT", "SIGTERM"]) process.once(signal, () => stop.abort());

let read = 0;
let missing = 0;
let repeated = 0;
/** By run and key, the number that comes next; the first that is seen counts as the first. */
const next = new Map();

await using client = new LograftClient({ brokers, clientId: "demo-consumer" });
await using consumer = client.consumer({
  groupId: process.env.GROUP ?? "demo",
  topics: [topic],
  autoOffsetReset: "earliest",
});
const reports = setInterval(report, REPORT_MS);
try {
  await consumer.run({ eachMessage: take, signal: stop.signal });
} catch (error) {
  if (!stop.signal.aborted) throw error;
}
clearInterval(reports);
report();

function take(record) {
  const [run, text] = String(record.value).split(" ");
  const key = `${run} ${String(record.key)}`;
  const number = Number(text);
  const expected = next.get(key) ?? number;
  read++;
  if (number < expected) {
    repeated++;
    return;
  }
  if (number > expected) {
    missing += number - expected;
    process.stdout.write(`MISSING ${key}: ${expected} to ${number - 1}, before offset ${record.offset}\n`);
  }
  next.set(key, number + 1);
}

function report() {
  process.stdout.write(`read ${read} records, missing ${missing}, repeated ${repeated}\n`);
}
