import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { LograftClient } from "lograft/client";
import { medianOf, printTable, round } from "./figures.ts";
import { runCli, runJson, startCluster, startServer, usageOf } from "./processes.ts";
import type { ServerProcess } from "./processes.ts";

/*
 * npm run bench -- cluster: three brokers and one producer process on this machine, topics with 3 replicas,
 * min.insync.replicas 2, acks=all, batches of 64 KiB, linger 5 ms (0 for latencies); the policies "os" and "ack"; 6, 600
 * and 3,000 partitions. Each workload has a cluster of its own, which is warmed up first, all partitions of it. The
 * limit model (the same bytes over raw TCP from a client to a leader and two followers, a checksum and a file at each)
 * runs beside each, and all of them in turn, so that a noisy machine is noisy for all. Prints medians; --json FILE writes
 * them.
 *
 *   --runs N (3)  --seconds N (4)  --only PREFIX  --partitions 6,600,3000  --base-port P (19092)  --dir DIR  --json FILE
 */
const { values: options } = parseArgs({
  options: {
    runs: { type: "string", default: "3" },
    seconds: { type: "string", default: "4" },
    only: { type: "string", default: "" },
    partitions: { type: "string", default: "6,600,3000" },
    "base-port": { type: "string", default: "19092" },
    dir: { type: "string", default: tmpdir() },
    json: { type: "string" },
  },
});
const NODES = 3;
const LIMIT_MODEL = fileURLToPath(new URL("cluster-limit.ts", import.meta.url));
const SIZES: Readonly<Record<string, number>> = { "10B": 10, "100B": 100, "1KiB": 1024 };
/** Bytes of one record in a batch beside its value: length, attributes, two deltas, key length, value length, headers. */
const RECORD_OVERHEAD: Readonly<Record<string, number>> = { "10B": 8, "100B": 10, "1KiB": 10 };
const PARTITIONS = options.partitions.split(",").map(Number);
const LATENCY_PARTITIONS = 6;
const TOPIC = "bench";

type Policy = "os" | "ack";

interface LoadResult {
  readonly recordsPerSecond: number;
  readonly mbPerSecond: number;
  readonly latencyMs?: { readonly p50: number; readonly p99: number };
  readonly bytes: number;
  readonly cpuSeconds: number;
}

interface Sample {
  readonly value: number;
  /** Of the limit model, in the same unit. */
  readonly limit: number | undefined;
  /** Of the same workload over the fewest partitions, in the same run. */
  readonly share: number | undefined;
  readonly cost: Cost;
}

/** Of the three brokers together, of the client, and of the broker with the most memory. */
interface Cost {
  readonly brokerCpuPerGb: number;
  readonly clientCpuPerGb: number;
  readonly idleRssMiB: number;
  readonly loadedRssMiB: number;
}

const samples = new Map<string, Sample[]>();
const units = new Map<string, string>();

for (let run = 0; run < Number(options.runs); run++) {
  process.stderr.write(`run ${run + 1} of ${options.runs}\n`);
  for (const policy of ["os", "ack"] as const) {
    for (const size of Object.keys(SIZES)) await benchThroughput(size, policy);
    if (`cluster.latency.5k.${policy}`.startsWith(options.only)) await benchLatency(policy);
  }
}
const results = [...samples].map(([name, list]) => summarize(name, list));
print(results);
if (options.json !== undefined) {
  await writeFile(options.json, `${JSON.stringify({ node: process.version, results }, null, 2)}\n`);
}

async function benchThroughput(size: string, policy: Policy): Promise<void> {
  const bytes = SIZES[size] ?? 0;
  const prefix = `cluster.${size}.${policy}`;
  let base: number | undefined;
  for (const partitions of PARTITIONS) {
    const name = `${prefix}.p${partitions}`;
    if (!name.startsWith(options.only)) continue;
    const limitMb = await limitOf(policy);
    const { result, cost } = await load(policy, partitions, ["--record-size", String(bytes)]);
    // 1 KiB is told in MB/s, the others in records/s; the limit model's MB/s count the record's framing too.
    const isMegabytes = size === "1KiB";
    const recordLimit = (limitMb * 1e6) / (bytes + (RECORD_OVERHEAD[size] ?? 0));
    const value = isMegabytes ? result.mbPerSecond : result.recordsPerSecond;
    const share = base === undefined ? undefined : value / base;
    base ??= value;
    add(name, isMegabytes ? "MB/s" : "records/s", {
      value,
      limit: isMegabytes ? (recordLimit * bytes) / 1e6 : recordLimit,
      share,
      cost,
    });
  }
}

async function benchLatency(policy: Policy): Promise<void> {
  const { result, cost } = await load(policy, LATENCY_PARTITIONS, [
    "--record-size",
    "1024",
    "--rate",
    "5000",
    "--linger",
    "0ms",
  ]);
  for (const quantile of ["p50", "p99"] as const) {
    const value = result.latencyMs?.[quantile] ?? Number.NaN;
    add(`cluster.latency.5k.${policy}.${quantile}`, "ms", {
      value,
      limit: undefined,
      share: undefined,
      cost,
    });
  }
}

/** One workload on a cluster of its own. */
async function load(
  policy: Policy,
  partitions: number,
  produce: readonly string[],
): Promise<{ readonly result: LoadResult; readonly cost: Cost }> {
  const directory = await mkdtemp(join(options.dir, "lograft-cluster-"));
  const place = join(directory, "cluster");
  const basePort = Number(options["base-port"]);
  const cluster = await startCluster({ directory: place, nodes: NODES, basePort });
  try {
    const bootstrap = cluster.addresses.join(",");
    const status = (await runCli(["dev", "status", "--dir", place])) as { readonly pid: number }[];
    const pids = status.map(({ pid }) => pid);
    const idle = await Promise.all(pids.map(usageOf));
    const settings = [`flush.policy=${policy}`, "min.insync.replicas=2"].flatMap((text) => ["-c", text]);
    const shape = ["-p", String(partitions), "-r", String(NODES)];
    await runCli(["topic", "create", TOPIC, ...shape, ...settings, "-b", bootstrap]);
    await touch(cluster.addresses, partitions);
    const command = ["bench", "produce", TOPIC, "--acks", "all", "-b", bootstrap];
    const warmup = ["--warmup", "0s", "--record-size", "1024", "--duration", "3s"];
    await runCli([...command, ...warmup]);
    const recordsBefore = await recordCount(cluster.addresses);
    const before = await Promise.all(pids.map(usageOf));
    const result = (await runCli([
      ...command,
      ...produce,
      "--warmup",
      "1s",
      "--duration",
      `${options.seconds}s`,
    ])) as LoadResult;
    const after = await Promise.all(pids.map(usageOf));
    // The client does not count its warm-up, the brokers work for it all the same.
    const records = (await recordCount(cluster.addresses)) - recordsBefore;
    const recordBytes = Number(produce[produce.indexOf("--record-size") + 1]);
    const total = (usages: readonly { readonly cpuSeconds: number }[]): number =>
      usages.reduce((sum, { cpuSeconds }) => sum + cpuSeconds, 0);
    const cost = {
      brokerCpuPerGb: (total(after) - total(before)) / ((records * recordBytes) / 1e9),
      clientCpuPerGb: result.cpuSeconds / (result.bytes / 1e9),
      idleRssMiB: largest(idle),
      loadedRssMiB: largest(after),
    };
    return { result, cost };
  } finally {
    await cluster.stop();
    await rm(directory, { recursive: true, force: true });
  }
}

/** Gives each partition its first record: the files of a log are made with it, which is not what is measured. */
async function touch(brokers: readonly string[], partitions: number): Promise<void> {
  await using client = new LograftClient({ brokers });
  await using producer = client.producer();
  const sends = Array.from({ length: partitions }, (_, partition) =>
    producer.send(TOPIC, { value: "first", partition }),
  );
  await Promise.all(sends);
}

function largest(usages: readonly { readonly rssBytes: number }[]): number {
  return Math.round(Math.max(...usages.map(({ rssBytes }) => rssBytes)) / 2 ** 20);
}

/** Records that the topic ever got. */
async function recordCount(brokers: readonly string[]): Promise<number> {
  await using client = new LograftClient({ brokers });
  const admin = client.admin();
  const [topic] = await admin.describeTopics([TOPIC]);
  const partitions = (topic?.partitions ?? []).map(({ partition }) => ({ topic: TOPIC, partition }));
  const ends = await admin.listOffsets(partitions, "end");
  return ends.reduce((sum, { offset }) => sum + offset, 0);
}

/** MB/s of the limit model, measured anew beside each workload. */
async function limitOf(policy: Policy): Promise<number> {
  const directories: string[] = [];
  const servers: ServerProcess[] = [];
  const start = async (followers: readonly string[]): Promise<ServerProcess> => {
    const directory = await mkdtemp(join(options.dir, "lograft-limit-"));
    directories.push(directory);
    const args = [LIMIT_MODEL, "serve", "--dir", directory];
    if (policy === "ack") args.push("--sync");
    if (followers.length > 0) args.push("--followers", followers.join(","));
    const server = await startServer(args);
    servers.push(server);
    return server;
  };
  try {
    const followers = [(await start([])).address, (await start([])).address];
    const { address } = await start(followers);
    const seconds = String(Math.min(3, Number(options.seconds)));
    const found = await runJson([LIMIT_MODEL, "produce", "--address", address, "--seconds", seconds]);
    return (found as { readonly mbPerSecond: number }).mbPerSecond;
  } finally {
    // The leader first: its followers would miss it.
    for (const server of servers.toReversed()) await server.stop();
    for (const directory of directories) await rm(directory, { recursive: true, force: true });
  }
}

function add(name: string, unit: string, sample: Sample): void {
  const limit = sample.limit === undefined ? "" : `, limit ${round(sample.limit)}`;
  process.stderr.write(`${name} ${round(sample.value)} ${unit}${limit}\n`);
  units.set(name, unit);
  const list = samples.get(name);
  if (list === undefined) samples.set(name, [sample]);
  else list.push(sample);
}

interface Row extends Cost {
  readonly name: string;
  readonly unit: string;
  readonly median: number;
  readonly min: number;
  readonly max: number;
  readonly runs: number;
  readonly limitFraction: number | null;
  /** Of the same workload over the fewest partitions. */
  readonly share: number | null;
}

function summarize(name: string, list: readonly Sample[]): Row {
  const values = list.map(({ value }) => value);
  const fractions = list.flatMap(({ value, limit }) => (limit === undefined ? [] : [value / limit]));
  const shares = list.flatMap(({ share }) => (share === undefined ? [] : [share]));
  const median = (all: readonly number[]): number => round(medianOf(all));
  const cost = (of: (cost: Cost) => number): number => median(list.map((sample) => of(sample.cost)));
  return {
    name,
    unit: units.get(name) ?? "",
    median: median(values),
    min: round(Math.min(...values)),
    max: round(Math.max(...values)),
    runs: list.length,
    limitFraction: fractions.length === 0 ? null : median(fractions),
    share: shares.length === 0 ? null : median(shares),
    brokerCpuPerGb: cost(({ brokerCpuPerGb }) => brokerCpuPerGb),
    clientCpuPerGb: cost(({ clientCpuPerGb }) => clientCpuPerGb),
    idleRssMiB: cost(({ idleRssMiB }) => idleRssMiB),
    loadedRssMiB: cost(({ loadedRssMiB }) => loadedRssMiB),
  };
}

function print(rows: readonly Row[]): void {
  const titles = ["workload", "median", "unit", "min .. max", "of limit", "of p6"];
  printTable([
    [...titles, "cpu s/GB brokers", "client", "RSS MiB idle", "loaded"],
    ...rows.map((row) => [
      row.name,
      row.median.toLocaleString("en-US"),
      row.unit,
      `${row.min.toLocaleString("en-US")} .. ${row.max.toLocaleString("en-US")}`,
      row.limitFraction?.toFixed(2) ?? "-",
      row.share?.toFixed(2) ?? "-",
      row.brokerCpuPerGb.toFixed(2),
      row.clientCpuPerGb.toFixed(2),
      String(row.idleRssMiB),
      String(row.loadedRssMiB),
    ]),
  ]);
}
