import { once } from "node:events";
import { createServer } from "node:net";
import { operationError } from "../../base/errors.ts";
import { DEV_HOST } from "./plan.ts";
import type { PlannedNode } from "./plan.ts";

/** A port that another program listens on, and what it was meant for. */
export interface TakenPort {
  readonly nodeId: number;
  readonly port: number;
  readonly purpose: "client" | "peer";
}

/** Those of the nodes' ports that cannot be listened on now. */
export async function takenPorts(nodes: readonly PlannedNode[]): Promise<TakenPort[]> {
  const wanted = nodes.flatMap(({ nodeId, clientPort, peerPort }) => [
    { nodeId, port: clientPort, purpose: "client" as const },
    { nodeId, port: peerPort, purpose: "peer" as const },
  ]);
  const isFree = await Promise.all(wanted.map(({ port }) => canListen(port)));
  return wanted.filter((_, index) => isFree[index] !== true);
}

/** ADDRESS_IN_USE that names each port and what to do. `isNew`: the cluster's ports are still to be chosen. */
export function portsTakenError(taken: readonly TakenPort[], isNew: boolean): Error {
  const list = taken.map(({ port, purpose, nodeId }) => `${port} (${purpose} port of node ${nodeId})`);
  const next = isNew
    ? "stop what listens there, or choose other ports with --base-port N"
    : "stop what listens there: the ports of this cluster were chosen when it was made";
  return operationError(
    "ADDRESS_IN_USE",
    `in use on ${DEV_HOST}: ${list.join(", ")}; ${next}. Nothing was started`,
    { context: { ports: taken.map(({ port }) => port) } },
  );
}

async function canListen(port: number): Promise<boolean> {
  const server = createServer();
  try {
    server.listen({ port, host: DEV_HOST, exclusive: true });
    await once(server, "listening");
    return true;
  } catch {
    return false;
  } finally {
    server.close();
  }
}
