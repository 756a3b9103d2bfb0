import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { runCli, startBroker } from "./processes.ts";

/*
 * npm run bench:start: how long a broker with a large log needs to start, after a clean stop and after kill -9.
 *   --gib N (10)  --runs N (3)  --dir DIR  --json FILE
 */
const { values: options } = parseArgs({
  options: {
    gib: { type: "string", default: "10" },
    runs: { type: "string", default: "3" },
    dir: { type: "string", default: tmpdir() },
    json: { type: "string" },
  },
});
const bytes = Number(options.gib) * 2 ** 30;
const directory = await mkdtemp(join(options.dir, "lograft-start-"));
const results: Record<string, number> = {};
try {
  const first = await startBroker(directory, ["log.flush.policy=os"]);
  await runCli(["topic", "create", "big", "-p", "6", "-b", first.address]);
  const size = ["--record-size", "1024", "--records", String(Math.ceil(bytes / 1034))];
  await runCli([
    "bench",
    "produce",
    "big",
    ...size,
    "--duration",
    "600s",
    "--warmup",
    "0s",
    "-b",
    first.address,
  ]);
  await first.stop();
  await measure("clean stop", async (broker) => broker.stop());
  await measure("kill -9", async (broker) => {
    process.kill(broker.pid, "SIGKILL");
    await broker.stop();
  });
} finally {
  await rm(directory, { recursive: true, force: true });
}
if (options.json !== undefined)
  await writeFile(
    options.json,
    `${JSON.stringify({ node: process.version, gib: options.gib, results }, null, 2)}\n`,
  );

/** Starts, takes the time until the broker answers a request for the topic's end, and ends it in the given way. */
async function measure(
  name: string,
  end: (broker: Awaited<ReturnType<typeof startBroker>>) => Promise<void>,
): Promise<void> {
  // The first start of a row follows the other row's way to end, so it is not counted.
  await end(await startBroker(directory, []));
  const times: number[] = [];
  for (let run = 0; run < Number(options.runs); run++) {
    const startedAt = performance.now();
    const broker = await startBroker(directory, []);
    times.push(performance.now() - startedAt);
    await runCli(["topic", "offsets", "big", "-b", broker.address]);
    await end(broker);
  }
  times.sort((a, b) => a - b);
  const median = times[Math.floor(times.length / 2)] ?? Number.NaN;
  results[`start after ${name}, ms`] = Math.round(median);
  process.stdout.write(
    `start after ${name}, ${options.gib} GiB: median ${Math.round(median)} ms (${times.map((time) => Math.round(time)).join(", ")})\n`,
  );
}
