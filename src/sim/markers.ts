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

export type Marker = (typeof MARKERS)[number];

/** How often each marker was hit. */
export class MarkerCounts {
  readonly #counts = new Map<Marker, number>(MARKERS.map((marker) => [marker, 0]));

  hit(marker: Marker, times = 1): void {
    this.#counts.set(marker, (this.#counts.get(marker) ?? 0) + times);
  }

  /** Adds what another run counted. */
  add(counts: Readonly<Record<string, number>>): void {
    for (const marker of MARKERS) this.hit(marker, counts[marker] ?? 0);
  }

  /** Those never hit. */
  missing(): Marker[] {
    return MARKERS.filter((marker) => this.#counts.get(marker) === 0);
  }

  toRecord(): Record<Marker, number> {
    return Object.fromEntries(MARKERS.map((marker) => [marker, this.#counts.get(marker) ?? 0])) as Record<
      Marker,
      number
    >;
  }
}
