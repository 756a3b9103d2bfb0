import { operationError } from "../../base/errors.ts";

/** One broker of a development cluster. */
export interface PlannedNode {
  readonly nodeId: number;
  readonly clientPort: number;
  readonly peerPort: number;
  /** One of those the cluster began with; the others joined it later. */
  readonly isFounder: boolean;
}

/** Which brokers a development cluster has and how they are started; the same at every start. */
export interface ClusterPlan {
  readonly nodes: readonly PlannedNode[];
  /** "key=value", given to every broker. */
  readonly settings: readonly string[];
}

/** Everything listens here: a development cluster is not for others. */
export const DEV_HOST = "127.0.0.1";
/** More would only show that a machine has an end. */
export const MAX_NODES = 15;

const PORTS_PER_NODE = 2;
const LAST_PORT = 65_535;
/** What the plan itself decides; a setting of the user would contradict it. */
const PLANNED_KEYS: ReadonlySet<string> = new Set([
  "listeners",
  "advertised.listeners",
  "node.id",
  "log.dirs",
  "controller.quorum.voters",
  "controller.quorum.bootstrap.servers",
]);

/** A cluster of `count` founders: node N has the ports base + 2(N-1) for clients and the one above for its peers. @throws INVALID_ARGUMENT. */
export function planCluster(options: {
  readonly count: number;
  readonly basePort: number;
  readonly settings: readonly string[];
}): ClusterPlan {
  const { count, basePort } = options;
  if (count > MAX_NODES) {
    throw operationError("INVALID_ARGUMENT", `--nodes ${count}: at most ${MAX_NODES} on one machine`);
  }
  const highest = basePort + count * PORTS_PER_NODE - 1;
  if (basePort < 1 || highest > LAST_PORT) {
    const what = `--base-port ${basePort}: ${count} brokers need the ports ${basePort} to ${highest}`;
    throw operationError("INVALID_ARGUMENT", `${what}, which do not exist; choose a lower one`);
  }
  const nodes = Array.from({ length: count }, (_, index) => plannedNode(index + 1, basePort, true));
  return withSettings({ nodes, settings: [] }, options.settings);
}

/** The plan with `count` more nodes, which join the running cluster. @throws INVALID_ARGUMENT. */
export function withMoreNodes(plan: ClusterPlan, count: number): ClusterPlan {
  const last = Math.max(...plan.nodes.map((node) => node.nodeId));
  const base = basePortOf(plan);
  const added = Array.from({ length: count }, (_, index) => plannedNode(last + 1 + index, base, false));
  const nodes = [...plan.nodes, ...added];
  if (nodes.length > MAX_NODES) {
    throw operationError(
      "INVALID_ARGUMENT",
      `--nodes ${count}: with the ${plan.nodes.length} there are it would be more than ${MAX_NODES}`,
    );
  }
  const highest = Math.max(...nodes.map((node) => node.peerPort));
  if (highest > LAST_PORT) {
    throw operationError(
      "INVALID_ARGUMENT",
      `--nodes ${count}: there is no port ${highest} for the last one`,
    );
  }
  return { ...plan, nodes };
}

/** The plan with settings added; one that was set before takes the new value. @throws INVALID_ARGUMENT. */
export function withSettings(plan: ClusterPlan, settings: readonly string[]): ClusterPlan {
  const values = new Map<string, string>();
  for (const setting of [...plan.settings, ...settings]) {
    const at = setting.indexOf("=");
    if (at <= 0) throw operationError("INVALID_ARGUMENT", `--set ${setting}: write it as key=value`);
    const key = setting.slice(0, at);
    if (PLANNED_KEYS.has(key)) {
      throw operationError(
        "INVALID_ARGUMENT",
        `--set ${key}: "dev" decides this for each broker; see --nodes, --base-port and --dir, or use lograft start`,
      );
    }
    values.set(key, setting.slice(at + 1));
  }
  return { ...plan, settings: [...values].map(([key, value]) => `${key}=${value}`) };
}

/** The lowest client port, from which the others are counted. */
export function basePortOf(plan: ClusterPlan): number {
  const [first] = plan.nodes;
  return first === undefined ? 0 : first.clientPort - (first.nodeId - 1) * PORTS_PER_NODE;
}

/** "host:port,..." for clients. */
export function clientAddresses(plan: ClusterPlan): string[] {
  return plan.nodes.map((node) => `${DEV_HOST}:${node.clientPort}`);
}

/** The arguments of `lograft` with which a broker of the plan is started. */
export function startArguments(plan: ClusterPlan, node: PlannedNode, dataDirectory: string): string[] {
  const settings = [
    `listeners=CLIENT://${DEV_HOST}:${node.clientPort},PEER://${DEV_HOST}:${node.peerPort}`,
    node.isFounder
      ? `controller.quorum.voters=${plan.nodes.filter(isFounder).map(voterText).join(",")}`
      : `controller.quorum.bootstrap.servers=${plan.nodes.filter(isFounder).map(peerText).join(",")}`,
    ...plan.settings,
  ];
  const identity = ["--node-id", String(node.nodeId), "--data-dir", dataDirectory];
  return [
    "start",
    "--json",
    "--exit-with-parent",
    ...identity,
    ...settings.flatMap((setting) => ["--set", setting]),
  ];
}

function plannedNode(nodeId: number, basePort: number, isFounder: boolean): PlannedNode {
  const clientPort = basePort + (nodeId - 1) * PORTS_PER_NODE;
  return { nodeId, clientPort, peerPort: clientPort + 1, isFounder };
}

function isFounder(node: PlannedNode): boolean {
  return node.isFounder;
}

function peerText(node: PlannedNode): string {
  return `${DEV_HOST}:${node.peerPort}`;
}

function voterText(node: PlannedNode): string {
  return `${node.nodeId}@${peerText(node)}`;
}
