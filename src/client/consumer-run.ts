import { abortable, abortReason } from "../base/abort.ts";
import { Deferred } from "../base/deferred.ts";
import { topicPartitionKey } from "../model/topic-partition.ts";
import type { ConsumedBatch } from "./consumed-batch.ts";
import type { HandlerContext, RunOptions, TopicPartitionRef } from "./consumer-types.ts";
import { within } from "./producer-types.ts";

/** What `runHandlers` needs of a consumer. */
export interface BatchSource {
  take(busy?: ReadonlySet<string>): ConsumedBatch | undefined;
  /** Calls back when records came, or the consumer failed or closed. Answers the function that stops it. */
  onNews(listener: () => void): () => void;
  seek(partition: TopicPartitionRef, position: number): void;
}

/** The body of `Consumer.run`: one handler call for each partition at a time, up to `concurrency` partitions at once. */
export async function runHandlers(
  source: BatchSource,
  options: RunOptions,
  closing: AbortSignal,
): Promise<void> {
  const concurrency = within("concurrency", options.concurrency ?? 1, 1, 100_000);
  const stopping = new AbortController();
  const onAbort = (): void =>
    stopping.abort(options.signal === undefined ? undefined : abortReason(options.signal));
  const onClose = (): void => stopping.abort(abortReason(closing));
  options.signal?.addEventListener("abort", onAbort, { once: true });
  closing.addEventListener("abort", onClose, { once: true });
  if (options.signal?.aborted === true) onAbort();
  const context: HandlerContext = { signal: stopping.signal };
  const busy = new Set<string>();
  const running = new Set<Promise<void>>();
  // Rung when a handler is done and when records came: one promise, so that waiting leaves nothing behind.
  let bell = new Deferred<void>();
  const ring = (): void => {
    const rung = bell;
    bell = new Deferred();
    rung.resolve();
  };
  const stopNews = source.onNews(ring);
  let failure: { readonly error: unknown } | undefined;

  const start = (batch: ConsumedBatch): void => {
    const key = topicPartitionKey(batch.topic, batch.partition);
    busy.add(key);
    const task = handle(source, batch, options, context)
      .catch((error: unknown) => {
        failure ??= { error };
        stopping.abort(error);
      })
      .finally(() => {
        busy.delete(key);
        running.delete(task);
        ring();
      });
    running.add(task);
  };

  try {
    while (!stopping.signal.aborted) {
      const batch = busy.size < concurrency ? source.take(busy) : undefined;
      if (batch === undefined) await abortable(bell.promise, stopping.signal);
      else start(batch);
    }
  } catch (error: unknown) {
    if (!stopping.signal.aborted) failure ??= { error };
  } finally {
    stopNews();
    options.signal?.removeEventListener("abort", onAbort);
    closing.removeEventListener("abort", onClose);
    stopping.abort();
    await Promise.all(running);
  }
  if (failure !== undefined) throw failure.error;
  if (options.signal?.aborted === true) throw abortReason(options.signal);
}

async function handle(
  source: BatchSource,
  batch: ConsumedBatch,
  options: RunOptions,
  context: HandlerContext,
): Promise<void> {
  const partition = { topic: batch.topic, partition: batch.partition };
  if (options.eachBatch !== undefined) {
    try {
      await options.eachBatch(batch, context);
    } catch (error: unknown) {
      source.seek(partition, batch.firstOffset);
      throw error;
    }
    return;
  }
  let offset = batch.firstOffset;
  try {
    for (const record of batch) {
      // What was not handled stays to be read.
      if (context.signal.aborted) {
        source.seek(partition, record.offset);
        return;
      }
      offset = record.offset;
      await options.eachMessage(record, context);
    }
  } catch (error: unknown) {
    source.seek(partition, offset);
    throw error;
  }
}
