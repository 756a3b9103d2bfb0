import { createInterface } from "node:readline";
import { isLograftError, LograftClient } from "../../src/client/index.ts";
import type { ConsumedRecord } from "../../src/client/index.ts";
import type { MemberLine, MemberProcessOptions } from "./member-process.ts";

/* A member of a group as a process of its own. Tells what it does, a line of JSON each; ends with its standard input. */

const { brokers, groupId, topics, ...more } = JSON.parse(process.argv[2] ?? "{}") as MemberProcessOptions;
/** No value begins with a space. */
const { holdPrefix = " ", rebalanceTimeoutMs = 60_000 } = more;
const input = createInterface({ input: process.stdin });
input.on("close", () => process.exit(0));
const goes = new Promise<void>((resolve) => input.once("line", () => resolve()));

function tell(line: MemberLine): void {
  process.stdout.write(`${JSON.stringify(line)}\n`);
}

async function handle(record: ConsumedRecord): Promise<void> {
  const value = String(record.value);
  tell({ what: "handles", value });
  if (!value.startsWith(holdPrefix)) return;
  await goes;
  try {
    await record.commit?.();
    tell({ what: "committed", value });
  } catch (error: unknown) {
    tell({ what: "refused", value, code: isLograftError(error) ? error.code : String(error) });
  }
}

const client = new LograftClient({ brokers, retry: { initialMs: 20, maxMs: 200 } });
const consumer = client.consumer({ groupId, topics, rebalanceTimeoutMs });
for (const what of ["assigned", "revoked", "lost"] as const) {
  consumer.on(what, ({ partitions }) =>
    tell({ what, partitions: partitions.map(({ partition }) => partition) }),
  );
}
consumer.on("error", ({ code, message }) => tell({ what: "error", code, value: message }));
await consumer.run({ concurrency: 100, eachMessage: handle });
