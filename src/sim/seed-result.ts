import { InvariantViolation } from "./invariants/violation.ts";
import type { Marker } from "./markers.ts";
import type { MetadataCluster } from "./metadata-cluster.ts";

/** Why a seed failed. */
export interface SeedFailure {
  readonly invariant: string;
  readonly message: string;
  /** The last events before it, one line each. */
  readonly events: readonly string[];
}

/** What became of a seed. */
export interface SeedResult {
  readonly seed: number;
  readonly failure: SeedFailure | undefined;
  /** Equal for two runs of one seed, or something is not repeatable. */
  readonly traceHash: number;
  readonly simulatedMs: number;
  readonly markers: Readonly<Partial<Record<Marker, number>>>;
}

/** Lives the life of a cluster and puts the cluster away: what the life throws is why the seed failed. */
export async function resultOf(
  options: { readonly seed: number; readonly shownEvents: number },
  cluster: MetadataCluster,
  live: () => Promise<void>,
): Promise<SeedResult> {
  const { seed, shownEvents } = options;
  const { markers, trace, scheduler } = cluster;
  let failure: SeedFailure | undefined;
  try {
    await live();
  } catch (error: unknown) {
    failure = {
      invariant: error instanceof InvariantViolation ? error.invariant : "NoBug",
      message: error instanceof Error ? (error.stack ?? error.message) : String(error),
      events: trace.lines(shownEvents),
    };
  }
  const { counts } = cluster.network;
  if (counts.duplicated > 0) markers.hit("duplicateDelivered", counts.duplicated);
  if (counts.reordered > 0) markers.hit("reordered", counts.reordered);
  cluster.dispose();
  return {
    seed,
    failure,
    traceHash: trace.hash,
    simulatedMs: scheduler.nowMs,
    markers: markers.toRecord(),
  };
}
