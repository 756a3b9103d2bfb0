import type { Command } from "commander";
import type { CliEnvironment } from "../context.ts";
import { EXIT } from "../exit-codes.ts";
import { Output } from "../output.ts";
import { ParentWatch } from "../parent-watch.ts";
import type { ConfigOptions } from "./config.ts";
import { effectiveConfig, withConfigOptions } from "./config.ts";

interface StartOptions extends ConfigOptions {
  readonly json?: boolean;
  readonly logLevel?: string;
  readonly exitWithParent?: boolean;
}

/** `lograft start`: a broker in this process, until SIGINT or SIGTERM. */
export function addStartCommand(program: Command, environment: CliEnvironment): void {
  withConfigOptions(program.command("start"))
    .description("start a broker and serve until SIGINT or SIGTERM")
    .option("--json", "print one JSON line when ready; logs as JSON")
    .option("--log-level <level>", "the same as --set log.level=LEVEL: debug, info, warn or error")
    .option(
      "--exit-with-parent",
      "stop also when stdin ends, as it does when the program at its other end dies",
    )
    .action(async (options: StartOptions) => {
      const { stdout, stderr, stdin, signal } = environment;
      const isJson = options.json === true;
      const output = new Output({ format: isJson ? "json" : "table", stdout, stderr });
      const { logLevel } = options;
      // In this order, so that an explicit --set wins.
      const set = [...(logLevel === undefined ? [] : [`log.level=${logLevel}`]), ...options.set];
      const { parsed } = await effectiveConfig({ ...options, set }, environment.env);
      using parent = options.exitWithParent === true ? new ParentWatch({ stdin, signal }) : undefined;
      // The other commands need no broker: they start faster without it.
      const { runDaemon } = await import("../../main.ts");
      const node = await runDaemon({ parsed, isJson }, parent?.signal ?? signal);
      const peer = parsed.config.listeners.find((listener) => listener.name === "PEER");
      const { address, nodeId, clusterId, controllerId, httpPort } = node;
      if (isJson) {
        const peerAddress = peer === undefined ? undefined : `${peer.host}:${peer.port}`;
        output.line(JSON.stringify({ address, nodeId, clusterId, controllerId, peerAddress, httpPort }));
      } else {
        output.line(welcome(node));
      }
      const failure = await node.finished;
      if (failure !== undefined) environment.exit(EXIT.FAILED);
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
