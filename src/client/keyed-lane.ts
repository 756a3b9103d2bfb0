import type { ConsumedRecord } from "./consumed-batch.ts";
import type { HandlerContext, RunOptions } from "./consumer-types.ts";
import type { HandlerCalls } from "./handler-calls.ts";
import type { HandlerLane, HandlerLaneListener } from "./handler-lane.ts";
import { ProcessedPrefix, type WorkSlot } from "./processed-prefix.ts";
import type { TakenBatch } from "./taken-batch.ts";

/** A batch that was not released. */
interface OpenBatch {
  readonly taken: TakenBatch;
  readonly context: HandlerContext & Disposable;
  readonly prefix: ProcessedPrefix<OpenBatch>;
  /** Records that are not handled. */
  openCount: number;
  /** All of the batch below it is processed, and all batches before. */
  nextOffset: number;
}

interface Item {
  readonly record: ConsumedRecord;
  readonly slot: WorkSlot<OpenBatch>;
  readonly key: string | undefined;
}

/** Records may wait behind those in work, so that a slow key does not keep the others idle; but no more than this. */
const WAITING_PER_WORKER = 8;

/**
 * Records of one partition beside each other, those of one key in order. What counts as processed is the position below
 * which all is: what was done beyond it is done again by the partition's next owner.
 */
export class KeyedLane implements HandlerLane {
  readonly #options: RunOptions;
  readonly #concurrency: number;
  readonly #calls: HandlerCalls;
  readonly #listener: HandlerLaneListener;
  /** In order. */
  #batches: OpenBatch[] = [];
  /** Whose key is free, in order. */
  readonly #startable: Item[] = [];
  /** By key that is in work: what waits for it. */
  readonly #waiting = new Map<string, Item[]>();
  #runningCount = 0;
  #openCount = 0;
  #hasFailed = false;

  constructor(
    options: RunOptions,
    deps: {
      readonly concurrency: number;
      readonly calls: HandlerCalls;
      readonly listener: HandlerLaneListener;
    },
  ) {
    this.#options = options;
    this.#concurrency = deps.concurrency;
    this.#calls = deps.calls;
    this.#listener = deps.listener;
  }

  get hasRoom(): boolean {
    return !this.#hasFailed && this.#openCount < this.#concurrency * WAITING_PER_WORKER;
  }

  get isIdle(): boolean {
    return this.#openCount === 0;
  }

  add(taken: TakenBatch): void {
    const { batch } = taken;
    const context = this.#calls.context(taken);
    const last = this.#batches.at(-1);
    // After a jump what is left from before it must not hold up what comes now.
    const prefix = last === undefined || last.taken.isOver ? new ProcessedPrefix<OpenBatch>() : last.prefix;
    const open: OpenBatch = { taken, context, prefix, openCount: 0, nextOffset: batch.firstOffset };
    this.#batches.push(open);
    let records: ConsumedRecord[] = [];
    try {
      records = batch.records();
      if (records.length === 0) open.nextOffset = batch.lastOffset + 1;
    } catch (error: unknown) {
      this.#fail(error);
    }
    for (const [index, record] of records.entries()) {
      // The last record stands for what a compaction took away behind it.
      const nextOffset = index === records.length - 1 ? batch.lastOffset + 1 : record.offset + 1;
      const key = record.key?.toString("latin1");
      open.openCount++;
      this.#openCount++;
      this.#enqueue({ record, key, slot: prefix.begin(open, nextOffset) });
    }
    this.#startMore();
    this.#releaseDone();
  }

  #enqueue(item: Item): void {
    if (item.key === undefined) {
      this.#startable.push(item);
      return;
    }
    const waiting = this.#waiting.get(item.key);
    if (waiting !== undefined) {
      waiting.push(item);
      return;
    }
    this.#waiting.set(item.key, []);
    this.#startable.push(item);
  }

  #startMore(): void {
    while (this.#runningCount < this.#concurrency) {
      const item = this.#startable.shift();
      if (item === undefined) return;
      if (this.#hasFailed || this.#calls.mustStop(item.slot.of.taken)) this.#onDone(item, false);
      else this.#start(item);
    }
  }

  #start(item: Item): void {
    this.#runningCount++;
    const { record, slot } = item;
    const { taken, context } = slot.of;
    const what = `offset ${record.offset} of ${taken.key}`;
    const handler = (): Promise<void> | void => this.#options.eachMessage?.(record, context);
    // Neither branch rejects: a failure ends the run.
    void this.#calls.call(taken, what, handler).then(
      (outcome) => {
        this.#runningCount--;
        this.#onDone(item, outcome === "processed");
        this.#startMore();
      },
      (error: unknown) => {
        this.#runningCount--;
        this.#fail(error);
        this.#onDone(item, false);
        this.#startMore();
      },
    );
  }

  #onDone(item: Item, isProcessed: boolean): void {
    const { slot, key } = item;
    const next = key === undefined ? undefined : this.#waiting.get(key)?.shift();
    if (next !== undefined) this.#startable.push(next);
    else if (key !== undefined) this.#waiting.delete(key);
    // One that is left stays in the way of the prefix for good: nothing behind it counts.
    for (const passed of isProcessed ? slot.of.prefix.done(slot) : []) {
      passed.of.nextOffset = passed.nextOffset;
      passed.of.taken.processed(passed.nextOffset);
    }
    this.#openCount--;
    slot.of.openCount--;
    this.#releaseDone();
    this.#listener.onChange(this);
  }

  /** In order; what is not processed to its end goes when nothing is in work, and the reading goes on at the first gap. */
  #releaseDone(): void {
    for (let first = this.#batches[0]; first !== undefined; first = this.#batches[0]) {
      if (first.openCount > 0 || first.nextOffset <= first.taken.batch.lastOffset) break;
      this.#batches.shift();
      this.#release(first, undefined);
    }
    if (this.#openCount > 0) return;
    const rest = this.#batches;
    this.#batches = [];
    for (const [index, open] of rest.entries())
      this.#release(open, index === 0 ? open.nextOffset : undefined);
  }

  #release({ context, taken }: OpenBatch, nextOffset: number | undefined): void {
    context[Symbol.dispose]();
    taken.release(nextOffset);
  }

  #fail(error: unknown): void {
    this.#hasFailed = true;
    this.#listener.onFailure(error);
  }
}
