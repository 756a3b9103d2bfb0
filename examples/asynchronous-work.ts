/*
 * Asynchronous work: signing up is answered as soon as the task is written down; workers, as many as you start, send the mails
 * later. They share the tasks, try again what fails, and lay aside what goes on failing, so that it holds nobody up.
 * The tasks of a worker that dies go to the others; what it was just doing is done again.
 *
 *   node scripts/run.mjs exec examples/asynchronous-work.ts
 *
 * prints:
 *
 *   40 people signed up, and no worker runs yet
 *   2 workers have 4 partitions each
 *   39 mails sent by 2 workers, none twice
 *   attempts for flaky@example.org: 3
 *   laid aside: nobody@nowhere (no such address)
 */
import { LograftClient, type ConsumedRecord, type Consumer } from "lograft/client";
import { startBroker } from "lograft/testing";

const ATTEMPTS = 4;

await using broker = await startBroker();
await using client = new LograftClient({ brokers: [broker.address] });
await client.admin().createTopics([
  { name: "mails", partitions: 8 },
  { name: "mails.failed", partitions: 1 },
]);
await using producer = client.producer();

const people = Array.from({ length: 38 }, (_, index) => `person-${index}@example.org`);
people.push("flaky@example.org", "nobody@nowhere");
await Promise.all(people.map((address) => producer.send("mails", { key: address, value: "welcome" })));
console.log(`${people.length} people signed up, and no worker runs yet`);

/** Address to the worker that sent it, and how often it was tried. */
const sent = new Map<string, string>();
const attempts = new Map<string, number>();
let done = 0;

const workers = [startWorker(), startWorker()];
await Promise.all(workers.map((worker) => worker.ready()));
while (workers.some((worker) => worker.assignment.length !== 4)) await rebalance(workers);
console.log(`${workers.length} workers have 4 partitions each`);

await Promise.all(
  workers.map((worker, index) =>
    worker.run({
      concurrency: 4,
      retry: { attempts: ATTEMPTS - 1, backoff: { initialMs: 5, maxMs: 20 } },
      eachMessage: (task) => handle(task, `worker-${index}`),
    }),
  ),
);
console.log(`${sent.size} mails sent by ${new Set(sent.values()).size} workers, none twice`);
console.log(`attempts for flaky@example.org: ${attempts.get("flaky@example.org")}`);

await using failed = client.consumer({ topics: ["mails.failed"] });
for await (const { key, headers } of failed.messages()) {
  console.log(`laid aside: ${String(key)} (${String(headers[0]?.value)})`);
  break;
}

function startWorker(): Consumer {
  return client.consumer({ groupId: "mailers", topics: ["mails"] });
}

async function handle(task: ConsumedRecord, worker: string): Promise<void> {
  const address = String(task.key);
  const attempt = (attempts.get(address) ?? 0) + 1;
  attempts.set(address, attempt);
  try {
    send(address, attempt);
    sent.set(address, sent.has(address) ? "two workers" : worker);
  } catch (error) {
    if (attempt < ATTEMPTS) throw error; // once more, after a pause; other partitions go on meanwhile
    const reason = error instanceof Error ? error.message : String(error);
    const headers = [{ key: "reason", value: reason }];
    await producer.send("mails.failed", { key: task.key, value: task.value, headers });
  }
  done++;
  if (done === people.length) for (const each of workers) void each.close();
}

/** Stands for a mail server. */
function send(address: string, attempt: number): void {
  if (address === "nobody@nowhere") throw new Error("no such address");
  if (address === "flaky@example.org" && attempt < 3) throw new Error("try later");
}

/** Resolves when the group has given something to a member, or taken it. */
function rebalance(members: readonly Consumer[]): Promise<void> {
  return new Promise((resolve) => {
    for (const member of members) member.on("rebalance", () => resolve());
  });
}
