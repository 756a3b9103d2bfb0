import { abortable, abortReason, deadlineSignal, throwIfAborted } from "../base/abort.ts";
import { Backoff } from "../base/backoff.ts";
import { type LograftError, operationError } from "../base/errors.ts";
import { errorNameOf, type ErrorName, ProtocolError, refreshesCoordinator } from "../model/error-code.ts";
import type { Coordinator } from "../rpc/group-messages.ts";
import type { ClientContext } from "./client-context.ts";
import { isLograftError } from "./errors.ts";
import type { UnaryCallOptions, UnaryMethod, UnaryMethods } from "./transport.ts";

/** Bounds of one call to a coordinator. */
export interface CoordinatorCallOptions {
  /** Of all attempts together. */
  readonly timeoutMs: number;
  /** Of one attempt. Default: all that is left, for calls whose answer may take its time (JoinGroup). */
  readonly attemptTimeoutMs?: number;
  readonly signal?: AbortSignal | undefined;
}

/** A broker that does not say where a coordinator is within this time must not keep us from asking the next one. */
const FIND_TIMEOUT_MS = 3000;
/** Losses of one coordinator in a row from which on the brokers are told of them. */
const LOSSES_TO_TELL = 2;
/** A search that took so long was a pause in itself. */
const LONG_FIND_MS = 250;

/**
 * The calls that go to one group's coordinator: finds it through any broker, keeps its address, and looks for it again
 * when it has moved, has died, or is still loading. Other errors inside an answer are the caller's to read.
 */
export class CoordinatorCalls {
  readonly groupId: string;
  readonly #context: ClientContext;
  readonly #closing = new AbortController();
  readonly #calls = new Set<AbortController>();
  #address: string | undefined;
  /** The node at that address, or at the one that was forgotten last. */
  #nodeId = -1;
  /** How often in a row that node was forgotten, since it was last heard. */
  #losses = 0;
  #finding: Promise<string> | undefined;

  constructor(options: { readonly groupId: string }, deps: { readonly context: ClientContext }) {
    this.groupId = options.groupId;
    this.#context = deps.context;
  }

  /**
   * One call, tried until it is answered by the coordinator. Repeating is safe: every method of the group service may be
   * repeated. @throws LograftError of the last attempt when `timeoutMs` is over (retriable), what no retry can heal, the
   * reason of `signal`, CLOSED.
   */
  async call<M extends UnaryMethod>(
    method: M,
    request: UnaryMethods[M]["request"],
    options: CoordinatorCallOptions,
  ): Promise<UnaryMethods[M]["response"]> {
    return this.#untilDone(method, options, async (address, { timeoutMs, signal }) => {
      const bounds = { timeoutMs: Math.min(timeoutMs, options.attemptTimeoutMs ?? timeoutMs), signal };
      const response = await this.#context.transport.call(address, method, request, bounds);
      this.reached(address);
      const name = coordinatorError(response);
      if (name === undefined) return response;
      throw new ProtocolError(name, `${method} for group ${this.groupId}: ${address} answers ${name}`);
    });
  }

  /** "host:port" of the coordinator, looked for until it is found. @throws as `call`. */
  address(options: CoordinatorCallOptions): Promise<string> {
    return this.#untilDone("FindCoordinator", options, (address) => Promise.resolve(address));
  }

  /** The next call looks for the coordinator again, unless another address is known by now. */
  forget(address: string): void {
    if (this.#address !== address) return;
    this.#address = undefined;
    this.#losses++;
  }

  /** Whoever is at this address answers, be it as the coordinator or not. */
  reached(address: string): void {
    if (this.#address === address) this.#losses = 0;
  }

  /** Ends what waits. Idempotent. */
  close(): void {
    if (this.#closing.signal.aborted) return;
    const reason = operationError(
      "CLOSED",
      `the calls to the coordinator of group ${this.groupId} have ended`,
    );
    this.#closing.abort(reason);
    for (const call of this.#calls) call.abort(reason);
  }

  async #untilDone<T>(
    what: string,
    { timeoutMs, signal }: CoordinatorCallOptions,
    attempt: (address: string, bounds: Required<UnaryCallOptions>) => Promise<T>,
  ): Promise<T> {
    throwIfAborted(this.#closing.signal);
    throwIfAborted(signal);
    const { clock, retry } = this.#context;
    const backoff = new Backoff(retry, this.#context);
    const endMs = clock.monotonicMs() + timeoutMs;
    const call = new AbortController();
    const onAbort = (): void => call.abort(signal === undefined ? undefined : abortReason(signal));
    signal?.addEventListener("abort", onAbort, { once: true });
    this.#calls.add(call);
    using deadline = deadlineSignal(clock, timeoutMs, call.signal);
    let failure: LograftError | undefined;
    let tried: string | undefined;
    try {
      for (;;) {
        let address: string | undefined;
        try {
          const askedMs = clock.monotonicMs();
          address = this.#address ?? (await abortable(this.#find(), deadline.signal));
          // Another one than before may be there in a moment, and a broker that let us wait has done our pausing.
          if (address !== tried || clock.monotonicMs() - askedMs >= LONG_FIND_MS) backoff.reset();
          tried = address;
          const restMs = Math.max(1, endMs - clock.monotonicMs());
          return await attempt(address, { timeoutMs: restMs, signal: deadline.signal });
        } catch (error: unknown) {
          if (deadline.signal.aborted || !isLograftError(error) || !error.retriable) throw error;
          failure = error;
          // One that loads is the right one; all else may mean that another one is by now.
          if (address !== undefined && error.code !== "COORDINATOR_LOAD_IN_PROGRESS") this.forget(address);
        }
        await clock.sleep(backoff.nextMs(), deadline.signal);
      }
    } catch (error: unknown) {
      if (call.signal.aborted) throw abortReason(call.signal);
      if (!deadline.signal.aborted) throw error;
      const last = failure === undefined ? "" : `; last: ${failure.message}`;
      throw operationError(
        "TIMEOUT",
        `${what} for group ${this.groupId}: not done within ${timeoutMs} ms${last}`,
        { cause: failure ?? error, context: { groupId: this.groupId, timeoutMs }, retriable: true },
      );
    } finally {
      this.#calls.delete(call);
      signal?.removeEventListener("abort", onAbort);
    }
  }

  /** One search for all who wait. */
  #find(): Promise<string> {
    this.#finding ??= this.#askEveryone().finally(() => {
      this.#finding = undefined;
    });
    return this.#finding;
  }

  /** Asks the brokers one after the other, once each. */
  async #askEveryone(): Promise<string> {
    // Once may have been the connection, or an answer that was old. Then the one asked is to wait for another coordinator,
    // which is there sooner than a pause of ours would be over.
    const unreachable = this.#losses >= LOSSES_TO_TELL ? { unreachableNodeId: this.#nodeId } : {};
    const request = { groupIds: [this.groupId], ...unreachable };
    let failure: LograftError | undefined;
    for (const candidate of this.#context.metadata.candidates()) {
      try {
        const { coordinators } = await this.#context.transport.call(candidate, "FindCoordinator", request, {
          timeoutMs: Math.min(FIND_TIMEOUT_MS, this.#context.requestTimeoutMs),
          signal: this.#closing.signal,
        });
        const address = this.#addressIn(coordinators[0], candidate);
        const nodeId = coordinators[0]?.nodeId ?? -1;
        if (nodeId !== this.#nodeId) this.#losses = 0;
        this.#nodeId = nodeId;
        this.#address = address;
        return address;
      } catch (error: unknown) {
        if (!isLograftError(error) || !error.retriable || this.#closing.signal.aborted) throw error;
        failure = error;
      }
    }
    throw (
      failure ?? operationError("CONFIG_INVALID", "there is no broker to ask: the list of brokers is empty")
    );
  }

  #addressIn(found: Coordinator | undefined, candidate: string): string {
    const name = found === undefined ? "UNKNOWN_SERVER_ERROR" : errorNameOf(found.errorCode);
    if (found !== undefined && name === "NONE") {
      return found.host.includes(":") ? `[${found.host}]:${found.port}` : `${found.host}:${found.port}`;
    }
    const text = found === undefined || found.errorMessage === "" ? name : found.errorMessage;
    throw new ProtocolError(
      name,
      `the coordinator of group ${this.groupId}, asked of ${candidate}: ${text}`,
      {
        context: { groupId: this.groupId },
      },
    );
  }
}

/**
 * The error by which a broker says that it cannot answer as the coordinator, from the answer to any group method: it is
 * said of the whole, or of every item alike.
 */
export function coordinatorError(response: object): ErrorName | undefined {
  const items = Object.values(response).find((value): value is unknown[] => Array.isArray(value));
  for (const part of [response, items?.[0]]) {
    if (typeof part !== "object" || part === null || !("errorCode" in part)) continue;
    if (typeof part.errorCode !== "number" || part.errorCode === 0) continue;
    const name = errorNameOf(part.errorCode);
    if (refreshesCoordinator(name) || name === "COORDINATOR_LOAD_IN_PROGRESS") return name;
  }
  return undefined;
}
