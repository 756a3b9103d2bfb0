import { Backoff } from "../base/backoff.ts";
import { Deferred } from "../base/deferred.ts";
import { errorMessage, LograftError, operationError } from "../base/errors.ts";
import type { Logger } from "../base/logger.ts";
import { decodeControllerFrame, encodeBrokerFrame } from "../controller/session-frames.ts";
import type { BrokerFrame, ControllerFrame, RegisterFrame } from "../controller/session-frames.ts";
import type { Clock, Timer } from "../platform/clock.ts";
import type { Random } from "../platform/random.ts";
import type { SessionHandlers, SessionStream } from "./controller-channel.ts";
import type { OffsetHash } from "./metadata-publisher.ts";

export interface BrokerSessionOptions {
  readonly heartbeatIntervalMs: number;
  /** Silence of the controller after which this broker stops acting on what it knows. */
  readonly sessionTimeoutMs: number;
  readonly registration: Omit<RegisterFrame, "type">;
}

/** How well this broker is, beside being able to send (H29). */
export interface BrokerHealth {
  /** Since the loop that serves data last turned, in ms. */
  loopAgeMs(): number;
  /** Since the disk last did what it was asked, in ms. */
  diskAgeMs(): number;
}

export interface BrokerSessionDeps {
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  /** A stream to the present controller; undefined while none is known. */
  readonly open: (handlers: SessionHandlers) => SessionStream | undefined;
  readonly metadataOffset: () => number;
  readonly stateHash: () => OffsetHash | undefined;
  readonly health: BrokerHealth;
  /** Appends find no room on the data disk. */
  readonly isDiskFull: () => boolean;
  /** The connection to the controller broke: it may be gone. */
  readonly onLost: () => void;
  /** `isContactLost` has become true: called once each time, at that moment. */
  readonly onContactLost: () => void;
  /** The controller will never take this broker: another directory has its id, its metadata differs, … */
  readonly onRefused: (error: LograftError) => void;
}

const FIRST_RETRY_MS = 20;
const LAST_RETRY_MS = 1000;

/**
 * This broker's life in its cluster: registers with the controller, tells it every so often that all is well, and finds
 * the next controller when that one goes. One stream at a time; a new one within a second, whatever happens.
 */
export class BrokerSession {
  readonly #options: BrokerSessionOptions;
  readonly #deps: BrokerSessionDeps;
  readonly #backoff: Backoff;
  #stream: SessionStream | undefined;
  /** Counts the streams: what an older one still says is not for us. */
  #generation = 0;
  #retry: Timer | undefined;
  #heartbeat: Timer | undefined;
  /** Set while the contact is not lost. */
  #silenceTimer: Timer | undefined;
  #brokerEpoch: number | undefined;
  #isRegistered = false;
  /** Since when the controller that the stream leads to is silent. */
  #lastHeardMs = 0;
  /** When a heartbeat was sent that the controller has answered as that of a broker that takes part. */
  #trustedMs: number;
  /** When the heartbeats were sent that are not answered yet. A stream that is silent for a session's length ends. */
  #unansweredMs: number[] = [];
  #shutdown: Deferred<void> | undefined;
  #isClosed = false;

  constructor(options: BrokerSessionOptions, deps: BrokerSessionDeps) {
    this.#options = options;
    this.#deps = deps;
    this.#backoff = new Backoff({ initialMs: FIRST_RETRY_MS, maxMs: LAST_RETRY_MS }, deps);
    this.#trustedMs = deps.clock.monotonicMs();
  }

  /** Offset of the registration record; undefined before the first registration. */
  get brokerEpoch(): number | undefined {
    return this.#brokerEpoch;
  }

  /**
   * The controller may have given everything of this broker to others, so what only a leader may do must stop (H31): a
   * whole session has passed since this broker sent what the controller took for a sign of its life. Counted from the
   * sending, because the answer may lie unread in a process that stands still; and what is said to a fenced broker does
   * not count, which will know what it does not lead any more when it is let in again.
   */
  get isContactLost(): boolean {
    return this.#deps.clock.monotonicMs() - this.#trustedMs > this.#options.sessionTimeoutMs;
  }

  start(): void {
    this.#watchSilence();
    this.#connect();
  }

  /** There may be another controller now. */
  controllerChanged(): void {
    if (this.#isClosed) return;
    this.#backoff.reset();
    this.#dropStream();
    this.#connect();
  }

  /** A heartbeat now, because what it tells has changed: the metadata has reached the registration, the disk is full. */
  beat(): void {
    if (!this.#isRegistered || this.#brokerEpoch === undefined) return;
    this.#heartbeat?.cancel();
    this.#heartbeat = this.#deps.clock.setTimer(this.#options.heartbeatIntervalMs, () => this.#onHeartbeat());
    const stateHash = this.#deps.stateHash();
    this.#unansweredMs.push(this.#deps.clock.monotonicMs());
    this.#send({
      type: "heartbeat",
      brokerEpoch: this.#brokerEpoch,
      metadataOffset: this.#deps.metadataOffset(),
      loopAgeMs: this.#deps.health.loopAgeMs(),
      diskAgeMs: this.#deps.health.diskAgeMs(),
      wantsShutdown: this.#shutdown !== undefined,
      isDiskFull: this.#deps.isDiskFull(),
      ...(stateHash === undefined ? {} : { stateHash }),
    });
  }

  /** Resolves when the controller has moved away what could be moved, and this broker may stop. */
  requestShutdown(): Promise<void> {
    this.#shutdown ??= new Deferred();
    this.beat();
    return this.#shutdown.promise;
  }

  /** The stream ends, and the controller fences this broker. Idempotent. */
  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#retry?.cancel();
    this.#silenceTimer?.cancel();
    this.#dropStream();
    this.#shutdown?.resolve();
  }

  #connect(): void {
    if (this.#isClosed || this.#stream !== undefined) return;
    this.#retry?.cancel();
    const generation = ++this.#generation;
    const stream = this.#deps.open({
      onFrame: (frame) => {
        if (generation === this.#generation) this.#onFrame(frame);
      },
      onEnd: (_reason, cause) => {
        if (generation !== this.#generation) return;
        this.#onEnd(cause);
        this.#deps.onLost();
      },
    });
    // Waiting costs nothing: `controllerChanged` comes as soon as there is one.
    if (stream === undefined) {
      this.#retryLater();
      return;
    }
    this.#stream = stream;
    this.#lastHeardMs = this.#deps.clock.monotonicMs();
    this.#send({ type: "register", ...this.#options.registration });
    this.#armHeartbeat();
  }

  #armHeartbeat(): void {
    this.#heartbeat?.cancel();
    this.#heartbeat = this.#deps.clock.setTimer(this.#options.heartbeatIntervalMs, () => this.#onHeartbeat());
  }

  #onHeartbeat(): void {
    // A controller that is silent for so long is not the one that others listen to.
    const silentMs = this.#deps.clock.monotonicMs() - this.#lastHeardMs;
    if (silentMs > this.#options.sessionTimeoutMs) {
      this.#onEnd(operationError("TIMEOUT", "the controller did not answer for a session's length"));
      return;
    }
    if (this.#isRegistered) this.beat();
    else this.#armHeartbeat();
  }

  #onFrame(bytes: Buffer): void {
    let frame: ControllerFrame;
    try {
      frame = decodeControllerFrame(bytes);
    } catch (error: unknown) {
      this.#onEnd(error instanceof Error ? error : operationError("ABORTED", errorMessage(error)));
      return;
    }
    switch (frame.type) {
      case "registered":
        this.#heard();
        this.#brokerEpoch = frame.brokerEpoch;
        this.#isRegistered = true;
        this.beat();
        return;
      case "state":
        this.#heard();
        this.#answered(frame.isFenced);
        if (frame.mayShutDown) this.#shutdown?.resolve();
        return;
      case "refused":
        this.#onRefused(new LograftError(frame.code, frame.message, { retriable: frame.isRetriable }));
        return;
      case "notController":
        this.#onEnd(operationError("NO_QUORUM", "the node that was asked is not the controller"));
        return;
    }
  }

  #heard(): void {
    this.#lastHeardMs = this.#deps.clock.monotonicMs();
    this.#backoff.reset();
  }

  /**
   * One more heartbeat was answered. Not always the oldest, as some answers wait for a commit; but so many were received,
   * in the order in which they were sent.
   */
  #answered(isFenced: boolean): void {
    const sentMs = this.#unansweredMs.shift();
    if (isFenced || sentMs === undefined) return;
    this.#trustedMs = sentMs;
    if (this.#silenceTimer === undefined && !this.isContactLost) this.#watchSilence();
  }

  /**
   * One timer for all that the controller says: when it fires it looks how long the silence really is, so that a word
   * costs nothing. None runs while the contact is lost.
   */
  #watchSilence(): void {
    if (this.#isClosed) return;
    const silentMs = this.#deps.clock.monotonicMs() - this.#trustedMs;
    // One more, because only what is longer than a session counts.
    const leftMs = Math.max(this.#options.sessionTimeoutMs - silentMs, 0) + 1;
    this.#silenceTimer = this.#deps.clock.setTimer(leftMs, () => {
      this.#silenceTimer = undefined;
      if (this.isContactLost) this.#deps.onContactLost();
      else this.#watchSilence();
    });
  }

  #onRefused(error: LograftError): void {
    if (error.retriable) {
      this.#deps.logger.warn("the controller does not take this broker yet", { err: error });
      this.#onEnd(error);
      return;
    }
    this.close();
    this.#deps.onRefused(error);
  }

  #onEnd(cause: Error): void {
    this.#deps.logger.debug("the session with the controller ended", { err: cause });
    this.#dropStream();
    this.#retryLater();
  }

  #retryLater(): void {
    if (this.#isClosed) return;
    this.#retry?.cancel();
    this.#retry = this.#deps.clock.setTimer(this.#backoff.nextMs(), () => this.#connect());
  }

  #dropStream(): void {
    this.#generation++;
    this.#isRegistered = false;
    this.#unansweredMs = [];
    this.#heartbeat?.cancel();
    this.#heartbeat = undefined;
    this.#retry?.cancel();
    this.#retry = undefined;
    const stream = this.#stream;
    this.#stream = undefined;
    stream?.close();
  }

  #send(frame: BrokerFrame): void {
    this.#stream?.send(encodeBrokerFrame(frame));
  }
}
