import { errorMessage, type LograftError, operationError } from "../base/errors.ts";
import type { Timer } from "../platform/clock.ts";
import type { ConsumerGroupHeartbeatRequest, ConsumerGroupHeartbeatResponse } from "../rpc/group-messages.ts";
import { decodeHeartbeatResponse, encodeHeartbeatRequest } from "../rpc/membership-codec.ts";
import { MEMBERSHIP_METHOD } from "../rpc/method-names.ts";
import type { ByteStream } from "../rpc/stream/byte-stream.ts";
import type { ClientContext } from "./client-context.ts";
import type { CoordinatorCalls } from "./coordinator-calls.ts";
import { isLograftError } from "./errors.ts";
import { errorOfClose } from "./produce-lane.ts";

/** Who hears what a heartbeat stream brings. */
export interface HeartbeatListener {
  /** The answer to the heartbeat that was sent. */
  onAnswer(response: ConsumerGroupHeartbeatResponse): void;
  /** The coordinator has something new to say: send a heartbeat. */
  onNudge(): void;
  /** The stream is gone, and with it the answer if one was due; also when the coordinator was not found. */
  onLost(error: LograftError): void;
}

/** An answer waits for a commit of the cluster, no longer: after this the coordinator is taken for hung. */
const ANSWER_TIMEOUT_MS = 5000;
/** A verdict that comes so late comes from a process that stood still itself: the answer may lie unread in its socket. */
const LATE_MS = 500;

/**
 * One stream of heartbeats to the coordinator, opened when there is one to send. At most one heartbeat is unanswered; each
 * ends in exactly one `onAnswer` or `onLost`.
 */
export class HeartbeatStream {
  readonly #context: ClientContext;
  readonly #calls: CoordinatorCalls;
  readonly #listener: HeartbeatListener;
  readonly #closing = new AbortController();
  #stream: ByteStream | undefined;
  #address: string | undefined;
  #answerTimer: Timer | undefined;
  #isAwaiting = false;

  constructor(deps: {
    readonly context: ClientContext;
    readonly calls: CoordinatorCalls;
    readonly listener: HeartbeatListener;
  }) {
    this.#context = deps.context;
    this.#calls = deps.calls;
    this.#listener = deps.listener;
  }

  /** A heartbeat is unanswered. */
  get isAwaiting(): boolean {
    return this.#isAwaiting;
  }

  /** There is a stream: what it carried before holds for what comes. */
  get isOpen(): boolean {
    return this.#stream !== undefined;
  }

  /** Not while one is unanswered. */
  send(request: ConsumerGroupHeartbeatRequest): void {
    this.#isAwaiting = true;
    if (this.#stream === undefined) void this.#openAndSend(request); // Never rejects: ends in onLost.
    else this.#write(this.#stream, request);
  }

  /** Gives the stream up; the next heartbeat goes to a coordinator that is looked for again. Nothing is reported. */
  abandon(): void {
    if (this.#address !== undefined) this.#calls.forget(this.#address);
    this.#drop()?.cancel();
  }

  /** Ends the stream without a report. Idempotent. */
  close(): void {
    if (this.#closing.signal.aborted) return;
    this.#closing.abort(operationError("CLOSED", "the membership is closed"));
    this.#drop()?.cancel();
  }

  async #openAndSend(request: ConsumerGroupHeartbeatRequest): Promise<void> {
    const { requestTimeoutMs, transport } = this.#context;
    try {
      const bounds = { timeoutMs: requestTimeoutMs, signal: this.#closing.signal };
      const address = await this.#calls.address(bounds);
      if (this.#closing.signal.aborted) return;
      this.#address = address;
      const stream = transport.openStream(address, MEMBERSHIP_METHOD);
      this.#listen(stream, address);
      this.#stream = stream;
      this.#write(stream, request);
    } catch (error: unknown) {
      if (this.#closing.signal.aborted) return;
      this.#lose(
        isLograftError(error)
          ? error
          : operationError("CONNECTION_FAILED", errorMessage(error), { cause: error, retriable: true }),
      );
    }
  }

  #listen(stream: ByteStream, address: string): void {
    stream.onMessage((message) => {
      if (this.#stream === stream) this.#onMessage(message, address);
    });
    stream.onEnd(() => {
      if (this.#stream === stream) this.#cut(address, "the broker ended the membership stream");
    });
    stream.onClose((status) => {
      if (this.#stream === stream) this.#lose(errorOfClose(status, address, stream));
    });
  }

  #write(stream: ByteStream, request: ConsumerGroupHeartbeatRequest): void {
    this.#awaitAnswer(stream);
    // The answer of `send` is no concern: one small message at a time.
    stream.send([encodeHeartbeatRequest(request)]);
  }

  #awaitAnswer(stream: ByteStream): void {
    const { clock } = this.#context;
    const dueMs = clock.monotonicMs() + ANSWER_TIMEOUT_MS;
    this.#answerTimer = clock.setTimer(ANSWER_TIMEOUT_MS, () => {
      // A handler that blocked this process must not cost it the stream, and with it the membership.
      if (clock.monotonicMs() > dueMs + LATE_MS) {
        this.#awaitAnswer(stream);
        return;
      }
      this.#answerTimer = undefined;
      if (this.#address !== undefined) this.#calls.forget(this.#address);
      this.#cut(stream.peer, `a heartbeat was not answered within ${ANSWER_TIMEOUT_MS} ms`);
    });
  }

  #onMessage(message: Buffer, address: string): void {
    let response: ConsumerGroupHeartbeatResponse;
    try {
      response = decodeHeartbeatResponse(message);
    } catch (error: unknown) {
      this.#cut(address, errorMessage(error));
      return;
    }
    this.#calls.reached(address);
    if (response.heartbeatNow) {
      this.#listener.onNudge();
    } else if (this.#isAwaiting) {
      this.#isAwaiting = false;
      this.#answerTimer?.cancel();
      this.#listener.onAnswer(response);
    }
  }

  #cut(address: string, reason: string): void {
    const stream = this.#stream;
    this.#lose(operationError("CONNECTION_FAILED", `${address}: ${reason}`, { retriable: true }));
    stream?.cancel();
  }

  #lose(error: LograftError): void {
    this.#drop();
    this.#listener.onLost(error);
  }

  #drop(): ByteStream | undefined {
    const stream = this.#stream;
    this.#stream = undefined;
    this.#isAwaiting = false;
    this.#answerTimer?.cancel();
    return stream;
  }
}
