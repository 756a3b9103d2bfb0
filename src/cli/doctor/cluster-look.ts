import { isLograftError } from "../../client/errors.ts";
import type { Admin, ClusterBroker, NodeDetails } from "../../client/index.ts";
import type { ClockReading } from "../../model/clock-skew.ts";
import { clientEndpoint, surveyCluster } from "../cluster-survey.ts";
import type { ClusterSurvey } from "../cluster-survey.ts";
import { askLocal, parseLocalHealth } from "../local-health.ts";
import { dial, DIAL_TIMEOUT_MS } from "./dial.ts";
import type { DialedAddress, Reached } from "./dial.ts";

/** An address that a broker gives to clients, and how far one comes with it from here. */
export interface SeenAddress extends DialedAddress {
  /** The name of the listener; "" when nobody told. */
  readonly listener: string;
  readonly reached: Reached;
}

/** One broker as it was seen from here. */
export interface SeenBroker {
  readonly broker: ClusterBroker;
  /** What clients that come where we came are told; first of all. */
  readonly address: SeenAddress;
  /** Of its other listeners. */
  readonly others: readonly SeenAddress[];
  /** What it says of itself; undefined: it was not reached, or is too old to say. */
  readonly node: NodeDetails | undefined;
  readonly clock: ClockReading | undefined;
  /** Settings that matter here, by name. */
  readonly settings: ReadonlyMap<string, string>;
  /** What its HTTP port said, or why it said nothing; undefined: it has none, or takes any. */
  readonly http: string | undefined;
}

/** A cluster as it was seen from here. */
export interface ClusterLook {
  readonly survey: ClusterSurvey;
  /** By node id. */
  readonly brokers: readonly SeenBroker[];
}

/** Looked at at the same time. */
const BROKERS_TOGETHER = 8;
const HTTP_TIMEOUT_MS = 2000;

/** Looks at every broker of the cluster from here. @throws LograftError when none answers. */
export async function lookAtCluster(
  admin: Admin,
  options: { readonly timeoutMs: number; readonly signal: AbortSignal },
): Promise<ClusterLook> {
  const survey = await surveyCluster(admin, options);
  const brokers: SeenBroker[] = [];
  for (let from = 0; from < survey.cluster.brokers.length; from += BROKERS_TOGETHER) {
    const some = survey.cluster.brokers.slice(from, from + BROKERS_TOGETHER);
    brokers.push(...(await Promise.all(some.map((broker) => lookAtBroker(admin, broker, options.signal)))));
  }
  return { survey, brokers };
}

async function lookAtBroker(admin: Admin, broker: ClusterBroker, signal: AbortSignal): Promise<SeenBroker> {
  const { host, port, nodeId } = broker;
  const reached = await dial(admin, { host, port }, signal);
  const seen = { broker, address: { host, port, listener: "", reached } };
  const unknown = { others: [], node: undefined, clock: undefined, settings: new Map(), http: undefined };
  if (reached.kind !== "broker" || reached.cluster.answeredBy.nodeId !== nodeId)
    return { ...seen, ...unknown };
  const at = { address: clientEndpoint(broker), timeoutMs: DIAL_TIMEOUT_MS, signal };
  const askedMs = Date.now();
  const node = await orUndefined(admin.describeNode(at), signal);
  const answeredMs = Date.now();
  if (node === undefined) return { ...seen, ...unknown };
  const others = node.listeners.filter(({ name }) => name !== node.listener);
  const [dialed, config, http] = await Promise.all([
    Promise.all(
      others.map(async ({ name, ...address }) => ({
        ...address,
        listener: name,
        reached: await dial(admin, address, signal),
      })),
    ),
    orUndefined(admin.describeBrokerConfig(at), signal),
    askHttp(host, node, signal),
  ]);
  return {
    broker,
    address: { ...seen.address, listener: node.listener },
    others: dialed,
    node,
    clock: { askedMs, theirsMs: node.wallClockMs, answeredMs },
    settings: new Map((config?.configs ?? []).map(({ name, value }) => [name, value])),
    http,
  };
}

async function askHttp(host: string, node: NodeDetails, signal: AbortSignal): Promise<string | undefined> {
  const { httpPort: port, nodeId } = node;
  if (port === undefined || port === 0) return undefined;
  const where = `${host}:${port}`;
  try {
    const options = { timeoutMs: HTTP_TIMEOUT_MS, signal };
    const answer = await askLocal({ host, port, path: "/healthz?verbose" }, options);
    const health = parseLocalHealth(answer.body, where);
    if (health.nodeId !== nodeId) return `${where} is that of broker ${health.nodeId}, from here`;
    return `${where} answers: ${health.isReady ? "ready" : "NOT ready"}`;
  } catch (error: unknown) {
    if (!isLograftError(error) || signal.aborted) throw error;
    return `port ${port}; nothing of it is reached from here`;
  }
}

/** Undefined where the broker does not answer that: it was reached a moment ago, so the rest is told without it. */
async function orUndefined<T>(answer: Promise<T>, signal: AbortSignal): Promise<T | undefined> {
  try {
    return await answer;
  } catch (error: unknown) {
    if (!isLograftError(error) || signal.aborted) throw error;
    return undefined;
  }
}
