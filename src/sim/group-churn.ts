import type { Random } from "../platform/random.ts";

/** What happens to a group's members, and to its coordinator; `member` is a number to be taken modulo how many there are. */
export type GroupEvent =
  /** Killed; another process takes its place after `downMs`. */
  | { readonly kind: "crash"; readonly member: number; readonly downMs: number }
  /** Leaves in order, and is back after `downMs`. */
  | { readonly kind: "leave"; readonly member: number; readonly downMs: number }
  /** Its process stands still. */
  | { readonly kind: "pause"; readonly member: number; readonly forMs: number }
  /** Cut off from all brokers, or from the coordinator alone. */
  | {
      readonly kind: "cut";
      readonly member: number;
      readonly from: "all" | "coordinator";
      readonly forMs: number;
    }
  /** The broker that coordinates the group dies, stands still, or is cut off from the other brokers. */
  | {
      readonly kind: "coordinator";
      readonly how: "kill" | "powerCut" | "pause" | "cut";
      readonly forMs: number;
    }
  /** Its wall clock is set. */
  | { readonly kind: "clock"; readonly byMs: number };

export interface PlannedGroupEvent {
  readonly atMs: number;
  readonly event: GroupEvent;
}

export interface GroupChurnOptions {
  readonly durationMs: number;
  readonly meanGapMs: number;
  readonly kinds: readonly GroupEvent["kind"][];
}

const COORDINATOR_FAULTS = ["kill", "powerCut", "pause", "cut"] as const;

/** Members come in over the first second; from then on there are events until the end. */
const FIRST_MS = 1_500;
const YEAR_MS = 365 * 86_400_000;

/** Draws what happens in a run. A kind that is named twice comes twice as often. */
export function planChurn(options: GroupChurnOptions, random: Random): PlannedGroupEvent[] {
  const planned: PlannedGroupEvent[] = [];
  const { kinds, meanGapMs } = options;
  if (kinds.length === 0) return planned;
  for (let atMs = FIRST_MS; ;) {
    atMs += random.fraction() * 2 * meanGapMs;
    if (atMs >= options.durationMs) return planned;
    const kind = kinds[random.below(kinds.length)] ?? "crash";
    planned.push({ atMs, event: drawEvent(kind, random) });
    // A clock that is set while the session of somebody who is gone runs: nothing else shows what it is measured by.
    if (kind === "crash" && kinds.includes("clock") && random.fraction() < 0.5) {
      planned.push({ atMs: atMs + random.fraction() * 300, event: drawEvent("clock", random) });
    }
  }
}

function drawEvent(kind: GroupEvent["kind"], random: Random): GroupEvent {
  const member = random.below(1_000);
  const span = (min: number, max: number): number => Math.round(min + random.fraction() ** 2 * (max - min));
  switch (kind) {
    case "crash":
      return { kind, member, downMs: span(50, 3_000) };
    case "leave":
      return { kind, member, downMs: span(50, 2_000) };
    case "pause":
      return { kind, member, forMs: span(100, 6_000) };
    case "cut":
      return {
        kind,
        member,
        from: random.fraction() < 0.6 ? "all" : "coordinator",
        forMs: span(200, 5_000),
      };
    case "coordinator":
      return {
        kind,
        how: COORDINATOR_FAULTS[random.below(COORDINATOR_FAULTS.length)] ?? "kill",
        forMs: span(200, 5_000),
      };
    case "clock":
      return { kind, byMs: Math.round((random.fraction() - 0.5) * 2 * YEAR_MS) };
  }
}
