import { readFile } from "node:fs/promises";
import type { Command } from "commander";
import { errorMessage, operationError } from "../../base/errors.ts";
import type { PartitionReassignment, ReassignedPartition, ReplicaCopy } from "../../client/index.ts";
import { parseInteger } from "../arguments.ts";
import type { CliEnvironment } from "../context.ts";
import { CliContext, withGlobalOptions } from "../context.ts";
import { EXIT } from "../exit-codes.ts";
import { counted } from "../output.ts";
import { isMove, parsePlan, planMoves } from "../reassignment-plan.ts";
import type { PlannedPartition } from "../reassignment-plan.ts";

interface ReassignOptions {
  readonly topics?: readonly string[];
  readonly brokers?: string;
  readonly replicationFactor?: string;
  readonly plan?: string;
  readonly execute?: boolean;
}

interface CancelOptions {
  readonly topics?: readonly string[];
  readonly all?: boolean;
}

/** `lograft partitions reassign`, `status` and `cancel`. */
export function addReassignmentCommands(partitions: Command, environment: CliEnvironment): void {
  withGlobalOptions(partitions.command("reassign"))
    .description("move replicas to other brokers: shows the plan; --execute carries it out")
    .option("--topics <name...>", "plan for these topics")
    .option("--brokers <id,...>", "the brokers that shall have their replicas")
    .option("--replication-factor <n>", "replicas of each partition (default: as many as it has)")
    .option("--plan <file>", "a plan as --json printed it, instead of a new one")
    .option("--execute", "begin to move; without it nothing is changed")
    .action(async (options: ReassignOptions, command: Command) => {
      await CliContext.run(command, environment, async (context) => {
        await reassign(context, options);
      });
    });

  withGlobalOptions(partitions.command("status"))
    .description("the partitions that are on their way to other brokers")
    .action(async (_options: object, command: Command) => {
      await CliContext.run(command, environment, async ({ client, output, signal }) => {
        const admin = client.admin();
        const moves = await admin.listReassignments({ signal });
        const copies = await admin.measureCopies(moves, { signal });
        const copiesOf = (row: PartitionReassignment): readonly ReplicaCopy[] =>
          copies.filter(({ topic, partition }) => topic === row.topic && partition === row.partition);
        output.rows(
          [
            { title: "TOPIC", cell: (row) => row.topic },
            { title: "PARTITION", cell: (row) => row.partition, align: "right" },
            { title: "TO", cell: (row) => row.target.join(",") },
            { title: "NEW", cell: (row) => listed(row.addingReplicas) },
            { title: "LEAVES", cell: (row) => listed(row.removingReplicas) },
            { title: "WAITS FOR", cell: (row) => listed(awaitedOf(row)) },
            { title: "COPIED", cell: (row) => copiesOf(row).map(shareOf).join(" ") || "-" },
          ],
          moves,
          {
            empty: "no partition is on its way",
            toJson: (row) => ({ ...row, waitsFor: awaitedOf(row), copies: copiesOf(row).map(copyAsJson) }),
          },
        );
      });
    });

  withGlobalOptions(partitions.command("cancel"))
    .description("let partitions that are on their way go back to where they came from")
    .option("--topics <name...>", "those of these topics")
    .option("--all", "all that are on their way")
    .action(async (options: CancelOptions, command: Command) => {
      await CliContext.run(command, environment, async (context) => {
        await cancel(context, options);
      });
    });
}

/** "4:63%" of the bytes that the leader has. */
function shareOf({ nodeId, sizeBytes, leaderSizeBytes }: ReplicaCopy): string {
  const share = leaderSizeBytes === 0 ? 1 : Math.min(1, sizeBytes / leaderSizeBytes);
  return `${nodeId}:${Math.floor(share * 100)}%`;
}

function copyAsJson({ nodeId, sizeBytes, leaderSizeBytes }: ReplicaCopy): unknown {
  return { nodeId, sizeBytes, leaderSizeBytes };
}

async function reassign(context: CliContext, options: ReassignOptions): Promise<void> {
  const { client, output, signal } = context;
  const planned = await planOf(context, options);
  const moves = planned.filter(isMove);
  const isExecuted = options.execute === true;
  const results =
    moves.length === 0
      ? []
      : await client.admin().reassignPartitions(
          moves.map(({ topic, partition, replicas }) => ({ topic, partition, replicas })),
          { signal, throwOnError: false, validateOnly: !isExecuted },
        );
  const failures = failuresOf(results);
  if (output.format === "json") {
    output.json({ version: 1, partitions: moves, isExecuted });
  } else {
    printPlan(context, moves);
  }
  const kept = planned.length - moves.length;
  if (kept > 0 && moves.length > 0) output.note(`${counted(kept, "partition")} need not move`);
  if (failures.length === 0 && moves.length > 0) {
    output.note(
      isExecuted
        ? `${counted(moves.length, "partition")} on the way; see: lograft partitions status`
        : "nothing was changed; add --execute to begin",
    );
  }
  report(context, failures);
}

/** @throws LograftError INVALID_ARGUMENT when the options are not those of one way. */
async function planOf(context: CliContext, options: ReassignOptions): Promise<PlannedPartition[]> {
  const { topics, brokers, replicationFactor, plan } = options;
  const admin = context.client.admin();
  const { signal } = context;
  if (
    plan !== undefined &&
    topics === undefined &&
    brokers === undefined &&
    replicationFactor === undefined
  ) {
    const wanted = parsePlan(await readPlan(plan), plan);
    const names = [...new Set(wanted.map(({ topic }) => topic))];
    const states = await admin.listPartitions({ topics: names, signal });
    const currentOf = new Map(states.map((state) => [`${state.topic}-${state.partition}`, state.replicas]));
    return wanted.map((one) => ({
      ...one,
      current: currentOf.get(`${one.topic}-${one.partition}`) ?? [],
    }));
  }
  if (plan !== undefined || topics === undefined || brokers === undefined) {
    throw operationError(
      "INVALID_ARGUMENT",
      "say what goes where: --topics NAME... --brokers 1,2,3, or a plan of your own: --plan FILE",
    );
  }
  return planMoves(await admin.listPartitions({ topics: [...new Set(topics)], signal }), {
    brokers: [...new Set(brokers.split(",").map((id) => parseInteger(id, "--brokers", 0)))],
    replicationFactor:
      replicationFactor === undefined
        ? undefined
        : parseInteger(replicationFactor, "--replication-factor", 1),
  });
}

async function readPlan(path: string): Promise<string> {
  try {
    return await readFile(path, "utf8");
  } catch (error: unknown) {
    throw operationError("INVALID_ARGUMENT", `--plan ${path} cannot be read: ${errorMessage(error)}`, {
      cause: error,
    });
  }
}

function printPlan({ output }: CliContext, moves: readonly PlannedPartition[]): void {
  output.rows(
    [
      { title: "TOPIC", cell: (row) => row.topic },
      { title: "PARTITION", cell: (row) => row.partition, align: "right" },
      { title: "FROM", cell: (row) => row.current.join(",") },
      { title: "TO", cell: (row) => row.replicas.join(",") },
      { title: "COPIES", cell: (row) => copiesOf(row), align: "right" },
    ],
    moves,
    { empty: "nothing has to move", toJson: (row) => row },
  );
}

async function cancel(context: CliContext, { topics, all }: CancelOptions): Promise<void> {
  const { client, output, signal } = context;
  if ((all === true) === (topics !== undefined)) {
    throw operationError("INVALID_ARGUMENT", "say which: --topics NAME..., or --all");
  }
  const admin = client.admin();
  const moving = await admin.listReassignments({ signal });
  const partitions = moving
    .filter(({ topic }) => topics?.includes(topic) ?? true)
    .map(({ topic, partition }) => ({ topic, partition }));
  const results =
    partitions.length === 0
      ? []
      : await admin.cancelReassignments({ partitions, signal, throwOnError: false });
  const failures = failuresOf(results);
  if (output.format === "json") {
    output.json(
      results.map(({ topic, partition, error }) => ({ topic, partition, error: error?.code ?? null })),
    );
  } else {
    const taken = results.length - failures.length;
    output.note(
      partitions.length === 0 ? "no partition is on its way" : `${counted(taken, "partition")} back`,
    );
  }
  report(context, failures);
}

type Failure = NonNullable<ReassignedPartition["error"]>;

function failuresOf(results: readonly ReassignedPartition[]): Failure[] {
  return results.flatMap(({ error }) => (error === undefined ? [] : [error]));
}

function report({ output, environment }: CliContext, failures: readonly Failure[]): void {
  for (const { message } of failures) output.note(`lograft: ${message}`);
  if (failures.length > 0) environment.exit(EXIT.PARTLY_FAILED);
}

function copiesOf({ replicas, current }: PlannedPartition): number {
  return replicas.filter((node) => !current.includes(node)).length;
}

function awaitedOf({ target, isr }: PartitionReassignment): readonly number[] {
  return target.filter((node) => !isr.includes(node));
}

function listed(nodes: readonly number[]): string {
  return nodes.length === 0 ? "-" : nodes.join(",");
}
