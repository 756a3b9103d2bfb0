/**
 * What should happen sometimes: a campaign in which one of these never did has not tested what it is for, however green
 * it is.
 */
export const MARKERS = [
  "leaderChanged",
  "logTruncated",
  "snapshotInstalled",
  "crashLostUnsynced",
  "preVoteRefused",
  "voteRefused",
  "oldTermCommitted",
  "leadershipTransferred",
  "learnerPromoted",
  "voterRemoved",
  "leaderRemovedItself",
  "storeDamageToObserver",
  "fencedBySilence",
  "fencedByRefusal",
  "duplicateDelivered",
  "reordered",
  "processPaused",
  "writeFailed",
  "fileFailed",
  "partitioned",
  "wallClockJumped",
  "changeAcknowledged",
  "changeOutcomeUnknown",
  "producerIdsAllocated",
] as const;

/** The same of whole brokers: what their metadata shows there too, and what only their data can show. */
export const BROKER_MARKERS = [
  "leaderChanged",
  "crashLostUnsynced",
  "learnerPromoted",
  "voterRemoved",
  "fencedBySilence",
  "fencedByRefusal",
  "duplicateDelivered",
  "reordered",
  "processPaused",
  "writeFailed",
  "fileFailed",
  "partitioned",
  "wallClockJumped",
  "batchAcknowledged",
  "duplicateAnswered",
  "sendGivenUp",
  "partitionLeaderChanged",
  "isrShrank",
  "isrGrew",
  "followerTruncated",
  "allMachinesCut",
  "diskFilled",
  "segmentFailed",
  "segmentRotted",
  "replicaRepaired",
  "replicaMoved",
  "moveCancelled",
  "brokerDrained",
] as const;

/** The same of consumer groups on whole brokers. */
export const GROUP_MARKERS = [
  "leaderChanged",
  "partitioned",
  "processPaused",
  "wallClockJumped",
  "batchAcknowledged",
  "partitionLeaderChanged",
  "classicGroup",
  "memberCrashed",
  "memberPaused",
  "memberCut",
  "memberLeft",
  "membershipLost",
  "partitionRevoked",
  "commitAcknowledged",
  "commitUnanswered",
  "commitFetched",
  "coordinatorMoved",
  "coordinatorStruck",
] as const;

export type Marker =
  | (typeof MARKERS)[number]
  | (typeof BROKER_MARKERS)[number]
  | (typeof GROUP_MARKERS)[number]
  | "offsetOutOfRange";

/** How often each marker was hit. */
export class MarkerCounts {
  readonly #names: readonly Marker[];
  readonly #counts = new Map<Marker, number>();

  /** @param names those that are to be seen sometimes. */
  constructor(names: readonly Marker[] = MARKERS) {
    this.#names = names;
  }

  hit(marker: Marker, times = 1): void {
    this.#counts.set(marker, (this.#counts.get(marker) ?? 0) + times);
  }

  /** Adds what another run counted. */
  add(counts: Readonly<Record<string, number>>): void {
    for (const marker of this.#names) this.hit(marker, counts[marker] ?? 0);
  }

  /** Those never hit. */
  missing(): Marker[] {
    return this.#names.filter((marker) => (this.#counts.get(marker) ?? 0) === 0);
  }

  toRecord(): Partial<Record<Marker, number>> {
    return Object.fromEntries(this.#names.map((marker) => [marker, this.#counts.get(marker) ?? 0]));
  }
}
