import type { Command } from "commander";
import { parseAcks, parseCompression, parseDuration, parseInteger, parseSize } from "../arguments.ts";
import { benchConsume, benchEndToEnd, benchProduce, benchProduceLatency } from "../bench-load.ts";
import type { WriteLoad } from "../bench-load.ts";
import type { BenchResult } from "../bench-meter.ts";
import type { CliEnvironment } from "../context.ts";
import { CliContext, withGlobalOptions } from "../context.ts";
import { formatBytes, formatCount } from "../output.ts";

interface WriteOptions {
  readonly recordSize: string;
  readonly duration: string;
  readonly warmup: string;
  readonly acks: string;
  readonly batchSize: string;
  readonly linger: string;
  readonly compression: string;
  readonly idempotence: boolean;
  readonly rate?: string;
}

interface ProduceBenchOptions extends WriteOptions {
  readonly records?: string;
}

interface ConsumeBenchOptions {
  readonly records?: string;
  readonly duration: string;
}

/** `lograft bench produce|consume|e2e`: load from one process, with what it reached. */
export function addBenchCommands(program: Command, environment: CliEnvironment): void {
  const bench = program.command("bench").description("measure a broker from one process");

  withWriteOptions(bench.command("produce <topic>"), "5ms")
    .description("write records as fast as they are taken, or at --rate with latencies")
    .option("-n, --records <n>", "stop after so many, if --duration has not ended it")
    .option("--rate <n>", "records a second; latencies are measured from when each was due")
    .action(async (topic: string, options: ProduceBenchOptions, command: Command) => {
      await CliContext.run(command, environment, async (context) => {
        const load = writeLoad(context, topic, options);
        const { rate, records } = options;
        const result =
          rate === undefined
            ? await benchProduce(context.client, { ...load, maxRecords: count(records, "--records") })
            : await benchProduceLatency(context.client, { ...load, rate: parseInteger(rate, "--rate", 1) });
        report(context, result);
      });
    });

  withGlobalOptions(bench.command("consume <topic>"))
    .description("read from the beginning as fast as it comes")
    .option("-n, --records <n>", "stop after so many (default: all there are)")
    .option("-d, --duration <duration>", "or after so long", "60s")
    .action(async (topic: string, options: ConsumeBenchOptions, command: Command) => {
      await CliContext.run(command, environment, async (context) => {
        const durationMs = parseDuration(options.duration, "--duration");
        const maxRecords = count(options.records, "--records");
        report(
          context,
          await benchConsume(context.client, { topic, maxRecords, durationMs, signal: context.signal }),
        );
      });
    });

  withWriteOptions(bench.command("e2e <topic>"), "0ms")
    .description("write at --rate and read it back; latencies from when each was due to its arrival")
    .option("--rate <n>", "records a second", "1000")
    .action(async (topic: string, options: WriteOptions & { readonly rate: string }, command: Command) => {
      await CliContext.run(command, environment, async (context) => {
        const load = writeLoad(context, topic, options);
        report(
          context,
          await benchEndToEnd(context.client, { ...load, rate: parseInteger(options.rate, "--rate", 1) }),
        );
      });
    });
}

function withWriteOptions(command: Command, linger: string): Command {
  return withGlobalOptions(command)
    .option("-s, --record-size <size>", "bytes of each value", "100")
    .option("-d, --duration <duration>", "stop after so long", "10s")
    .option("--warmup <duration>", "do not count the first so long", "1s")
    .option("--acks <all|1|0>", "who must have it", "all")
    .option("--batch-size <size>", "largest batch", "64KiB")
    .option("--linger <duration>", "wait for a fuller batch", linger)
    .option("-z, --compression <codec>", "none, gzip, snappy, lz4 or zstd", "none")
    .option("--no-idempotence", "without producer ids and sequences");
}

function writeLoad(context: CliContext, topic: string, options: WriteOptions): WriteLoad {
  const acks = parseAcks(options.acks);
  const recordBytes = parseSize(options.recordSize, "--record-size");
  return {
    topic,
    recordBytes,
    durationMs: parseDuration(options.duration, "--duration"),
    warmupMs: parseDuration(options.warmup, "--warmup"),
    producer: {
      acks,
      batchSize: parseSize(options.batchSize, "--batch-size"),
      maxBatchSize: parseSize(options.batchSize, "--batch-size"),
      lingerMs: parseDuration(options.linger, "--linger"),
      compression: parseCompression(options.compression),
      idempotent: options.idempotence && acks !== 0,
      maxRequestBytes: Math.max(1 << 20, recordBytes + 1024),
      deliveryTimeoutMs: context.options.timeoutMs,
    },
    signal: context.signal,
  };
}

function count(text: string | undefined, option: string): number {
  return text === undefined ? Number.POSITIVE_INFINITY : parseInteger(text, option, 1);
}

function report(context: CliContext, result: BenchResult): void {
  if (context.output.format === "json") {
    context.output.json(result);
    return;
  }
  const { latencyMs } = result;
  const latency =
    latencyMs === undefined
      ? ""
      : `  p50 ${latencyMs.p50} ms, p99 ${latencyMs.p99} ms, p99.9 ${latencyMs.p999} ms, max ${latencyMs.max} ms`;
  context.output.line(
    `${result.workload}: ${formatCount(result.records)} records in ${result.seconds} s, ` +
      `${formatCount(result.recordsPerSecond)} records/s, ${result.mbPerSecond} MB/s${latency}` +
      `  (cpu ${result.cpuSeconds} s, rss ${formatBytes(result.rssBytes)})`,
  );
}
