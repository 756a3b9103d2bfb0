import { mkdtemp, readdir, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { LograftClient } from "lograft/client";
import { startBroker, usageOf } from "./processes.ts";

/*
 * npm run bench:idle: what partitions cost that nobody uses. First 50,000 that were created and never written, then the
 * same with one record each. Prints the time, the resident memory, the open files and the CPU share while idle.
 *   --partitions N (50000)  --idle-seconds N (10)  --json FILE
 */
const { values: options } = parseArgs({
  options: {
    partitions: { type: "string", default: "50000" },
    "idle-seconds": { type: "string", default: "10" },
    json: { type: "string" },
  },
});
const count = Number(options.partitions);
const perTopic = Math.min(count, 1000);
const directory = await mkdtemp(join(tmpdir(), "lograft-idle-"));
const broker = await startBroker(directory, []);
const results: Record<string, number | string> = { partitions: count };

try {
  await using client = new LograftClient({ brokers: [broker.address] });
  const admin = client.admin();
  await admin.listTopics();
  const empty = await usageOf(broker.pid);
  print("empty broker, RSS MiB", empty.rssBytes / 2 ** 20);

  const startedAt = performance.now();
  const topics = Array.from({ length: Math.ceil(count / perTopic) }, (_, i) => `idle-${i}`);
  for (const name of topics) await admin.createTopics([{ name, partitions: perTopic }]);
  print("created, s", (performance.now() - startedAt) / 1000);
  await measureIdle("created", empty.rssBytes);

  const writtenAt = performance.now();
  await using producer = client.producer({ acks: 1, lingerMs: 0, idempotent: false });
  for (const name of topics) {
    const sends = [];
    for (let partition = 0; partition < perTopic; partition++) {
      sends.push(producer.send(name, { value: "x", partition }));
    }
    await Promise.all(sends);
  }
  await producer.close();
  print("one record each, s", (performance.now() - writtenAt) / 1000);
  await measureIdle("written", empty.rssBytes);
} finally {
  const stoppedAt = performance.now();
  await broker.stop();
  print("clean stop, s", (performance.now() - stoppedAt) / 1000);
}
const restartedAt = performance.now();
const again = await startBroker(directory, []);
print("start after it, s", (performance.now() - restartedAt) / 1000);
await again.stop();
await rm(directory, { recursive: true, force: true });
if (options.json !== undefined)
  await writeFile(options.json, `${JSON.stringify({ node: process.version, results }, null, 2)}\n`);

async function measureIdle(name: string, emptyRssBytes: number): Promise<void> {
  // What creation left to the collector and to timers is not what idling costs.
  await pause(5000);
  const before = await usageOf(broker.pid);
  const seconds = Number(options["idle-seconds"]);
  await pause(seconds * 1000);
  const after = await usageOf(broker.pid);
  print(`${name}: RSS MiB`, after.rssBytes / 2 ** 20);
  print(`${name}: RSS KiB a partition`, (after.rssBytes - emptyRssBytes) / 1024 / count);
  print(`${name}: open files`, (await readdir(`/proc/${broker.pid}/fd`)).length);
  print(`${name}: idle CPU %`, ((after.cpuSeconds - before.cpuSeconds) / seconds) * 100);
}

async function pause(ms: number): Promise<void> {
  await new Promise((resolve) => {
    setTimeout(resolve, ms);
  });
}

function print(name: string, value: number): void {
  results[name] = Number(value.toFixed(3));
  process.stdout.write(`${name.padEnd(34)} ${value.toFixed(2)}\n`);
}
