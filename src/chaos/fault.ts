/** Everything that can be done to a cluster, whoever uses it. */
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

/** What can be done to a consumer group besides. */
export const GROUP_FAULTS = ["kill-member", "kill-coordinator", "leave-member", "pause-member"] as const;

export type FaultKind = (typeof FAULTS)[number] | (typeof GROUP_FAULTS)[number];

/** A fault that was decided on: whom it hits, and how it is done. */
export interface Strike {
  /** None: it hits the clients. */
  readonly nodes: readonly number[];
  /** Keys whose member in the consumer group it hits. */
  readonly held?: readonly string[];
  /** Consumer groups whose coordinator it hits. */
  readonly groups?: readonly string[];
  /** Runs the fault to its end, undone. Answers what itself saw of it; empty: nothing. */
  readonly run: () => Promise<string>;
}

/** Decides on a fault of a kind, by the state in which the cluster is. */
export type Planner = () => Strike | Promise<Strike>;

export function isFaultKind(name: string): name is FaultKind {
  return FAULTS.some((kind) => kind === name) || isGroupFault(name);
}

/** Whether it takes a consumer group to do it. */
export function isGroupFault(name: string): boolean {
  return GROUP_FAULTS.some((kind) => kind === name);
}
