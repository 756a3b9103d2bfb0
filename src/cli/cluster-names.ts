import type { Admin } from "../client/index.ts";
import type { NameSource } from "./completion.ts";

/** Who waits at a prompt does not wait for longer. */
const TIMEOUT_MS = 1000;
const MAX_NAMES = 500;

/**
 * Names of a cluster for completion: those of a broker that answers within a second, else none. `words` are those of the
 * line: the brokers it names are asked, else those of LOGRAFT_BROKERS, else the one at localhost:9092.
 */
export function clusterNames(
  words: readonly string[],
  env: Readonly<Record<string, string | undefined>>,
  signal: AbortSignal,
): NameSource {
  const named = words.findIndex((word) => word === "-b" || word === "--bootstrap-server");
  const text = (named < 0 ? undefined : words[named + 1]) ?? env["LOGRAFT_BROKERS"] ?? "localhost:9092";
  const brokers = text.split(",").filter((broker) => broker !== "");
  const options = { timeoutMs: TIMEOUT_MS, signal };
  return {
    topics: () =>
      ask(brokers, async (admin) =>
        (await admin.listTopics({ ...options, includeInternal: false })).map(({ name }) => name),
      ),
    groups: () =>
      ask(brokers, async (admin) => (await admin.listGroups(options)).groups.map(({ groupId }) => groupId)),
    nodes: () =>
      ask(brokers, async (admin) =>
        (await admin.describeCluster(options)).brokers.map(({ nodeId }) => String(nodeId)),
      ),
  };
}

/** Never rejects: a line cannot be completed by an error. */
async function ask(
  brokers: readonly string[],
  question: (admin: Admin) => Promise<readonly string[]>,
): Promise<readonly string[]> {
  try {
    const { LograftClient } = await import("../client/index.ts");
    await using client = new LograftClient({
      brokers,
      clientId: "lograft-completion",
      requestTimeoutMs: TIMEOUT_MS,
    });
    return (await question(client.admin())).slice(0, MAX_NAMES);
  } catch {
    return []; // Nobody is there, or what was typed is no address.
  }
}
