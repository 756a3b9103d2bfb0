/* The code of docs/from-kafkajs.md, in its order. It wants a broker at localhost:9092, and a SIGTERM to go on behind `run`. */
import { DeliveryError, LograftClient, isLograftError } from "lograft/client";

const client = new LograftClient({ clientId: "shop", brokers: ["localhost:9092"] });

const admin = client.admin();
await admin.createTopics([{ name: "orders", partitions: 3, configs: { "retention.ms": "7d" } }]);

const producer = client.producer({ compression: "gzip" });
const acks = await producer.sendBatch("orders", [
  { key: "c-7", value: JSON.stringify({ total: 12 }), headers: [{ key: "trace", value: "42" }] },
  { key: "c-8", value: JSON.stringify({ total: 30 }) },
]);
for (const { partition, offset, durability } of acks) console.log("written", partition, offset, durability);

await Promise.all([
  producer.send("orders", { key: "c-9", value: JSON.stringify({ total: 7 }) }),
  producer.send("audit", { value: "three orders" }),
]);

const consumer = client.consumer({ groupId: "billing", topics: ["orders"] });
process.once("SIGTERM", () => void consumer.close());
await consumer.run({
  concurrency: 3,
  eachMessage: (record) => {
    console.log("billing", String(record.key), String(record.value));
  },
});

const archive = client.consumer({ groupId: "archive", topics: ["orders"], commit: "manual" });
let archived = 0;
await archive.run({
  eachBatch: async (batch) => {
    for (const record of batch) {
      console.log("archive", String(record.key));
      archived++;
    }
    await batch.commit?.();
    if (archived === 3) void archive.close();
  },
});

const again = client.consumer({ groupId: "archive", topics: ["orders"] });
again.on("assigned", ({ partitions }) => again.seekToBeginning(partitions));
for await (const record of again.messages()) {
  console.log("again", String(record.key));
  archived--;
  if (archived === 0) break;
}
await again.close();

const everything = client.consumer({ topics: ["audit"], from: "beginning" });
for await (const record of everything.messages()) {
  console.log("without a group", String(record.value));
  break;
}

for (const { offset } of await admin.fetchGroupOffsets("billing")) console.log("committed", offset);
await admin.resetGroupOffsets({ groupId: "billing", topics: ["orders"], to: "earliest", dryRun: false });
const [lag] = await admin.groupLags(["billing"]);
console.log("behind by", lag?.totalLag);
await admin.deleteGroups(["billing", "archive"]);

try {
  await producer.send("orders", { value: "x".repeat(2 << 20) });
} catch (error) {
  if (isLograftError(error)) console.log(error.code, error.retriable);
  if (error instanceof DeliveryError) console.log(error.outcome);
}

await client.close();
