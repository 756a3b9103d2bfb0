import { LograftError } from "../base/errors.ts";
import type { Logger } from "../base/logger.ts";
import type { Platform } from "../platform/platform.ts";
import type { RaftStatus, SnapshotDescription, SnapshotMeta, VoterSet } from "../raft/types.ts";
import type { Applier } from "./applier.ts";
import type { DiskRoom } from "./disk-room.ts";
import { wrapped } from "./quorum-error.ts";
import type { QuorumStorage } from "./quorum-storage.ts";

interface OwnSnapshotsDeps {
  readonly platform: Platform;
  readonly logger: Logger;
  readonly storage: QuorumStorage;
  readonly room: DiskRoom;
  readonly applier: Applier;
  readonly status: () => RaftStatus;
  /** Durable and recorded. */
  readonly onCreated: (description: SnapshotDescription) => void;
  readonly onFailure: (error: Error) => void;
}

/** After a snapshot for which there was no room. */
const RETRY_MS = 10_000;

/**
 * Snapshots of this replica's own state, so that its log does not grow for ever, and the mirror that goes with them. The
 * order is H9's: file, sync, rename, sync of the directory, record in the store, then the old entries go.
 */
export class OwnSnapshots {
  readonly #afterBytes: number;
  readonly #deps: OwnSnapshotsDeps;
  #creating: Promise<void> | undefined;
  #mirroring: Promise<void> | undefined;
  /** As the mirror has them. */
  #mirroredVoters: VoterSet;
  #retryAtMs = 0;
  #isClosed = false;

  constructor(options: { readonly snapshotAfterBytes: number }, deps: OwnSnapshotsDeps) {
    this.#afterBytes = options.snapshotAfterBytes;
    this.#deps = deps;
    this.#mirroredVoters = deps.storage.knownVoters;
  }

  /** Takes the state as it is now, when enough was applied since the last time; the files are written meanwhile. */
  takeIfDue(): void {
    const { applier, platform, room } = this.#deps;
    if (this.#creating !== undefined || this.#isClosed || applier.bytesSinceSnapshot < this.#afterBytes)
      return;
    if (platform.clock.monotonicMs() < this.#retryAtMs || room.isShort) return;
    const meta = applier.place;
    this.#creating = this.#create(meta, applier.takeSnapshot())
      .catch((error: unknown) => this.#failed(error))
      .finally(() => {
        this.#creating = undefined;
      });
  }

  /** Writes down what the store must hold from now on at least. */
  async mirror(): Promise<void> {
    const { storage, applier } = this.#deps;
    await storage.mirror.write(() => {
      const { index, term, voters } = applier.place;
      if (voters.length > 0) this.#mirroredVoters = voters;
      const { identity, hardState } = storage.store;
      return { identity, term: hardState.term, index, indexTerm: term, voters: this.#mirroredVoters };
    });
  }

  /** Other voters are committed: whom to ask, should all this be lost. */
  mirrorVoters(): void {
    const { voters } = this.#deps.applier.place;
    if (this.#mirroring !== undefined || this.#isClosed || isSameSet(voters, this.#mirroredVoters)) return;
    this.#mirroring = this.mirror()
      .catch((error: unknown) => this.#failed(error))
      .finally(() => {
        this.#mirroring = undefined;
      });
  }

  /** Finishes what is being written. */
  async close(): Promise<void> {
    this.#isClosed = true;
    await this.#creating;
    await this.#mirroring;
    await this.#deps.storage.mirror.idle();
  }

  async #create(meta: SnapshotMeta, content: Buffer): Promise<void> {
    const { storage, logger, status, onCreated } = this.#deps;
    const before = status().snapshotIndex;
    const description = await storage.snapshots.write(meta, content);
    await storage.store.recordSnapshot(meta);
    // A later one may have come from the leader meanwhile.
    if (status().snapshotIndex >= meta.index) return;
    onCreated(description);
    logger.info("metadata snapshot taken", {
      offset: meta.index,
      epoch: meta.term,
      sizeBytes: content.byteLength,
    });
    await this.mirror();
    // The one before stays: it may be on its way to a follower.
    await storage.snapshots.removeBefore(before);
  }

  #failed(error: unknown): void {
    const { logger, platform, onFailure } = this.#deps;
    if (error instanceof LograftError && error.code === "DISK_FULL") {
      this.#retryAtMs = platform.clock.monotonicMs() + RETRY_MS;
      logger.warn("no room for a snapshot of the metadata; it is tried again later", {
        err: error,
      });
    } else {
      onFailure(wrapped("a snapshot of the metadata could not be written", error));
    }
  }
}

function isSameSet(a: VoterSet, b: VoterSet): boolean {
  return (
    a.length === b.length &&
    a.every(({ id, endpoint }, at) => b[at]?.id === id && b[at]?.endpoint === endpoint)
  );
}
