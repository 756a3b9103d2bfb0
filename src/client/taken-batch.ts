import type { ConsumedBatch } from "./consumed-batch.ts";
import type { GroupPartition } from "./group-partition.ts";
import type { PartitionReader } from "./partition-reader.ts";

/** Where batches come from. */
export interface BatchSource {
  /** The next batch of a partition whose key is accepted; undefined when none is here. @throws what ended the reading. */
  take(accepts?: (key: string) => boolean): TakenBatch | undefined;
  /** Waits for records, or for an error to throw; false when the consumer was closed. */
  waitForData(signal: AbortSignal | undefined): Promise<boolean>;
  /** Calls back when records came, or the consumer failed or closed. Answers the function that stops it. */
  onNews(listener: () => void): () => void;
}

/** A batch in the hands of the application. Whoever takes one releases it. */
export class TakenBatch {
  readonly batch: ConsumedBatch;
  readonly key: string;
  readonly #reader: PartitionReader;
  readonly #partition: GroupPartition | undefined;
  readonly #goBack: (nextOffset: number) => void;
  readonly #moves: number;

  constructor(
    batch: ConsumedBatch,
    deps: {
      readonly reader: PartitionReader;
      readonly key: string;
      /** Of a group's member. */
      readonly partition: GroupPartition | undefined;
      /** Reads on from here. */
      readonly goBack: (nextOffset: number) => void;
    },
  ) {
    this.batch = batch;
    this.key = deps.key;
    this.#reader = deps.reader;
    this.#partition = deps.partition;
    this.#goBack = deps.goBack;
    this.#moves = deps.reader.moves;
    this.#partition?.enter();
  }

  /** Nothing more of it may be handed out: the partition is being given up, or its position was moved. */
  get isOver(): boolean {
    return this.#hasMoved || (this.#partition !== undefined && this.#partition.phase !== "active");
  }

  /** Aborted when the partition is being given up; undefined without a group. */
  get ending(): AbortSignal | undefined {
    return this.#partition?.ending;
  }

  /** Aborted when another member may have the partition; undefined without a group. */
  get lost(): AbortSignal | undefined {
    return this.#partition?.lost;
  }

  /** All of the partition below `nextOffset` is processed. */
  processed(nextOffset: number): void {
    if (!this.#hasMoved) this.#partition?.advance(nextOffset, this.batch.leaderEpoch);
  }

  /** The application has it no more. `nextOffset`: the reading goes on there, not behind the batch. */
  release(nextOffset?: number): void {
    const isShort = nextOffset !== undefined && nextOffset <= this.batch.lastOffset;
    const isOurs = this.#partition === undefined || this.#partition.phase === "active";
    if (isShort && isOurs && !this.#hasMoved) this.#goBack(nextOffset);
    this.#partition?.leave();
  }

  /** `release` with the record before `nextOffset` neither finished nor failed, for all that is known. */
  releaseOpen(nextOffset: number): void {
    const hadMoved = this.#hasMoved;
    this.release(nextOffset);
    if (!hadMoved) this.#partition?.leaveOpen(nextOffset, this.batch.leaderEpoch);
  }

  /** The application moved the position: it goes on there, whatever becomes of this. */
  get #hasMoved(): boolean {
    return this.#reader.moves !== this.#moves;
  }
}
