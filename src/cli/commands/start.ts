import type { Command } from "commander";
import type { CliEnvironment } from "../context.ts";
import { CliContext } from "../context.ts";
import type { ConfigOptions } from "./config.ts";
import { effectiveConfig, withConfigOptions } from "./config.ts";

/** `lograft start`: a broker in this process, until SIGINT or SIGTERM. */
export function addStartCommand(program: Command, environment: CliEnvironment): void {
  withConfigOptions(program.command("start"))
    .description("start a broker and serve until SIGINT or SIGTERM")
    .option("--json", "print one JSON line when ready; logs as JSON")
    .option("--log-level <level>", "debug, info, warn or error", "info")
    .action(async (options: ConfigOptions & { json?: boolean; logLevel: string }, command: Command) => {
      await CliContext.run(command, environment, async (context) => {
        const { parsed } = await effectiveConfig(options, environment.env);
        // The other commands need no broker: they start faster without it.
        const { runDaemon } = await import("../../main.ts");
        const node = await runDaemon(
          { parsed, logLevel: options.logLevel, isJson: options.json === true },
          context.signal,
        );
        if (options.json === true) {
          context.output.line(
            JSON.stringify({ address: node.address, nodeId: node.nodeId, clusterId: node.clusterId }),
          );
        } else {
          context.output.line(welcome(node));
        }
        await node.finished;
      });
    });
}

function welcome(node: {
  address: string;
  nodeId: number;
  clusterId: string;
  dataDirectory: string;
  startMs: number;
}): string {
  const server = node.address === "localhost:9092" ? "" : ` -b ${node.address}`;
  return [
    "",
    `  lograft is ready at ${node.address} (node ${node.nodeId}, started in ${Math.round(node.startMs)} ms)`,
    `  data in ${node.dataDirectory}`,
    "",
    "  Try, in another terminal:",
    `    npx lograft topic create hello${server}`,
    `    npx lograft produce hello --value world${server}`,
    `    npx lograft consume hello --from-beginning${server}`,
    "    npm run demo",
    "",
    "  Ctrl-C stops it; nothing acknowledged is lost, however it stops.",
    "",
  ].join("\n");
}
