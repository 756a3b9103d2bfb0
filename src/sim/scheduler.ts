import { assert } from "../base/assert.ts";
import { operationError } from "../base/errors.ts";
import type { Timer } from "../platform/clock.ts";
import { EventHeap } from "./event-heap.ts";
import type { SimEvent } from "./event-heap.ts";

/** Limits of a run. */
export interface SchedulerOptions {
  /** Events that one `advance` or `runUntil...` may run before it is taken for an endless loop. Default 10 million. */
  readonly maxEventsPerRun?: number;
  /** Called after each event when no promise continuation is left to run: the moment to check what must always hold. */
  readonly afterEvent?: () => void;
}

/** Below this many cancelled events the heap is left as it is. */
const COMPACT_ABOVE = 256;

/** Events run in one turn of the real event loop, whose price is that of several events. */
const EVENTS_PER_TURN = 32;

/**
 * Virtual time for a whole simulated cluster: a heap of events, run one at a time in the order (due time, sequence).
 *
 * Between two events every promise continuation that can run does run. Each event is an immediate of the real event
 * loop, and Node empties the microtask queue after each immediate, also between those of one turn. So a run is
 * repeatable as long as the simulated code waits only for promises and for this scheduler; a real timer, file or worker
 * thread in it would break that.
 */
export class Scheduler {
  readonly #maxEventsPerRun: number;
  readonly #afterEvent: (() => void) | undefined;
  readonly #heap = new EventHeap();
  #nowMs = 0;
  #sequence = 0;
  #cancelledCount = 0;
  #eventsRun = 0;
  #fingerprint = 0x811c9dc5;
  #isRunning = false;

  constructor(options: SchedulerOptions = {}) {
    this.#maxEventsPerRun = options.maxEventsPerRun ?? 10_000_000;
    this.#afterEvent = options.afterEvent;
  }

  /** Milliseconds of virtual time since the start; may have a fraction. */
  get nowMs(): number {
    return this.#nowMs;
  }

  /** Events that have run. */
  get eventsRun(): number {
    return this.#eventsRun;
  }

  /** A hash over time and sequence of all events run: equal for two runs of one seed, else something is not repeatable. */
  get fingerprint(): number {
    return this.#fingerprint;
  }

  /** Events that wait and are not cancelled. */
  get pendingCount(): number {
    return this.#heap.size - this.#cancelledCount;
  }

  /** Runs `callback` `delayMs` (>= 0) from now, after everything scheduled earlier for that moment. */
  schedule(delayMs: number, callback: () => void): Timer {
    assert(delayMs >= 0, "an event cannot be scheduled in the past", { delayMs });
    const event: SimEvent = {
      dueMs: this.#nowMs + delayMs,
      sequence: this.#sequence++,
      callback,
      isCancelled: false,
    };
    this.#heap.push(event);
    return { cancel: () => this.#cancel(event) };
  }

  /** Runs everything due within the next `ms`, then stands at exactly that moment. */
  async advance(ms: number): Promise<void> {
    const endMs = this.#nowMs + ms;
    await this.#run(endMs, () => false);
    this.#nowMs = endMs;
  }

  /** Runs until no event waits. For systems without periodic timers; the others never get idle and end at the event limit. */
  async runUntilIdle(): Promise<void> {
    await this.#run(Number.POSITIVE_INFINITY, () => false);
  }

  /**
   * Runs until `condition` holds; it is asked before the first event and after each.
   * @throws LograftError TIMEOUT when `limitMs` of virtual time pass first or nothing is left to run.
   */
  async runUntil(condition: () => boolean, limitMs: number): Promise<void> {
    const endMs = this.#nowMs + limitMs;
    if (await this.#run(endMs, condition)) return;
    const why = this.pendingCount === 0 ? "nothing is left to run" : `${limitMs} ms of virtual time passed`;
    throw operationError("TIMEOUT", `the condition did not come true: ${why}`, {
      context: { nowMs: this.#nowMs, limitMs, pending: this.pendingCount },
    });
  }

  /** Runs until `promise` settles and answers as it does. @throws LograftError TIMEOUT as `runUntil`. */
  async settle<T>(promise: Promise<T>, limitMs: number): Promise<T> {
    let isSettled = false;
    const mark = (): void => {
      isSettled = true;
    };
    promise.then(mark, mark);
    await this.runUntil(() => isSettled, limitMs);
    return promise;
  }

  /** Lets every promise continuation run that can, without moving time. */
  async drain(): Promise<void> {
    await new Promise<void>((resolve) => {
      setImmediate(resolve);
    });
  }

  async #run(endMs: number, condition: () => boolean): Promise<boolean> {
    assert(!this.#isRunning, "the scheduler runs already: a simulated callback must not drive it");
    this.#isRunning = true;
    let count = 0;
    const step = (): boolean | undefined => {
      if (count > 0) this.#afterEvent?.();
      if (condition()) return true;
      const event = this.#next(endMs);
      if (event === undefined) return false;
      if (count === this.#maxEventsPerRun) throw endlessError(count, event.dueMs);
      count += 1;
      this.#nowMs = event.dueMs;
      this.#eventsRun += 1;
      this.#fingerprint = mix(mix(this.#fingerprint, Math.round(event.dueMs * 1000)), event.sequence);
      event.callback();
      return undefined;
    };
    try {
      await this.drain();
      return await runInTurns(step);
    } finally {
      this.#isRunning = false;
    }
  }

  #next(endMs: number): SimEvent | undefined {
    for (;;) {
      const event = this.#heap.peek();
      if (event === undefined || (event.dueMs > endMs && !event.isCancelled)) return undefined;
      this.#heap.pop();
      if (event.isCancelled) {
        this.#cancelledCount -= 1;
      } else {
        event.isCancelled = true; // A later `cancel` of a timer that fired must not be counted.
        return event;
      }
    }
  }

  #cancel(event: SimEvent): void {
    if (event.isCancelled) return;
    event.isCancelled = true;
    this.#cancelledCount += 1;
    if (this.#cancelledCount > COMPACT_ABOVE && this.#cancelledCount * 2 > this.#heap.size) {
      this.#heap.compact();
      this.#cancelledCount = 0;
    }
  }
}

/** Calls `step` in immediates, `EVENTS_PER_TURN` of them in a turn, until it answers something or throws. */
function runInTurns(step: () => boolean | undefined): Promise<boolean> {
  return new Promise((resolve, reject) => {
    let isDone = false;
    const once = (): void => {
      if (isDone) return;
      try {
        const result = step();
        if (result === undefined) return;
        isDone = true;
        resolve(result);
      } catch (error: unknown) {
        isDone = true;
        reject(error instanceof Error ? error : new Error(String(error)));
      }
    };
    const turn = (): void => {
      for (let count = 1; count < EVENTS_PER_TURN; count++) setImmediate(once);
      setImmediate(() => {
        once();
        if (!isDone) turn();
      });
    };
    turn();
  });
}

/** One step of FNV-1a over the low and the high half of a number. */
function mix(hash: number, value: number): number {
  const low = Math.imul(hash ^ (value >>> 0), 0x01000193);
  return Math.imul(low ^ (Math.floor(value / 0x1_0000_0000) >>> 0), 0x01000193) >>> 0;
}

function endlessError(count: number, nowMs: number): Error {
  return operationError("TIMEOUT", `${count} events ran without an end; is a timer re-armed with no delay?`, {
    context: { nowMs },
  });
}
