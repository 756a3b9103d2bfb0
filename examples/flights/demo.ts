import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { startBroker } from "lograft";
import { LograftClient } from "lograft/client";
import { KeyedDigest, loadFlights } from "./dataset.ts";

/*
 * npm run demo: the flights data set goes through a broker, keyed, and a second process reads it back. With
 * --bootstrap-server HOST:PORT it uses that broker; otherwise it starts one in this process, on a temporary directory.
 */
const { values: options } = parseArgs({
  options: {
    "bootstrap-server": { type: "string" },
    topic: { type: "string" },
    partitions: { type: "string" },
  },
});
const topic = options.topic ?? `flights-${Date.now().toString(36)}`;
const partitions = Number(options.partitions ?? "6");

const directory =
  options["bootstrap-server"] === undefined ? await mkdtemp(join(tmpdir(), "lograft-demo-")) : undefined;
const broker = directory === undefined ? undefined : await startBroker({ dataDirectory: directory, port: 0 });
const bootstrap = options["bootstrap-server"] ?? broker?.address ?? "localhost:9092";
try {
  process.exitCode = await run(bootstrap);
} finally {
  await broker?.close();
  if (directory !== undefined) await rm(directory, { recursive: true, force: true });
}

async function run(server: string): Promise<number> {
  say(`broker    ${server}${broker === undefined ? "" : " (started for this demo)"}`);
  const flights = await loadFlights();
  const input = new KeyedDigest();
  let bytes = 0;
  for (const flight of flights) {
    input.add(flight.key, flight.value);
    bytes += flight.key.length + flight.value.length;
  }
  say(
    `input     ${flights.length.toLocaleString("en-US")} flights, ${input.keyCount} keys, ${(bytes / 1e6).toFixed(1)} MB`,
  );

  await using client = new LograftClient({ brokers: [server], clientId: "flights-demo" });
  await client.admin().createTopics([{ name: topic, partitions }]);
  const startedAt = performance.now();
  {
    await using producer = client.producer({ acks: "all" });
    for (const flight of flights) {
      while (!producer.enqueue(topic, flight)) await producer.drained();
    }
    await producer.flush();
  }
  const seconds = (performance.now() - startedAt) / 1000;
  say(
    `produced  ${flights.length.toLocaleString("en-US")} records to ${topic} (${partitions} partitions), acks=all, in ` +
      `${seconds.toFixed(2)} s: ${Math.round(flights.length / seconds).toLocaleString("en-US")} records/s`,
  );

  const output = await consume(server, flights.length);
  say(
    `consumed  ${output.records.toLocaleString("en-US")} records by a second process in ${output.seconds.toFixed(2)} s: ` +
      `${Math.round(output.records / output.seconds).toLocaleString("en-US")} records/s`,
  );
  say(`digest in   ${input.value()}`);
  say(`digest out  ${output.digest}`);
  const isEqual = output.digest === input.value();
  say(
    isEqual
      ? "equal: every record arrived once, in the order of its key"
      : "DIFFERENT: records were lost, doubled or moved",
  );
  return isEqual ? 0 : 8;
}

async function consume(
  server: string,
  count: number,
): Promise<{ records: number; seconds: number; digest: string }> {
  const child = spawn(
    process.execPath,
    [new URL("consumer.ts", import.meta.url).pathname, server, topic, String(count)],
    {
      stdio: ["ignore", "pipe", "inherit"],
    },
  );
  let printed = "";
  child.stdout.setEncoding("utf8").on("data", (piece: string) => {
    printed += piece;
  });
  const [code] = (await once(child, "close")) as [number | null];
  if (code !== 0) throw new Error(`the consumer process ended with code ${code}`);
  return JSON.parse(printed) as { records: number; seconds: number; digest: string };
}

function say(text: string): void {
  process.stdout.write(`${text}\n`);
}
