import { addAbortSignal } from "node:stream";
import type { Command } from "commander";
import type { ProducerOptions, ProducerRecord } from "../../client/index.ts";
import { collect, parseAcks, parseCompression, parseInteger } from "../arguments.ts";
import type { CliContext, CliEnvironment } from "../context.ts";
import { runKafkaCommand } from "../kafka-client-config.ts";
import { kafkaCommand, parseFlag, parseKnown, required } from "../kafka-flags.ts";
import { kafkaLineParser, READER_PROPERTIES } from "../kafka-line-parser.ts";
import { readLines } from "../line-reader.ts";

interface ConsoleProducerOptions {
  readonly topic?: string;
  readonly property: readonly string[];
  readonly readerProperty: readonly string[];
  readonly producerProperty: readonly string[];
  readonly commandProperty: readonly string[];
  readonly requestRequiredAcks?: string;
  readonly batchSize?: string;
  /** True without a value. */
  readonly compressionCodec?: string | true;
  readonly maxMemoryBytes?: string;
  readonly requestTimeoutMs?: string;
  readonly sync?: boolean;
  readonly timeout?: string;
}

const PRODUCER_PROPERTIES = [
  "acks",
  "batch.size",
  "buffer.memory",
  "compression.type",
  "delivery.timeout.ms",
  "enable.idempotence",
  "linger.ms",
  "max.request.size",
  "request.timeout.ms",
] as const;
const MAX_LINE_BYTES = 1 << 20;

/** `lograft kafka-console-producer`: a record for each line of standard input. */
export function addKafkaConsoleProducerCommand(program: Command, environment: CliEnvironment): void {
  const producer = kafkaCommand(program, "kafka-console-producer");
  const timeout = producer.options.find(({ long }) => long === "--timeout");
  if (timeout !== undefined) timeout.description = "milliseconds, as linger.ms";
  producer
    .description("write the lines of standard input by the flags of Kafka's tool")
    .option("--topic <topic>", "the topic")
    .option("--property <key=value>", `${READER_PROPERTIES.join(", ")}; repeat for more`, collect, [])
    .option("--reader-property <key=value>", "the same, by its newer name", collect, [])
    .option(
      "--producer-property <key=value>",
      `${PRODUCER_PROPERTIES.join(", ")}; repeat for more`,
      collect,
      [],
    )
    .option("--command-property <key=value>", "the same, by its newer name", collect, [])
    .option("--producer.config <path>", "--command-config by its older name")
    .option("--request-required-acks <acks>", "as acks: all (default), 1 or 0")
    .option("--batch-size <bytes>", "as batch.size")
    .option("--compression-codec [codec]", "as compression.type; gzip without a value")
    .option("--max-memory-bytes <bytes>", "as buffer.memory")
    .option(
      "--request-timeout-ms <ms>",
      "as request.timeout.ms; --timeout is linger.ms here, as in Kafka's tool",
    )
    .option("--sync", "send each line at once, without waiting for more")
    .action(async (options: ConsoleProducerOptions, command: Command) => {
      // What other commands understand by it would cut the delivery short in scripts that mean Kafka's.
      command.setOptionValue("timeout", undefined);
      await runKafkaCommand(command, environment, PRODUCER_PROPERTIES, (context, settings) =>
        produce(context, options, settings),
      );
    });
}

async function produce(
  context: CliContext,
  options: ConsoleProducerOptions,
  settings: ReadonlyMap<string, string>,
): Promise<void> {
  const topic = required(options.topic, "--topic", "kafka-console-producer");
  const parse = kafkaLineParser([...options.property, ...options.readerProperty], "--property");
  const stop = new AbortController();
  const signal = AbortSignal.any([context.signal, stop.signal]);
  await using producer = context.client.producer({
    deliveryTimeoutMs: context.options.timeoutMs,
    ...producerOptions(options, settings),
    onError: (error) => stop.abort(error),
  });
  const { stdin } = context.environment;
  const prompt = (): void => {
    if (stdin.isTTY) context.output.write(">");
  };
  let refused: ProducerRecord | undefined;
  prompt();
  try {
    await readLines(addAbortSignal(signal, stdin), MAX_LINE_BYTES, {
      onLine: (line) => {
        signal.throwIfAborted();
        const record = parse(line);
        prompt();
        if (producer.enqueue(topic, record)) return true;
        // The view of the line dies with this call, so what waits is a copy.
        refused = parse(new Uint8Array(line));
        return false;
      },
      ready: async () => {
        while (refused !== undefined) {
          await producer.drained({ signal });
          if (producer.enqueue(topic, refused)) refused = undefined;
        }
      },
    });
    await producer.flush({ signal });
  } catch (error) {
    throw stop.signal.aborted ? stop.signal.reason : error;
  }
}

/** The flags of their own come before the properties. @throws LograftError INVALID_ARGUMENT. */
function producerOptions(
  options: ConsoleProducerOptions,
  settings: ReadonlyMap<string, string>,
): ProducerOptions {
  const pairs = [...options.producerProperty, ...options.commandProperty];
  const given = parseKnown(pairs, "--producer-property", PRODUCER_PROPERTIES, settings);
  const numberOf = (
    key: (typeof PRODUCER_PROPERTIES)[number],
    name: keyof ProducerOptions,
    flag?: string,
  ): ProducerOptions => {
    const text = flag ?? given.get(key);
    return text === undefined ? {} : { [name]: parseInteger(text, key, key === "linger.ms" ? 0 : 1) };
  };
  const acks = options.requestRequiredAcks ?? given.get("acks");
  const codec = options.compressionCodec === true ? "gzip" : options.compressionCodec;
  const compression = codec ?? given.get("compression.type");
  const idempotent = given.get("enable.idempotence");
  return {
    ...(acks === undefined ? {} : { acks: parseAcks(acks) }),
    ...(compression === undefined ? {} : { compression: parseCompression(compression) }),
    ...(idempotent === undefined ? {} : { idempotent: parseFlag(idempotent, "enable.idempotence", true) }),
    ...numberOf("batch.size", "batchSize", options.batchSize),
    ...numberOf("buffer.memory", "maxBufferBytes", options.maxMemoryBytes),
    ...numberOf("delivery.timeout.ms", "deliveryTimeoutMs"),
    ...numberOf("max.request.size", "maxRequestBytes"),
    ...numberOf("request.timeout.ms", "requestTimeoutMs", options.requestTimeoutMs),
    ...numberOf("linger.ms", "lingerMs", options.sync === true ? "0" : options.timeout),
  };
}
