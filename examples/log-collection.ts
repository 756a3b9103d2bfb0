/*
 * Log collection: an agent on each host sends the lines of its log file, and remembers nothing: each record carries where in the
 * file it ended, and an agent that starts again asks the topic how far it was. A collector writes the files again, elsewhere.
 *
 *   node scripts/run.mjs exec examples/log-collection.ts
 *
 * prints:
 *
 *   web-1: sent 600 lines from byte 0
 *   web-2: sent 600 lines from byte 0
 *   web-2: sent 400 lines from byte 22200
 *   web-1: 600 lines collected, the same as there
 *   web-2: 1000 lines collected, the same as there
 *   of them 16 are errors
 */
import { appendFile, mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { LograftClient } from "lograft/client";
import { startBroker } from "lograft/testing";

const HOSTS = ["web-1", "web-2"];

await using broker = await startBroker();
await using client = new LograftClient({ brokers: [broker.address] });
const configs = { "retention.ms": "3d", "segment.ms": "1h" };
// A partition for each host, so that an agent finds the last record of its host with one question.
await client.admin().createTopics([{ name: "logs", partitions: HOSTS.length, configs }]);
const directory = await mkdtemp(join(tmpdir(), "lograft-logs-"));

for (const host of HOSTS) await appendFile(join(directory, `${host}.log`), lines(0, 600));
for (const host of HOSTS) await runAgent(host);
await appendFile(join(directory, "web-2.log"), lines(600, 1000));
await runAgent("web-2");

const collected = await collect(1600);
let errors = 0;
for (const host of HOSTS) {
  const text = collected.get(host) ?? "";
  const isSame = text === (await readFile(join(directory, `${host}.log`), "utf8"));
  errors += text.match(/ERROR/g)?.length ?? 0;
  console.log(
    `${host}: ${text.split("\n").length - 1} lines collected, ${isSame ? "the same as" : "NOT THOSE"} there`,
  );
}
console.log(`of them ${errors} are errors`);
await rm(directory, { recursive: true });

async function runAgent(host: string): Promise<void> {
  const partition = HOSTS.indexOf(host);
  const from = await lastPosition(partition);
  const text = (await readFile(join(directory, `${host}.log`))).subarray(from).toString("utf8");
  // Logs are many and alike: compressed in large batches they cost little.
  await using producer = client.producer({ compression: "zstd", lingerMs: 20 });
  let position = from;
  let count = 0;
  for (const line of text.split("\n").slice(0, -1)) {
    position += Buffer.byteLength(line) + 1;
    const headers = [{ key: "end", value: String(position) }];
    while (!producer.enqueue("logs", { key: host, value: line, headers, partition }))
      await producer.drained();
    count++;
  }
  await producer.flush();
  console.log(`${host}: sent ${count} lines from byte ${from}`);
}

/** Where in the file the last line ends that the partition has. */
async function lastPosition(partition: number): Promise<number> {
  const [end] = await client.admin().listOffsets([{ topic: "logs", partition }], "end");
  if (end === undefined || end.offset === 0) return 0;
  await using consumer = client.consumer({ assign: [{ topic: "logs", partition, from: end.offset - 1 }] });
  for await (const { headers } of consumer.messages()) return Number(headers[0]?.value);
  return 0;
}

async function collect(count: number): Promise<Map<string, string>> {
  const files = new Map<string, string>();
  const consumer = client.consumer({ groupId: "collector", topics: ["logs"] });
  let seen = 0;
  await consumer.run({
    eachMessage: ({ key, value }) => {
      files.set(String(key), `${files.get(String(key)) ?? ""}${String(value)}\n`);
      seen++;
      if (seen === count) void consumer.close();
    },
  });
  await consumer.close();
  return files;
}

function lines(from: number, to: number): string {
  const line = (number: number): string =>
    `${number % 100 === 99 ? "ERROR" : "INFO "} request ${String(number).padStart(6, "0")} took 12 ms/7 kB\n`;
  return Array.from({ length: to - from }, (_, index) => line(from + index)).join("");
}
