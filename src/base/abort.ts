import { Deferred } from "./deferred.ts";
import { operationError } from "./errors.ts";

/** The part of a clock that waiting needs; `Clock` of the platform has this shape. */
export interface TimerSource {
  setTimer(delayMs: number, callback: () => void): { cancel(): void };
}

/** A signal that fires at a deadline or with its parent. Dispose it when the wait is over, on every path. */
export interface DeadlineSignal extends Disposable {
  readonly signal: AbortSignal;
  /** Frees the timer and the listener on the parent; the signal never fires afterwards. Idempotent. */
  dispose(): void;
}

/** Why a signal fired, as an error: its own reason when that is one, else ABORTED with the reason as cause. */
export function abortReason(signal: AbortSignal): Error {
  const reason: unknown = signal.reason;
  if (reason instanceof Error) return reason;
  return operationError("ABORTED", "the operation was aborted", { cause: reason });
}

/** @throws the reason of `signal` when it has fired. */
export function throwIfAborted(signal: AbortSignal | undefined): void {
  if (signal?.aborted === true) throw abortReason(signal);
}

/**
 * Settles as `promise` does, or rejects with the reason of `signal` when that fires first. The work behind `promise`
 * goes on; a rejection of it that comes after the abort is taken as handled. Leaves no listener behind.
 */
export function abortable<T>(promise: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  if (signal === undefined) return promise;
  const result = new Deferred<T>();
  const onAbort = (): void => result.reject(abortReason(signal));
  if (signal.aborted) onAbort();
  else signal.addEventListener("abort", onAbort, { once: true });
  promise.then(
    (value) => {
      signal.removeEventListener("abort", onAbort);
      result.resolve(value);
    },
    (error: unknown) => {
      signal.removeEventListener("abort", onAbort);
      result.reject(
        error instanceof Error ? error : operationError("ABORTED", String(error), { cause: error }),
      );
    },
  );
  return result.promise;
}

/**
 * A signal that fires `delayMs` from now with a retriable TIMEOUT error, or with `parent` and its reason, whichever
 * comes first. `AbortSignal.any` and `AbortSignal.timeout` are not used: the one keeps long-lived parents growing, the
 * other has its own clock.
 */
export function deadlineSignal(timers: TimerSource, delayMs: number, parent?: AbortSignal): DeadlineSignal {
  const controller = new AbortController();
  const onParentAbort = (): void => {
    timer?.cancel();
    if (parent !== undefined) controller.abort(abortReason(parent));
  };
  const onDeadline = (): void => {
    parent?.removeEventListener("abort", onParentAbort);
    controller.abort(
      operationError("TIMEOUT", `not done within ${delayMs} ms`, { context: { delayMs }, retriable: true }),
    );
  };
  let timer: { cancel(): void } | undefined;
  if (parent?.aborted === true) {
    onParentAbort();
  } else {
    timer = timers.setTimer(delayMs, onDeadline);
    parent?.addEventListener("abort", onParentAbort, { once: true });
  }
  const dispose = (): void => {
    timer?.cancel();
    parent?.removeEventListener("abort", onParentAbort);
  };
  return { signal: controller.signal, dispose, [Symbol.dispose]: dispose };
}

/** Resolves after `delayMs`; rejects with the reason of `signal` when that fires first. Leaves no timer or listener. */
export function sleepOn(timers: TimerSource, delayMs: number, signal?: AbortSignal): Promise<void> {
  if (signal?.aborted === true) return Promise.reject(abortReason(signal));
  return new Promise((resolve, reject) => {
    const onAbort = (): void => {
      timer.cancel();
      if (signal !== undefined) reject(abortReason(signal));
    };
    const timer = timers.setTimer(delayMs, () => {
      signal?.removeEventListener("abort", onAbort);
      resolve();
    });
    signal?.addEventListener("abort", onAbort, { once: true });
  });
}
