import type { Command } from "commander";
import type { ClusterBroker, ClusterDetails, PartitionState } from "../../client/index.ts";
import { ProtocolError } from "../../model/error-code.ts";
import { parseInteger } from "../arguments.ts";
import type { BrokerReport } from "../cluster-survey.ts";
import { askBroker, clientEndpoint } from "../cluster-survey.ts";
import { confirm } from "../confirm.ts";
import type { CliEnvironment } from "../context.ts";
import { CliContext, withGlobalOptions } from "../context.ts";
import { counted } from "../output.ts";
import type { Output } from "../output.ts";
import { addNodeLogLevelCommand } from "./node-log-level.ts";

/** `lograft node ...`: list, describe, log-level, drain, undrain, unregister. */
export function addNodeCommands(program: Command, environment: CliEnvironment): void {
  const node = program
    .command("node")
    .description(
      "look at single brokers and their log levels, take them out of use, and forget one that is gone",
    );

  withGlobalOptions(node.command("list"))
    .description("the registered brokers")
    .action(async (_options: object, command: Command) => {
      await CliContext.run(command, environment, async ({ client, output, signal }) => {
        printBrokers(output, await client.admin().describeCluster({ signal }));
      });
    });

  withGlobalOptions(node.command("describe <id>"))
    .description("one broker: addresses, state, partitions, and where it is in the metadata log")
    .action(async (text: string, _options: object, command: Command) => {
      await CliContext.run(command, environment, async (context) => {
        await describeNode(context, parseInteger(text, "id", 0));
      });
    });

  addNodeLogLevelCommand(node, environment);

  withGlobalOptions(node.command("drain <id>"))
    .description("take a broker out of use: others lead what they can, and it gets no new replicas")
    .action(async (text: string, _options: object, command: Command) => {
      await CliContext.run(command, environment, async ({ client, output, signal }) => {
        const nodeId = parseInteger(text, "id", 0);
        const drained = await client.admin().drainNode(nodeId, { signal });
        const { movedLeaders, ledPartitions } = drained;
        const rest =
          ledPartitions === 0
            ? "it leads nothing"
            : `it leads ${counted(ledPartitions, "partition")} until others are in sync`;
        output.result(`broker ${nodeId} is drained: ${counted(movedLeaders, "leader")} moved, ${rest}`, {
          nodeId,
          ...drained,
        });
      });
    });

  withGlobalOptions(node.command("undrain <id>"))
    .description("give a drained broker back to use")
    .action(async (text: string, _options: object, command: Command) => {
      await CliContext.run(command, environment, async ({ client, output, signal }) => {
        const nodeId = parseInteger(text, "id", 0);
        const given = await client.admin().undrainNode(nodeId, { signal });
        const next = "leaders return to it now with: lograft partitions elect-preferred --all";
        output.result(`broker ${nodeId} is in use again; ${next}`, { nodeId, ...given });
      });
    });

  withGlobalOptions(node.command("unregister <id>"))
    .description("forget a broker that will not come back, so that its id is free")
    .option("--yes", "do not ask")
    .action(async (text: string, options: { readonly yes?: boolean }, command: Command) => {
      await CliContext.run(command, environment, async (context) => {
        const nodeId = parseInteger(text, "id", 0);
        const what = `forget broker ${nodeId} and what the cluster knows of its data`;
        await confirm(context, { isAgreed: options.yes === true, what, typed: String(nodeId) });
        await context.client.admin().unregisterBroker(nodeId, { signal: context.signal });
        context.output.result(`broker ${nodeId} is forgotten`, { nodeId });
      });
    });
}

/** What a broker can be, in one word. */
function stateOf({
  isFenced,
  isShuttingDown,
  isDrained,
}: ClusterBroker): "active" | "fenced" | "stopping" | "drained" {
  if (isFenced) return "fenced";
  if (isShuttingDown) return "stopping";
  return isDrained ? "drained" : "active";
}

/** The brokers as a table, or as one JSON list. */
export function printBrokers(output: Output, { brokers, controllerId }: ClusterDetails): void {
  output.rows(
    [
      { title: "ID", cell: (row) => row.nodeId, align: "right" },
      { title: "STATE", cell: stateOf },
      { title: "CLIENTS", cell: clientEndpoint },
      { title: "PEERS", cell: (row) => orDash(row.peerEndpoint) },
      { title: "RACK", cell: (row) => orDash(row.rack) },
      { title: "HOST", cell: (row) => orDash(row.brokerHost) },
      { title: "CONTROLLER", cell: (row) => (row.nodeId === controllerId ? "yes" : "") },
    ],
    brokers,
    { empty: "no broker is registered", toJson: brokerAsJson },
  );
}

/** The documented shape: 64-bit values are decimal strings, what is absent is null. */
export function brokerAsJson(broker: ClusterBroker): Record<string, unknown> {
  return {
    nodeId: broker.nodeId,
    host: broker.host,
    port: broker.port,
    peerEndpoint: orNull(broker.peerEndpoint),
    rack: orNull(broker.rack),
    brokerHost: orNull(broker.brokerHost),
    directoryId: broker.directoryId,
    incarnationId: broker.incarnationId,
    brokerEpoch: String(broker.brokerEpoch),
    isFenced: broker.isFenced,
    isShuttingDown: broker.isShuttingDown,
    isDrained: broker.isDrained,
  };
}

async function describeNode(context: CliContext, nodeId: number): Promise<void> {
  const { signal, options, output } = context;
  const admin = context.client.admin();
  const cluster = await admin.describeCluster({ signal });
  const broker = cluster.brokers.find((candidate) => candidate.nodeId === nodeId);
  if (broker === undefined) {
    const known = cluster.brokers.map((candidate) => candidate.nodeId).join(", ");
    throw new ProtocolError(
      "BROKER_ID_NOT_REGISTERED",
      `broker ${nodeId} is not registered; registered: ${known === "" ? "none" : known}; see: lograft node list`,
    );
  }
  const bounds = { timeoutMs: options.timeoutMs, signal };
  const [report, partitions] = await Promise.all([
    askBroker(admin, broker, bounds),
    admin.listPartitions(bounds),
  ]);
  const shares = sharesOf(partitions, nodeId);
  const isController = cluster.controllerId === nodeId;
  if (output.format === "json") {
    output.json({ ...brokerAsJson(broker), isController, ...shares, ...positionAsJson(report) });
    return;
  }
  const lines: readonly (readonly [string, string])[] = [
    ["broker", `${nodeId}${isController ? " (controller)" : ""}`],
    ["state", stateOf(broker)],
    ["clients", report.address],
    ["peers", orDash(broker.peerEndpoint)],
    ["rack", orDash(broker.rack)],
    ["host", orDash(broker.brokerHost)],
    ["directory", broker.directoryId],
    ["incarnation", broker.incarnationId],
    ["registered at", `metadata offset ${broker.brokerEpoch}`],
    [
      "partitions",
      `leads ${shares.leaders}, holds ${shares.replicas}, ${shares.outOfSync} of them not in sync`,
    ],
    ["metadata", shownPosition(report)],
  ];
  for (const [title, text] of lines) output.line(`${title.padEnd(15)}${text}`);
}

function sharesOf(
  partitions: readonly PartitionState[],
  nodeId: number,
): { readonly leaders: number; readonly replicas: number; readonly outOfSync: number } {
  const held = partitions.filter(({ replicas }) => replicas.includes(nodeId));
  return {
    leaders: held.filter(({ leaderId }) => leaderId === nodeId).length,
    replicas: held.length,
    outOfSync: held.filter(({ isr }) => !isr.includes(nodeId)).length,
  };
}

function positionAsJson({ position, failure }: BrokerReport): Record<string, unknown> {
  return {
    metadataOffset: position === undefined ? null : String(position.metadataOffset),
    stateHash: position === undefined ? null : String(position.stateHash),
    unreachable: orNull(failure),
  };
}

function shownPosition({ position, failure }: BrokerReport): string {
  if (position === undefined) return `unknown: ${failure}`;
  return `offset ${position.metadataOffset}, state hash ${position.stateHash}`;
}

function orDash(text: string): string {
  return text === "" ? "-" : text;
}

function orNull(text: string): string | null {
  return text === "" ? null : text;
}
