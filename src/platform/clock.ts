/** A pending timer. Cancelling twice, or after it fired, does nothing. */
export interface Timer {
  cancel(): void;
}

/** The only source of time and of "later". Callbacks must not throw: an exception there is a bug and ends the process. */
export interface Clock {
  /** Milliseconds since 1970; may jump in both directions. For record timestamps and retention only. */
  wallMs(): number;
  /** Milliseconds from an arbitrary start; never goes back. For every timeout, deadline and measurement. */
  monotonicMs(): number;
  /** Calls back once, `delayMs` (>= 0) from now by the monotonic clock. */
  setTimer(delayMs: number, callback: () => void): Timer;
  /** Calls back after the input that is ready now has been handled (the end of this turn of the loop). */
  defer(callback: () => void): void;
  /** Resolves after `delayMs`; rejects with `signal.reason` when aborted first, and leaves no listener behind. */
  sleep(delayMs: number, signal?: AbortSignal): Promise<void>;
}
