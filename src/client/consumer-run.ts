import { abortable, abortReason } from "../base/abort.ts";
import { Deferred } from "../base/deferred.ts";
import { operationError } from "../base/errors.ts";
import type { RunOptions } from "./consumer-types.ts";
import { HandlerCalls, type HandlerDeps } from "./handler-calls.ts";
import { type HandlerLane, type HandlerLaneListener, SerialLane } from "./handler-lane.ts";
import { KeyedLane } from "./keyed-lane.ts";
import { within } from "./producer-types.ts";
import type { BatchSource } from "./taken-batch.ts";

const DEFAULT_KEY_CONCURRENCY = 16;

/** The body of `Consumer.run`: one lane for each partition in work, up to `concurrency` of them. */
export async function runHandlers(
  source: BatchSource,
  options: RunOptions,
  closing: AbortSignal,
  deps: HandlerDeps,
): Promise<void> {
  const concurrency = within("concurrency", options.concurrency ?? 1, 1, 100_000);
  const stopping = new AbortController();
  const calls = new HandlerCalls(options, stopping.signal, deps);
  const onAbort = (): void =>
    stopping.abort(options.signal === undefined ? undefined : abortReason(options.signal));
  const onClose = (): void => stopping.abort(abortReason(closing));
  // Rung when a handler is done and when records came: one promise, so that waiting leaves nothing behind.
  let bell = new Deferred<void>();
  const ring = (): void => {
    const rung = bell;
    bell = new Deferred();
    rung.resolve();
  };
  let failure: { readonly error: unknown } | undefined;
  const lanes = new Map<string, HandlerLane>();
  const listener: HandlerLaneListener = {
    onChange: ring,
    onFailure: (error) => {
      failure ??= { error };
      stopping.abort(error);
    },
  };
  const newLane = laneFactory(options, calls, listener);
  // Lanes by key take more while they work, and so might never be done: while a partition waits for a lane they get nothing.
  let isLaneWanted = false;
  const accepts = (key: string): boolean => {
    const lane = lanes.get(key);
    if (lane !== undefined) return lane.hasRoom && !isLaneWanted;
    if (lanes.size < concurrency) return true;
    isLaneWanted = true;
    return false;
  };
  const forgetIdle = (): void => {
    for (const [key, lane] of lanes) if (lane.isIdle) lanes.delete(key);
  };

  options.signal?.addEventListener("abort", onAbort, { once: true });
  closing.addEventListener("abort", onClose, { once: true });
  if (options.signal?.aborted === true) onAbort();
  if (closing.aborted) onClose();
  const stopNews = source.onNews(ring);
  try {
    while (!stopping.signal.aborted) {
      forgetIdle();
      isLaneWanted = false;
      const taken = source.take(accepts);
      if (taken === undefined) {
        await abortable(bell.promise, stopping.signal);
        continue;
      }
      const lane = lanes.get(taken.key) ?? newLane();
      lanes.set(taken.key, lane);
      lane.add(taken);
    }
  } catch (error: unknown) {
    if (!stopping.signal.aborted) failure ??= { error };
  } finally {
    stopNews();
    options.signal?.removeEventListener("abort", onAbort);
    closing.removeEventListener("abort", onClose);
    stopping.abort();
    // Handlers that were begun are waited for.
    for (forgetIdle(); lanes.size > 0; forgetIdle()) await bell.promise;
  }
  if (failure !== undefined) throw failure.error;
  if (options.signal?.aborted === true) throw abortReason(options.signal);
}

/** @throws LograftError INVALID_ARGUMENT. */
function laneFactory(
  options: RunOptions,
  calls: HandlerCalls,
  listener: HandlerLaneListener,
): () => HandlerLane {
  // Callers without types.
  const handlers = [options.eachMessage, options.eachBatch].filter((handler) => handler !== undefined);
  if (handlers.length !== 1) {
    throw operationError("INVALID_ARGUMENT", "run takes one handler: eachMessage or eachBatch");
  }
  if (options.orderBy !== "key") {
    if (options.keyConcurrency === undefined) return () => new SerialLane(options, { calls, listener });
    throw operationError("INVALID_ARGUMENT", 'keyConcurrency is for orderBy "key"');
  }
  if (options.eachBatch !== undefined) {
    throw operationError("INVALID_ARGUMENT", 'orderBy "key" is for eachMessage: a batch holds many keys');
  }
  const concurrency = within("keyConcurrency", options.keyConcurrency ?? DEFAULT_KEY_CONCURRENCY, 1, 10_000);
  return () => new KeyedLane(options, { concurrency, calls, listener });
}
