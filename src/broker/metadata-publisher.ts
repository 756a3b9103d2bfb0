import type { MetadataImage } from "../metadata/image.ts";
import { recordsOfImage } from "../metadata/image.ts";
import { metadataVersionOf } from "../metadata/metadata-version.ts";
import { decodeMetadataRecords, encodeMetadataRecords } from "../metadata/record-codec.ts";
import { MetadataState, stateHash } from "../metadata/replay.ts";
import type { MetadataDelta } from "../metadata/replay.ts";
import type { CommittedEntry, QuorumStateMachine } from "../quorum/quorum-types.ts";

/** Offsets between two hashes of the state that brokers compare. */
const HASH_INTERVAL = 1024;

/** A checksum of the metadata at an offset: equal on all brokers, or one of them is wrong (H19). */
export interface OffsetHash {
  readonly offset: number;
  readonly hash: number;
}

/**
 * Turns the committed metadata log into the image that this broker serves by, and tells of every change. The only writer
 * of that image, on the controller's broker as on all others (H21).
 */
export class MetadataPublisher implements QuorumStateMachine {
  readonly #state = new MetadataState();
  readonly #onChange: (delta: MetadataDelta) => void;
  #checkpoint: OffsetHash | undefined;

  /** @param deps.onChange in order, at once after each change; must not throw. */
  constructor(deps: { readonly onChange: (delta: MetadataDelta) => void }) {
    this.#onChange = deps.onChange;
  }

  get image(): MetadataImage {
    return this.#state;
  }

  /** For the controller, which decides on a copy of it. */
  get state(): MetadataState {
    return this.#state;
  }

  /** The hash at the latest offset that brokers compare, once there was one. */
  get checkpoint(): OffsetHash | undefined {
    return this.#checkpoint;
  }

  /** @throws LograftError METADATA_CORRUPT when the entry cannot follow from the ones before it, DATA_DIR_VERSION. */
  apply({ offset, data }: CommittedEntry): void {
    const delta = this.#state.replay(decodeMetadataRecords(data));
    this.#noteHash(offset);
    this.#onChange(delta);
  }

  snapshot(): Buffer {
    return encodeMetadataRecords(recordsOfImage(this.#state), metadataVersionOf(this.#state));
  }

  /** What is gone in the new state was removed by committed records that this broker did not see one by one. */
  restore(content: Buffer): void {
    const next = new MetadataState();
    next.replay(decodeMetadataRecords(content));
    this.#onChange(this.#state.replaceWith(next));
  }

  /**
   * Entries of the quorum itself have offsets too, so not every multiple has data; the hash is taken at the first entry
   * with data in each interval, which is the same one on every broker.
   */
  #noteHash(offset: number): void {
    const interval = Math.floor(offset / HASH_INTERVAL);
    if (interval === 0 || Math.floor((this.#checkpoint?.offset ?? 0) / HASH_INTERVAL) >= interval) return;
    this.#checkpoint = { offset, hash: stateHash(this.#state) };
  }
}
