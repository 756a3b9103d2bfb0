import type { Command } from "commander";
import { operationError } from "../../base/errors.ts";
import { NodeDisk } from "../../platform/node/node-disk.ts";
import type { CliEnvironment } from "../context.ts";
import { EXIT } from "../exit-codes.ts";
import { dumpPath } from "../log-dump.ts";
import { JsonDumpPrinter, TextDumpPrinter } from "../log-dump-printer.ts";
import { verifyDirectory } from "../log-verify.ts";
import { Output } from "../output.ts";

interface DumpOptions {
  readonly deep?: boolean;
  readonly printData?: boolean;
  readonly json?: boolean;
}

interface VerifyOptions {
  readonly json?: boolean;
  readonly strict?: boolean;
  readonly maxFindings: string;
}

/** `lograft log dump` and `log verify`: files of a broker that does not run, read without it. Nothing is changed. */
export function addLogCommands(program: Command, environment: CliEnvironment): void {
  const log = program.command("log").description("look into the files of a broker that is stopped");

  log
    .command("dump <paths...>")
    .description("print segments, indexes, producer snapshots, or all of them in a partition directory")
    .option("--deep", "the records of each batch too")
    .option("--print-data", "with keys and values (includes --deep)")
    .option("--json", "one JSON object a line")
    .action(async (paths: string[], options: DumpOptions) => {
      const output = outputOf(environment, options.json === true);
      const depth = options.printData === true ? "data" : options.deep === true ? "records" : "batches";
      const printer =
        output.format === "json" ? new JsonDumpPrinter(output, depth) : new TextDumpPrinter(output, depth);
      let isSound = true;
      for (const path of paths) {
        const source = { disk: new NodeDisk(), path: withoutSlash(path), signal: environment.signal };
        if (!(await dumpPath(source, printer))) isSound = false;
      }
      if (!isSound) environment.exit(EXIT.CHECK_FAILED);
    });

  log
    .command("verify <directory>")
    .description("check every batch and index of a partition directory, or of all in a data directory")
    .option("--strict", "fail on what the next start repairs, too (a torn end, a damaged index)")
    .option("--max-findings <n>", "so many findings of each partition are shown", "20")
    .option("--json", "machine-readable output on stdout")
    .action(async (directory: string, options: VerifyOptions) => {
      const output = outputOf(environment, options.json === true);
      const verdict = await verifyDirectory(output, {
        disk: new NodeDisk(),
        directory: withoutSlash(directory),
        maxFindings: options.maxFindings,
        signal: environment.signal,
      });
      const isFailed = verdict.errorCount > 0 || (options.strict === true && verdict.warningCount > 0);
      if (isFailed) environment.exit(EXIT.CHECK_FAILED);
    });
}

function outputOf(environment: CliEnvironment, isJson: boolean): Output {
  const { stdout, stderr } = environment;
  return new Output({ format: isJson ? "json" : "table", stdout, stderr });
}

/** The names of directories are taken from their paths. */
function withoutSlash(path: string): string {
  if (path === "") throw operationError("INVALID_ARGUMENT", "an empty path; name a file or a directory");
  return path.length > 1 ? path.replace(/\/+$/, "") : path;
}
