import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import type { Admin } from "lograft/client";
import { LograftClient } from "lograft/client";
import { startCluster } from "./processes.ts";

/*
 * npm run bench -- metadata: what a change of the metadata costs on a cluster of three brokers on this machine: the time
 * of a commit (a topic of one partition, through the SDK, one at a time), topics a second with several at once, the time
 * for many partitions, and the cold start of the cluster from the command to the last broker.
 *   --runs N (3)  --commits N (1000)  --partitions N (10000)  --base-port P (19092)  --dir DIR  --json FILE
 */
const { values: options } = parseArgs({
  options: {
    runs: { type: "string", default: "3" },
    commits: { type: "string", default: "1000" },
    partitions: { type: "string", default: "10000" },
    "base-port": { type: "string", default: "19092" },
    dir: { type: "string", default: tmpdir() },
    json: { type: "string" },
  },
});
const NODES = 3;
const AT_ONCE = 16;
const PARTITIONS_PER_TOPIC = 10;
const samples = new Map<string, number[]>();
const units = new Map<string, string>();

for (let run = 0; run < Number(options.runs); run++) {
  process.stderr.write(`run ${run + 1} of ${options.runs}\n`);
  const directory = await mkdtemp(join(options.dir, "lograft-metadata-"));
  try {
    await benchCluster(join(directory, "cluster"));
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}
const results = [...samples].map(([name, values]) => summarize(name, values));
for (const { name, unit, median, min, max } of results) {
  process.stdout.write(
    `${name.padEnd(34)} ${String(median).padStart(9)} ${unit.padEnd(13)} ${min} .. ${max}\n`,
  );
}
if (options.json !== undefined) {
  await writeFile(options.json, `${JSON.stringify({ node: process.version, results }, null, 2)}\n`);
}

async function benchCluster(directory: string): Promise<void> {
  const place = { directory, nodes: NODES, basePort: Number(options["base-port"]) };
  let cluster = await startCluster(place);
  add("metadata.coldStart", "ms", cluster.readyMs);
  try {
    await using client = new LograftClient({ brokers: cluster.addresses });
    const admin = client.admin();
    // The connections and their code paths are warm before anything counts.
    await createSequentially(admin, "warm", 50);
    const times = (await createSequentially(admin, "commit", Number(options.commits))).toSorted(
      (a, b) => a - b,
    );
    add("metadata.commit.p50", "ms", percentile(times, 0.5));
    add("metadata.commit.p99", "ms", percentile(times, 0.99));
    const commits = Number(options.commits);
    const together = await createTogether(admin, "together", commits, 1);
    add(`metadata.creates.atOnce${AT_ONCE}`, "topics/s", commits / together);
    const partitions = Number(options.partitions);
    const topics = Math.ceil(partitions / PARTITIONS_PER_TOPIC);
    const seconds = await createTogether(admin, "many", topics, PARTITIONS_PER_TOPIC);
    add(`metadata.create${partitions}Partitions`, "s", seconds);
    add("metadata.partitions", "partitions/s", (topics * PARTITIONS_PER_TOPIC) / seconds);
  } finally {
    const stoppedAt = performance.now();
    await cluster.stop();
    add("metadata.cleanStop", "ms", performance.now() - stoppedAt);
  }
  cluster = await startCluster(place);
  add("metadata.startAgain", "ms", cluster.readyMs);
  await cluster.stop();
}

/** One after the other; the time of each in ms. */
async function createSequentially(admin: Admin, prefix: string, count: number): Promise<number[]> {
  const times: number[] = [];
  for (let index = 0; index < count; index++) {
    const startedAt = performance.now();
    await admin.createTopics([{ name: `${prefix}-${index}`, partitions: 1 }]);
    times.push(performance.now() - startedAt);
  }
  return times;
}

/** A fixed number of requests under way, one topic in each; the time for all in seconds. */
async function createTogether(
  admin: Admin,
  prefix: string,
  count: number,
  partitions: number,
): Promise<number> {
  let next = 0;
  const startedAt = performance.now();
  const work = async (): Promise<void> => {
    for (let index = next++; index < count; index = next++) {
      await admin.createTopics([{ name: `${prefix}-${index}`, partitions }]);
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, work));
  return (performance.now() - startedAt) / 1000;
}

function add(name: string, unit: string, value: number): void {
  units.set(name, unit);
  const list = samples.get(name);
  if (list === undefined) samples.set(name, [value]);
  else list.push(value);
}

/** By nearest rank, of sorted values. */
function percentile(sorted: readonly number[], fraction: number): number {
  return sorted[Math.max(0, Math.ceil(fraction * sorted.length) - 1)] ?? Number.NaN;
}

function summarize(
  name: string,
  values: readonly number[],
): {
  readonly name: string;
  readonly unit: string;
  readonly median: number;
  readonly min: number;
  readonly max: number;
  readonly runs: number;
} {
  const sorted = values.toSorted((a, b) => a - b).map((value) => Number(value.toPrecision(4)));
  return {
    name,
    unit: units.get(name) ?? "",
    median: percentile(sorted, 0.5),
    min: sorted[0] ?? Number.NaN,
    max: sorted.at(-1) ?? Number.NaN,
    runs: sorted.length,
  };
}
