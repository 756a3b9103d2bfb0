import { addAbortSignal } from "node:stream";
import type { Command } from "commander";
import { operationError } from "../../base/errors.ts";
import type { ProducerOptions, ProducerRecord } from "../../client/index.ts";
import { collect, parseAcks, parseCompression, parseInteger } from "../arguments.ts";
import type { CliEnvironment } from "../context.ts";
import { CliContext } from "../context.ts";
import { kafkaCommand, parseFlag, parseKnown, required } from "../kafka-flags.ts";
import { readLines } from "../line-reader.ts";
import { lineParser } from "../record-parser.ts";

interface ConsoleProducerOptions {
  readonly topic?: string;
  readonly property: readonly string[];
  readonly producerProperty: readonly string[];
}

const PROPERTIES = ["parse.key", "key.separator"] as const;
const PRODUCER_PROPERTIES = ["acks", "batch.size", "compression.type", "linger.ms"] as const;
const MAX_LINE_BYTES = 1 << 20;

/** `lograft kafka-console-producer`: a record for each line of standard input. */
export function addKafkaConsoleProducerCommand(program: Command, environment: CliEnvironment): void {
  kafkaCommand(program, "kafka-console-producer")
    .description("write the lines of standard input by the flags of Kafka's tool")
    .option("--topic <topic>", "the topic")
    .option("--property <key=value>", `${PROPERTIES.join(", ")}; repeat for more`, collect, [])
    .option(
      "--producer-property <key=value>",
      `${PRODUCER_PROPERTIES.join(", ")}; repeat for more`,
      collect,
      [],
    )
    .action(async (options: ConsoleProducerOptions, command: Command) => {
      await CliContext.run(command, environment, (context) => produce(context, options));
    });
}

async function produce(context: CliContext, options: ConsoleProducerOptions): Promise<void> {
  const topic = required(options.topic, "--topic", "kafka-console-producer");
  const properties = parseKnown(options.property, "--property", PROPERTIES);
  const isKeyed = parseFlag(properties.get("parse.key"), "parse.key", false);
  const separator = properties.get("key.separator") ?? "\t";
  if (separator === "") throw operationError("INVALID_ARGUMENT", "key.separator cannot be empty");
  const parse = lineParser({ isNdjson: false, keySeparator: isKeyed ? separator : undefined }, {});
  const stop = new AbortController();
  const signal = AbortSignal.any([context.signal, stop.signal]);
  await using producer = context.client.producer({
    ...producerOptions(options.producerProperty),
    deliveryTimeoutMs: context.options.timeoutMs,
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

function producerOptions(pairs: readonly string[]): ProducerOptions {
  const given = parseKnown(pairs, "--producer-property", PRODUCER_PROPERTIES);
  const acks = given.get("acks");
  const batchSize = given.get("batch.size");
  const compression = given.get("compression.type");
  const linger = given.get("linger.ms");
  return {
    ...(acks === undefined ? {} : { acks: parseAcks(acks) }),
    ...(batchSize === undefined ? {} : { batchSize: parseInteger(batchSize, "batch.size", 1) }),
    ...(compression === undefined ? {} : { compression: parseCompression(compression) }),
    ...(linger === undefined ? {} : { lingerMs: parseInteger(linger, "linger.ms", 0) }),
  };
}
