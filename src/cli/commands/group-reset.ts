import type { Command } from "commander";
import { operationError } from "../../base/errors.ts";
import type { ResetRow } from "../../client/index.ts";
import { collect } from "../arguments.ts";
import type { CliEnvironment } from "../context.ts";
import { CliContext, withGlobalOptions } from "../context.ts";
import { exitCodeOfAll } from "../exit-codes.ts";
import { counted, formatCount } from "../output.ts";
import type { ResetTargetOptions } from "../reset-target.ts";
import { parseResetTarget } from "../reset-target.ts";
import { parseTopicList } from "../topic-list.ts";

interface ResetCommandOptions extends ResetTargetOptions {
  readonly topic: readonly string[];
  readonly allTopics?: boolean;
  readonly execute?: boolean;
}

/** `lograft group reset-offsets`: the plan, and with --execute the commit of it. */
export function addGroupResetCommand(group: Command, environment: CliEnvironment): void {
  withGlobalOptions(group.command("reset-offsets <name>"))
    .description("choose where a group without members goes on: shows the plan; --execute commits it")
    .option("--to-earliest", "to the first record that is left")
    .option("--to-latest", "behind the last record")
    .option("--to-datetime <time>", "to the first record not older than this (ISO 8601 or ms)")
    .option("--shift-by <n>", "so many records on, or back when negative")
    .option("--to-offset <offset>", "to this offset")
    .option(
      "--topic <topic:partitions>",
      "this topic, or orders:0,2 for some of it; repeat for more",
      collect,
      [],
    )
    .option("--all-topics", "all partitions that the group has committed")
    .option("--execute", "commit the plan")
    .action(async (name: string, options: ResetCommandOptions, command: Command) => {
      await CliContext.run(command, environment, (context) => reset(context, name, options));
    });
}

async function reset(context: CliContext, groupId: string, options: ResetCommandOptions): Promise<void> {
  const { client, output, signal } = context;
  const to = parseResetTarget(options, Date.now());
  const named = parseTopicList(options.topic, "--topic");
  const all = options.allTopics === true;
  if (all === options.topic.length > 0) {
    throw operationError(
      "INVALID_ARGUMENT",
      "say of what: --topic TOPIC, repeated for more, or --all-topics",
    );
  }
  const isExecuted = options.execute === true;
  const rows = await client
    .admin()
    .resetGroupOffsets({ groupId, to, ...named, all, dryRun: !isExecuted, signal });
  const failures = rows.flatMap(({ error }) => (error === undefined ? [] : [error]));
  const planned = rows.filter(isChange).length;
  const changes = planned - failures.length;
  printPlan(context, { groupId, isExecuted, rows });
  for (const { message } of failures) output.note(`lograft: ${message}`);
  context.environment.exit(exitCodeOfAll(failures, planned));
  if (changes === 0) return;
  output.note(
    isExecuted
      ? `${counted(changes, "offset")} of group ${groupId} committed`
      : "nothing was changed; add --execute to commit it",
  );
}

function printPlan(
  { output }: CliContext,
  plan: { readonly groupId: string; readonly isExecuted: boolean; readonly rows: readonly ResetRow[] },
): void {
  const { groupId, isExecuted, rows } = plan;
  if (output.format === "json") {
    output.json({ groupId, isExecuted, partitions: rows.map(rowAsJson) });
    return;
  }
  output.rows(
    [
      { title: "TOPIC", cell: (row) => row.topic },
      { title: "PARTITION", cell: (row) => row.partition, align: "right" },
      { title: "CURRENT", cell: (row) => cellOf(row.current), align: "right" },
      { title: "NEXT", cell: (row) => cellOf(row.next), align: "right" },
      { title: "CHANGE", cell: changeOf, align: "right" },
      { title: "NOTE", cell: (row) => row.reason },
    ],
    rows,
    { empty: "the group has committed nothing; name a topic with --topic", toJson: rowAsJson },
  );
}

function isChange({ current, next }: ResetRow): boolean {
  return current !== next;
}

function cellOf(offset: number): string {
  return offset < 0 ? "-" : formatCount(offset);
}

function changeOf({ current, next }: ResetRow): string {
  if (current === next) return "none";
  if (current < 0) return "new";
  return `${next > current ? "+" : "-"}${formatCount(Math.abs(next - current))}`;
}

function rowAsJson({ topic, partition, current, next, reason, error }: ResetRow): unknown {
  return {
    topic,
    partition,
    current: current < 0 ? null : String(current),
    next: next < 0 ? null : String(next),
    reason: reason === "" ? null : reason,
    error: error?.code ?? null,
  };
}
