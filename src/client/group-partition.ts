import { Deferred } from "../base/deferred.ts";
import { operationError } from "../base/errors.ts";
import { topicPartitionKey, type TopicPartitionKey } from "../model/topic-partition.ts";
import type { PartitionReader } from "./partition-reader.ts";

/** Where an assigned partition stands: with records to hand out, about to be given up, or no longer ours. */
export type PartitionPhase = "active" | "ending" | "gone";

/** Who hears that a partition was processed further. */
export interface ProgressListener {
  onProcessed(partition: GroupPartition): void;
}

/**
 * A partition for as long as this member has it: what the application has of it, and how far it was processed. Given again
 * after it was lost it is another one, so that what the application still holds of the old one counts for nothing.
 */
export class GroupPartition {
  readonly topic: string;
  readonly partition: number;
  readonly key: TopicPartitionKey;
  readonly reader: PartitionReader;
  readonly #listener: ProgressListener;
  readonly #ending = new AbortController();
  readonly #lost = new AbortController();
  #phase: PartitionPhase = "active";
  #inHandCount = 0;
  #idle: Deferred<void> | undefined;
  #left: { readonly nextOffset: number; readonly leaderEpoch: number; readonly moves: number } | undefined;
  /** All below is processed; undefined until something was. */
  processed: number | undefined;
  /** Of the last record processed; -1: not known. */
  leaderEpoch = -1;

  constructor(reader: PartitionReader, deps: { readonly listener: ProgressListener }) {
    this.topic = reader.topic;
    this.partition = reader.partition;
    this.key = topicPartitionKey(reader.topic, reader.partition);
    this.reader = reader;
    this.#listener = deps.listener;
  }

  get phase(): PartitionPhase {
    return this.#phase;
  }

  /** The application has nothing of it in its hands. */
  get isIdle(): boolean {
    return this.#inHandCount === 0;
  }

  /** Aborted when nothing more of it may be begun. */
  get ending(): AbortSignal {
    return this.#ending.signal;
  }

  /** Aborted when another member may have it already. */
  get lost(): AbortSignal {
    return this.#lost.signal;
  }

  /** The application gets something of it. */
  enter(): void {
    this.#inHandCount++;
    this.#left = undefined;
  }

  /** The application has one thing less of it. */
  leave(): void {
    this.#inHandCount--;
    if (this.#inHandCount > 0) return;
    this.#idle?.resolve();
    this.#idle = undefined;
  }

  /** All below `nextOffset` is processed. */
  advance(nextOffset: number, leaderEpoch: number): void {
    if (this.#phase === "gone") return;
    this.processed = nextOffset;
    this.leaderEpoch = leaderEpoch;
    this.#listener.onProcessed(this);
  }

  /**
   * The application left a loop with the record before `nextOffset` in its hands, and nobody can tell whether it finished or
   * failed. It counts as processed when the application asks for more, and not when it goes away.
   */
  leaveOpen(nextOffset: number, leaderEpoch: number): void {
    this.#left = { nextOffset, leaderEpoch, moves: this.reader.moves };
  }

  /** The application asks for more. */
  askedAgain(): void {
    const left = this.#left;
    this.#left = undefined;
    if (left?.moves === this.reader.moves) this.advance(left.nextOffset, left.leaderEpoch);
  }

  /** Nothing more of it is handed out. Idempotent. */
  end(): void {
    if (this.#phase !== "active") return;
    this.#phase = "ending";
    this.#ending.abort(operationError("ABORTED", `${this.key} is being given up`));
  }

  /** It is no longer ours: what is still done with it does not count. Idempotent. */
  remove(): void {
    this.end();
    this.#phase = "gone";
    this.#lost.abort(operationError("ABORTED", `${this.key} belongs to another member of the group now`));
  }

  /** Resolves when the application has nothing of it in its hands. */
  idle(): Promise<void> {
    if (this.isIdle) return Promise.resolve();
    this.#idle ??= new Deferred();
    return this.#idle.promise;
  }
}
