import { setTimeout as sleep } from "node:timers/promises";
import { operationError } from "../../base/errors.ts";
import { askSupervisor } from "./control.ts";
import type { ControlRequest, NodeStatus } from "./control.ts";
import { DevDirectory } from "./dev-directory.ts";
import type { DevState } from "./dev-directory.ts";
import { DEV_HOST } from "./plan.ts";

/** Longer than the supervisor waits for a broker to become ready (60 s). */
const REQUEST_TIMEOUT_MS = 65_000;
const STATUS_TIMEOUT_MS = 5000;
/** Longer than the supervisor waits for a broker to stop (35 s). */
const DOWN_TIMEOUT_MS = 40_000;
const POLL_MS = 25;

/** Has the supervisor do something. @throws CLOSED when the cluster is down; whatever the supervisor threw. */
export async function askRunning(
  path: string,
  request: ControlRequest,
  signal: AbortSignal,
): Promise<readonly NodeStatus[]> {
  const { controlPath } = await new DevDirectory(path).readExisting();
  const nodes = await askSupervisor(controlPath, request, { timeoutMs: REQUEST_TIMEOUT_MS, signal });
  if (nodes !== undefined) return nodes;
  throw operationError("CONNECTION_FAILED", `the cluster in ${path} is down; start it with: lograft dev up`);
}

/** The brokers as the supervisor sees them; all stopped when there is none. */
export async function readStatus(path: string, signal: AbortSignal): Promise<readonly NodeStatus[]> {
  const state = await new DevDirectory(path).readExisting();
  const bounds = { timeoutMs: STATUS_TIMEOUT_MS, signal };
  return (await askSupervisor(state.controlPath, { command: "status" }, bounds)) ?? stoppedNodes(state);
}

/** The nodes whose logs are wanted: all, or one. @throws INVALID_ARGUMENT for one that there is not. */
export async function nodeIdsOf(path: string, wanted: number | undefined): Promise<number[]> {
  const { plan } = await new DevDirectory(path).readExisting();
  const known = plan.nodes.map((node) => node.nodeId);
  if (wanted === undefined) return known;
  if (known.includes(wanted)) return [wanted];
  throw operationError("INVALID_ARGUMENT", `there is no node ${wanted}; there are ${known.join(", ")}`);
}

/** Stops the cluster; resolves when its supervisor is gone, which is last. A cluster that is down is left alone. */
export async function stopCluster(path: string, signal: AbortSignal): Promise<void> {
  const { controlPath } = await new DevDirectory(path).readExisting();
  const bounds = { timeoutMs: STATUS_TIMEOUT_MS, signal };
  if ((await askSupervisor(controlPath, { command: "down" }, bounds)) === undefined) return;
  const deadline = performance.now() + DOWN_TIMEOUT_MS;
  while (await isRunning(controlPath, signal)) {
    if (performance.now() > deadline) {
      throw operationError("TIMEOUT", `the cluster is still stopping after ${DOWN_TIMEOUT_MS / 1000} s`, {
        retriable: true,
      });
    }
    await sleep(POLL_MS, undefined, { signal });
  }
}

/** Removes the cluster's files once `agree` resolves; gives the path. @throws DATA_DIR_LOCKED while it runs. */
export async function purgeCluster(
  path: string,
  signal: AbortSignal,
  agree: (what: string) => Promise<void>,
): Promise<string> {
  const directory = new DevDirectory(path);
  const { controlPath, plan } = await directory.readExisting();
  if (await isRunning(controlPath, signal)) {
    throw operationError("DATA_DIR_LOCKED", "the cluster is running; stop it first with: lograft dev down");
  }
  await agree(`delete ${directory.path} with the data of ${plan.nodes.length} brokers`);
  await directory.purge();
  return directory.path;
}

async function isRunning(controlPath: string, signal: AbortSignal): Promise<boolean> {
  try {
    const bounds = { timeoutMs: STATUS_TIMEOUT_MS, signal };
    return (await askSupervisor(controlPath, { command: "status" }, bounds)) !== undefined;
  } catch {
    signal.throwIfAborted();
    // It hung up in the middle of the answer: it is at its end, so look again.
    return true;
  }
}

function stoppedNodes(state: DevState): NodeStatus[] {
  return state.plan.nodes.map(({ nodeId, clientPort, peerPort }) => ({
    nodeId,
    pid: 0,
    state: "stopped",
    client: `${DEV_HOST}:${clientPort}`,
    peer: `${DEV_HOST}:${peerPort}`,
  }));
}
