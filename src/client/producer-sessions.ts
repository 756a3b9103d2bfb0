import { Backoff } from "../base/backoff.ts";
import { type LograftError } from "../base/errors.ts";
import { isLograftError } from "./errors.ts";
import type { ProducerEpoch, ProducerId } from "../model/offsets.ts";
import type { Timer } from "../platform/clock.ts";
import { checkedUint64 } from "../rpc/convert.ts";
import type { ClientContext } from "./client-context.ts";
import type { ProducerSession } from "./producer-batch.ts";

/** Called when a session was got, or when it was refused for good. */
export interface SessionListener {
  onSession(): void;
  onSessionRefused(error: LograftError): void;
}

/**
 * Producer ids, got from any broker at first use and whenever one was used up. A partition changes its session on its
 * own; the others go on with the one they have.
 */
export class ProducerSessions {
  readonly #context: ClientContext;
  readonly #listener: SessionListener;
  readonly #requestTimeoutMs: number;
  readonly #backoff: Backoff;
  readonly #closing = new AbortController();
  #current: ProducerSession | undefined;
  #isAsking = false;
  #timer: Timer | undefined;

  constructor(
    options: { readonly requestTimeoutMs: number },
    deps: { readonly context: ClientContext; readonly listener: SessionListener },
  ) {
    this.#requestTimeoutMs = options.requestTimeoutMs;
    this.#context = deps.context;
    this.#listener = deps.listener;
    this.#backoff = new Backoff(deps.context.retry, deps.context);
  }

  /** The session to begin with; undefined: asked for, the listener is called. */
  get(): ProducerSession | undefined {
    if (this.#current !== undefined) return this.#current;
    if (!this.#isAsking && this.#timer === undefined && !this.#closing.signal.aborted) {
      void this.#ask(); // Never rejects: the listener hears of failures.
    }
    return undefined;
  }

  /** Nobody begins with this session any more. */
  retire(session: ProducerSession): void {
    if (this.#current === session) this.#current = undefined;
  }

  close(): void {
    this.#closing.abort();
    this.#timer?.cancel();
  }

  async #ask(): Promise<void> {
    this.#isAsking = true;
    let failure: unknown;
    for (const address of this.#context.metadata.candidates()) {
      try {
        const answer = await this.#context.transport.call(
          address,
          "InitProducer",
          {},
          {
            timeoutMs: this.#requestTimeoutMs,
            signal: this.#closing.signal,
          },
        );
        this.#current = {
          producerId: checkedUint64(answer.producerId, "producer_id") as ProducerId,
          producerEpoch: answer.producerEpoch as ProducerEpoch,
        };
        break;
      } catch (error: unknown) {
        failure = error;
        if (this.#closing.signal.aborted || (isLograftError(error) && !error.retriable)) break;
      }
    }
    this.#isAsking = false;
    if (this.#closing.signal.aborted) return;
    if (this.#current !== undefined) {
      this.#backoff.reset();
      this.#listener.onSession();
    } else if (isLograftError(failure) && !failure.retriable) {
      this.#listener.onSessionRefused(failure);
    } else {
      this.#context.logger.warn("no producer id could be had", { err: failure });
      this.#timer = this.#context.clock.setTimer(this.#backoff.nextMs(), () => {
        this.#timer = undefined;
        void this.#ask(); // As above.
      });
    }
  }
}
