import { throwIfAborted } from "../base/abort.ts";
import type { ConsumedBatch, ConsumedRecord } from "./consumed-batch.ts";
import type { BatchSource } from "./taken-batch.ts";

/** The body of `Consumer.batches`: a batch counts as processed when the next is asked for. */
export async function* iterateBatches(
  source: BatchSource,
  signal: AbortSignal | undefined,
): AsyncGenerator<ConsumedBatch, void> {
  for (;;) {
    throwIfAborted(signal);
    const taken = source.take();
    if (taken === undefined) {
      if (!(await source.waitForData(signal))) return;
      continue;
    }
    const endOffset = taken.batch.lastOffset + 1;
    let isLeft = true;
    try {
      yield taken.batch;
      isLeft = false;
      taken.processed(endOffset);
    } finally {
      if (isLeft) taken.releaseOpen(endOffset);
      else taken.release();
    }
  }
}

/** The body of `Consumer.messages`: a record counts as processed when the next is asked for. */
export async function* iterateRecords(
  source: BatchSource,
  signal: AbortSignal | undefined,
): AsyncGenerator<ConsumedRecord, void> {
  for (;;) {
    throwIfAborted(signal);
    const taken = source.take();
    if (taken === undefined) {
      if (!(await source.waitForData(signal))) return;
      continue;
    }
    const { batch } = taken;
    let nextOffset = batch.firstOffset;
    let isLeft = false;
    try {
      for (const record of batch) {
        nextOffset = record.offset + 1;
        isLeft = true;
        yield record;
        isLeft = false;
        taken.processed(nextOffset);
        throwIfAborted(signal);
        if (taken.isOver) break;
      }
      if (!taken.isOver) {
        nextOffset = batch.lastOffset + 1;
        taken.processed(nextOffset);
      }
    } finally {
      // Left in the middle: the rest of the batch is not taken.
      if (isLeft) taken.releaseOpen(nextOffset);
      else taken.release(nextOffset);
    }
  }
}
