import type { CheckContext } from "./check-context.ts";
import { acknowledgedBetween } from "./availability.ts";
import type { History } from "./history.ts";
import { at } from "./key-history.ts";

/** A condition without which a run shows nothing, however clean it is. */
export interface Gate {
  readonly name: string;
  readonly isMet: boolean;
  /** The figures. */
  readonly detail: string;
}

const DEFAULT_MIN_SENDS = 10_000;
const MIN_READ_SHARE = 0.8;
const MIN_QUIET_SHARE = 0.5;
/** A standstill of the clients longer than this puts their times in doubt. */
const MAX_STALL_MS = 500;
const NS_PER_MS = 1e6;
/** What a fault leaves behind is over by then; shorter pauses between faults are not quiet. */
const SETTLE_NS = 5000 * NS_PER_MS;
const MIN_QUIET_NS = 1000 * NS_PER_MS;

/** A run counts only if all of these are met; otherwise it is void and to be repeated. */
export function vacuityGates({ history, isRead }: CheckContext): Gate[] {
  const { operations, values } = history;
  let acknowledged = 0;
  let read = 0;
  for (let value = 0; value < values.count; value++) {
    const writer = at(values.writer, value);
    if (writer < 0 || !operations.isOk(writer)) continue;
    acknowledged++;
    if (isRead[value] === 1) read++;
  }
  const minSends = history.run?.minSends ?? DEFAULT_MIN_SENDS;
  const { longestStallMs } = history;
  const written = history.keys.filter((key) => key.writes.length > 0);
  const incomplete = written.filter((key) => key.completePasses.length === 0).map((key) => key.name);
  return [
    gate("acknowledged sends", acknowledged >= minSends, `${acknowledged} of at least ${minSends}`),
    gate("acknowledged and read", read >= acknowledged * MIN_READ_SHARE, `${read} of ${acknowledged}`),
    faultGate(history),
    groupGate(history),
    leaderGate(history),
    quietGate(history),
    gate(
      "clients ran",
      longestStallMs <= MAX_STALL_MS,
      `longest standstill ${Math.round(longestStallMs)} ms`,
    ),
    gate(
      "final pass",
      written.length > 0 && incomplete.length === 0,
      incomplete.length === 0 ? `${written.length} keys` : `not complete: ${incomplete.join(", ")}`,
    ),
  ];
}

function gate(name: string, isMet: boolean, detail: string): Gate {
  return { name, isMet, detail };
}

/** Every planned kind of fault has to have had a consequence that was seen. */
function faultGate(history: History): Gate {
  const planned = history.run?.planned ?? [];
  const effective = new Set<string>();
  for (const { kind, effect } of history.faults.values()) if (effect !== "") effective.add(kind);
  const missing = planned.filter((kind) => !effective.has(kind));
  return gate(
    "faults took effect",
    missing.length === 0,
    missing.length === 0 ? `${planned.length} kinds` : `not seen: ${missing.join(", ")}`,
  );
}

/** A group shows something when its members committed, processed, and were given time to come to the end. */
function groupGate({ groups, operations }: History): Gate {
  const idle = [...groups.values()].filter(
    ({ commits, handled, ends }) =>
      handled.length === 0 ||
      ends.length === 0 ||
      ![...commits.values()].flat().some(({ operation }) => operations.isOk(operation)),
  );
  const detail =
    idle.length === 0
      ? `${groups.size} groups`
      : `nothing shown by ${idle.map(({ name }) => name).join(", ")}`;
  return gate("groups worked", idle.length === 0, detail);
}

/** Killing leaders shows nothing of a key that kept its leader. */
function leaderGate(history: History): Gate {
  const isPlanned = history.run?.planned?.includes("kill-leader") === true;
  const unmoved = isPlanned
    ? history.keys.filter((key) => key.writes.length > 0 && leaderChanges(key.observed) === 0)
    : [];
  const detail =
    unmoved.length === 0 ? "on every key" : `not on ${unmoved.map((key) => key.name).join(", ")}`;
  return gate("leader changes", unmoved.length === 0, isPlanned ? detail : "none planned");
}

function leaderChanges(
  observed: readonly { readonly leader: number; readonly leaderEpoch: number }[],
): number {
  const epochs = new Set(observed.filter(({ leader }) => leader >= 0).map(({ leaderEpoch }) => leaderEpoch));
  return Math.max(0, epochs.size - 1);
}

/** Between faults, once their traces are gone, the cluster works as it did before the first one. */
function quietGate(history: History): Gate {
  const { invokedAt } = history.operations;
  const faults = [...history.faults.values()].toSorted((a, b) => a.startedAt - b.startedAt);
  const [first] = faults;
  if (first === undefined || invokedAt.length === 0) return gate("quiet rate", true, "no faults");
  const begin = invokedAt.reduce((earliest, time) => Math.min(earliest, time), Infinity);
  const baseline = rateOf(history, [[begin, first.startedAt]]);
  const quiet: [number, number][] = [];
  let busyUntil = 0;
  for (const [index, fault] of faults.entries()) {
    busyUntil = Math.max(busyUntil, fault.endedAt);
    const next = faults[index + 1]?.startedAt;
    const from = busyUntil + SETTLE_NS;
    if (next !== undefined && next - from >= MIN_QUIET_NS) quiet.push([from, next]);
  }
  if (baseline === undefined || quiet.length === 0)
    return gate("quiet rate", true, "no quiet time to compare");
  const share = (rateOf(history, quiet) ?? 0) / baseline;
  return gate(
    "quiet rate",
    share >= MIN_QUIET_SHARE,
    `${Math.round(share * 100)} % of the rate before the first fault`,
  );
}

/** Acknowledged records a second; undefined: too short to say, or none. */
function rateOf(history: History, stretches: readonly (readonly [number, number])[]): number | undefined {
  let count = 0;
  let lengthNs = 0;
  for (const [from, to] of stretches) {
    count += acknowledgedBetween(history, from, to);
    lengthNs += to - from;
  }
  return lengthNs < MIN_QUIET_NS || count === 0 ? undefined : count / (lengthNs / 1e9);
}
