import type { ClientDriver, ClientResult } from "./client-driver.ts";
import { LatencyHistogram } from "./latency-histogram.ts";
import type { InstalledPeer } from "./peer.ts";
import { PARTITIONS, partitionLoads, QUANTILES, RATES, replicatedLoads, singleLoads } from "./rows.ts";
import type { ProduceRow, SessionName } from "./rows.ts";
import type { BrokerUsage } from "./server-cluster.ts";
import { dropPageCache, SENDING, Stage } from "./stage.ts";
import type { Phases } from "./stage.ts";

/** What a session needs. */
export interface SessionOptions {
  readonly peer: InstalledPeer;
  /** Where the data directories are made. */
  readonly directory: string;
  readonly phases: Phases;
  /** Whether a row is to be measured on this system. */
  readonly wants: (row: string) => boolean;
  readonly add: (row: string, value: number) => void;
  /** A row that gave no figure, with the cause. */
  readonly failed: (row: string, cause: unknown) => void;
}

const RECORD_BYTES = 1024;
/** What is read cold, once: 512 MiB. */
const STORED_RECORDS = 512 << 10;
/** What is read again and again: 256 MiB. */
const CACHED_RECORDS = 256 << 10;
const WARM_RECORDS = 64 << 10;
const NODES = 3;
const FIRST_LIMIT_MS = 90_000;
const FAILOVER_LIMIT_MS = 60_000;
const FAILOVER_RATE = 1000;
/** What the first record of each partition may take. */
const FIRST_RECORD_MS = 50;
/** Before the kill, so that all is under way. */
const FAILOVER_WARMUP_MS = 2000;
const HEAT_MS = 2000;

/** Runs the rows of one session on one system, in a cluster of its own. @throws when it does not come up. */
export const runSession: Readonly<Record<SessionName, (options: SessionOptions) => Promise<void>>> = {
  throughput: runThroughput,
  partitions: (options) => runLoads(options, partitionLoads, NODES),
  single: (options) => runLoads(options, singleLoads, 1),
  latency: runLatency,
  storage: runStorage,
};

async function runThroughput(options: SessionOptions): Promise<void> {
  const { peer, directory, phases, wants, add } = options;
  await using stage = await Stage.open(peer, NODES, directory);
  await stage.createTopic("ready", 1);
  add("broker.rss.idle", (await stage.cluster.usage()).rssMiB);
  await heat(stage);
  const lastOfOne = replicatedLoads.findLast(({ producers }) => producers === 1)?.name;
  for (const load of replicatedLoads) {
    const byproducts = byproductsOf(load.name, lastOfOne);
    if (![load.name, ...byproducts].some(wants)) continue;
    await attempt(options, [load.name, ...byproducts], async () => {
      const { result, brokerCpuPerGb } = await produce(stage, load, phases);
      add(load.name, valueOf(load, result));
      if (load.name === lastOfOne) add("broker.rss.loaded", (await stage.cluster.usage()).rssMiB);
      if (load.name !== "produce.1KiB") return;
      add("broker.cpu.produce", brokerCpuPerGb);
      add("client.cpu.produce", (result.cpuSeconds ?? Number.NaN) / ((result.bytes ?? 0) / 1e9));
    });
  }
  if (wants("consume.cached") || wants("broker.cpu.consume")) {
    await attempt(options, ["consume.cached", "broker.cpu.consume"], () => consumeCached(stage, options));
  }
  if (wants("consume.tail")) {
    await attempt(options, ["consume.tail"], async () => {
      add("consume.tail", await consumeTail(stage, phases));
    });
  }
}

/** The rows that a load gives beside its own. */
function byproductsOf(load: string, lastOfOne: string | undefined): readonly string[] {
  if (load === "produce.1KiB") return ["broker.cpu.produce", "client.cpu.produce"];
  return load === lastOfOne ? ["broker.rss.loaded"] : [];
}

async function runLoads(options: SessionOptions, loads: readonly ProduceRow[], nodes: number): Promise<void> {
  const { peer, directory, phases, wants, add } = options;
  await using stage = await Stage.open(peer, nodes, directory);
  await heat(stage);
  for (const load of loads) {
    if (!wants(load.name)) continue;
    await attempt(options, [load.name], async () => {
      const { result } = await produce(stage, load, phases);
      add(load.name, valueOf(load, result));
    });
  }
}

async function runLatency(options: SessionOptions): Promise<void> {
  const { peer, directory, phases, wants, add } = options;
  await using stage = await Stage.open(peer, NODES, directory);
  await heat(stage);
  for (const rate of RATES) {
    const rows = Object.keys(QUANTILES).map((name) => `e2e.${rate / 1000}k.${name}`);
    if (!rows.some(wants)) continue;
    await attempt(options, rows, async () => {
      const topic = `e2e-${rate}`;
      await stage.createTopic(topic, PARTITIONS);
      const values = { topic, partitions: PARTITIONS, bytes: RECORD_BYTES, rate, acks: "all" };
      const sending = { ...SENDING, linger: 0, warmup: phases.warmupMs, duration: phases.measureMs };
      const takesMs = phases.warmupMs + phases.measureMs;
      const { latency } = await stage.ask("e2e", { ...values, ...sending }, takesMs);
      const histogram = new LatencyHistogram();
      if (latency !== undefined) histogram.add(latency);
      for (const [name, fraction] of Object.entries(QUANTILES)) {
        add(`e2e.${rate / 1000}k.${name}`, histogram.quantileMs(fraction));
      }
      await stage.deleteTopic(topic, PARTITIONS);
    });
  }
}

/** What is on the disk and what becomes of it: fills, stops, starts anew, reads it cold, kills a leader. */
async function runStorage(options: SessionOptions): Promise<void> {
  const { peer, directory, wants, add } = options;
  await using stage = await Stage.open(peer, NODES, directory);
  await stage.createTopic("warm", PARTITIONS);
  await stage.fill("warm", PARTITIONS, RECORD_BYTES, WARM_RECORDS);
  if (wants("consume.cold") || wants("start.first-ack")) {
    if (wants("consume.cold")) {
      await stage.createTopic("cold", PARTITIONS);
      await stage.fill("cold", PARTITIONS, RECORD_BYTES, STORED_RECORDS);
    }
    await stage.cluster.stop();
    await dropPageCache(stage.directory);
    const startMs = await firstAcknowledgement(stage);
    if (wants("start.first-ack")) add("start.first-ack", startMs);
  }
  if (wants("consume.cold")) {
    await attempt(options, ["consume.cold"], async () => {
      const pass = { partitions: PARTITIONS, warmup: 0, duration: 0 };
      await stage.ask("consume", { ...pass, topic: "warm", count: WARM_RECORDS });
      const read = await stage.ask("consume", { ...pass, topic: "cold", count: STORED_RECORDS }, 60_000);
      add("consume.cold", megabytesPerSecond(read));
    });
  }
  if (wants("failover.gap")) {
    await attempt(options, ["failover.gap"], async () => {
      add("failover.gap", await failover(stage));
    });
  }
}

async function produce(
  stage: Stage,
  load: ProduceRow,
  phases: Phases,
): Promise<{ readonly result: ClientResult; readonly brokerCpuPerGb: number }> {
  const { partitions, producers, recordBytes } = load;
  const topic = load.name.replaceAll(".", "-");
  await stage.createTopic(topic, partitions);
  const before = await stage.cluster.usage();
  const values = { topic, partitions, bytes: recordBytes, producers, acks: "all", ...SENDING };
  const times = { warmup: phases.warmupMs, duration: phases.measureMs, count: 0 };
  const takesMs = phases.warmupMs + phases.measureMs + partitions * FIRST_RECORD_MS;
  let result: ClientResult;
  let after: BrokerUsage;
  try {
    result = await stage.ask("produce", { ...values, ...times }, takesMs);
    after = await stage.cluster.usage();
  } finally {
    // The rows behind it are not to pay for a topic that is done with; a failure to delete it shows in them.
    await stage.deleteTopic(topic, partitions).catch(() => undefined);
  }
  const brokerCpuPerGb = (after.cpuSeconds - before.cpuSeconds) / ((result.allBytes ?? 0) / 1e9);
  return { result, brokerCpuPerGb };
}

async function consumeCached(stage: Stage, { phases, add }: SessionOptions): Promise<void> {
  await stage.createTopic("cached", PARTITIONS);
  await stage.fill("cached", PARTITIONS, RECORD_BYTES, CACHED_RECORDS);
  const before = await stage.cluster.usage();
  const times = { warmup: phases.warmupMs, duration: phases.measureMs };
  const values = { topic: "cached", partitions: PARTITIONS, count: CACHED_RECORDS, ...times };
  const result = await stage.ask("consume", values, phases.warmupMs + phases.measureMs);
  const after = await stage.cluster.usage();
  add("consume.cached", megabytesPerSecond(result));
  add("broker.cpu.consume", (after.cpuSeconds - before.cpuSeconds) / ((result.allBytes ?? 0) / 1e9));
  await stage.deleteTopic("cached", PARTITIONS);
}

/** One process writes as fast as it can, another reads what comes: MB/s that it reads. */
async function consumeTail(stage: Stage, phases: Phases): Promise<number> {
  await stage.createTopic("tail", PARTITIONS);
  const writer = stage.addDriver();
  // The writer is a new process: it gets a while to warm up, and goes on until the reader is done.
  const takesMs = HEAT_MS + phases.warmupMs + phases.measureMs;
  const values = { topic: "tail", partitions: PARTITIONS, bytes: RECORD_BYTES, producers: 1, acks: "all" };
  const times = { warmup: 0, duration: takesMs + 1000, count: 0 };
  const timeoutMs = takesMs + 120_000;
  let writing: Promise<unknown> = Promise.resolve();
  const write = (): void => {
    writing = writer.ask("produce", { ...values, ...SENDING, ...times }, { timeoutMs });
    writing.catch(() => undefined);
  };
  const { measureMs, warmupMs } = phases;
  const window = { warmup: warmupMs + HEAT_MS, duration: measureMs, limit: timeoutMs - 10_000 };
  const reading = { topic: "tail", partitions: PARTITIONS, ...window };
  const result = await stage.driver.ask("tail", reading, { timeoutMs, onEvent: write });
  await writing;
  await writer.stop();
  await stage.deleteTopic("tail", PARTITIONS);
  return megabytesPerSecond(result);
}

/** Starts the stopped cluster; ms from there to the first acknowledgement, which a client that waits for it gets. */
async function firstAcknowledgement(stage: Stage): Promise<number> {
  const driver: ClientDriver = stage.addDriver();
  let startedAt = Number.NaN;
  const values = { topic: "warm", bytes: RECORD_BYTES, acks: "all", limit: FIRST_LIMIT_MS, ...SENDING };
  await driver.ask(
    "first",
    { ...values, linger: 0 },
    {
      timeoutMs: FIRST_LIMIT_MS + 10_000,
      onEvent: () => {
        startedAt = performance.now();
        stage.cluster.start();
      },
    },
  );
  const startMs = performance.now() - startedAt;
  await driver.stop();
  // The other nodes too, before anything else is measured.
  await stage.createTopic("ready", 1);
  return startMs;
}

/** Kills the leader of one partition, not the controller where that can be chosen: ms without an acknowledgement. */
async function failover(stage: Stage): Promise<number> {
  await stage.createTopic("failover", NODES);
  const { leaders = [], controller = -1 } = await stage.ask("leaders", { topic: "failover" });
  const partition = Math.max(
    0,
    leaders.findIndex((leader) => leader !== controller),
  );
  const leader = leaders[partition];
  if (leader === undefined) throw new Error("the client knows no leader of the topic");
  const values = { topic: "failover", partition, rate: FAILOVER_RATE, bytes: 100, acks: "all" };
  const killLater = (): void => {
    setTimeout(() => {
      stage.cluster.kill(leader);
      stage.driver.tell("killed");
    }, FAILOVER_WARMUP_MS);
  };
  const { gapMs, failed } = await stage.driver.ask(
    "steady",
    { ...values, ...SENDING, linger: 0, limit: FAILOVER_LIMIT_MS },
    { timeoutMs: FAILOVER_LIMIT_MS + 30_000, onEvent: killLater },
  );
  if (failed !== undefined && failed > 0) throw new Error(`${failed} records were given up`);
  return gapMs ?? Number.NaN;
}

/** Makes client and brokers warm, before anything of the session is measured. */
async function heat(stage: Stage): Promise<void> {
  await stage.createTopic("heat", PARTITIONS);
  const values = { topic: "heat", partitions: PARTITIONS, bytes: RECORD_BYTES, producers: 1, acks: "all" };
  const times = { warmup: 0, duration: HEAT_MS, count: 0 };
  await stage.ask("produce", { ...values, ...SENDING, ...times }, HEAT_MS);
  await stage.deleteTopic("heat", PARTITIONS);
}

async function attempt(
  { failed }: SessionOptions,
  rows: readonly string[],
  body: () => Promise<void>,
): Promise<void> {
  try {
    await body();
  } catch (error) {
    for (const row of rows) failed(row, error);
  }
}

function valueOf(load: ProduceRow, result: ClientResult): number {
  if (load.recordBytes >= 1024) return megabytesPerSecond(result);
  return (result.records ?? Number.NaN) / (result.seconds ?? Number.NaN);
}

function megabytesPerSecond({ bytes, seconds }: ClientResult): number {
  return (bytes ?? Number.NaN) / (seconds ?? Number.NaN) / 1e6;
}
