import { LograftClient } from "lograft/client";
import { KeyedDigest } from "./dataset.ts";

/** The second process of the demo: reads `count` records from the beginning and prints their digest as one JSON line. */
const [bootstrap = "localhost:9092", topic = "flights", wanted = "0"] = process.argv.slice(2);
const count = Number(wanted);
const digest = new KeyedDigest();
const startedAt = performance.now();

await using client = new LograftClient({ brokers: [bootstrap], clientId: "flights-consumer" });
await using consumer = client.consumer({ topics: [topic], autoOffsetReset: "earliest" });
const text = new TextDecoder();
for await (const batch of consumer.batches({ signal: AbortSignal.timeout(120_000) })) {
  for (const record of batch)
    digest.add(text.decode(record.key ?? undefined), text.decode(record.value ?? undefined));
  if (digest.count >= count) break;
}
const seconds = (performance.now() - startedAt) / 1000;
process.stdout.write(
  `${JSON.stringify({ records: digest.count, keys: digest.keyCount, seconds, digest: digest.value() })}\n`,
);
