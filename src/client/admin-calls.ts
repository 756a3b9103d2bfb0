import { deadlineSignal } from "../base/abort.ts";
import { Backoff } from "../base/backoff.ts";
import { type LograftError, operationError } from "../base/errors.ts";
import { errorNameOf, ProtocolError } from "../model/error-code.ts";
import type { AdminOptions, ItemOptions } from "./admin-types.ts";
import type { ClientContext } from "./client-context.ts";
import { isLograftError } from "./errors.ts";
import type { UnaryCallOptions, UnaryMethod, UnaryMethods } from "./transport.ts";

/** Passes over the known brokers before a question fails; within the deadline anyway. */
export const MAX_ROUNDS = 4;

/** The way in which administrative calls choose a broker. */
export class AdminCalls {
  readonly #context: ClientContext;

  constructor(deps: { readonly context: ClientContext }) {
    this.#context = deps.context;
  }

  bounds(options: AdminOptions): UnaryCallOptions {
    const timeoutMs = options.timeoutMs ?? this.#context.requestTimeoutMs;
    return options.signal === undefined ? { timeoutMs } : { timeoutMs, signal: options.signal };
  }

  /**
   * A question: brokers are asked one after the other until one answers. @throws LograftError of the last one that did
   * not, CONNECTION_FAILED mostly; ProtocolError and whatever is not worth retrying, at once.
   */
  async ask<M extends UnaryMethod>(
    method: M,
    request: UnaryMethods[M]["request"],
    options: AdminOptions,
  ): Promise<UnaryMethods[M]["response"]> {
    const found = await this.#firstAnswer(options, (address, bounds) =>
      this.#context.transport.call(address, method, request, bounds),
    );
    return found.answer;
  }

  /** A question to one broker, once; to any when `address` ("host:port") is undefined. */
  askAt<M extends UnaryMethod>(
    address: string | undefined,
    method: M,
    request: UnaryMethods[M]["request"],
    options: AdminOptions,
  ): Promise<UnaryMethods[M]["response"]> {
    if (address === undefined) return this.ask(method, request, options);
    return this.#context.transport.call(address, method, request, this.bounds(options));
  }

  /**
   * A change: sent once, to a broker that has just answered, because one whose answer was lost may have been made.
   */
  async change<M extends UnaryMethod>(
    method: M,
    request: UnaryMethods[M]["request"],
    options: AdminOptions,
  ): Promise<UnaryMethods[M]["response"]> {
    const { address } = await this.probe(options);
    return this.#context.transport.call(address, method, request, this.bounds(options));
  }

  /** The first broker that answers, and its cluster. */
  async probe(options: AdminOptions): Promise<{ readonly address: string; readonly clusterId: string }> {
    const nothing = { topics: [], allTopics: false, allowAutoCreate: false };
    const { address, answer } = await this.#firstAnswer(options, (candidate, bounds) =>
      this.#context.transport.call(candidate, "Metadata", nothing, bounds),
    );
    return { address, clusterId: answer.clusterId };
  }

  async #firstAnswer<T>(
    options: AdminOptions,
    call: (
      address: string,
      bounds: { readonly timeoutMs: number; readonly signal: AbortSignal },
    ) => Promise<T>,
  ): Promise<{ readonly address: string; readonly answer: T }> {
    const { timeoutMs } = this.bounds(options);
    const backoff = new Backoff(this.#context.retry, this.#context);
    using deadline = deadlineSignal(this.#context.clock, timeoutMs, options.signal);
    let failure: LograftError | undefined;
    for (let round = 0; round < MAX_ROUNDS; round++) {
      for (const address of this.#context.metadata.candidates()) {
        try {
          const answer = await call(address, { timeoutMs, signal: deadline.signal });
          return { address, answer };
        } catch (error: unknown) {
          if (!isLograftError(error) || !error.retriable || deadline.signal.aborted) {
            throw deadline.signal.aborted ? (failure ?? error) : error;
          }
          failure = error;
        }
      }
      if (round + 1 < MAX_ROUNDS) await this.#context.clock.sleep(backoff.nextMs(), deadline.signal);
    }
    throw (
      failure ?? operationError("CONFIG_INVALID", "there is no broker to ask: the list of brokers is empty")
    );
  }
}

/** The error of one item of an answer, or undefined. Most messages of brokers name the item themselves, as `what` does. */
export function itemError(errorCode: number, message: string, what: string): ProtocolError | undefined {
  if (errorCode === 0) return undefined;
  const name = errorNameOf(errorCode);
  const text = message === "" ? name : message;
  const isNamed = text.startsWith(`${what} `) || text.startsWith(`${what}:`);
  return new ProtocolError(name, isNamed ? text : `${what}: ${text}`, { context: { what } });
}

/** The items; or, unless the caller wants them all, the first failure thrown. */
export function checked<T extends { readonly error: ProtocolError | undefined }>(
  items: T[],
  options: ItemOptions,
): T[] {
  if (options.throwOnError === false) return items;
  for (const { error } of items) if (error !== undefined) throw error;
  return items;
}

/** What a broker must always answer. @throws ProtocolError UNKNOWN_SERVER_ERROR when it did not. */
export function answered<T>(part: T | null, method: UnaryMethod): T {
  if (part !== null) return part;
  throw new ProtocolError("UNKNOWN_SERVER_ERROR", `the answer to ${method} lacks its main part`);
}
