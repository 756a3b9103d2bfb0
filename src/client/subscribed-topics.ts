import { throwIfAborted } from "../base/abort.ts";
import { operationError } from "../base/errors.ts";
import type { Timer } from "../platform/clock.ts";
import { AdminCalls } from "./admin-calls.ts";
import type { ClientContext } from "./client-context.ts";
import type { GroupSubscription } from "./group-membership.ts";

/**
 * The topics that a subscription means. Names mean themselves; a pattern means the topics that there are, so those are
 * listed, and listed again by the clock, because in a classic group nobody else looks.
 */
export class SubscribedTopics {
  readonly #refreshMs: number;
  readonly #context: ClientContext;
  readonly #calls: AdminCalls;
  readonly #onChanged: () => void;
  readonly #closing = new AbortController();
  #subscription: GroupSubscription | undefined;
  /** What the pattern matched last. */
  #matched: readonly string[] | undefined;
  #timer: Timer | undefined;

  /** `refreshMs`: from one listing to the next. */
  constructor(
    options: { readonly refreshMs: number },
    deps: { readonly context: ClientContext; readonly onChanged: () => void },
  ) {
    this.#refreshMs = options.refreshMs;
    this.#context = deps.context;
    this.#calls = new AdminCalls({ context: deps.context });
    this.#onChanged = deps.onChanged;
  }

  /** Ascending. Asks the brokers only for a new pattern. @throws LograftError of the brokers, CLOSED. */
  async of(subscription: GroupSubscription): Promise<readonly string[]> {
    if (this.#subscription !== subscription) {
      this.#subscription = subscription;
      this.#matched = undefined;
      this.#timer?.cancel();
      this.#timer = undefined;
    }
    const { topics, pattern } = subscription;
    if (pattern === undefined) return [...new Set(topics)].toSorted();
    const matched = this.#matched ?? (await this.#match(pattern));
    throwIfAborted(this.#closing.signal);
    if (this.#subscription === subscription) {
      this.#matched = matched;
      this.#timer ??= this.#schedule(subscription, pattern);
    }
    return [...new Set([...topics, ...matched])].toSorted();
  }

  /** Idempotent. */
  close(): void {
    this.#timer?.cancel();
    this.#timer = undefined;
    this.#closing.abort(operationError("CLOSED", "the member has left its group"));
  }

  #schedule(subscription: GroupSubscription, pattern: RegExp): Timer {
    return this.#context.clock.setTimer(this.#refreshMs, () => {
      void this.#refresh(subscription, pattern); // Never rejects: a listing that fails is made again.
    });
  }

  async #refresh(subscription: GroupSubscription, pattern: RegExp): Promise<void> {
    let matched = this.#matched;
    try {
      matched = await this.#match(pattern);
    } catch (error: unknown) {
      this.#context.logger.debug("topics could not be listed", { err: error });
    }
    if (this.#closing.signal.aborted || this.#subscription !== subscription) return;
    this.#timer = this.#schedule(subscription, pattern);
    if (matched?.join() === this.#matched?.join()) return;
    this.#matched = matched;
    this.#onChanged();
  }

  async #match(pattern: RegExp): Promise<readonly string[]> {
    const whole = new RegExp(`^(?:${pattern.source})$`, pattern.flags.replace(/[gy]/g, ""));
    const { topics } = await this.#calls.ask(
      "ListTopics",
      { includeInternal: false },
      { signal: this.#closing.signal },
    );
    return topics
      .map(({ name }) => name)
      .filter((name) => whole.test(name))
      .toSorted();
  }
}
