import type { Segment } from "./segment.ts";

/** Limits of the cache. */
export interface IndexCacheOptions {
  /** Bytes of index files held in memory, over all partitions. */
  readonly maxBytes: number;
}

/** What the objects around an index take, so that the budget also bounds the number of empty ones. */
const OVERHEAD_BYTES = 600;

/**
 * Which segments have their indexes in memory only because somebody read there; the longest unused are dropped. Indexes
 * with entries that are not on the disk yet are not in here: their segment keeps them.
 */
export class IndexCache {
  readonly #maxBytes: number;
  readonly #segments = new Map<Segment, number>();
  #sizeBytes = 0;

  constructor(options: IndexCacheOptions) {
    this.#maxBytes = options.maxBytes;
  }

  get sizeBytes(): number {
    return this.#sizeBytes;
  }

  /** The segment's indexes were just used; it is counted from now on, unless they must be kept. */
  touch(segment: Segment): void {
    this.forget(segment);
    const { indexes } = segment;
    if (indexes === undefined || segment.areIndexesDirty) return;
    const sizeBytes =
      OVERHEAD_BYTES +
      indexes.offsetIndex.bytes().length +
      indexes.timeIndex.bytes().length +
      indexes.transactionIndex.bytes().length;
    this.#segments.set(segment, sizeBytes);
    this.#sizeBytes += sizeBytes;
    this.#evict(segment);
  }

  /** The segment is written again, or gone. */
  forget(segment: Segment): void {
    const sizeBytes = this.#segments.get(segment);
    if (sizeBytes === undefined) return;
    this.#segments.delete(segment);
    this.#sizeBytes -= sizeBytes;
  }

  #evict(used: Segment): void {
    for (const segment of this.#segments.keys()) {
      if (this.#sizeBytes <= this.#maxBytes || segment === used) return;
      this.forget(segment);
      if (!segment.areIndexesDirty) segment.setIndexes(undefined);
    }
  }
}
