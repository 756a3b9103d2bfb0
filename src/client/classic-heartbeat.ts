import type { LograftError } from "../base/errors.ts";
import { operationError } from "../base/errors.ts";
import { errorNameOf, type ErrorName } from "../model/error-code.ts";
import type { Timer } from "../platform/clock.ts";
import type { HeartbeatRequest } from "../rpc/group-messages.ts";
import type { ClientContext } from "./client-context.ts";
import type { CoordinatorCalls } from "./coordinator-calls.ts";
import { isLograftError } from "./errors.ts";

/** Times of a member's heartbeats, in milliseconds. */
export interface ClassicHeartbeatOptions {
  /** From an answer to the next heartbeat. */
  readonly intervalMs: number;
  readonly sessionTimeoutMs: number;
}

/** Who hears of heartbeats. */
export interface HeartbeatResultListener {
  /** The coordinator's answer to a heartbeat of who the member still is. */
  onHeartbeat(error: ErrorName, message: string): void;
  /** No answer within the session timeout, or none that a retry could bring. */
  onHeartbeatFailed(error: LograftError): void;
}

/**
 * Says by the clock that a member of a classic group is alive, whatever its handlers do. An answer that comes after the
 * member was stopped, or has become another one, is not passed on: it is about a generation that is over.
 */
export class ClassicHeartbeat {
  readonly #options: ClassicHeartbeatOptions;
  readonly #context: ClientContext;
  readonly #calls: CoordinatorCalls;
  readonly #listener: HeartbeatResultListener;
  #member: HeartbeatRequest | undefined;
  #timer: Timer | undefined;
  #underWay: AbortController | undefined;
  #lastGoodMs: number | undefined;

  constructor(
    options: ClassicHeartbeatOptions,
    deps: {
      readonly context: ClientContext;
      readonly calls: CoordinatorCalls;
      readonly listener: HeartbeatResultListener;
    },
  ) {
    this.#options = options;
    this.#context = deps.context;
    this.#calls = deps.calls;
    this.#listener = deps.listener;
  }

  /** Monotonic time of the last sign that the coordinator knows the member; undefined before the first. */
  get lastGoodMs(): number | undefined {
    return this.#lastGoodMs;
  }

  /** Begins for a member that has just joined. */
  start(member: HeartbeatRequest): void {
    this.stop();
    this.#member = member;
    this.#lastGoodMs = this.#context.clock.monotonicMs();
    this.#schedule(member);
  }

  /** Idempotent; leaves no timer and no call behind. */
  stop(): void {
    this.#member = undefined;
    this.#timer?.cancel();
    this.#timer = undefined;
    this.#underWay?.abort(operationError("ABORTED", "heartbeats have stopped"));
    this.#underWay = undefined;
  }

  #schedule(member: HeartbeatRequest): void {
    this.#timer = this.#context.clock.setTimer(this.#options.intervalMs, () => {
      void this.#beat(member); // Never rejects: failures go to the listener.
    });
  }

  async #beat(member: HeartbeatRequest): Promise<void> {
    const underWay = new AbortController();
    this.#underWay = underWay;
    const { sessionTimeoutMs } = this.#options;
    const attemptTimeoutMs = Math.min(this.#context.requestTimeoutMs, Math.ceil(sessionTimeoutMs / 3));
    const options = { timeoutMs: sessionTimeoutMs, attemptTimeoutMs, signal: underWay.signal };
    try {
      const { errorCode, errorMessage } = await this.#calls.call("Heartbeat", member, options);
      if (this.#member !== member) return;
      const name = errorNameOf(errorCode);
      // Whoever is told to join again is still known.
      if (name === "NONE" || name === "REBALANCE_IN_PROGRESS") {
        this.#lastGoodMs = this.#context.clock.monotonicMs();
      }
      this.#listener.onHeartbeat(name, errorMessage);
    } catch (error: unknown) {
      if (this.#member !== member) return;
      this.#listener.onHeartbeatFailed(
        isLograftError(error)
          ? error
          : operationError("CONNECTION_FAILED", "a heartbeat failed", { cause: error, retriable: true }),
      );
    }
    // The listener may have stopped it or started another one.
    if (this.#member === member) this.#schedule(member);
  }
}
