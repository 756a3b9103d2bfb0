import { readFileSync } from "node:fs";
import { Command } from "commander";
import { addBenchCommands } from "./commands/bench.ts";
import { addConfigCommands } from "./commands/config.ts";
import { addConsumeCommand } from "./commands/consume.ts";
import { addLogCommands } from "./commands/log.ts";
import { addProduceCommand } from "./commands/produce.ts";
import { addStartCommand } from "./commands/start.ts";
import { addTopicCommands } from "./commands/topic.ts";
import { withGlobalOptions } from "./context.ts";
import type { CliEnvironment } from "./context.ts";

/** The whole command tree. docs/cli.md is made from it. */
export function buildProgram(environment: CliEnvironment): Command {
  const program = withGlobalOptions(new Command("lograft"))
    .description("a durable log broker of Kafka's class for Node.js")
    .version(packageVersion(), "-V, --version")
    .showHelpAfterError("(add --help to see what there is)")
    .enablePositionalOptions();
  program.configureOutput({
    writeOut: (text) => environment.stdout.write(text),
    writeErr: (text) => environment.stderr.write(text),
    outputError: (text, write) => write(text.replace(/^error: /, "lograft: ")),
    getOutHelpWidth: () => environment.stdout.columns,
    getErrHelpWidth: () => environment.stderr.columns,
    getOutHasColors: () => false,
    getErrHasColors: () => false,
  });
  addStartCommand(program, environment);
  addTopicCommands(program, environment);
  addProduceCommand(program, environment);
  addConsumeCommand(program, environment);
  addLogCommands(program, environment);
  addBenchCommands(program, environment);
  addConfigCommands(program, environment);
  return program;
}

function packageVersion(): string {
  const parsed: unknown = JSON.parse(readFileSync(new URL("../../package.json", import.meta.url), "utf8"));
  return typeof parsed === "object" && parsed !== null && "version" in parsed
    ? String(parsed.version)
    : "unknown";
}
