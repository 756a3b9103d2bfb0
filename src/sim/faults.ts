import type { Random } from "../platform/random.ts";
import { PARTITION_SHAPES } from "./partition-shapes.ts";
import type { PartitionShape } from "./partition-shapes.ts";
import type { RotKind } from "./segment-rot.ts";
import type { CrashKind, WipeKind } from "./sim-machine.ts";
import type { LinkQuality } from "./sim-network.ts";

/** Whom a fault is about: a machine by number, or whoever leads when it strikes. */
export type FaultTarget = number | "leader";

const FILE_OPERATIONS = ["read", "write", "sync", "rename", "syncDir"] as const;

type FileOperation = (typeof FILE_OPERATIONS)[number];

const SEGMENT_OPERATIONS = ["read", "write", "sync"] as const;

type SegmentOperation = (typeof SEGMENT_OPERATIONS)[number];

/** Something that goes wrong, with how long it lasts in ms. */
export type Fault =
  | { readonly kind: "crash"; readonly target: FaultTarget; readonly how: CrashKind; readonly downMs: number }
  /** Power cut at a write chosen ahead: between any two awaits that touch the disk. */
  | {
      readonly kind: "crashAtWrite";
      readonly target: FaultTarget;
      readonly operations: number;
      readonly downMs: number;
    }
  | { readonly kind: "crashAll"; readonly how: CrashKind; readonly downMs: number }
  | { readonly kind: "restart"; readonly target: FaultTarget; readonly downMs: number }
  | { readonly kind: "pause"; readonly target: FaultTarget; readonly forMs: number }
  | { readonly kind: "partition"; readonly shape: PartitionShape; readonly forMs: number }
  | { readonly kind: "badLinks"; readonly quality: LinkQuality; readonly forMs: number }
  | { readonly kind: "slowLink"; readonly target: number; readonly extraMs: number; readonly forMs: number }
  | { readonly kind: "resetConnections"; readonly target: FaultTarget }
  | {
      readonly kind: "slowDisk";
      readonly target: FaultTarget;
      readonly latencyMs: number;
      readonly forMs: number;
    }
  | { readonly kind: "failedWrite"; readonly target: FaultTarget; readonly isApplied: boolean }
  /** The next such operation on a file (a snapshot, the mirror) fails. */
  | { readonly kind: "failedFile"; readonly target: FaultTarget; readonly operation: FileOperation }
  /** Files take only so many bytes more, until somebody makes room. */
  | {
      readonly kind: "fullDisk";
      readonly target: FaultTarget;
      readonly afterBytes: number;
      readonly forMs: number;
    }
  /** Such operations on segment files fail: the next one, or all for a time (Infinity: until the end). */
  | {
      readonly kind: "failingSegments";
      readonly target: FaultTarget;
      readonly operation: SegmentOperation;
      readonly times: number;
      readonly forMs: number;
    }
  /** Something that was stored in a segment has changed since (see `SegmentRot`). */
  | { readonly kind: "rot"; readonly target: number; readonly how: RotKind }
  | { readonly kind: "wallJump"; readonly target: number; readonly byMs: number }
  | { readonly kind: "wipe"; readonly target: number; readonly what: WipeKind; readonly downMs: number }
  | { readonly kind: "damage"; readonly target: number; readonly downMs: number };

export type FaultKind = Fault["kind"];

/** A fault and when it strikes. */
export interface PlannedFault {
  readonly atMs: number;
  readonly fault: Fault;
}

/** How often each kind is drawn when it is among those of a run. */
const WEIGHTS: Readonly<Record<FaultKind, number>> = {
  crash: 4,
  crashAtWrite: 4,
  crashAll: 1,
  restart: 2,
  pause: 4,
  partition: 6,
  badLinks: 5,
  slowLink: 2,
  resetConnections: 1,
  slowDisk: 2,
  failedWrite: 2,
  failedFile: 1,
  wallJump: 1,
  wipe: 2,
  damage: 2,
  fullDisk: 2,
  failingSegments: 2,
  rot: 3,
};

const KINDS = Object.keys(WEIGHTS) as FaultKind[];
/** Those that a metadata node has something of: its log is no file. */
const DATA_KINDS: ReadonlySet<FaultKind> = new Set(["fullDisk", "failingSegments", "rot"]);
const METADATA_KINDS = KINDS.filter((kind) => !DATA_KINDS.has(kind));

export interface FaultPlanOptions {
  readonly machineCount: number;
  readonly durationMs: number;
  /** There are partitions: their disks get full too, and are not replaced, for a partition bears the loss of some only. */
  readonly hasData?: boolean;
}

/**
 * Draws the faults of a run. Each run has a random choice of kinds, so that some runs see one kind in many combinations
 * with itself, which an even mix of all never gives.
 */
export function planFaults(options: FaultPlanOptions, random: Random): PlannedFault[] {
  const { hasData = false } = options;
  const share = 0.25 + random.fraction() * 0.6;
  const kinds = (hasData ? KINDS : METADATA_KINDS).filter(() => random.fraction() < share);
  const meanGapMs = 400 + random.fraction() * 1_600;
  const planned: PlannedFault[] = [];
  if (kinds.length === 0) return planned;
  for (let atMs = 500; ;) {
    atMs += random.fraction() * 2 * meanGapMs;
    if (atMs >= options.durationMs) return planned;
    planned.push({ atMs, fault: drawFault(drawKind(kinds, random), options, random) });
  }
}

function drawKind(kinds: readonly FaultKind[], random: Random): FaultKind {
  let dice = random.below(kinds.reduce((sum, kind) => sum + WEIGHTS[kind], 0));
  for (const kind of kinds) {
    dice -= WEIGHTS[kind];
    if (dice < 0) return kind;
  }
  return "crash";
}

function drawFault(kind: FaultKind, options: FaultPlanOptions, random: Random): Fault {
  const { machineCount, hasData = false } = options;
  const machine = (): number => random.below(machineCount);
  const target = (): FaultTarget => (random.fraction() < 0.4 ? "leader" : machine());
  const span = (min: number, max: number): number => Math.round(min + random.fraction() ** 2 * (max - min));
  const how = (): CrashKind => (random.fraction() < 0.4 ? "kill" : "powerCut");
  switch (kind) {
    case "crash":
      return { kind, target: target(), how: how(), downMs: span(50, 5_000) };
    case "crashAtWrite":
      return { kind, target: target(), operations: random.below(12), downMs: span(50, 3_000) };
    case "crashAll":
      return { kind, how: how(), downMs: span(50, 1_500) };
    case "restart":
      return { kind, target: target(), downMs: span(50, 2_000) };
    case "pause":
      return { kind, target: target(), forMs: span(200, 10_000) };
    case "partition":
      return {
        kind,
        shape: PARTITION_SHAPES[random.below(PARTITION_SHAPES.length)] ?? "split",
        forMs: span(300, 6_000),
      };
    case "badLinks":
      return { kind, quality: drawQuality(random), forMs: span(500, 6_000) };
    case "slowLink":
      return { kind, target: machine(), extraMs: span(20, 600), forMs: span(500, 5_000) };
    case "resetConnections":
      return { kind, target: target() };
    case "slowDisk":
      return { kind, target: target(), latencyMs: span(20, 1_500), forMs: span(300, 4_000) };
    case "failedWrite":
      return { kind, target: target(), isApplied: random.fraction() < 0.5 };
    case "failedFile":
      return {
        kind,
        target: target(),
        operation: FILE_OPERATIONS[random.below(FILE_OPERATIONS.length)] ?? "sync",
      };
    case "fullDisk":
      return { kind, target: target(), afterBytes: random.below(4_096), forMs: span(200, 3_000) };
    case "failingSegments":
      return {
        kind,
        target: target(),
        operation: SEGMENT_OPERATIONS[random.below(SEGMENT_OPERATIONS.length)] ?? "sync",
        times: random.fraction() < 0.6 ? 1 : Number.POSITIVE_INFINITY,
        forMs: span(200, 2_500),
      };
    case "rot":
      return { kind, target: machine(), how: random.fraction() < 0.6 ? "flip" : "misplace" };
    case "wallJump":
      return { kind, target: machine(), byMs: (random.fraction() - 0.5) * 20 * 365 * 86_400_000 };
    case "wipe": {
      const what = (["store", "quorum", "disk"] as const)[random.below(hasData ? 2 : 3)] ?? "store";
      return { kind, target: machine(), what, downMs: span(50, 2_000) };
    }
    case "damage":
      return { kind, target: machine(), downMs: span(50, 2_000) };
  }
}

function drawQuality(random: Random): LinkQuality {
  return {
    dropRate: random.fraction() * 0.2,
    duplicateRate: random.fraction() * 0.2,
    baseMs: 1 + random.fraction() * 20,
    jitterMs: random.fraction() ** 2 * 150,
    spikeRate: random.fraction() * 0.05,
    spikeMs: 100 + random.fraction() * 1_500,
  };
}

/**
 * The faults of a run in which the power fails for all machines at once, again and again, with disks and links slow
 * enough that there is always something under way.
 */
export function planPowerCuts(
  { machineCount, durationMs }: FaultPlanOptions,
  random: Random,
): PlannedFault[] {
  const planned: PlannedFault[] = [];
  for (
    let atMs = 800 + random.fraction() * 1_000;
    atMs < durationMs;
    atMs += 700 + random.fraction() * 2_000
  ) {
    const downMs = Math.round(50 + random.fraction() * 500);
    planned.push({ atMs, fault: { kind: "crashAll", how: "powerCut", downMs } });
    const slow = { machineCount, durationMs, hasData: true };
    const kind = (["slowDisk", "slowLink", "badLinks", "pause"] as const)[random.below(4)] ?? "slowDisk";
    const earlierMs = Math.max(0, atMs - random.fraction() * 600);
    if (random.fraction() < 0.5) planned.push({ atMs: earlierMs, fault: drawFault(kind, slow, random) });
  }
  return planned;
}

/**
 * The faults of a run in which disks go wrong, and often the power of the same machine soon after, so that what a process
 * made of the failure is put to the test by what is really there.
 */
export function planStorageFaults(
  { machineCount, durationMs }: FaultPlanOptions,
  random: Random,
): PlannedFault[] {
  const planned: PlannedFault[] = [];
  const options = { machineCount, durationMs, hasData: true };
  for (let atMs = 700 + random.fraction() * 700; atMs < durationMs; atMs += 200 + random.fraction() * 1_000) {
    const kind =
      (["rot", "rot", "failingSegments", "fullDisk", "slowDisk"] as const)[random.below(5)] ?? "rot";
    const target = random.below(machineCount);
    planned.push({ atMs, fault: aimed(drawFault(kind, options, random), target) });
    if (random.fraction() < 0.6) continue;
    const how = random.fraction() < 0.7 ? "powerCut" : "kill";
    const downMs = Math.round(50 + random.fraction() * 800);
    const laterMs = atMs + random.fraction() * 500;
    planned.push({ atMs: laterMs, fault: { kind: "crash", target, how, downMs } });
  }
  return planned;
}

function aimed(fault: Fault, target: number): Fault {
  return "target" in fault ? { ...fault, target } : fault;
}
