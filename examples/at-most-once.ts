/*
 * At most once: nothing comes twice, and some may be lost. The producer waits for no answer and sends nothing again (acks=0); the
 * consumer commits a record before it handles it. For what is worth nothing a moment later, such as the position of a cursor.
 *
 *   node scripts/run.mjs exec examples/at-most-once.ts
 *
 * prints:
 *
 *   the answer to a record: offset -1, durability none
 *   first run: 0 1 2 3, and it dies with 4 in its hands
 *   second run: 5 6 7 8 9
 *   handled twice: none; never handled: 4
 */
import { LograftClient } from "lograft/client";
import { startBroker } from "lograft/testing";

const COUNT = 10;

await using broker = await startBroker();
await using client = new LograftClient({ brokers: [broker.address] });
await client.admin().createTopics([{ name: "positions", partitions: 1 }]);

await using producer = client.producer({ acks: 0, idempotent: false });
let ack;
for (let number = 0; number < COUNT; number++) {
  ack = await producer.send("positions", { value: String(number) });
}
console.log(`the answer to a record: offset ${ack?.offset}, durability ${ack?.durability}`);

const handled: number[] = [];
const first = await run(4);
console.log(`first run: ${first.join(" ")}, and it dies with 4 in its hands`);
const second = await run();
console.log(`second run: ${second.join(" ")}`);
const missing = Array.from({ length: COUNT }, (_, number) => number).filter(
  (number) => !handled.includes(number),
);
const isTwice = handled.length > new Set(handled).size;
console.log(`handled twice: ${isTwice ? "SOME" : "none"}; never handled: ${missing.join(", ")}`);

/** A process that reads for the group; it dies as it handles `fatal`. */
async function run(fatal?: number): Promise<number[]> {
  const mine: number[] = [];
  await using consumer = client.consumer({ groupId: "map", topics: ["positions"], commit: "manual" });
  try {
    await consumer.run({
      eachMessage: async (record) => {
        await record.commit?.(); // from here on nobody gets it again
        const number = Number(record.value);
        if (number === fatal) throw new Error("the process dies");
        mine.push(number);
        if (number === COUNT - 1) void consumer.close();
      },
    });
  } catch {
    // It is dead.
  }
  handled.push(...mine);
  return mine;
}
