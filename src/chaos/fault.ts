/** Everything that can be done to a cluster. */
export const FAULTS = [
  "kill-leader",
  "kill-random",
  "rolling-restart",
  "kill-all",
  "pause",
  "partition-one-way",
  "partition-symmetric",
  "partition-bridge",
  "drop-answers",
  "slow-disk",
  "full-disk",
  "corrupt-segment",
] as const;

export type FaultKind = (typeof FAULTS)[number];

/** A fault that was decided on: whom it hits, and how it is done. */
export interface Strike {
  /** None: it hits the clients. */
  readonly nodes: readonly number[];
  /** Runs the fault to its end, undone. Answers what itself saw of it; empty: nothing. */
  readonly run: () => Promise<string>;
}

/** Decides on a fault of a kind, by the state in which the cluster is. */
export type Planner = () => Strike;

export function isFaultKind(name: string): name is FaultKind {
  return FAULTS.some((kind) => kind === name);
}
