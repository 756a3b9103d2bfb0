import type { Command } from "commander";
import type { Admin } from "../../client/index.ts";
import { ProtocolError } from "../../model/error-code.ts";
import { parseInteger, parseTime } from "../arguments.ts";
import { confirm } from "../confirm.ts";
import type { CliEnvironment } from "../context.ts";
import { CliContext, withGlobalOptions } from "../context.ts";
import { counted, formatCount } from "../output.ts";

interface TrimOptions {
  readonly before: string;
  readonly partition?: string;
  readonly yes?: boolean;
}

/** `lograft topic offsets` and `topic trim`. */
export function addTopicOffsetCommands(topic: Command, environment: CliEnvironment): void {
  withGlobalOptions(topic.command("offsets <name>"))
    .description("first and next offset of each partition")
    .option("--at <time>", "also the first offset at or after this time (ISO 8601 or ms)")
    .action(async (name: string, options: { readonly at?: string }, command: Command) => {
      await CliContext.run(command, environment, async (context) => {
        await printOffsets(context, name, options.at);
      });
    });

  withGlobalOptions(topic.command("trim <name>"))
    .description("delete the records below an offset")
    .requiredOption("--before <offset>", "records below it go; -1 for all")
    .option("--partition <n>", "this partition only")
    .option("--yes", "do not ask")
    .action(async (name: string, options: TrimOptions, command: Command) => {
      await CliContext.run(command, environment, async (context) => {
        await trim(context, name, options);
      });
    });
}

interface OffsetRow {
  readonly partition: number;
  readonly start: number;
  readonly end: number;
  /** Undefined: not asked for, or no record is that young. */
  readonly at: number | undefined;
}

async function printOffsets(context: CliContext, name: string, at: string | undefined): Promise<void> {
  const time = at === undefined ? undefined : parseTime(at, "--at");
  const admin = context.client.admin();
  const partitions = (await partitionsOf(admin, name)).map((partition) => ({ topic: name, partition }));
  const [starts, ends, times] = await Promise.all([
    admin.listOffsets(partitions, "beginning"),
    admin.listOffsets(partitions, "end"),
    time === undefined ? [] : admin.listOffsets(partitions, time),
  ]);
  const offsetIn = (
    found: readonly { readonly partition: number; readonly offset: number }[],
    partition: number,
  ) => found.find((one) => one.partition === partition)?.offset;
  const rows = partitions.map(({ partition }): OffsetRow => {
    const found = offsetIn(times, partition);
    return {
      partition,
      start: offsetIn(starts, partition) ?? 0,
      end: offsetIn(ends, partition) ?? 0,
      at: found === undefined || found < 0 ? undefined : found,
    };
  });
  context.output.rows(
    [
      { title: "PARTITION", cell: (row) => row.partition, align: "right" },
      { title: "START", cell: (row) => formatCount(row.start), align: "right" },
      { title: "END", cell: (row) => formatCount(row.end), align: "right" },
      ...(time === undefined ? [] : [{ title: "AT", cell: atCell, align: "right" as const }]),
    ],
    rows,
    {
      empty: "no partitions",
      toJson: (row) => ({
        partition: row.partition,
        start: String(row.start),
        end: String(row.end),
        ...(time === undefined ? {} : { at: row.at === undefined ? null : String(row.at) }),
      }),
    },
  );
}

function atCell(row: OffsetRow): string {
  return row.at === undefined ? "none" : formatCount(row.at);
}

async function trim(context: CliContext, name: string, options: TrimOptions): Promise<void> {
  const beforeOffset = parseInteger(options.before, "--before", -1);
  const only =
    options.partition === undefined ? undefined : parseInteger(options.partition, "--partition", 0);
  const admin = context.client.admin();
  const known = await partitionsOf(admin, name);
  if (only !== undefined && !known.includes(only)) {
    throw new ProtocolError(
      "UNKNOWN_TOPIC_OR_PARTITION",
      `--partition ${only}: ${name} has the partitions 0 to ${known.length - 1}`,
    );
  }
  const partitions = only === undefined ? known : [only];
  const records = beforeOffset === -1 ? "all records" : `the records below offset ${beforeOffset}`;
  const what = `delete ${records} of ${counted(partitions.length, "partition")} of ${name}`;
  await confirm(context, { isAgreed: options.yes === true, what, typed: name });
  const results = await admin.deleteRecords(
    partitions.map((partition) => ({ topic: name, partition, beforeOffset })),
  );
  if (context.output.format === "json") {
    context.output.json(
      results.map(({ partition, logStartOffset }) => ({ partition, logStartOffset: String(logStartOffset) })),
    );
    return;
  }
  for (const { partition, logStartOffset } of results) {
    context.output.note(`${name}-${partition} starts at offset ${logStartOffset} now`);
  }
}

async function partitionsOf(admin: Admin, name: string): Promise<readonly number[]> {
  const [topic] = await admin.describeTopics([name]);
  return (topic?.partitions ?? []).map(({ partition }) => partition);
}
