import { Argument } from "commander";
import type { Command } from "commander";
import { COMPLETION_SCRIPTS, INSTALL_LINES, SHELLS } from "../completion-scripts.ts";
import type { Shell } from "../completion-scripts.ts";
import type { CliEnvironment } from "../context.ts";

/** `lograft completion`. */
export function addCompletionCommand(program: Command, environment: CliEnvironment): void {
  const lines = SHELLS.map((shell) => `  ${shell.padEnd(5)} ${INSTALL_LINES[shell]}`);
  program
    .command("completion")
    .description("print the script that completes commands, options, topics, groups and brokers in a shell")
    .addArgument(new Argument("<shell>", "whose script").choices(SHELLS))
    .addHelpText("after", ["", "To have it in each new shell:", ...lines].join("\n"))
    .action((shell: Shell) => {
      environment.stdout.write(COMPLETION_SCRIPTS[shell]);
    });
}
