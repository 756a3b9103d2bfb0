import { createReadStream } from "node:fs";
import { stat } from "node:fs/promises";
import { addAbortSignal } from "node:stream";
import type { Command } from "commander";
import { operationError } from "../../base/errors.ts";
import type { Producer, ProducerRecord } from "../../client/index.ts";
import {
  collect,
  parseAcks,
  parseCompression,
  parseDuration,
  parseInteger,
  parsePairList,
  parseSize,
} from "../arguments.ts";
import type { CliEnvironment } from "../context.ts";
import { CliContext, withGlobalOptions } from "../context.ts";
import { readLines } from "../line-reader.ts";
import { counted, formatBytes, formatCount } from "../output.ts";
import { Pace } from "../pace.ts";
import { byteProgress } from "../progress.ts";
import { lineParser } from "../record-parser.ts";

interface ProduceOptions {
  readonly key?: string;
  readonly header: readonly string[];
  readonly partition?: string;
  readonly acks: string;
  readonly compression: string;
  readonly keySeparator?: string;
  readonly file?: string;
  readonly repeat?: string;
  readonly rate?: string;
  readonly linger: string;
  readonly batchSize: string;
  readonly maxLine: string;
  readonly value?: string;
  readonly ndjson?: boolean;
  readonly tombstone?: boolean;
}

/** How long an interrupted or failed command waits for records that are already on their way. */
const LAST_FLUSH_MS = 5000;
/** Room for key, headers and the batch around a line of the greatest length. */
const RECORD_OVERHEAD_BYTES = 64 * 1024;

/** `lograft produce TOPIC`: records from a value, standard input or a file, one a line. */
export function addProduceCommand(program: Command, environment: CliEnvironment): void {
  withGlobalOptions(program.command("produce <topic>"))
    .description("write records: from standard input or --file, one a line, or a single --value")
    .option("-k, --key <key>", "key of every record")
    .option("-v, --value <value>", "write this one value instead of reading lines")
    .option("--tombstone", "write one record whose value is null (with --key)")
    .option("-H, --header <key=value>", "a header of every record; repeat for more", collect, [])
    .option("-p, --partition <n>", "the partition (default: by key, or spread)")
    .option("--acks <all|1|0>", "who must have it before it counts", "all")
    .option("-z, --compression <codec>", "none, gzip, snappy, lz4 or zstd", "none")
    .option("--key-separator <text>", "a line is KEY, this text, VALUE")
    .option(
      "--ndjson",
      "a line is a JSON object, as consume prints them: key, value, headers, partition, timestamp",
    )
    .option("--file <path>", "read lines from this file")
    .option("--repeat <n>", "write the one value so many times")
    .option("--rate <n>", "at most so many records a second")
    .option("--linger <duration>", "wait so long for a fuller batch", "5ms")
    .option("--batch-size <size>", "largest batch", "64KiB")
    .option("--max-line <size>", "longest line", "1MiB")
    .action(async (topic: string, options: ProduceOptions, command: Command) => {
      await CliContext.run(command, environment, async (context) => {
        await produce(context, topic, options);
      });
    });
}

/** What a run has given to the producer. */
interface Sent {
  records: number;
  bytes: number;
}

async function produce(context: CliContext, topic: string, options: ProduceOptions): Promise<void> {
  refuseContradictions(options);
  const template = recordTemplate(options);
  // One failure ends the run: an endless input must not hide that nothing arrives.
  const stop = new AbortController();
  const signal = AbortSignal.any([context.signal, stop.signal]);
  const producer = context.client.producer({
    acks: parseAcks(options.acks),
    compression: parseCompression(options.compression),
    lingerMs: parseDuration(options.linger, "--linger"),
    batchSize: parseSize(options.batchSize, "--batch-size"),
    maxBatchSize: parseSize(options.batchSize, "--batch-size"),
    maxRequestBytes: Math.max(1 << 20, parseSize(options.maxLine, "--max-line") + RECORD_OVERHEAD_BYTES),
    deliveryTimeoutMs: context.options.timeoutMs,
    onError: (error) => stop.abort(error),
  });
  const startedAt = performance.now();
  const sent: Sent = { records: 0, bytes: 0 };
  try {
    if (options.repeat === undefined && isSingle(options)) {
      await produceOne(context, producer, topic, { ...template, value: options.value ?? null });
      return;
    }
    const input = { context, producer, topic, template, options, sent, signal };
    await (isSingle(options) ? repeatValue(input) : produceLines(input));
    await producer.flush({ signal });
  } catch (error) {
    await closeAfterFailure(context, producer, sent);
    throw stop.signal.aborted ? stop.signal.reason : error;
  }
  await producer.close();
  report(context, topic, sent, (performance.now() - startedAt) / 1000);
}

function isSingle(options: ProduceOptions): boolean {
  return options.value !== undefined || options.tombstone === true;
}

function refuseContradictions(options: ProduceOptions): void {
  const isGiven: Readonly<Record<string, boolean>> = {
    "--value": options.value !== undefined,
    "--tombstone": options.tombstone === true,
    "--file": options.file !== undefined,
    "--ndjson": options.ndjson === true,
    "--key-separator": options.keySeparator !== undefined,
    "--key": options.key !== undefined,
  };
  const pairs = [
    ["--value", "--tombstone", "--file", "--ndjson", "--key-separator"],
    ["--tombstone", "--file", "--ndjson", "--key-separator"],
    ["--ndjson", "--key-separator"],
    ["--key-separator", "--key"],
  ] as const;
  for (const [one, ...others] of pairs) {
    const other = others.find((name) => isGiven[name] === true);
    if (isGiven[one] !== true || other === undefined) continue;
    throw operationError("INVALID_ARGUMENT", `${one} and ${other} do not go together; give one of them`);
  }
  if (options.repeat !== undefined && !isSingle(options)) {
    throw operationError("INVALID_ARGUMENT", "--repeat goes with --value");
  }
  if (options.keySeparator === "")
    throw operationError("INVALID_ARGUMENT", "--key-separator cannot be empty");
}

async function produceOne(
  context: CliContext,
  producer: Producer,
  topic: string,
  record: ProducerRecord,
): Promise<void> {
  const ack = await producer.send(topic, record);
  await producer.close();
  const where =
    ack.offset === -1 ? `${topic}-${ack.partition}` : `${topic}-${ack.partition} offset ${ack.offset}`;
  const held =
    ack.durability === "none"
      ? "not acknowledged (acks 0)"
      : `${ack.durability} on ${ack.replicas} replica(s)`;
  context.output.result(`${where}, leader epoch ${ack.leaderEpoch}, ${held}`, {
    topic,
    partition: ack.partition,
    offset: String(ack.offset),
    timestamp: String(ack.timestamp),
    leaderEpoch: ack.leaderEpoch,
    durability: ack.durability,
    replicas: ack.replicas,
  });
}

/** What a run of many records works with. */
interface Input {
  readonly context: CliContext;
  readonly producer: Producer;
  readonly topic: string;
  readonly template: Partial<ProducerRecord>;
  readonly options: ProduceOptions;
  readonly sent: Sent;
  /** Fires on Ctrl-C and at the first record that failed. */
  readonly signal: AbortSignal;
}

async function repeatValue({ producer, topic, template, options, sent, signal }: Input): Promise<void> {
  const record = { ...template, value: options.value ?? null };
  const repeat = parseInteger(options.repeat ?? "1", "--repeat", 1);
  const pace = new Pace(options.rate);
  while (sent.records < repeat) {
    signal.throwIfAborted();
    await pace.next(signal);
    while (!producer.enqueue(topic, record)) await producer.drained({ signal });
    sent.records++;
    sent.bytes += Buffer.byteLength(record.value ?? "");
  }
}

async function produceLines(input: Input): Promise<void> {
  const { context, producer, topic, template, options, sent, signal } = input;
  const maxLineBytes = parseSize(options.maxLine, "--max-line");
  const pace = new Pace(options.rate);
  const parse = lineParser(
    { isNdjson: options.ndjson === true, keySeparator: options.keySeparator },
    template,
  );
  const source = await openSource(context, options.file, signal);
  using progress = byteProgress(context.output, source.sizeBytes ?? 0, topic);
  let refused: Uint8Array | undefined;
  const take = (line: Uint8Array): boolean => {
    if (!producer.enqueue(topic, parse(line))) return false;
    sent.records++;
    sent.bytes += line.byteLength;
    return true;
  };
  await readLines(source.stream, maxLineBytes, {
    onLine: (line) => {
      signal.throwIfAborted();
      if (take(line)) return !pace.isLimited;
      // The view of the line dies with this call, so what waits is a copy.
      refused = new Uint8Array(line);
      return false;
    },
    ready: async () => {
      while (refused !== undefined) {
        await producer.drained({ signal });
        if (take(refused)) refused = undefined;
      }
      await pace.next(signal);
    },
    onBytes: (count) => progress.advance(count),
  });
}

/** The input; it ends with the signal's reason when that fires, also while it waits for somebody to type. */
async function openSource(
  context: CliContext,
  file: string | undefined,
  signal: AbortSignal,
): Promise<{ readonly stream: AsyncIterable<Uint8Array | string>; readonly sizeBytes: number | undefined }> {
  if (file === undefined) {
    const { stdin } = context.environment;
    if (stdin.isTTY) context.output.note("reading records from the keyboard, one a line; Ctrl-D ends");
    return { stream: addAbortSignal(signal, stdin), sizeBytes: undefined };
  }
  const sizeBytes = await fileSize(file);
  const stream = createReadStream(file, { highWaterMark: 1 << 20 });
  return { stream: addAbortSignal(signal, stream), sizeBytes };
}

async function fileSize(path: string): Promise<number> {
  const found = await stat(path).catch((cause: unknown) => {
    throw operationError("INVALID_ARGUMENT", `--file ${path}: cannot be read; check the path`, { cause });
  });
  if (found.isDirectory())
    throw operationError("INVALID_ARGUMENT", `--file ${path}: is a directory; name a file`);
  return found.size;
}

function recordTemplate(options: ProduceOptions): Partial<ProducerRecord> {
  const headers = parsePairList(options.header, "--header").map(([key, value]) => ({ key, value }));
  return {
    ...(options.key === undefined ? {} : { key: options.key }),
    ...(headers.length === 0 ? {} : { headers }),
    ...(options.partition === undefined
      ? {}
      : { partition: parseInteger(options.partition, "--partition", 0) }),
  };
}

/** Gives what was taken a last chance; a failure now is no news beside the one that led here. */
async function closeAfterFailure(context: CliContext, producer: Producer, sent: Sent): Promise<void> {
  const isAllWritten = await producer.close({ timeoutMs: LAST_FLUSH_MS }).then(
    () => true,
    () => false,
  );
  if (sent.records === 0) return;
  const which = isAllWritten ? "all of them acknowledged" : "not all of them acknowledged";
  context.output.note(`stopped after ${counted(sent.records, "record")}, ${which}`);
}

function report(context: CliContext, topic: string, sent: Sent, elapsedSeconds: number): void {
  const seconds = Math.max(0.001, elapsedSeconds);
  const rates = `${formatCount(sent.records / seconds)}/s, ${formatBytes(sent.bytes / seconds)}/s`;
  context.output.result(
    `${counted(sent.records, "record")}, ${formatBytes(sent.bytes)} in ${seconds.toFixed(1)} s (${rates})`,
    { topic, records: sent.records, bytes: sent.bytes, seconds: Number(seconds.toFixed(3)) },
  );
}
