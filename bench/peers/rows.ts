/** What belongs together: the rows that one start of a system serves. */
export type SessionName = "throughput" | "partitions" | "latency" | "single" | "storage";

/** A line of the table. */
export interface Row {
  readonly name: string;
  readonly session: SessionName;
  readonly unit: string;
  readonly better: "higher" | "lower";
  /** What is done, in a few words. */
  readonly what: string;
}

/** A load of records: what the clients are told. */
export interface ProduceRow {
  readonly name: string;
  readonly recordBytes: number;
  readonly partitions: number;
  readonly producers: number;
}

export const RECORD_SIZES: Readonly<Record<string, number>> = { "1KiB": 1024, "100B": 100, "10B": 10 };
export const PARTITIONS = 6;
export const MANY_PARTITIONS: readonly number[] = [600, 3000];
export const MANY_PRODUCERS: readonly number[] = [16, 128];
export const RATES: readonly number[] = [1000, 5000, 20_000];
export const QUANTILES: Readonly<Record<string, number>> = { p50: 0.5, p99: 0.99, p999: 0.999 };

/** The loads of the session "throughput", one producer first. */
export const replicatedLoads: readonly ProduceRow[] = [
  ...Object.entries(RECORD_SIZES).map(([size, recordBytes]) => ({
    name: `produce.${size}`,
    recordBytes,
    partitions: PARTITIONS,
    producers: 1,
  })),
  ...MANY_PRODUCERS.map((producers) => ({
    name: `produce.1KiB.${producers}-producers`,
    recordBytes: 1024,
    partitions: PARTITIONS,
    producers,
  })),
];

/** The loads of the session "partitions". */
export const partitionLoads: readonly ProduceRow[] = MANY_PARTITIONS.map((partitions) => ({
  name: `produce.1KiB.${partitions}-partitions`,
  recordBytes: 1024,
  partitions,
  producers: 1,
}));

/** The loads of the session "single". */
export const singleLoads: readonly ProduceRow[] = Object.entries(RECORD_SIZES).map(([size, recordBytes]) => ({
  name: `single.${size}`,
  recordBytes,
  partitions: PARTITIONS,
  producers: 1,
}));

/** All rows in the order of the table. */
export const allRows: readonly Row[] = [
  ...replicatedLoads.map((load) => produceRow(load, "throughput", "3 replicas, acks=all")),
  ...partitionLoads.map((load) => produceRow(load, "partitions", "3 replicas, acks=all")),
  ...singleLoads.map((load) => produceRow(load, "single", "one node, one replica")),
  higher("consume.cached", "throughput", "MB/s", "1 KiB records that were just written"),
  higher("consume.tail", "throughput", "MB/s", "1 KiB records while one producer writes them at its best"),
  higher("consume.cold", "storage", "MB/s", "1 KiB records after a restart, none of them in memory"),
  ...RATES.flatMap((rate) =>
    Object.keys(QUANTILES).map((name) => ({
      name: `e2e.${rate / 1000}k.${name}`,
      session: "latency" as const,
      unit: "ms",
      better: "lower" as const,
      what: `due to read, ${rate.toLocaleString("en-US")} records/s of 1 KiB, 3 replicas, acks=all, no linger`,
    })),
  ),
  lower("start.first-ack", "storage", "ms", "start of all three nodes to the first record acknowledged"),
  lower("failover.gap", "storage", "ms", "kill -9 of a leader: longest time without an acknowledgement"),
  lower("broker.rss.idle", "throughput", "MiB", "resident memory of all brokers before the load"),
  lower("broker.rss.loaded", "throughput", "MiB", "the same after the loads of 1 KiB, 100 B and 10 B"),
  lower("broker.cpu.produce", "throughput", "s/GB", "CPU time of all brokers, 1 KiB, 3 replicas"),
  lower("broker.cpu.consume", "throughput", "s/GB", "CPU time of all brokers, 1 KiB, just written"),
  lower("client.cpu.produce", "throughput", "s/GB", "CPU time of the producing process, 1 KiB, 3 replicas"),
];

/** The rows that `--only` names: each word is a name or its beginning. @throws naming the word that fits none. */
export function rowsNamed(words: readonly string[]): readonly Row[] {
  for (const word of words) {
    if (allRows.some(({ name }) => name.startsWith(word))) continue;
    throw new Error(`--only ${word}: no row begins so; --list tells all of them`);
  }
  if (words.length === 0) return allRows;
  return allRows.filter(({ name }) => words.some((word) => name.startsWith(word)));
}

function produceRow(load: ProduceRow, session: SessionName, replicas: string): Row {
  const { name, recordBytes, partitions, producers } = load;
  const counts = `${count(producers, "producer")}, ${count(partitions, "partition")}`;
  // Large records are told in bytes, small ones by their number, which is what costs there.
  const unit = recordBytes >= 1024 ? "MB/s" : "records/s";
  return higher(name, session, unit, `${recordBytes}-byte records, ${counts}, ${replicas}`);
}

function higher(name: string, session: SessionName, unit: string, what: string): Row {
  return { name, session, unit, better: "higher", what };
}

function lower(name: string, session: SessionName, unit: string, what: string): Row {
  return { name, session, unit, better: "lower", what };
}

function count(number: number, noun: string): string {
  return `${number.toLocaleString("en-US")} ${noun}${number === 1 ? "" : "s"}`;
}
