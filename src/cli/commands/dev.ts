import type { Command } from "commander";
import { operationError } from "../../base/errors.ts";
import { collect, parseInteger } from "../arguments.ts";
import type { CliEnvironment } from "../context.ts";
import { DEFAULT_DIRECTORY } from "../dev-cluster/dev-directory.ts";
import { Output } from "../output.ts";

interface DevOptions {
  readonly dir?: string;
  readonly json?: boolean;
}

interface UpFlags extends DevOptions {
  readonly nodes?: string;
  readonly basePort?: string;
  readonly ephemeral?: boolean;
  readonly detach?: boolean;
  readonly set: readonly string[];
}

/*
 * What a command needs beyond its options is imported when it runs: `dev up` starts processes, and each millisecond in
 * which it reads code they are not started yet.
 */

/** `lograft dev ...`: a cluster on this machine, to try things with. */
export function addDevCommands(program: Command, environment: CliEnvironment): void {
  const dev = program.command("dev").description("a cluster of brokers on this machine, to try things with");
  addUpCommand(dev, environment);

  withDevOptions(dev.command("down"))
    .description("stop the cluster")
    .action(async (options: DevOptions) => {
      const { stopCluster } = await import("../dev-cluster/remote.ts");
      const output = outputOf(environment, options);
      await stopCluster(directoryOf(options), environment.signal);
      output.result("the cluster has stopped", { isRunning: false });
    });

  withDevOptions(dev.command("status"))
    .description("the brokers: process, state, addresses, role")
    .action(async (options: DevOptions) => {
      const { readStatus } = await import("../dev-cluster/remote.ts");
      const { askRoles, statusRows } = await import("../dev-cluster/status.ts");
      const nodes = await readStatus(directoryOf(options), environment.signal);
      const roles = await askRoles(nodes, environment.signal);
      outputOf(environment, options).rows(
        [
          { title: "NODE", cell: (row) => row.nodeId },
          { title: "PID", cell: (row) => (row.pid === 0 ? "-" : row.pid) },
          { title: "STATE", cell: (row) => row.state },
          { title: "CLIENT", cell: (row) => row.client },
          { title: "PEER", cell: (row) => row.peer },
          { title: "ROLE", cell: (row) => row.role },
        ],
        statusRows(nodes, roles),
        { empty: "no brokers", toJson: (row) => row },
      );
    });

  withDevOptions(dev.command("logs [node]"))
    .description("what the brokers logged, all or one")
    .option("-f, --follow", "go on with what comes")
    .action(async (node: string | undefined, options: DevOptions & { follow?: boolean }) => {
      const { nodeIdsOf } = await import("../dev-cluster/remote.ts");
      const { printLogs } = await import("../dev-cluster/logs.ts");
      const { DevDirectory } = await import("../dev-cluster/dev-directory.ts");
      const wanted = node === undefined ? undefined : parseNodeId(node);
      await printLogs(outputOf(environment, options), {
        directory: new DevDirectory(directoryOf(options)),
        nodeIds: await nodeIdsOf(directoryOf(options), wanted),
        isFollowing: options.follow === true,
        signal: environment.signal,
      });
    });

  addNodeCommands(dev, environment);

  withDevOptions(dev.command("purge"))
    .description("remove the cluster's directory with all its data; the cluster must be down")
    .option("--yes", "do not ask")
    .action(async (options: DevOptions & { yes?: boolean }) => {
      const { purgeCluster } = await import("../dev-cluster/remote.ts");
      const { confirm } = await import("../confirm.ts");
      const path = directoryOf(options);
      const removed = await purgeCluster(path, environment.signal, async (what) =>
        confirm(
          { environment, signal: environment.signal },
          { isAgreed: options.yes === true, what, typed: path },
        ),
      );
      outputOf(environment, options).result(`removed ${removed}`, { removed });
    });
}

function addUpCommand(dev: Command, environment: CliEnvironment): void {
  withDevOptions(dev.command("up"))
    .description("start a cluster, a new one or that of the directory, and watch over it until Ctrl-C")
    .option("--nodes <n>", "brokers of a new cluster (default: 3)")
    .option("--base-port <port>", "node 1 takes this port and the next, node 2 the two after (default: 9092)")
    .option("--ephemeral", "remove the data when the cluster stops; without --dir in a new directory")
    .option("--detach", "return when the cluster is ready and leave it running")
    .option("--set <key=value>", "a setting of every broker; repeat for more", collect, [])
    .action(async (flags: UpFlags) => {
      const { chooseDirectory, runCluster, runInBackground } = await import("../dev-cluster/up.ts");
      const isEphemeral = flags.ephemeral === true;
      const options = {
        directory: await chooseDirectory(flags.dir, isEphemeral),
        isEphemeral,
        nodes: flags.nodes === undefined ? undefined : parseInteger(flags.nodes, "--nodes", 1),
        basePort: flags.basePort === undefined ? undefined : parseInteger(flags.basePort, "--base-port", 1),
        settings: flags.set,
      };
      const output = outputOf(environment, flags);
      if (flags.detach !== true) {
        await runCluster(options, environment, output);
        return;
      }
      const { directory, nodes } = await runInBackground(options, environment);
      output.result(
        `${nodes.length} brokers are running: ${nodes.map((node) => node.client).join(",")}\n` +
          `stop them with: lograft dev down${directory.option}`,
        { directory: directory.path, nodes },
      );
    });
}

function addNodeCommands(dev: Command, environment: CliEnvironment): void {
  withDevOptions(dev.command("start <node>"))
    .description("start a broker again that was stopped or has died")
    .action(async (node: string, options: DevOptions) => {
      const { askRunning } = await import("../dev-cluster/remote.ts");
      const nodeId = parseNodeId(node);
      const nodes = await askRunning(directoryOf(options), { command: "start", nodeId }, environment.signal);
      outputOf(environment, options).result(`node ${nodeId} is ready`, nodes);
    });

  withDevOptions(dev.command("stop <node>"))
    .description("stop one broker; the others go on")
    .option("--kill", "kill -9: it gets no chance to finish anything")
    .action(async (node: string, options: DevOptions & { kill?: boolean }) => {
      const { askRunning } = await import("../dev-cluster/remote.ts");
      const nodeId = parseNodeId(node);
      const request = { command: "stop", nodeId, isKill: options.kill === true } as const;
      const nodes = await askRunning(directoryOf(options), request, environment.signal);
      outputOf(environment, options).result(`node ${nodeId} has stopped`, nodes);
    });

  withDevOptions(dev.command("add"))
    .description("start more brokers, which join the running cluster")
    .option("--nodes <n>", "how many", "1")
    .action(async (options: DevOptions & { nodes: string }) => {
      const { askRunning } = await import("../dev-cluster/remote.ts");
      const count = parseInteger(options.nodes, "--nodes", 1);
      const nodes = await askRunning(directoryOf(options), { command: "add", count }, environment.signal);
      const added = nodes.slice(-count).map((one) => `node ${one.nodeId} at ${one.client}`);
      outputOf(environment, options).result(`joined: ${added.join(", ")}`, nodes);
    });
}

function withDevOptions(command: Command): Command {
  return command
    .option("--dir <dir>", `directory of the cluster (default: ${DEFAULT_DIRECTORY})`)
    .option("--json", "machine-readable output on stdout");
}

function directoryOf(options: DevOptions): string {
  const path = options.dir ?? DEFAULT_DIRECTORY;
  if (path === "") throw operationError("INVALID_ARGUMENT", "--dir is empty; name a directory");
  return path;
}

function outputOf(environment: CliEnvironment, options: DevOptions): Output {
  const { stdout, stderr } = environment;
  return new Output({ format: options.json === true ? "json" : "table", stdout, stderr });
}

function parseNodeId(text: string): number {
  return parseInteger(text, "node", 1);
}
