import type { Command } from "commander";
import { operationError, type LograftError } from "../../base/errors.ts";
import type { BrokerLogLevels, ClusterBroker, LogLevelChange } from "../../client/index.ts";
import { isLograftError } from "../../client/errors.ts";
import { ProtocolError } from "../../model/error-code.ts";
import { parseInteger } from "../arguments.ts";
import { clientEndpoint } from "../cluster-survey.ts";
import type { CliEnvironment } from "../context.ts";
import { CliContext, withGlobalOptions } from "../context.ts";
import { exitCodeOfAll } from "../exit-codes.ts";
import type { Output } from "../output.ts";

interface LogLevelCommandOptions {
  readonly node?: string;
}

const LEVELS = ["debug", "info", "warn", "error", "default"] as const;

/** One broker's word on one component. */
interface LevelRow {
  readonly nodeId: number;
  readonly component: string;
  readonly level: string;
  readonly configured: string;
}

/** `lograft node log-level`: shows or changes what brokers write into their logs. */
export function addNodeLogLevelCommand(node: Command, environment: CliEnvironment): void {
  withGlobalOptions(node.command("log-level [component=level...]"))
    .description(
      'what brokers write into their logs, by component; with raft=debug and the like, changed until their next start ("all" is every component, "default" what the configuration says)',
    )
    .option("--node <id>", "this broker alone (default: every broker)")
    .action(async (texts: readonly string[], options: LogLevelCommandOptions, command: Command) => {
      await CliContext.run(command, environment, async ({ client, output, signal }) => {
        const changes = texts.map(parseChange);
        const only = options.node === undefined ? undefined : parseInteger(options.node, "--node", 0);
        const admin = client.admin();
        const { brokers } = await admin.describeCluster({ signal });
        const answers: BrokerLogLevels[] = [];
        const failures: LograftError[] = [];
        for (const broker of chosen(brokers, only)) {
          const asked = { address: clientEndpoint(broker), signal };
          try {
            answers.push(
              changes.length === 0 ? await admin.logLevels(asked) : await admin.setLogLevels(changes, asked),
            );
          } catch (error: unknown) {
            // What is wrong with the request is so for all; a broker that does not answer must not hide the others.
            if (!isLograftError(error) || !error.retriable || signal.aborted) throw error;
            failures.push(error);
            output.note(`broker ${broker.nodeId} was not reached: ${error.message}`);
          }
        }
        const [failure] = failures;
        if (answers.length === 0 && failure !== undefined) throw failure;
        printLevels(output, answers);
        environment.exit(exitCodeOfAll(failures, answers.length + failures.length));
        if (changes.length > 0 && answers.length > 0) {
          output.note(
            "the change holds until a broker's next start; to keep it, set log.level or log.levels",
          );
        }
      });
    });
}

function chosen(brokers: readonly ClusterBroker[], only: number | undefined): readonly ClusterBroker[] {
  if (only === undefined) return brokers.filter(({ isFenced }) => !isFenced);
  const broker = brokers.find(({ nodeId }) => nodeId === only);
  if (broker !== undefined) return [broker];
  throw new ProtocolError(
    "BROKER_ID_NOT_REGISTERED",
    `broker ${only} is not registered; see: lograft node list`,
  );
}

function parseChange(text: string): LogLevelChange {
  const [component = "", name = "", ...rest] = text.toLowerCase().split("=");
  const level = LEVELS.find((one) => one === name);
  if (component !== "" && level !== undefined && rest.length === 0) return { component, level };
  throw operationError(
    "INVALID_ARGUMENT",
    `${JSON.stringify(text)} is no change of a log level; write component=level, with a level of ${LEVELS.join(", ")}`,
  );
}

function printLevels(output: Output, answers: readonly BrokerLogLevels[]): void {
  const rows = answers.flatMap(({ nodeId, levels }) =>
    levels.map((level): LevelRow => ({ nodeId, ...level })),
  );
  output.rows(
    [
      { title: "NODE", cell: (row) => row.nodeId, align: "right" },
      { title: "COMPONENT", cell: (row) => row.component },
      { title: "LEVEL", cell: (row) => row.level },
      { title: "CONFIGURED", cell: (row) => row.configured },
    ],
    rows,
    { empty: "no broker answered", toJson: (row) => ({ ...row }) },
  );
}
