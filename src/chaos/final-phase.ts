import { setTimeout as sleep } from "node:timers/promises";
import type { Isolation } from "../history/history-line.ts";
import type { LograftClient } from "../client/index.ts";
import type { ClusterProcess } from "./cluster-process.ts";
import { readAndLog } from "./chaos-consumer.ts";
import type { HistoryLog } from "./history-log.ts";
import type { Key } from "./keys.ts";
import type { Observer } from "./observer.ts";
import { nowNs } from "./monotonic-time.ts";

const WHOLE_TIMEOUT_MS = 60_000;
const PASS_TIMEOUT_MS = 120_000;
const ASK_TIMEOUT_MS = 10_000;
const POLL_MS = 50;

/** Where a key begins and ended when it was asked. */
interface Range {
  readonly start: number;
  readonly end: number;
}

/**
 * The faults are over and the producers have their outcomes: waits until the cluster is whole, asks every leader for the
 * end of its keys, and reads everything from the start with fresh clients, once for each isolation level. Resolves with
 * the ends.
 */
export async function runFinalPhase(deps: {
  readonly cluster: ClusterProcess;
  readonly observer: Observer;
  readonly log: HistoryLog;
  readonly keys: readonly Key[];
  readonly signal: AbortSignal;
}): Promise<ReadonlyMap<string, number>> {
  const { cluster, observer, log, keys, signal } = deps;
  const deadline = performance.now() + WHOLE_TIMEOUT_MS;
  while (!observer.isWhole && performance.now() < deadline) await sleep(POLL_MS, undefined, { signal });
  let ends: ReadonlyMap<string, number> = new Map();
  for (const isolation of ["read_committed", "read_uncommitted"] as const) {
    await using client = cluster.client();
    ends = await runPass({ client, log, keys, signal }, isolation);
    signal.throwIfAborted();
  }
  return ends;
}

interface PassDeps {
  readonly client: LograftClient;
  readonly log: HistoryLog;
  readonly keys: readonly Key[];
  readonly signal: AbortSignal;
}

async function runPass(deps: PassDeps, isolation: Isolation): Promise<Map<string, number>> {
  const { client, log, keys } = deps;
  const writer = log.newProcess();
  const since = nowNs();
  const ranges = await askRanges(client, keys, writer);
  const positions = new Map<string, number>();
  const hasAll = (): boolean =>
    keys.every(
      ({ name }) => (positions.get(name) ?? ranges.get(name)?.start ?? 0) >= (ranges.get(name)?.end ?? 0),
    );
  const signal = AbortSignal.any([deps.signal, AbortSignal.timeout(PASS_TIMEOUT_MS)]);
  // A reader that fails goes on as it would in an application, where it was.
  while (!hasAll() && !signal.aborted) {
    await readAndLog({ keys, isolation, positions }, { client, writer }, { signal, isDone: hasAll });
  }
  for (const { name } of keys) {
    const range = ranges.get(name);
    if (range === undefined) continue;
    const reached = positions.get(name) ?? range.start;
    log.note({ type: "final", t: nowNs(), p: writer.process, k: name, since, reached, ...range });
  }
  return new Map([...ranges].map(([name, { end }]) => [name, end]));
}

async function askRanges(
  client: LograftClient,
  keys: readonly Key[],
  writer: ReturnType<HistoryLog["newProcess"]>,
): Promise<Map<string, Range>> {
  const admin = client.admin();
  const open = writer.invoke("listOffsets");
  const options = { timeoutMs: ASK_TIMEOUT_MS };
  const starts = await admin.listOffsets(keys, "beginning", options);
  const ends = await admin.listOffsets(keys, "end", options);
  const ranges = new Map<string, Range>();
  for (const [index, { name }] of keys.entries()) {
    ranges.set(name, { start: starts[index]?.offset ?? 0, end: ends[index]?.offset ?? 0 });
  }
  writer.complete(open, "ok", {
    mops: [...ranges].map(([name, { end }]) => ["end", name, end] as const),
    iso: "read_uncommitted",
  });
  return ranges;
}
