import type { Command } from "commander";
import { operationError } from "../../base/errors.ts";
import type { ConsumerOptions } from "../../client/index.ts";
import { ProtocolError } from "../../model/error-code.ts";
import { collect, parseInteger } from "../arguments.ts";
import { planReading } from "../consume-plan.ts";
import type { CliContext, CliEnvironment } from "../context.ts";
import { readGroup } from "../group-reading.ts";
import { runKafkaCommand } from "../kafka-client-config.ts";
import { kafkaCommand, parseFlag, parseKnown, patternOf, topicPattern } from "../kafka-flags.ts";
import { FORMAT_PROPERTIES, kafkaRecordFormat } from "../kafka-record-format.ts";
import { printBatch } from "../print-batch.ts";
import type { PrintableRecord } from "../record-format.ts";

interface ConsoleConsumerOptions {
  readonly topic?: string;
  readonly include?: string;
  readonly whitelist?: string;
  readonly fromBeginning?: boolean;
  readonly group?: string;
  readonly maxMessages?: string;
  readonly partition?: string;
  readonly offset?: string;
  readonly isolationLevel?: string;
  readonly property: readonly string[];
  readonly formatterProperty: readonly string[];
  readonly consumerProperty: readonly string[];
  readonly commandProperty: readonly string[];
  readonly timeoutMs?: string;
}

const CONSUMER_PROPERTIES = [
  "auto.offset.reset",
  "enable.auto.commit",
  "fetch.max.wait.ms",
  "fetch.min.bytes",
  "group.id",
  "group.instance.id",
  "isolation.level",
] as const;

/** `lograft kafka-console-consumer`: records as lines. */
export function addKafkaConsoleConsumerCommand(program: Command, environment: CliEnvironment): void {
  kafkaCommand(program, "kafka-console-consumer")
    .description("print records by the flags of Kafka's tool, until Ctrl-C, --max-messages or --timeout-ms")
    .option("--topic <topic>", "the topic")
    .option("--include <pattern>", "the topics whose whole name the regular expression matches, or a,b")
    .option("--whitelist <pattern>", "the same, by its older name")
    .option("--from-beginning", "from the first record, where the group has committed nothing")
    .option("--group <group>", "read as a member of this group, and commit what was printed")
    .option("--max-messages <n>", "stop after so many records")
    .option("--partition <n>", "this partition only")
    .option("--offset <where>", "with --partition: earliest, latest or an offset")
    .option("--isolation-level <level>", "read_uncommitted (default) or read_committed")
    .option("--property <key=value>", `${FORMAT_PROPERTIES.join(", ")}; repeat for more`, collect, [])
    .option("--formatter-property <key=value>", "the same, by its newer name", collect, [])
    .option(
      "--consumer-property <key=value>",
      `${CONSUMER_PROPERTIES.join(", ")}; repeat for more`,
      collect,
      [],
    )
    .option("--command-property <key=value>", "the same, by its newer name", collect, [])
    .option("--consumer.config <path>", "--command-config by its older name")
    .option("--timeout-ms <ms>", "stop when no record came for so long")
    .action(async (options: ConsoleConsumerOptions, command: Command) => {
      await runKafkaCommand(command, environment, CONSUMER_PROPERTIES, (context, settings) =>
        consume(context, options, settings),
      );
    });
}

async function consume(
  context: CliContext,
  options: ConsoleConsumerOptions,
  settings: ReadonlyMap<string, string>,
): Promise<void> {
  const what = subjectOf(options);
  const given = [...options.consumerProperty, ...options.commandProperty];
  const properties = parseKnown(given, "--consumer-property", CONSUMER_PROPERTIES, settings);
  const group = groupOf(options, properties.get("group.id"));
  const where = startOf(options, properties.get("auto.offset.reset"));
  const print = kafkaRecordFormat([...options.property, ...options.formatterProperty], "--property");
  const consumer = consumerOptions(options, properties, group !== undefined);
  const { maxMessages, timeoutMs } = options;
  const limit =
    maxMessages === undefined ? Number.POSITIVE_INFINITY : parseInteger(maxMessages, "--max-messages", 1);
  const idle = new IdleEnd(timeoutMs === undefined ? undefined : parseInteger(timeoutMs, "--timeout-ms", 1));
  let printed = 0;
  const onPrinted = (count: number): void => {
    printed += count;
    idle.restart();
  };
  const { signal } = idle;
  try {
    if (group === undefined) {
      const topics = typeof what === "string" ? [what] : await topicsLike(context, what);
      await read(context, { topics, where, options, consumer, limit, print, signal, onPrinted });
    } else {
      const reset = where === "start" ? "earliest" : "latest";
      const topics = typeof what === "string" ? [what] : [patternOf(what)];
      await readGroup(context, { groupId: group, topics, reset, consumer, limit, print, signal, onPrinted });
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
  readonly topics: readonly string[];
  readonly where: string;
  readonly options: ConsoleConsumerOptions;
  readonly consumer: ConsumerOptions;
  readonly limit: number;
  readonly print: (record: PrintableRecord) => string;
  readonly signal: AbortSignal;
  readonly onPrinted: (count: number) => void;
}

async function read(context: CliContext, reading: Reading): Promise<void> {
  const { topics, where, options, limit, print, onPrinted } = reading;
  const { assign } = await planReading(context.client.admin(), {
    topics,
    where,
    partitions: options.partition,
    exitAtEnd: false,
  });
  await using consumer = context.client.consumer({ ...reading.consumer, assign });
  const signal = AbortSignal.any([context.signal, reading.signal]);
  let left = limit;
  for await (const batch of consumer.batches({ signal })) {
    const count = await printBatch(context, batch, Number.POSITIVE_INFINITY, left, print);
    onPrinted(count);
    left -= count;
    if (left <= 0) return;
  }
  signal.throwIfAborted();
}

/** The topic, or the pattern. @throws LograftError INVALID_ARGUMENT for none, for both, and for a pattern with a partition. */
function subjectOf({ topic, include, whitelist, partition }: ConsoleConsumerOptions): string | RegExp {
  const pattern = include ?? whitelist;
  if ((topic === undefined) === (pattern === undefined)) {
    throw operationError("INVALID_ARGUMENT", "kafka-console-consumer needs --topic, or --include instead");
  }
  if (pattern === undefined) return topic ?? "";
  if (partition === undefined) return topicPattern(pattern, "--include");
  throw operationError("INVALID_ARGUMENT", "--partition goes with --topic; leave --include out");
}

async function topicsLike({ client, signal }: CliContext, pattern: RegExp): Promise<string[]> {
  const topics = await client.admin().listTopics({ signal });
  const names = topics.map(({ name }) => name).filter((name) => pattern.test(name));
  if (names.length > 0) return names;
  throw new ProtocolError(
    "UNKNOWN_TOPIC_OR_PARTITION",
    `no topic has a name like ${patternOf(pattern).source}; see: lograft topic list`,
    { retriable: false },
  );
}

/** @throws LograftError INVALID_ARGUMENT. */
function groupOf(
  { group, partition }: ConsoleConsumerOptions,
  property: string | undefined,
): string | undefined {
  if (group !== undefined && property !== undefined && group !== property) {
    throw operationError("INVALID_ARGUMENT", `--group ${group} and group.id=${property} say two things`);
  }
  const groupId = group ?? property;
  if (partition !== undefined && groupId !== undefined) {
    throw operationError("INVALID_ARGUMENT", "--partition and --group do not go together; give one of them");
  }
  return groupId;
}

/** @throws LograftError INVALID_ARGUMENT. */
function consumerOptions(
  options: ConsoleConsumerOptions,
  properties: ReadonlyMap<(typeof CONSUMER_PROPERTIES)[number], string>,
  isMember: boolean,
): ConsumerOptions {
  const isolation = options.isolationLevel ?? properties.get("isolation.level") ?? "read_uncommitted";
  if (isolation !== "read_uncommitted" && isolation !== "read_committed") {
    throw operationError(
      "INVALID_ARGUMENT",
      `--isolation-level ${isolation}: there is read_uncommitted and read_committed`,
    );
  }
  const minBytes = properties.get("fetch.min.bytes");
  const maxWaitMs = properties.get("fetch.max.wait.ms");
  const instanceId = properties.get("group.instance.id");
  const isCommitted = parseFlag(properties.get("enable.auto.commit"), "enable.auto.commit", true);
  return {
    isolation,
    ...(minBytes === undefined ? {} : { minBytes: parseInteger(minBytes, "fetch.min.bytes", 0) }),
    ...(maxWaitMs === undefined ? {} : { maxWaitMs: parseInteger(maxWaitMs, "fetch.max.wait.ms", 0) }),
    ...(instanceId === undefined ? {} : { instanceId }),
    ...(isMember && !isCommitted ? { commit: "manual" } : {}),
  };
}

/** Where to begin, as `consume -o` says it. @throws LograftError INVALID_ARGUMENT. */
function startOf({ fromBeginning, offset, partition }: ConsoleConsumerOptions, reset = "latest"): string {
  if (offset !== undefined && partition === undefined) {
    throw operationError("INVALID_ARGUMENT", "--offset goes with --partition");
  }
  if (fromBeginning === true && offset !== undefined) {
    throw operationError(
      "INVALID_ARGUMENT",
      "--from-beginning and --offset say two things; give one of them",
    );
  }
  const where = offset ?? (fromBeginning === true ? "earliest" : reset);
  if (where === "earliest") return "start";
  if (where === "latest") return "end";
  if (offset !== undefined) return String(parseInteger(offset, "--offset", 0));
  throw operationError("INVALID_ARGUMENT", `auto.offset.reset=${reset}: there is earliest and latest`);
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
