import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import type { Logger } from "../src/base/logger.ts";
import { silentLogger } from "../src/base/logger.ts";
import { Broker } from "../src/broker/broker.ts";
import { OFFSETS_TOPIC } from "../src/broker/offsets-topic.ts";
import { parseBrokerConfig } from "../src/model/configs.ts";
import { createNodePlatform } from "../src/platform/node/node-platform.ts";
import { medianOf, printTable, round } from "./figures.ts";

/*
 * npm run bench -- groups.load: how long the coordinator of one partition of `__consumer_offsets` needs until it answers,
 * when many offsets were committed there. One broker in this process; the commits go through its coordinator. Measured
 * after a clean stop: with all commits in the log, and when it was compacted.
 *   --commits N (1000000)  --groups N (1000)  --partitions N (100, of each group)  --runs N (3)  --dir DIR  --json FILE
 */
const { values: options } = parseArgs({
  options: {
    commits: { type: "string", default: "1000000" },
    groups: { type: "string", default: "1000" },
    partitions: { type: "string", default: "100" },
    runs: { type: "string", default: "3" },
    dir: { type: "string", default: tmpdir() },
    json: { type: "string" },
  },
});
const groupCount = Number(options.groups);
const partitionCount = Number(options.partitions);
const rounds = Math.ceil(Number(options.commits) / (groupCount * partitionCount));
const TOPIC = "orders";
const AT_ONCE = 64;
/** The last segment of a log is never compacted: with the usual 100 MiB it would be most of this one. */
const SEGMENT_BYTES = 4 * 1024 * 1024;
const samples = new Map<string, { readonly unit: string; readonly values: number[] }>();
/** What loads of the coordinator have read, in order. */
const loads: { readonly records: number; readonly durationMs: number }[] = [];

const directory = await mkdtemp(join(options.dir, "lograft-groups-"));
try {
  await writeCommits();
  for (let run = 0; run < Number(options.runs); run++) await measureStart("all commits");
  await compact();
  for (let run = 0; run < Number(options.runs); run++) await measureStart("compacted");
} finally {
  await rm(directory, { recursive: true, force: true });
}
const results = [...samples].map(([name, { unit, values }]) => ({
  name,
  unit,
  median: round(medianOf(values)),
  min: round(Math.min(...values)),
  max: round(Math.max(...values)),
}));
printTable([
  ["", "median", "unit", "min .. max"],
  ...results.map(({ name, unit, median, min, max }) => [name, String(median), unit, `${min} .. ${max}`]),
]);
if (options.json !== undefined)
  await writeFile(options.json, `${JSON.stringify({ node: process.version, results }, null, 2)}\n`);

async function start(): Promise<Broker> {
  const config = parseBrokerConfig({
    "log.dirs": directory,
    "offsets.topic.num.partitions": "1",
    "offsets.topic.replication.factor": "1",
    "offsets.topic.segment.bytes": String(SEGMENT_BYTES),
    "log.cleaner.io.max.bytes.per.second": "-1",
    // Only when this bench asks for it.
    "log.cleaner.backoff.ms": "7d",
  });
  if (!config.ok) throw new Error(config.errors.map(({ message }) => message).join("; "));
  const advertised = { host: "127.0.0.1", port: 9092 };
  return Broker.start({ config, advertised }, { platform: createNodePlatform(), logger: loadLogger() });
}

/** Notes what a load of the coordinator has read. */
function loadLogger(): Logger {
  const info: Logger["info"] = (message, fields) => {
    if (message !== "a coordinator has read its log") return;
    loads.push({ records: Number(fields?.["records"]), durationMs: Number(fields?.["durationMs"]) });
  };
  const logger: Logger = { ...silentLogger, info, child: () => logger };
  return logger;
}

async function writeCommits(): Promise<void> {
  const broker = await start();
  const configs = new Map<string, string>();
  const wish = { name: TOPIC, partitions: partitionCount, replicationFactor: 1, configs };
  const [made] = await broker.createTopics({ topics: [wish], validateOnly: false });
  if (made?.error !== "NONE") throw new Error(`${TOPIC} was not made: ${made?.errorMessage}`);
  await broker.groups.findCoordinator([groupName(0)]);
  await answering(broker);
  const startedAt = performance.now();
  const total = rounds * groupCount;
  let next = 0;
  const work = async (): Promise<void> => {
    for (let index = next++; index < total; index = next++) {
      await commit(broker, index % groupCount, 1 + Math.floor(index / groupCount));
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, work));
  const seconds = (performance.now() - startedAt) / 1000;
  add("commits", "commits/s", (total * partitionCount) / seconds);
  add("log, all commits", "MiB", logBytes(broker) / 2 ** 20);
  await broker.close();
}

async function commit(broker: Broker, group: number, offset: number): Promise<void> {
  const { partitions } = await broker.groups.commitOffsets({
    groupId: groupName(group),
    memberId: "",
    generationIdOrMemberEpoch: -1,
    requireOwned: true,
    partitions: Array.from({ length: partitionCount }, (_, partition) => ({
      topic: TOPIC,
      partition,
      offset,
      leaderEpoch: 0,
      metadata: "",
    })),
  });
  const refused = partitions.find(({ error }) => error !== "NONE");
  if (refused !== undefined) throw new Error(`a commit was refused: ${refused.errorMessage}`);
}

async function compact(): Promise<void> {
  const broker = await start();
  await answering(broker);
  const startedAt = performance.now();
  const report = await broker.storage.compact();
  if (report.compactedLogs !== 1) throw new Error(`${report.compactedLogs} logs were compacted, not one`);
  add("compaction", "ms", performance.now() - startedAt);
  add("log, compacted", "MiB", logBytes(broker) / 2 ** 20);
  await broker.close();
}

async function measureStart(name: string): Promise<void> {
  const startedAt = performance.now();
  const broker = await start();
  await answering(broker);
  add(`${name}: start to first answer`, "ms", performance.now() - startedAt);
  const loaded = loads.at(-1);
  if (loaded === undefined) throw new Error("the coordinator answers and has not said what it read");
  add(`${name}: load`, "ms", loaded.durationMs);
  add(`${name}: records read`, "records", loaded.records);
  add(`${name}: heap in use`, "MiB", process.memoryUsage().heapUsed / 2 ** 20);
  await checkOffsets(broker);
  await broker.close();
}

/** Waits until the coordinator answers. */
async function answering(broker: Broker): Promise<void> {
  for (;;) {
    const partitions = [{ topic: TOPIC, partition: 0 }];
    const answer = await broker.groups.fetchOffsets({
      groupId: groupName(0),
      partitions,
      requireStable: true,
    });
    if (answer.error === "NONE") return;
    await new Promise((resolve) => {
      setTimeout(resolve, 1);
    });
  }
}

/** Every group has what it committed last. */
async function checkOffsets(broker: Broker): Promise<void> {
  for (let group = 0; group < groupCount; group++) {
    const { partitions } = await broker.groups.fetchOffsets({
      groupId: groupName(group),
      partitions: undefined,
      requireStable: true,
    });
    const isWhole =
      partitions.length === partitionCount && partitions.every(({ offset }) => offset === rounds);
    if (!isWhole) throw new Error(`${groupName(group)} lacks offsets that it committed`);
  }
}

function groupName(group: number): string {
  return `bench-group-${group}`;
}

function logBytes(broker: Broker): number {
  for (const log of broker.storage.openLogs())
    if (log.directory.endsWith(`${OFFSETS_TOPIC}-0`)) return log.sizeBytes;
  throw new Error("the log of the coordinator is not open");
}

function add(name: string, unit: string, value: number): void {
  const sample = samples.get(name);
  if (sample === undefined) samples.set(name, { unit, values: [value] });
  else sample.values.push(value);
}
