import { assert } from "../base/assert.ts";
import type { ReplicaId, SnapshotDescription, SnapshotRequest, SnapshotWrite } from "./types.ts";

/** How a follower answers a chunk: nothing yet, or how much of the snapshot it has. */
export type IntakeAnswer = "later" | { readonly receivedBytes: number };

/**
 * A snapshot that arrives in chunks. They are written one by one, in order; the last one waits until the log rests, for
 * the write that follows depends on where the snapshot left it (H9).
 */
export class SnapshotIntake {
  #snapshot: SnapshotDescription | undefined;
  #receivedBytes = 0;
  /** Came, not yet handed out. */
  #chunk: SnapshotWrite | undefined;
  /** Handed out, not yet written. */
  #writing: SnapshotWrite | undefined;

  /** The last chunk is with the driver: the log and the state machine are about to be replaced. */
  get isInstalling(): boolean {
    return this.#writing?.isLast === true;
  }

  /** Takes a chunk that is to be written, or tells which one is wanted. Well-formed: it ends within the snapshot. */
  receive(request: SnapshotRequest): IntakeAnswer {
    // One at a time: what comes during a write is sent again.
    if (this.#chunk !== undefined || this.#writing !== undefined) return "later";
    if (this.#snapshot === undefined || !isSame(this.#snapshot, request.snapshot)) {
      this.#snapshot = request.snapshot;
      this.#receivedBytes = 0;
    }
    if (request.position !== this.#receivedBytes) return { receivedBytes: this.#receivedBytes };
    const end = request.position + request.data.length;
    this.#chunk = { request, isLast: end === request.snapshot.sizeBytes };
    return "later";
  }

  /** The chunk to be written now. `isQuiet`: nothing else is being written or applied, so the last one may go. */
  take(isQuiet: boolean): SnapshotWrite | undefined {
    const chunk = this.#chunk;
    if (chunk === undefined || (chunk.isLast && !isQuiet)) return undefined;
    this.#chunk = undefined;
    this.#writing = chunk;
    return chunk;
  }

  /** The chunk of this sender and position is on the disk; answers how much there is now. */
  written(request: SnapshotRequest): number | undefined {
    if (this.#writing?.request !== request) return undefined;
    this.#writing = undefined;
    // Given up in the meantime: what was written is of no use.
    if (this.#snapshot === undefined) return undefined;
    this.#receivedBytes = request.position + request.data.length;
    return this.#receivedBytes;
  }

  /** The installation is over, well or not; answers what was installed and who sent its end. */
  finish(): { readonly snapshot: SnapshotDescription; readonly from: ReplicaId } {
    const last = this.#writing;
    assert(last?.isLast === true, "no snapshot is being installed");
    this.#writing = undefined;
    this.#snapshot = undefined;
    return { snapshot: last.request.snapshot, from: last.request.from };
  }

  /** Gives up a snapshot that is not needed any more, unless it is being installed. */
  abandon(): void {
    if (this.isInstalling) return;
    this.#snapshot = undefined;
    this.#chunk = undefined;
  }

  /** Index of the snapshot that arrives. */
  get index(): number | undefined {
    return this.#snapshot?.index;
  }
}

/** Equal content, whoever sends it: position, length and checksum agree. */
function isSame(a: SnapshotDescription, b: SnapshotDescription): boolean {
  return a.index === b.index && a.term === b.term && a.sizeBytes === b.sizeBytes && a.checksum === b.checksum;
}
