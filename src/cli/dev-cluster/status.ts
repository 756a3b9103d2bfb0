import type { NodeStatus } from "./control.ts";

/** What the brokers say of themselves. */
export interface ClusterRoles {
  readonly controllerId: number;
  /** Node ids of the voters of the metadata quorum. */
  readonly voters: ReadonlySet<number>;
}

/** One row of `dev status`. */
export interface StatusRow extends NodeStatus {
  readonly role: string;
}

const ASK_TIMEOUT_MS = 2000;

/** Asks the running brokers who does what; undefined when none answers in time. */
export async function askRoles(
  nodes: readonly NodeStatus[],
  signal: AbortSignal,
): Promise<ClusterRoles | undefined> {
  const brokers = nodes.filter((node) => node.state === "running").map((node) => node.client);
  if (brokers.length === 0) return undefined;
  const { LograftClient } = await import("../../client/index.ts");
  const options = { timeoutMs: ASK_TIMEOUT_MS, signal };
  await using client = new LograftClient({
    brokers,
    clientId: "lograft-dev",
    requestTimeoutMs: ASK_TIMEOUT_MS,
  });
  try {
    const quorum = await client.admin().describeQuorum(options);
    const voters = quorum.replicas.filter((replica) => replica.isVoter).map((replica) => replica.nodeId);
    return { controllerId: quorum.leaderId, voters: new Set(voters) };
  } catch {
    signal.throwIfAborted();
    return undefined;
  }
}

/** The rows of a table: what the supervisor knows, and the role where the brokers told it. */
export function statusRows(nodes: readonly NodeStatus[], roles: ClusterRoles | undefined): StatusRow[] {
  return nodes.map((node) => ({ ...node, role: roleOf(node, roles) }));
}

function roleOf(node: NodeStatus, roles: ClusterRoles | undefined): string {
  if (node.state !== "running" || roles === undefined) return "-";
  if (node.nodeId === roles.controllerId) return "controller";
  return roles.voters.has(node.nodeId) ? "voter" : "observer";
}
