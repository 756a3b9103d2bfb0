import { assert } from "../base/assert.ts";
import type { HardState, LogWrite, RaftMessage, ReadState, ReplicaId, SnapshotRead } from "./types.ts";

interface Ballotted {
  readonly term: number;
  readonly vote: ReplicaId | undefined;
}

/**
 * What goes out, and what has to wait for the disk first: a promise to a peer (a vote, an acknowledgement) leaves when
 * everything that was to be written when it was made is durable (H1, H2).
 */
export class Outbox {
  readonly #isHasty: boolean;
  #messages: RaftMessage[] = [];
  /** Made since the last write began. */
  #waiting: RaftMessage[] = [];
  /** Leave with the end of the write in progress. */
  #attached: RaftMessage[] = [];
  #snapshotReads: SnapshotRead[] = [];
  #readStates: ReadState[] = [];
  #handed: Ballotted;
  #durable: Ballotted;
  #isWriting = false;

  /** `isHasty`: the deliberate bug `acknowledgeBeforeWrite`. */
  constructor(hardState: HardState, isHasty: boolean) {
    this.#handed = hardState;
    this.#durable = hardState;
    this.#isHasty = isHasty;
  }

  get isWriting(): boolean {
    return this.#isWriting;
  }

  /** For messages that promise nothing. */
  send(message: RaftMessage): void {
    this.#messages.push(message);
  }

  /** For messages that promise that something stays. */
  sendAfterWrite(message: RaftMessage): void {
    if (this.#isHasty) this.#messages.push(message);
    else this.#waiting.push(message);
  }

  readSnapshot(read: SnapshotRead): void {
    this.#snapshotReads.push(read);
  }

  answerReads(states: readonly ReadState[]): void {
    this.#readStates.push(...states);
  }

  /** True when the disk has this term and vote. */
  hasDurable(term: number, vote: ReplicaId | undefined): boolean {
    return this.#durable.term === term && this.#durable.vote === vote;
  }

  /** True when the disk will not let go of this term any more. */
  isTermDurable(term: number): boolean {
    return this.#durable.term === term;
  }

  /** True when this term and vote are neither on the disk nor on their way. */
  isUnwritten(term: number, vote: ReplicaId | undefined): boolean {
    return this.#handed.term !== term || this.#handed.vote !== vote;
  }

  /** A write goes out that brings all there is; what waits leaves with its end. */
  beginWrite(hardState: HardState, log: Omit<LogWrite, "hardState">, isVoteForgotten: boolean): LogWrite {
    assert(!this.#isWriting, "two writes at once");
    this.#isWriting = true;
    this.#handed = hardState;
    this.#attached = this.#waiting;
    this.#waiting = [];
    return { hardState: isVoteForgotten ? { ...hardState, vote: undefined } : hardState, ...log };
  }

  /**
   * The write is durable. Promises made in an earlier term are void: whoever moved on may not support that term's leader
   * any more, whatever its disk held when it did (H5).
   */
  finishWrite(term: number): void {
    assert(this.#isWriting, "no write is in progress");
    this.#isWriting = false;
    this.#durable = this.#handed;
    this.#release(this.#attached, term);
    this.#attached = [];
  }

  /** Nothing is left to be written: what waits may leave. */
  settle(term: number): void {
    if (this.#isWriting) return;
    this.#release(this.#waiting, term);
    this.#waiting = [];
  }

  takeMessages(): readonly RaftMessage[] {
    return this.#messages.splice(0);
  }

  takeSnapshotReads(): readonly SnapshotRead[] {
    return this.#snapshotReads.splice(0);
  }

  takeReadStates(): readonly ReadState[] {
    return this.#readStates.splice(0);
  }

  #release(messages: readonly RaftMessage[], term: number): void {
    for (const message of messages) if (message.term === term) this.#messages.push(message);
  }
}
