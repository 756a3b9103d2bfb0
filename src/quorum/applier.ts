import { assert } from "../base/assert.ts";
import type { Clock } from "../platform/clock.ts";
import type { Entry, SnapshotMeta, VoterSet } from "../raft/types.ts";
import { decodeVoters } from "../raft/voter-set.ts";
import type { QuorumStateMachine } from "./quorum-types.ts";

/** How long entries are applied before the loop gets its turn (a start may bring thousands). */
const SLICE_MS = 4;
const SLICE_ENTRIES = 256;

/** Hands committed entries to the state machine, in order, in slices that do not hold the loop. */
export class Applier {
  readonly #clock: Clock;
  readonly #stateMachine: QuorumStateMachine;
  #queue: readonly Entry[] = [];
  #next = 0;
  #index = 0;
  #term = 0;
  #voters: VoterSet = [];
  #bytesSinceSnapshot = 0;

  constructor(deps: { readonly clock: Clock; readonly stateMachine: QuorumStateMachine }) {
    this.#clock = deps.clock;
    this.#stateMachine = deps.stateMachine;
  }

  /** Index of the last entry that was applied. */
  get index(): number {
    return this.#index;
  }

  /** Its term. */
  get term(): number {
    return this.#term;
  }

  /** The state now, as a snapshot would describe it. */
  get place(): SnapshotMeta {
    return { index: this.#index, term: this.#term, voters: this.#voters };
  }

  /** Of entries applied since the last snapshot, own or received. */
  get bytesSinceSnapshot(): number {
    return this.#bytesSinceSnapshot;
  }

  get isIdle(): boolean {
    return this.#next === this.#queue.length;
  }

  /** The state machine as bytes, at `place`. */
  takeSnapshot(): Buffer {
    this.#bytesSinceSnapshot = 0;
    return this.#stateMachine.snapshot();
  }

  /** A snapshot takes the place of everything up to its index; what waits behind it stays. @throws METADATA_CORRUPT. */
  restore(snapshot: SnapshotMeta, content: Buffer): void {
    const { index, term, voters } = snapshot;
    this.#stateMachine.restore(content, { offset: index, epoch: term });
    this.#queue = this.#queue.slice(this.#next).filter((entry) => entry.index > index);
    this.#next = 0;
    this.#index = index;
    this.#term = term;
    this.#voters = voters;
    this.#bytesSinceSnapshot = 0;
  }

  push(entries: readonly Entry[]): void {
    if (entries.length === 0) return;
    this.#queue = this.isIdle ? entries : [...this.#queue.slice(this.#next), ...entries];
    this.#next = 0;
  }

  /** Applies one slice; `onEntry` after each. @throws what the state machine throws: nothing more may be applied. */
  runSlice(onEntry: (entry: Entry) => void): void {
    const startMs = this.#clock.monotonicMs();
    for (let count = 0; count < SLICE_ENTRIES && !this.isIdle; count++) {
      if (count > 0 && this.#clock.monotonicMs() - startMs >= SLICE_MS) return;
      const entry = this.#queue[this.#next];
      assert(entry !== undefined, "a queue ends at its end");
      assert(entry.index === this.#index + 1, "an entry was skipped", {
        index: entry.index,
        applied: this.#index,
      });
      if (entry.kind === "data") {
        this.#stateMachine.apply({ offset: entry.index, epoch: entry.term, data: entry.data });
      } else if (entry.kind === "voters") {
        this.#voters = decodeVoters(entry.data);
      }
      this.#next++;
      this.#index = entry.index;
      this.#term = entry.term;
      this.#bytesSinceSnapshot += entry.data.byteLength;
      onEntry(entry);
    }
    if (!this.isIdle) return;
    this.#queue = [];
    this.#next = 0;
  }
}
