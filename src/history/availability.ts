import { ConsumptionTimes } from "./consumption-times.ts";
import { groupBy } from "./group-by.ts";
import type { Fault, History } from "./history.ts";
import { at } from "./key-history.ts";
import type { Percentiles } from "./percentiles.ts";
import { percentilesOf } from "./percentiles.ts";
import { Recovery } from "./recovery.ts";
import { SendTimes } from "./send-times.ts";

/** What faults of one kind did to the clients. */
export interface FaultFigures {
  readonly kind: string;
  readonly count: number;
  /** Those with a consequence that was seen. */
  readonly effective: number;
  /** From the begin of the fault to the first acknowledgement of a send that began after it, on each key it hit; ms. */
  readonly windowMs: Percentiles;
  /** Longest time without an acknowledgement from its begin to its end, on each key it hit; ms. */
  readonly gapMs: Percentiles;
  /** From its end until the cluster was whole; ms. */
  readonly recoveryMs: Percentiles;
  /**
   * From its begin until another member of the group had processed something, on each key whose member it hit; until the
   * group had committed something, on each key of it, where it hit the coordinator; ms.
   */
  readonly takeoverMs: Percentiles;
  /** Where it hit members: longest time without progress, from its begin to its end, on each key of the others; ms. */
  readonly undisturbedGapMs: Percentiles;
}

/** What the clients could do while all this went on. */
export interface Availability {
  /** Records sent, by outcome. */
  readonly acknowledged: number;
  readonly failed: number;
  readonly unknown: number;
  /** Not among those: given up because their own client was ended, which says nothing of the cluster. */
  readonly abandoned: number;
  /** Acknowledged of all whose client lived to hear of them; 1 when nothing was sent. */
  readonly successRate: number;
  /**
   * From the death of a leader to the first acknowledgement of a send that began after it, over all kills of single
   * brokers and the keys they led; of all faults where there were no such kills; ms.
   */
  readonly produceGapMs: Percentiles;
  /** Longest time without an acknowledgement on a key where somebody was trying; ms. */
  readonly longestGapMs: number;
  /** By kind. */
  readonly faults: readonly FaultFigures[];
}

const NS_PER_MS = 1e6;
/** Faults that end one broker with SIGKILL. */
const SINGLE_KILLS: ReadonlySet<string> = new Set(["kill-leader", "kill-random", "kill-coordinator"]);

export function availabilityOf(history: History): Availability {
  const { operations, values } = history;
  const outcomes = { ok: 0, fail: 0, info: 0 };
  let abandoned = 0;
  for (const writer of values.writer) {
    if (writer < 0) continue;
    if (operations.abandoned.has(writer)) abandoned++;
    else outcomes[operations.outcome(writer)]++;
  }
  const times = new Map<string, SendTimes>();
  let longestGapMs = 0;
  for (const key of history.keys) {
    const sends = new SendTimes(history, key);
    times.set(key.name, sends);
    longestGapMs = Math.max(longestGapMs, sends.longestGap() / NS_PER_MS);
  }
  const endedAt = operations.completedAt.reduce(
    (latest, time) => (time < Infinity ? Math.max(latest, time) : latest),
    0,
  );
  const recovery = new Recovery(history);
  const consumption = new ConsumptionTimes(history);
  const windows: number[] = [];
  const killWindows: number[] = [];
  const faults: FaultFigures[] = [];
  for (const [kind, ofKind] of groupBy([...history.faults.values()], (fault) => fault.kind)) {
    const ofKindMs = ofKind.flatMap((fault) => windowsOf(fault, times, endedAt));
    windows.push(...ofKindMs);
    if (SINGLE_KILLS.has(kind)) killWindows.push(...ofKindMs);
    faults.push({
      kind,
      count: ofKind.length,
      effective: ofKind.filter(({ effect }) => effect !== "").length,
      windowMs: percentilesOf(ofKindMs),
      gapMs: percentilesOf(ofKind.flatMap((fault) => gapsOf(fault, times))),
      recoveryMs: percentilesOf(ofKind.flatMap((fault) => recovery.afterMs(fault) ?? [])),
      takeoverMs: percentilesOf(ofKind.flatMap((fault) => consumption.takeoversMs(fault))),
      undisturbedGapMs: percentilesOf(ofKind.flatMap((fault) => consumption.undisturbedGapsMs(fault))),
    });
  }
  const sent = outcomes.ok + outcomes.fail + outcomes.info;
  return {
    acknowledged: outcomes.ok,
    failed: outcomes.fail,
    unknown: outcomes.info,
    abandoned,
    successRate: sent === 0 ? 1 : outcomes.ok / sent,
    produceGapMs: percentilesOf(killWindows.length > 0 ? killWindows : windows),
    longestGapMs,
    faults: faults.toSorted((a, b) => (a.kind < b.kind ? -1 : 1)),
  };
}

/** One for each key that was hit; a key on which nothing was acknowledged any more counts up to the end of the history. */
function windowsOf(fault: Fault, times: ReadonlyMap<string, SendTimes>, endedAt: number): number[] {
  return fault.keys.map((key) => {
    const ack = times.get(key)?.firstAckOfSendAfter(fault.startedAt) ?? endedAt;
    return Math.max(0, ack - fault.startedAt) / NS_PER_MS;
  });
}

function gapsOf(fault: Fault, times: ReadonlyMap<string, SendTimes>): number[] {
  return fault.keys.map(
    (key) => (times.get(key)?.longestGap(fault.startedAt, fault.endedAt) ?? 0) / NS_PER_MS,
  );
}

/** Acknowledged records in a stretch of time, by the moment of their acknowledgement. */
export function acknowledgedBetween(history: History, from: number, to: number): number {
  const { operations, values } = history;
  let count = 0;
  for (const writer of values.writer) {
    if (writer < 0 || !operations.isOk(writer)) continue;
    const time = at(operations.completedAt, writer);
    if (time >= from && time < to) count++;
  }
  return count;
}
