import type { Command } from "commander";
import { operationError } from "../../base/errors.ts";
import { collect, parseInteger } from "../arguments.ts";
import { planReading } from "../consume-plan.ts";
import type { CliEnvironment } from "../context.ts";
import { CliContext } from "../context.ts";
import { readGroup } from "../group-reading.ts";
import { kafkaCommand, parseFlag, parseKnown, required } from "../kafka-flags.ts";
import { printBatch } from "../print-batch.ts";
import type { PrintableRecord } from "../record-format.ts";

interface ConsoleConsumerOptions {
  readonly topic?: string;
  readonly fromBeginning?: boolean;
  readonly group?: string;
  readonly maxMessages?: string;
  readonly partition?: string;
  readonly offset?: string;
  readonly property: readonly string[];
  readonly timeoutMs?: string;
}

const PROPERTIES = [
  "print.key",
  "print.value",
  "print.offset",
  "print.partition",
  "print.timestamp",
  "key.separator",
  "line.separator",
  "null.literal",
] as const;

/** `lograft kafka-console-consumer`: records as lines. */
export function addKafkaConsoleConsumerCommand(program: Command, environment: CliEnvironment): void {
  kafkaCommand(program, "kafka-console-consumer")
    .description("print records by the flags of Kafka's tool, until Ctrl-C, --max-messages or --timeout-ms")
    .option("--topic <topic>", "the topic")
    .option("--from-beginning", "from the first record, where the group has committed nothing")
    .option("--group <group>", "read as a member of this group, and commit what was printed")
    .option("--max-messages <n>", "stop after so many records")
    .option("--partition <n>", "this partition only")
    .option("--offset <where>", "with --partition: earliest, latest or an offset")
    .option("--property <key=value>", `${PROPERTIES.join(", ")}; repeat for more`, collect, [])
    .option("--timeout-ms <ms>", "stop when no record came for so long")
    .action(async (options: ConsoleConsumerOptions, command: Command) => {
      await CliContext.run(command, environment, (context) => consume(context, options));
    });
}

async function consume(context: CliContext, options: ConsoleConsumerOptions): Promise<void> {
  const topic = required(options.topic, "--topic", "kafka-console-consumer");
  const where = startOf(options);
  const print = printer(options.property);
  const { maxMessages, timeoutMs, group } = options;
  const limit =
    maxMessages === undefined ? Number.POSITIVE_INFINITY : parseInteger(maxMessages, "--max-messages", 1);
  const idle = new IdleEnd(timeoutMs === undefined ? undefined : parseInteger(timeoutMs, "--timeout-ms", 1));
  let printed = 0;
  const onPrinted = (count: number): void => {
    printed += count;
    idle.restart();
  };
  try {
    if (group === undefined) await read(context, { topic, where, options, limit, print, idle, onPrinted });
    else {
      const reset = where === "start" ? "earliest" : "latest";
      const { signal } = idle;
      await readGroup(context, { groupId: group, topics: [topic], reset, limit, print, signal, onPrinted });
    }
  } catch (error) {
    // A silence that ends the reading is what was asked for.
    if (!idle.signal.aborted || context.signal.aborted) throw error;
  } finally {
    idle.stop();
    context.output.note(`Processed a total of ${printed} messages`);
  }
}

interface Reading {
  readonly topic: string;
  readonly where: string;
  readonly options: ConsoleConsumerOptions;
  readonly limit: number;
  readonly print: (record: PrintableRecord) => string;
  readonly idle: IdleEnd;
  readonly onPrinted: (count: number) => void;
}

async function read(context: CliContext, reading: Reading): Promise<void> {
  const { topic, where, options, limit, print, idle, onPrinted } = reading;
  const { assign } = await planReading(context.client.admin(), {
    topics: [topic],
    where,
    partitions: options.partition,
    exitAtEnd: false,
  });
  await using consumer = context.client.consumer({ assign });
  const signal = AbortSignal.any([context.signal, idle.signal]);
  let left = limit;
  for await (const batch of consumer.batches({ signal })) {
    const count = await printBatch(context, batch, Number.POSITIVE_INFINITY, left, print);
    onPrinted(count);
    left -= count;
    if (left <= 0) return;
  }
  signal.throwIfAborted();
}

/** Where to begin, as `consume -o` says it. @throws LograftError INVALID_ARGUMENT. */
function startOf({ fromBeginning, offset, partition, group }: ConsoleConsumerOptions): string {
  if (offset !== undefined && partition === undefined) {
    throw operationError("INVALID_ARGUMENT", "--offset goes with --partition");
  }
  if (partition !== undefined && group !== undefined) {
    throw operationError("INVALID_ARGUMENT", "--partition and --group do not go together; give one of them");
  }
  if (fromBeginning === true && offset !== undefined) {
    throw operationError(
      "INVALID_ARGUMENT",
      "--from-beginning and --offset say two things; give one of them",
    );
  }
  if (offset === "earliest" || fromBeginning === true) return "start";
  if (offset === undefined || offset === "latest") return "end";
  return String(parseInteger(offset, "--offset", 0));
}

/** Kafka's line: what is asked for of timestamp, partition, offset, key and value, in this order. */
function printer(pairs: readonly string[]): (record: PrintableRecord) => string {
  const given = parseKnown(pairs, "--property", PROPERTIES);
  const isOn = (key: (typeof PROPERTIES)[number], otherwise = false): boolean =>
    parseFlag(given.get(key), key, otherwise);
  const hasTimestamp = isOn("print.timestamp");
  const hasPartition = isOn("print.partition");
  const hasOffset = isOn("print.offset");
  const hasKey = isOn("print.key");
  const hasValue = isOn("print.value", true);
  const separator = given.get("key.separator") ?? "\t";
  const end = given.get("line.separator") ?? "\n";
  const nothing = given.get("null.literal") ?? "null";
  const textOf = (bytes: Uint8Array | null): string =>
    bytes === null ? nothing : new TextDecoder().decode(bytes);
  return ({ timestamp, partition, offset, key, value }) => {
    const parts: string[] = [];
    if (hasTimestamp) parts.push(`CreateTime:${timestamp}`);
    if (hasPartition) parts.push(`Partition:${partition}`);
    if (hasOffset) parts.push(`Offset:${offset}`);
    if (hasKey) parts.push(textOf(key));
    if (hasValue) parts.push(textOf(value));
    return parts.join(separator) + end;
  };
}

/** Aborts its signal when it was not restarted for so long; never without a time. */
class IdleEnd {
  readonly #afterMs: number | undefined;
  readonly #end = new AbortController();
  #timer: NodeJS.Timeout | undefined;

  constructor(afterMs: number | undefined) {
    this.#afterMs = afterMs;
    this.restart();
  }

  get signal(): AbortSignal {
    return this.#end.signal;
  }

  restart(): void {
    this.stop();
    if (this.#afterMs === undefined) return;
    this.#timer = setTimeout(
      () => this.#end.abort(operationError("TIMEOUT", "no record came")),
      this.#afterMs,
    );
  }

  stop(): void {
    clearTimeout(this.#timer);
  }
}
