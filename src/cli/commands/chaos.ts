import { writeFile } from "node:fs/promises";
import type { Command } from "commander";
import { operationError } from "../../base/errors.ts";
import { readHistory } from "../../chaos/history-files.ts";
import { checkHistory } from "../../history/checker.ts";
import type { Profile } from "../../history/history-line.ts";
import { reportAsJson } from "../../history/report-json.ts";
import { collect } from "../arguments.ts";
import { exitByVerdict, printReport } from "../chaos-report.ts";
import type { ChaosRunFlags } from "../chaos-scenario.ts";
import type { CliEnvironment } from "../context.ts";
import { Output } from "../output.ts";

interface CheckOptions {
  readonly json?: string;
  readonly profile?: string;
  readonly maxExamples: string;
}

const PROFILES: readonly Profile[] = ["idempotent", "plain", "plain-acks-1"];

/** `lograft chaos ...`: faults, done to a cluster of its own or found in what was recorded. */
export function addChaosCommands(program: Command, environment: CliEnvironment): void {
  const chaos = program.command("chaos").description("faults, and what clients saw of them");
  addRunCommand(chaos, environment);
  addCheckCommand(chaos, environment);
}

function addRunCommand(chaos: Command, environment: CliEnvironment): void {
  chaos
    .command("run [scenario]")
    .description(
      "start three brokers, do them harm under load, and judge what the clients saw; scenario: a fault, groups, or all (default)",
    )
    .option("--minutes <n>", "time for faults; each is done once at least", "5")
    .option("--seed <n>", "chooses what is hit and when (default: by the clock)")
    .option(
      "--faults <list>",
      "in place of a scenario: faults in this order, in rotation; none for load alone",
    )
    .option("--groups", "with a consumer group, whose members and coordinator are done harm, too")
    .option("--members <n>", "members of the group, each a process", "10")
    .option("--topics <n>", "topics of the load (default: 4, with a group 1)")
    .option("--partitions <n>", "partitions of each topic (default: 2, with a group 100)")
    .option("--replication <n>", "replicas of each partition", "3")
    .option("--rate <n>", "records a second, of all producers together", "600")
    .option("--min-sends <n>", "acknowledged records without which the run is void", "10000")
    .option("--quiet <duration>", "between two faults, once the cluster is whole again", "7s")
    .option("--set <key=value>", "a setting of every broker; repeat for more", collect, [])
    .option(
      "--dir <dir>",
      "keep history and logs there (default: a temporary directory, kept on a violation)",
    )
    .option("--json <file>", "write the result there, too; - for stdout instead of the table")
    .action(async (scenario: string | undefined, flags: ChaosRunFlags) => {
      // The harness is as large as the rest: `check` does without it.
      const { runScenario } = await import("../chaos-scenario.ts");
      await runScenario(scenario, flags, environment);
    });
}

function addCheckCommand(chaos: Command, environment: CliEnvironment): void {
  chaos
    .command("check <files...>")
    .description(
      "judge the history of a run (NDJSON files, or a directory of them) by what its profile promises",
    )
    .option("--profile <profile>", `${PROFILES.join(", ")} (default: what the history says)`)
    .option("--max-examples <n>", "so many occurrences of each anomaly are told", "5")
    .option("--json <file>", "write the result there, too; - for stdout instead of the table")
    .action(async (files: string[], options: CheckOptions) => {
      const { stdout, stderr, signal } = environment;
      const format = options.json === "-" ? "json" : "table";
      const output = new Output({ format, stdout, stderr });
      const profile = profileOf(options.profile);
      const maxExamples = Number(options.maxExamples);
      if (!Number.isSafeInteger(maxExamples) || maxExamples < 0) {
        throw operationError("INVALID_ARGUMENT", `--max-examples ${options.maxExamples}: a number from 0 on`);
      }
      const { history, torn } = await readHistory(files, signal);
      for (const file of torn) output.note(`${file}: the last line is cut off and was passed over`);
      const report = checkHistory(history, { profile, maxExamples });
      printReport(output, report);
      if (options.json !== undefined && format === "table") {
        await writeFile(options.json, `${JSON.stringify(reportAsJson(report), null, 2)}\n`);
      }
      exitByVerdict(report, environment);
    });
}

function profileOf(name: string | undefined): Profile | undefined {
  if (name === undefined) return undefined;
  const profile = PROFILES.find((known) => known === name);
  if (profile !== undefined) return profile;
  throw operationError("INVALID_ARGUMENT", `--profile ${name}: there is ${PROFILES.join(", ")}`);
}
