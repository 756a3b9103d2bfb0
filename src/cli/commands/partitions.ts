import type { Command } from "commander";
import { operationError } from "../../base/errors.ts";
import type { ElectedLeader } from "../../client/index.ts";
import { collect } from "../arguments.ts";
import type { CliEnvironment } from "../context.ts";
import { CliContext, withGlobalOptions } from "../context.ts";
import { EXIT } from "../exit-codes.ts";
import { counted } from "../output.ts";
import { addReassignmentCommands } from "./partitions-reassign.ts";

interface ElectOptions {
  readonly topic: readonly string[];
  readonly all?: boolean;
}

/** `lograft partitions ...`: elect-preferred, reassign, status, cancel. */
export function addPartitionsCommands(program: Command, environment: CliEnvironment): void {
  const partitions = program
    .command("partitions")
    .description("move the leaders of partitions, and their replicas");
  addReassignmentCommands(partitions, environment);
  withGlobalOptions(partitions.command("elect-preferred"))
    .description("give leadership back to the first replica of each partition, where it is in sync")
    .option("--topic <name>", "of this topic; repeat for more", collect, [])
    .option("--all", "of all topics")
    .action(async (options: ElectOptions, command: Command) => {
      await CliContext.run(command, environment, async (context) => {
        await electPreferred(context, options);
      });
    });
}

async function electPreferred(context: CliContext, { topic, all }: ElectOptions): Promise<void> {
  const { output, signal } = context;
  if ((all === true) === topic.length > 0) {
    throw operationError("INVALID_ARGUMENT", "say which: --topic NAME, repeated for more, or --all");
  }
  const elected = await context.client
    .admin()
    .electLeaders({ signal, throwOnError: false, ...(all === true ? {} : { topics: topic }) });
  const changed = elected.filter(({ isChanged }) => isChanged);
  const failures = elected.flatMap(({ error }) => (error === undefined ? [] : [error]));
  const [failure] = failures;
  if (failure !== undefined && failures.length === elected.length) throw failure;
  if (output.format === "json") {
    output.json(elected.map(electionAsJson));
  } else {
    if (changed.length > 0) {
      output.rows(
        [
          { title: "TOPIC", cell: (row) => row.topic },
          { title: "PARTITION", cell: (row) => row.partition, align: "right" },
          { title: "LEADER", cell: (row) => row.leaderId, align: "right" },
        ],
        changed,
        { empty: "", toJson: electionAsJson },
      );
    }
    const unchanged = elected.length - changed.length - failures.length;
    output.note(
      `${counted(changed.length, "leader")} moved; ` +
        `${counted(unchanged, "partition")} had the preferred leader already`,
    );
  }
  for (const { message } of failures) output.note(`lograft: ${message}`);
  if (failures.length > 0) context.environment.exit(EXIT.PARTLY_FAILED);
}

function electionAsJson({ topic, partition, leaderId, isChanged, error }: ElectedLeader): unknown {
  return { topic, partition, leaderId, isChanged, error: error?.code ?? null };
}
