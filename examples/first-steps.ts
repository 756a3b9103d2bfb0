import { LograftClient } from "lograft/client";

await using client = new LograftClient({ brokers: ["localhost:9092"] });
await using producer = client.producer();
const ack = await producer.send("payments", { key: "c-7", value: JSON.stringify({ total: 12 }) });
console.log(ack.partition, ack.offset, ack.durability); // 0 0 synced

await using consumer = client.consumer({ topics: ["payments"], from: "beginning" });
for await (const batch of consumer.batches()) {
  for (const record of batch) console.log(record.offset, String(record.value)); // 0 {"total":12}
}
