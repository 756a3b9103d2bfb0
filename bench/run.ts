import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import type { ServerProcess } from "./processes.ts";
import { medianOf, printTable, round } from "./figures.ts";
import { runCli, runJson, startBroker, startServer, usageOf } from "./processes.ts";

/*
 * npm run bench: one broker process, one producer or consumer process, one topic of 6 partitions, batches of 64 KiB,
 * linger 5 ms (0 for latencies). The lanes and the limit model run in turn (A B C A B C ...), so that a noisy machine
 * is noisy for all of them. Prints medians; --json FILE writes them.
 *
 *   --runs N (3)  --seconds N (4)  --only PREFIX  --lanes direct,grpc-js  --json FILE
 */
const { values: options } = parseArgs({
  options: {
    runs: { type: "string", default: "3" },
    seconds: { type: "string", default: "4" },
    only: { type: "string", default: "" },
    lanes: { type: "string", default: "direct,grpc-js" },
    dir: { type: "string", default: tmpdir() },
    json: { type: "string" },
  },
});
const RUNS = Number(options.runs);
const SECONDS = Number(options.seconds);
const LIMIT_MODEL = fileURLToPath(new URL("limit-model.ts", import.meta.url));

type Lane = "direct" | "grpc-js";
type Policy = "os" | "ack";
const lanes = options.lanes
  .split(",")
  .filter((lane): lane is Lane => lane === "direct" || lane === "grpc-js");

interface CliResult {
  readonly records: number;
  readonly bytes: number;
  readonly recordsPerSecond: number;
  readonly mbPerSecond: number;
  readonly latencyMs?: { readonly p50: number; readonly p99: number };
  readonly cpuSeconds: number;
  readonly rssBytes: number;
}

interface Sample {
  readonly value: number;
  /** Broker and client together. */
  readonly cpuPerMillion: number;
  readonly brokerRssBytes: number;
  readonly limit: number | undefined;
}

interface Row {
  readonly name: string;
  readonly unit: string;
  readonly median: number;
  readonly min: number;
  readonly max: number;
  readonly runs: number;
  readonly limitFraction: number | null;
  readonly cpuSecondsPerMillion: number;
  readonly brokerRssMiB: number;
}

const SIZES: Readonly<Record<string, number>> = { "10B": 10, "100B": 100, "1KiB": 1024 };
/** Bytes of one record in a batch beside its value: length, attributes, two deltas, key length, value length, headers. */
const RECORD_OVERHEAD: Readonly<Record<string, number>> = { "10B": 8, "100B": 10, "1KiB": 10 };
const samples = new Map<string, Sample[]>();
const units = new Map<string, string>();

function add(name: string, unit: string, sample: Sample): void {
  units.set(name, unit);
  const list = samples.get(name);
  if (list === undefined) samples.set(name, [sample]);
  else list.push(sample);
}

function suffix(lane: Lane): string {
  return lane === "direct" ? "" : ".grpcjs";
}

for (let run = 0; run < RUNS; run++) {
  process.stderr.write(`run ${run + 1} of ${RUNS}\n`);
  for (const policy of ["os", "ack"] as const) {
    for (const size of Object.keys(SIZES)) {
      const name = `produce.${size}.${policy}`;
      if (!name.startsWith(options.only)) continue;
      const limit = await limitOf("produce", policy);
      for (const lane of lanes) await benchProduce(name, size, policy, lane, limit);
    }
    for (const lane of lanes) {
      if (`latency.5k.${policy}`.startsWith(options.only)) await benchLatency(policy, lane);
    }
  }
  for (const size of ["100B", "1KiB"]) {
    const name = `consume.${size}`;
    if (!name.startsWith(options.only)) continue;
    const limit = await limitOf("consume", "os");
    await benchConsume(name, size, limit);
  }
}
const rows = [...samples].map(([name, list]) => summarize(name, list));
printRows(rows);
if (options.json !== undefined) {
  await writeFile(options.json, `${JSON.stringify({ node: process.version, results: rows }, null, 2)}\n`);
}

async function withBroker<T>(policy: Policy, body: (broker: ServerProcess) => Promise<T>): Promise<T> {
  const directory = await mkdtemp(join(options.dir, "lograft-bench-"));
  const broker = await startBroker(directory, [`log.flush.policy=${policy}`]);
  try {
    await runCli(["topic", "create", "bench", "-p", "6", "-b", broker.address]);
    return await body(broker);
  } finally {
    await broker.stop();
    await rm(directory, { recursive: true, force: true });
  }
}

interface Measurement {
  readonly result: CliResult;
  readonly cpuPerMillion: number;
  readonly brokerRssBytes: number;
}

async function measured(broker: ServerProcess, load: string): Promise<Measurement> {
  const before = await usageOf(broker.pid);
  const result = (await runCli(words(`${load} -b ${broker.address}`))) as CliResult;
  const after = await usageOf(broker.pid);
  const cpu = after.cpuSeconds - before.cpuSeconds + result.cpuSeconds;
  return { result, cpuPerMillion: (cpu / result.records) * 1e6, brokerRssBytes: after.rssBytes };
}

async function benchProduce(
  name: string,
  size: string,
  policy: Policy,
  lane: Lane,
  limitMb: number,
): Promise<void> {
  const load = `bench produce bench --record-size ${SIZES[size]} --duration ${SECONDS}s --warmup 2s --acks 1 --lane ${lane}`;
  await withBroker(policy, async (broker) => {
    addThroughput(`${name}${suffix(lane)}`, size, limitMb, await measured(broker, load));
  });
}

async function benchLatency(policy: Policy, lane: Lane): Promise<void> {
  const load =
    `bench produce bench --record-size 1024 --rate 5000 --duration ${SECONDS}s --warmup 2s --linger 0ms ` +
    `--acks 1 --lane ${lane}`;
  await withBroker(policy, async (broker) => {
    const { result, cpuPerMillion, brokerRssBytes } = await measured(broker, load);
    for (const quantile of ["p50", "p99"] as const) {
      const value = result.latencyMs?.[quantile] ?? Number.NaN;
      const sample = { value, cpuPerMillion, brokerRssBytes, limit: undefined };
      add(`latency.5k.${policy}.${quantile}${suffix(lane)}`, "ms", sample);
    }
  });
}

async function benchConsume(name: string, size: string, limitMb: number): Promise<void> {
  const bytes = SIZES[size] ?? 0;
  // Enough to take some seconds; from the page cache, for it was just written.
  const records = Math.round((SECONDS * 600e6) / (bytes + 20));
  await withBroker("os", async (broker) => {
    const fill = `bench produce bench --record-size ${bytes} --records ${records} --duration 120s --warmup 0s`;
    await runCli(words(`${fill} -b ${broker.address}`));
    for (const lane of lanes) {
      // Once to warm the connection's code paths and the page cache, then the run that counts.
      const warm = `bench consume bench --records ${Math.round(records / 4)} --lane ${lane} -b ${broker.address}`;
      await runCli(words(warm));
      const measurement = await measured(broker, `bench consume bench --lane ${lane}`);
      addThroughput(`${name}${suffix(lane)}`, size, limitMb, measurement);
    }
  });
}

/** 1 KiB is told in MB/s, the others in records/s; the limit model's MB/s count the record's framing too. */
function addThroughput(name: string, size: string, limitMb: number, measurement: Measurement): void {
  const bytes = SIZES[size] ?? 0;
  const isMegabytes = size === "1KiB";
  const recordLimit = (limitMb * 1e6) / (bytes + (RECORD_OVERHEAD[size] ?? 0));
  const { result, cpuPerMillion, brokerRssBytes } = measurement;
  add(name, isMegabytes ? "MB/s" : "records/s", {
    value: isMegabytes ? result.mbPerSecond : result.recordsPerSecond,
    cpuPerMillion,
    brokerRssBytes,
    limit: isMegabytes ? (recordLimit * bytes) / 1e6 : recordLimit,
  });
}

function words(line: string): string[] {
  return line.split(" ");
}

/** MB/s of the limit model, measured anew beside each workload. */
async function limitOf(workload: "produce" | "consume", policy: Policy): Promise<number> {
  const directory = await mkdtemp(join(options.dir, "lograft-limit-"));
  const server = await startServer([
    LIMIT_MODEL,
    "serve",
    "--dir",
    directory,
    ...(policy === "ack" ? ["--sync"] : []),
  ]);
  try {
    const load = (await runJson([
      LIMIT_MODEL,
      "produce",
      "--address",
      server.address,
      "--seconds",
      String(Math.min(3, SECONDS)),
    ])) as {
      mbPerSecond: number;
    };
    if (workload === "produce") return load.mbPerSecond;
    const back = (await runJson([LIMIT_MODEL, "consume", "--address", server.address])) as {
      mbPerSecond: number;
    };
    return back.mbPerSecond;
  } finally {
    await server.stop();
    await rm(directory, { recursive: true, force: true });
  }
}

function summarize(name: string, list: readonly Sample[]): Row {
  const values = list.map((sample) => sample.value);
  const fractions = list.flatMap((sample) =>
    sample.limit === undefined ? [] : [sample.value / sample.limit],
  );
  return {
    name,
    unit: units.get(name) ?? "",
    median: round(medianOf(values)),
    min: round(Math.min(...values)),
    max: round(Math.max(...values)),
    runs: list.length,
    limitFraction: fractions.length === 0 ? null : round(medianOf(fractions)),
    cpuSecondsPerMillion: round(medianOf(list.map((sample) => sample.cpuPerMillion))),
    brokerRssMiB: Math.round(medianOf(list.map((sample) => sample.brokerRssBytes)) / 2 ** 20),
  };
}

function printRows(list: readonly Row[]): void {
  const cells = list.map((row) => [
    row.name,
    row.median.toLocaleString("en-US"),
    row.unit,
    `${row.min.toLocaleString("en-US")} .. ${row.max.toLocaleString("en-US")}`,
    row.limitFraction === null ? "-" : row.limitFraction.toFixed(2),
    row.cpuSecondsPerMillion.toFixed(2),
    String(row.brokerRssMiB),
  ]);
  const titles = [
    "workload",
    "median",
    "unit",
    "min .. max",
    "of limit",
    "cpu s/M records",
    "broker RSS MiB",
  ];
  printTable([titles, ...cells]);
}
