import type { Command } from "commander";
import type { ClusterDetails, QuorumDetails, QuorumReplica } from "../../client/index.ts";
import { parseInteger } from "../arguments.ts";
import { leaderEndOffset } from "../cluster-health.ts";
import type { CliEnvironment } from "../context.ts";
import { CliContext, withGlobalOptions } from "../context.ts";
import type { Output } from "../output.ts";
import { addHealthCommand } from "./cluster-health.ts";
import { brokerAsJson, printBrokers } from "./node.ts";

/** `lograft cluster ...`: info, quorum, health, add-voter, remove-voter. */
export function addClusterCommands(program: Command, environment: CliEnvironment): void {
  const cluster = program
    .command("cluster")
    .description("look at the whole cluster and at its metadata quorum");
  addInfo(cluster, environment);
  addQuorum(cluster, environment);
  addHealthCommand(cluster, environment);
  addVoterChanges(cluster, environment);
}

function addInfo(cluster: Command, environment: CliEnvironment): void {
  withGlobalOptions(cluster.command("info"))
    .description("cluster id, controller, brokers and feature levels, as one broker knows them")
    .action(async (_options: object, command: Command) => {
      await CliContext.run(command, environment, async ({ client, output, signal }) => {
        printCluster(output, await client.admin().describeCluster({ signal }));
      });
    });
}

function printCluster(output: Output, cluster: ClusterDetails): void {
  const { clusterId, controllerId, controllerEpoch, features, answeredBy } = cluster;
  if (output.format === "json") {
    output.json({
      clusterId,
      controllerId,
      controllerEpoch: String(controllerEpoch),
      brokers: cluster.brokers.map(brokerAsJson),
      features: features.map(({ name, level, min, max }) => ({ name, level, min, max })),
      answeredBy: {
        nodeId: answeredBy.nodeId,
        metadataOffset: String(answeredBy.metadataOffset),
        stateHash: String(answeredBy.stateHash),
      },
    });
    return;
  }
  const levels = features.map(({ name, level }) => `${name}=${level}`).join(", ");
  output.line(`cluster     ${clusterId}`);
  output.line(`controller  ${controllerId < 0 ? "none" : `${controllerId}, epoch ${controllerEpoch}`}`);
  output.line(`features    ${levels === "" ? "none" : levels}`);
  output.line(`metadata    offset ${answeredBy.metadataOffset}, as broker ${answeredBy.nodeId} knows it`);
  output.line("");
  printBrokers(output, cluster);
}

function addQuorum(cluster: Command, environment: CliEnvironment): void {
  withGlobalOptions(cluster.command("quorum"))
    .description("the replicas of the metadata log: who leads, who votes, how far each is")
    .action(async (_options: object, command: Command) => {
      await CliContext.run(command, environment, async ({ client, output, signal }) => {
        printQuorum(output, await client.admin().describeQuorum({ signal }));
      });
    });
}

type ReplicaRow = QuorumReplica & {
  readonly role: "leader" | "voter" | "observer";
  /** Entries behind the leader; undefined: nobody knows. */
  readonly lag: number | undefined;
};

function printQuorum(output: Output, quorum: QuorumDetails): void {
  const { leaderId, epoch, commitOffset, answeredBy } = quorum;
  const endOffset = leaderEndOffset(quorum);
  const rows = quorum.replicas.map((replica): ReplicaRow => {
    const isKnown = leaderId >= 0 && endOffset >= 0 && replica.logEndOffset >= 0;
    const role = replica.isVoter ? "voter" : "observer";
    return {
      ...replica,
      role: replica.nodeId === leaderId ? "leader" : role,
      lag: isKnown ? Math.max(0, endOffset - replica.logEndOffset) : undefined,
    };
  });
  if (output.format === "json") {
    output.json({
      leaderId,
      epoch: String(epoch),
      commitOffset: String(commitOffset),
      replicas: rows.map(replicaAsJson),
      answeredBy: {
        nodeId: answeredBy.nodeId,
        role: answeredBy.role,
        epoch: String(answeredBy.epoch),
        logEndOffset: String(answeredBy.logEndOffset),
        durableOffset: String(answeredBy.durableOffset),
        appliedOffset: String(answeredBy.appliedOffset),
        snapshotOffset: String(answeredBy.snapshotOffset),
        stateHash: String(answeredBy.stateHash),
      },
    });
    return;
  }
  const leader = leaderId < 0 ? "no leader" : `leader ${leaderId}`;
  output.line(
    `${leader}, epoch ${epoch}, committed up to offset ${commitOffset}; ` +
      `asked broker ${answeredBy.nodeId} (${answeredBy.role}, applied up to ${answeredBy.appliedOffset})`,
  );
  output.rows(
    [
      { title: "NODE", cell: (row) => row.nodeId, align: "right" },
      { title: "ROLE", cell: (row) => row.role },
      { title: "DIRECTORY", cell: (row) => (row.directoryId === "" ? "-" : row.directoryId) },
      { title: "ENDPOINT", cell: (row) => (row.endpoint === "" ? "-" : row.endpoint) },
      { title: "END", cell: (row) => (row.logEndOffset < 0 ? "-" : row.logEndOffset), align: "right" },
      { title: "LAG", cell: (row) => row.lag ?? "-", align: "right" },
      { title: "ACTIVE", cell: (row) => (row.isActive ? "yes" : "no") },
      { title: "CAUGHT-UP", cell: (row) => (row.isCaughtUp ? "yes" : "no") },
    ],
    rows,
    { empty: "no replicas", toJson: replicaAsJson },
  );
  if (endOffset < 0 || leaderId < 0) {
    const missing = leaderId < 0 ? "without a leader" : `while the leader ${leaderId} does not answer`;
    output.note(`${missing} nobody knows how far the others are; see: lograft cluster health`);
  }
}

function replicaAsJson(row: ReplicaRow): unknown {
  return {
    nodeId: row.nodeId,
    role: row.role,
    directoryId: row.directoryId,
    endpoint: row.endpoint,
    logEndOffset: row.logEndOffset < 0 ? null : String(row.logEndOffset),
    lag: row.lag === undefined ? null : String(row.lag),
    isActive: row.isActive,
    isCaughtUp: row.isCaughtUp,
  };
}

function addVoterChanges(cluster: Command, environment: CliEnvironment): void {
  withGlobalOptions(cluster.command("add-voter <node>"))
    .description("give a broker that follows the metadata log a vote")
    .action(async (text: string, _options: object, command: Command) => {
      await CliContext.run(command, environment, async ({ client, output, signal }) => {
        const nodeId = parseInteger(text, "node", 0);
        await client.admin().addVoter(nodeId, { signal });
        output.result(`broker ${nodeId} is a voter of the metadata quorum now`, { nodeId, isVoter: true });
      });
    });

  withGlobalOptions(cluster.command("remove-voter <node>"))
    .description("take a broker's vote away; it goes on following the metadata log")
    .option("--directory <id>", "which of its quorum stores (see: lograft cluster quorum)")
    .action(async (text: string, options: { readonly directory?: string }, command: Command) => {
      await CliContext.run(command, environment, async ({ client, output, signal }) => {
        const nodeId = parseInteger(text, "node", 0);
        const { directory } = options;
        const which = directory === undefined ? {} : { directoryId: directory };
        await client.admin().removeVoter(nodeId, { signal, ...which });
        output.result(`broker ${nodeId} is no voter of the metadata quorum any more`, {
          nodeId,
          isVoter: false,
        });
      });
    });
}
