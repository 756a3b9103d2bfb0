import { LograftClient } from "lograft/client";

await using client = new LograftClient({ brokers: ["localhost:9092"] });
await using member = client.consumer({ groupId: "billing", topics: ["payments"] });
process.once("SIGTERM", () => void member.close()); // finishes what it has in its hands, commits, leaves
await member.run({
  concurrency: 4, // partitions handled at the same time, each in order
  eachMessage: (record) => console.log(record.partition, record.offset, String(record.value)), // committed when it returns
});
