import { LograftClient } from "lograft/client";

/*
 * Writes numbered records to a topic, with acks=all, each key's in order and one at a time, until it is told to end. A record
 * that was not acknowledged is written again until it is, so that whoever reads misses a number only when it was lost.
 *
 *   LOGRAFT_BROKERS   where to begin (localhost:9092)
 *   TOPIC             default: demo
 *   RATE              records a second, of all keys together (200)
 *   SECONDS           end after so long; default: until SIGTERM
 */
const KEYS = 10;
const REPORT_MS = 5000;
const RETRY_MS = 500;

const topic = process.env.TOPIC ?? "demo";
const pauseMs = (1000 * KEYS) / Number(process.env.RATE ?? "200");
const brokers = (process.env.LOGRAFT_BROKERS ?? "localhost:9092").split(",");
/** Numbers start anew with each run; its name tells the reader so. */
const run = Date.now().toString(36);
const stop = new AbortController();
for (const signal of ["SIGINT", "SIGTERM"]) process.once(signal, () => stop.abort());
if (process.env.SECONDS !== undefined) setTimeout(() => stop.abort(), Number(process.env.SECONDS) * 1000);

let acknowledged = 0;
let retried = 0;
let slowestMs = 0;

await using client = new LograftClient({ brokers, clientId: "demo-producer" });
await untilDone(() => client.admin().createTopics([{ name: topic, partitions: 6 }], { throwOnError: false }));
await using producer = client.producer({ acks: "all" });
const reports = setInterval(report, REPORT_MS);
await Promise.all(Array.from({ length: KEYS }, (_, key) => writeKey(`key-${key}`)));
clearInterval(reports);
report();

async function writeKey(key) {
  for (let number = 0; !stop.signal.aborted; number++) {
    const startedAt = performance.now();
    // Also after the signal: a number that was begun is written.
    await untilDone(() => producer.send(topic, { key, value: `${run} ${number}` }));
    const tookMs = performance.now() - startedAt;
    acknowledged++;
    slowestMs = Math.max(slowestMs, tookMs);
    await sleep(pauseMs - tookMs);
  }
}

async function untilDone(action) {
  for (;;) {
    try {
      return await action();
    } catch (error) {
      retried++;
      process.stdout.write(`not acknowledged, once more: ${error.message}\n`);
      await sleep(RETRY_MS);
    }
  }
}

function sleep(ms) {
  return new Promise((resolve) => setTimeout(resolve, Math.max(0, ms)));
}

function report() {
  process.stdout.write(
    `acknowledged ${acknowledged} records, slowest of late ${Math.round(slowestMs)} ms, ${retried} times not at the first attempt\n`,
  );
  slowestMs = 0;
}
