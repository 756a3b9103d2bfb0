import type { Command } from "commander";
import { operationError } from "../../base/errors.ts";
import type { ReadFrom } from "../../client/index.ts";
import { parseInteger } from "../arguments.ts";
import { planReading } from "../consume-plan.ts";
import type { ReadingPlan } from "../consume-plan.ts";
import type { CliEnvironment } from "../context.ts";
import { CliContext, withGlobalOptions } from "../context.ts";
import { printBatch } from "../print-batch.ts";
import { readGroup } from "../group-reading.ts";
import { RecordFormat } from "../record-format.ts";
import type { PrintableRecord } from "../record-format.ts";
import { recordAsJson, recordAsText } from "../record-text.ts";

interface ConsumeOptions {
  readonly offset?: string;
  readonly fromBeginning?: boolean;
  readonly number?: string;
  readonly format?: string;
  readonly partitions?: string;
  readonly exitAtEnd?: boolean;
  readonly metaOnly?: boolean;
  readonly readFrom?: string;
  readonly rack?: string;
  readonly group?: string;
}

const READ_FROM = ["leader", "closest"] as const;

/** `lograft consume TOPIC...`: prints records, one block each on a terminal, one JSON object a line elsewhere. */
export function addConsumeCommand(program: Command, environment: CliEnvironment): void {
  withGlobalOptions(program.command("consume <topics...>"))
    .description("print records; goes on until Ctrl-C unless -n, --exit-at-end or -o @FROM,TO ends it")
    .option(
      "-o, --offset <where>",
      "start, end, N, -N (so many before the end), @TIME or @FROM,TO (ISO 8601 or ms); default start",
    )
    .option("--from-beginning", "the same as -o start")
    .option("-n, --number <n>", "stop after so many records")
    .option(
      "-f, --format <format>",
      "print by format: %t %p %o %k %v %h %d %e %s, %k{hex} %v{base64}, \\n \\t",
    )
    .option(
      "-g, --group <group>",
      "read as a member of this group, which shares the partitions among its members, and commit what was printed",
    )
    .option("-p, --partitions <list>", "these partitions only, such as 0,1,5")
    .option("--exit-at-end", "stop at the end that each partition has now")
    .option("--meta-only", "without keys and values")
    .option(
      "--read-from <whom>",
      "leader, or closest for an in-sync replica in the rack of --rack (default: leader)",
    )
    .option("--rack <rack>", "where this command runs, as the brokers' broker.rack names it")
    .action(async (topics: string[], options: ConsumeOptions, command: Command) => {
      const { rack } = options;
      await CliContext.run(command, environment, (context) => consume(context, topics, options), { rack });
    });
}

async function consume(
  context: CliContext,
  topics: readonly string[],
  options: ConsumeOptions,
): Promise<void> {
  if (options.fromBeginning === true && options.offset !== undefined) {
    throw operationError("INVALID_ARGUMENT", "--from-beginning and -o say two things; give one of them");
  }
  if (options.format !== undefined && options.metaOnly === true) {
    throw operationError("INVALID_ARGUMENT", "--format says what is printed; leave --meta-only out");
  }
  const readFrom = parseReadFrom(options);
  const limit =
    options.number === undefined ? Number.POSITIVE_INFINITY : parseInteger(options.number, "-n", 1);
  const print = printer(context, options);
  if (options.group !== undefined) {
    await readGroup(context, { groupId: options.group, topics, reset: groupStart(options), limit, print });
    return;
  }
  const plan = await planReading(context.client.admin(), {
    topics,
    where: options.offset ?? "start",
    partitions: options.partitions,
    exitAtEnd: options.exitAtEnd === true,
  });
  if (plan.assign.length > 0) await readAll(context, { plan, readFrom, limit, print });
}

/** Where a group without commits begins. @throws LograftError INVALID_ARGUMENT for what the group decides itself. */
function groupStart(options: ConsumeOptions): "earliest" | "latest" {
  const { offset = "start", partitions, exitAtEnd, readFrom } = options;
  if (partitions !== undefined || exitAtEnd === true || readFrom !== undefined) {
    throw operationError(
      "INVALID_ARGUMENT",
      "-g reads what the group gives it; leave -p, --exit-at-end and --read-from out",
    );
  }
  if (offset === "start") return "earliest";
  if (offset === "end") return "latest";
  throw operationError(
    "INVALID_ARGUMENT",
    `-o ${offset}: with -g there is start and end, for a group that has committed nothing; ` +
      "move one that has with: lograft group reset-offsets",
  );
}

function parseReadFrom({ readFrom: text = "leader", rack = "" }: ConsumeOptions): ReadFrom {
  const readFrom = READ_FROM.find((known) => known === text);
  if (readFrom === undefined) {
    throw operationError("INVALID_ARGUMENT", `--read-from ${text}: there is ${READ_FROM.join(" and ")}`);
  }
  if (readFrom === "closest" && rack === "") {
    throw operationError("INVALID_ARGUMENT", "--read-from closest: closest to where? Give --rack too");
  }
  return readFrom;
}

async function readAll(
  context: CliContext,
  reading: {
    readonly plan: ReadingPlan;
    readonly readFrom: ReadFrom;
    readonly limit: number;
    readonly print: (record: PrintableRecord) => string;
  },
): Promise<void> {
  const { plan, readFrom, limit, print } = reading;
  await using consumer = context.client.consumer({ assign: plan.assign, readFrom });
  let lastNote = "";
  consumer.on("error", ({ message }) => {
    // Each retry of a broken connection tells the same.
    if (message !== lastNote) context.output.note(`lograft: ${message}`);
    lastNote = message;
  });
  const open = new Set(plan.assign.map(({ topic, partition }) => `${topic}-${partition}`));
  let printed = 0;
  for await (const batch of consumer.batches({ signal: context.signal })) {
    const name = `${batch.topic}-${batch.partition}`;
    if (!open.has(name)) continue;
    const end = plan.ends?.get(name) ?? Number.POSITIVE_INFINITY;
    printed += await printBatch(context, batch, end, limit - printed, print);
    if (batch.lastOffset + 1 >= end) open.delete(name);
    if (printed >= limit || open.size === 0) return;
  }
  context.signal.throwIfAborted();
}

function printer(context: CliContext, options: ConsumeOptions): (record: PrintableRecord) => string {
  const isMetadataOnly = options.metaOnly === true;
  if (options.format !== undefined) {
    const format = new RecordFormat(options.format);
    return (record) => format.print(record);
  }
  if (context.output.format === "table" && context.environment.stdout.isTTY) {
    return (record) => recordAsText(record, isMetadataOnly);
  }
  return (record) => `${recordAsJson(record, isMetadataOnly)}\n`;
}
