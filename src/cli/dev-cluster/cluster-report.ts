import type { ReadyBroker } from "./broker-child.ts";
import type { DevDirectory } from "./dev-directory.ts";
import type { ClusterPlan } from "./plan.ts";
import { clientAddresses, DEV_HOST } from "./plan.ts";

/** What there is to say when all brokers are ready. */
export interface ClusterReady {
  readonly plan: ClusterPlan;
  readonly brokers: readonly ReadyBroker[];
  readonly directory: DevDirectory;
  readonly isEphemeral: boolean;
  /** From the command to the last broker. */
  readonly readyMs: number;
}

/** The active controller, or -1 while the brokers do not agree. */
export function controllerOf(brokers: readonly ReadyBroker[]): number {
  const named = new Set(brokers.map((broker) => broker.controllerId).filter((id) => id >= 0));
  const [only] = named;
  return named.size === 1 && only !== undefined ? only : -1;
}

/** The block that `dev up` prints. */
export function describeReady(ready: ClusterReady): string {
  const { plan, brokers } = ready;
  const controller = controllerOf(brokers);
  const nodes = plan.nodes.map(({ nodeId, clientPort, peerPort }) => {
    const role = nodeId === controller ? "   controller" : "";
    return `    node ${String(nodeId).padEnd(2)} ${DEV_HOST}:${clientPort}   peer ${DEV_HOST}:${peerPort}${role}`;
  });
  // The one whose end is most worth watching.
  const victim = controller < 0 ? 1 : controller;
  const count = `${plan.nodes.length} broker${plan.nodes.length === 1 ? " is" : "s are"}`;
  return [
    "",
    `  lograft: ${count} ready after ${formatSeconds(ready.readyMs)}`,
    "",
    ...nodes,
    `  data in ${ready.directory.path}${ready.isEphemeral ? ", removed at the end" : ""}`,
    "",
    "  Try, in another terminal:",
    `    export LOGRAFT_BROKERS=${clientAddresses(plan).join(",")}`,
    "    npx lograft topic create hello -p 3",
    "    npx lograft produce hello --value world",
    "    npx lograft consume hello --from-beginning",
    `    npx lograft dev stop ${victim} --kill${ready.directory.option}`,
    `    npx lograft dev status${ready.directory.option}`,
    `    npx lograft dev start ${victim}${ready.directory.option}`,
    "",
    "  Ctrl-C stops them all; nothing acknowledged is lost, however they stop.",
    "",
  ].join("\n");
}

/** The same for programs. */
export function readyAsJson(ready: ClusterReady): unknown {
  return {
    readyMs: Math.round(ready.readyMs),
    clusterId: ready.brokers[0]?.clusterId ?? "",
    controllerId: controllerOf(ready.brokers),
    directory: ready.directory.path,
    nodes: ready.plan.nodes.map(({ nodeId, clientPort, peerPort }) => ({
      nodeId,
      client: `${DEV_HOST}:${clientPort}`,
      peer: `${DEV_HOST}:${peerPort}`,
    })),
  };
}

function formatSeconds(ms: number): string {
  return ms < 10_000 ? `${(ms / 1000).toFixed(2)} s` : `${Math.round(ms / 1000)} s`;
}
