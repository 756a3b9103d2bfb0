/*
 * Exactly once, in its effect: each payment changes the balance once, although it is written twice and handled twice. There
 * are no transactions yet, so the consumer does it: it keeps the id of what it has done where the effect is, and changes
 * both in one transaction of its database. What it meets again has its id there, and changes nothing.
 *
 * The id is one of the business, made before the first attempt. Then it also covers a producer that died without an answer and
 * sends again from a new process; within one process the idempotent producer (default) sees to that by itself. Where
 * nothing is ever sent twice, topic, partition and offset are an id as well.
 *
 *   node scripts/run.mjs exec examples/exactly-once.ts
 *
 * prints:
 *
 *   5 payments, one of them written twice: 6 records
 *   first run: ended behind the effect of p-3, before its commit
 *   second run: p-3 again, without effect
 *   second run: p-4 again, without effect
 *   balance 150, of 5 payments
 */
import { DatabaseSync } from "node:sqlite";
import { LograftClient } from "lograft/client";
import { startBroker } from "lograft/testing";

await using broker = await startBroker();
await using client = new LograftClient({ brokers: [broker.address] });
await client.admin().createTopics([{ name: "payments", partitions: 1 }]);

const payments = [10, 20, 30, 40, 50].map((amount, index) => ({
  key: `p-${index + 1}`,
  value: String(amount),
}));
await using producer = client.producer();
await producer.sendBatch("payments", payments.slice(0, 4));
// Its process died before the answer to p-4 came; the next one cannot know, and writes it again.
await using nextProducer = client.producer();
await nextProducer.sendBatch("payments", payments.slice(3));
const [end] = await client.admin().listOffsets([{ topic: "payments", partition: 0 }], "end");
console.log(`${payments.length} payments, one of them written twice: ${end?.offset} records`);

const database = new DatabaseSync(":memory:");
database.exec("CREATE TABLE balance (amount INTEGER NOT NULL); INSERT INTO balance VALUES (0)");
database.exec("CREATE TABLE done (id TEXT PRIMARY KEY)");
const remember = database.prepare("INSERT INTO done VALUES (?) ON CONFLICT DO NOTHING");
const add = database.prepare("UPDATE balance SET amount = amount + ?");

await run("first run", "p-3");
await run("second run");
const { amount } = { ...database.prepare("SELECT amount FROM balance").get() };
const { count } = { ...database.prepare("SELECT count(*) AS count FROM done").get() };
console.log(`balance ${String(amount)}, of ${String(count)} payments`);
database.close();

/** Both or nothing. False: it was done before. */
function applyOnce(id: string, value: number): boolean {
  database.exec("BEGIN");
  try {
    const isNew = remember.run(id).changes === 1;
    if (isNew) add.run(value);
    database.exec("COMMIT");
    return isNew;
  } catch (error) {
    database.exec("ROLLBACK");
    throw error;
  }
}

/** A process that reads for the group; it dies behind the effect of `fatal`, and so its offset is not committed. */
async function run(name: string, fatal?: string): Promise<void> {
  await using consumer = client.consumer({ groupId: "ledger", topics: ["payments"] });
  try {
    await consumer.run({
      eachMessage: ({ key, value }) => {
        const id = String(key);
        if (!applyOnce(id, Number(value))) console.log(`${name}: ${id} again, without effect`);
        if (id === fatal) throw new Error("the process dies");
        if (id === "p-5") void consumer.close();
      },
    });
  } catch {
    console.log(`${name}: ended behind the effect of ${fatal}, before its commit`);
  }
}
