import { deadlineSignal } from "../base/abort.ts";
import { Backoff } from "../base/backoff.ts";
import { errorMessage, LograftError } from "../base/errors.ts";
import type { Logger } from "../base/logger.ts";
import type { Clock } from "../platform/clock.ts";
import type { Random } from "../platform/random.ts";
import type { HelloAnswer } from "./founding.ts";
import type { Hello, RaftTransport } from "./raft-transport.ts";

export interface DiscoveryOptions {
  /** Between two rounds at first; it grows to `maxMs`. */
  readonly initialMs: number;
  readonly maxMs: number;
  /** How long one node may take to answer. */
  readonly timeoutMs: number;
}

export interface DiscoveryDeps {
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  readonly transport: RaftTransport;
  /** False: this node has all it needs; it is asked again before each round. */
  readonly isNeeded: () => boolean;
  readonly endpoints: () => readonly string[];
  readonly selfHello: () => Hello;
  /** One round is over. The next begins when it resolves. Never rejects. */
  readonly onAnswers: (answers: readonly HelloAnswer[]) => Promise<void>;
}

/** Asks other nodes who they are, round by round, while this node has no cluster or no leader. */
export class Discovery {
  readonly #deps: DiscoveryDeps;
  readonly #timeoutMs: number;
  readonly #backoff: Backoff;
  readonly #stopping = new AbortController();
  /** By endpoint, what was last said of it. */
  readonly #told = new Map<string, string>();
  #running: Promise<void> | undefined;
  #wake: (() => void) | undefined;

  constructor(options: DiscoveryOptions, deps: DiscoveryDeps) {
    this.#deps = deps;
    this.#timeoutMs = options.timeoutMs;
    this.#backoff = new Backoff(options, { random: deps.random });
  }

  start(): void {
    this.#running ??= this.#run();
  }

  /** Something changed: the next round begins now, and those after it are frequent again. */
  wake(): void {
    this.#backoff.reset();
    this.#wake?.();
  }

  /** One round: all endpoints at the same time. Never rejects. */
  ask(): Promise<HelloAnswer[]> {
    return Promise.all(this.#deps.endpoints().map((endpoint) => this.#ask(endpoint)));
  }

  /** Ends the round in progress. Idempotent. */
  async close(): Promise<void> {
    this.#stopping.abort();
    this.#wake?.();
    await this.#running;
  }

  async #run(): Promise<void> {
    const { isNeeded, onAnswers } = this.#deps;
    while (!this.#stopping.signal.aborted) {
      if (isNeeded()) {
        const answers = await this.ask();
        if (this.#stopping.signal.aborted) return;
        await onAnswers(answers);
      } else {
        this.#backoff.reset();
      }
      await this.#pause(this.#backoff.nextMs());
    }
  }

  async #ask(endpoint: string): Promise<HelloAnswer> {
    const { clock, transport, selfHello, logger } = this.#deps;
    using deadline = deadlineSignal(clock, this.#timeoutMs, this.#stopping.signal);
    try {
      return { endpoint, hello: await transport.hello(endpoint, selfHello(), deadline.signal) };
    } catch (error: unknown) {
      // Not there yet, or of another cluster: asked again in the next round.
      const cause = errorMessage(error);
      const isForeign = error instanceof LograftError && error.code === "INCONSISTENT_CLUSTER_ID";
      const isNews = this.#told.get(endpoint) !== cause;
      this.#told.set(endpoint, cause);
      logger[isForeign && isNews ? "warn" : "debug"]("a node of the quorum did not answer", {
        endpoint,
        err: error,
      });
      return { endpoint, hello: undefined };
    }
  }

  async #pause(delayMs: number): Promise<void> {
    if (this.#stopping.signal.aborted) return;
    await new Promise<void>((resolve) => {
      const timer = this.#deps.clock.setTimer(delayMs, resolve);
      this.#wake = () => {
        timer.cancel();
        resolve();
      };
    });
    this.#wake = undefined;
  }
}
