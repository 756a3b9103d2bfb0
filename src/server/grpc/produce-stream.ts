import type { ByteBudget } from "../../base/byte-budget.ts";
import { errorMessage, LograftError } from "../../base/errors.ts";
import type { Logger } from "../../base/logger.ts";
import type { Broker } from "../../broker/broker.ts";
import type { ProduceResult } from "../../broker/handlers/produce.ts";
import { errorCodeOf } from "../../model/error-code.ts";
import { statusOnStream } from "../../rpc/error-details.ts";
import type { ProducePartitionResult, ProduceRequest } from "../../rpc/messages.ts";
import { DURABILITY } from "../../rpc/messages.ts";
import { decodeProduceRequest, encodeProduceResponse } from "../../rpc/produce-codec.ts";
import { requestIdOf } from "../../rpc/request-id.ts";
import { OK_STATUS, rpcStatus } from "../../rpc/status.ts";
import type { ByteStream, StreamHandler } from "../../rpc/stream/byte-stream.ts";
import { stoppingError, type Draining } from "./draining.ts";

/** Bounds of one Produce stream. */
export interface ProduceStreamOptions {
  /** Request bytes that may be unanswered; told to the client in the first message. */
  readonly windowBytes: number;
}

export interface ProduceStreamDeps {
  readonly broker: Broker;
  readonly logger: Logger;
  /** Was charged with each message by the lane; a message is released when its answer is there. */
  readonly budget: ByteBudget;
  readonly draining: Draining;
}

/**
 * Serves `ClientService/Produce`. Requests are handed on in the order they came, so the batches of one partition are
 * appended in that order; answers go out as they are ready. A client that sends past its window is paused, not failed:
 * it only hurts itself.
 */
export function produceStreamHandler(options: ProduceStreamOptions, deps: ProduceStreamDeps): StreamHandler {
  return (stream) => new ProduceStream(stream, options, deps).start();
}

class ProduceStream {
  readonly #stream: ByteStream;
  readonly #options: ProduceStreamOptions;
  readonly #broker: Broker;
  readonly #logger: Logger;
  readonly #budget: ByteBudget;
  readonly #draining: Draining;
  #unansweredBytes = 0;
  #isPaused = false;
  #isBehind = false;
  #hasEnded = false;
  #pending = 0;

  constructor(stream: ByteStream, options: ProduceStreamOptions, deps: ProduceStreamDeps) {
    this.#stream = stream;
    this.#options = options;
    this.#broker = deps.broker;
    this.#logger = deps.logger;
    this.#budget = deps.budget;
    this.#draining = deps.draining;
  }

  start(): void {
    this.#stream.onMessage((message) => this.#onMessage(message));
    this.#stream.onDrain(() => {
      this.#isBehind = false;
      this.#flow();
    });
    this.#stream.onEnd(() => {
      this.#hasEnded = true;
      this.#endIfAnswered();
    });
    this.#send(0, []);
    const forget = this.#draining.onDrain(() => {
      this.#flow();
      this.#endIfAnswered();
    });
    this.#stream.onClose(forget);
  }

  #onMessage(message: Buffer): void {
    let request: ProduceRequest;
    try {
      request = decodeProduceRequest(message);
    } catch (error) {
      this.#budget.release(message.length);
      this.#stream.cancel(rpcStatus("INVALID_ARGUMENT", `not a ProduceRequest: ${errorMessage(error)}`));
      return;
    }
    this.#unansweredBytes += message.length;
    this.#pending++;
    this.#flow();
    // Refused by the broker with INVALID_REQUIRED_ACKS when it is none of the three.
    const acks = request.acks as -1 | 0 | 1;
    this.#broker
      .produce({ acks, timeoutMs: request.timeoutMs, partitions: request.partitions })
      .then(
        (results) => {
          if (acks !== 0) this.#send(request.correlationId, results.map(toMessage));
        },
        (error: unknown) => {
          if (!(error instanceof LograftError)) {
            this.#logger.error("produce failed", {
              peer: this.#stream.peer,
              requestId: `${requestIdOf(this.#stream)}#${request.correlationId}`,
              err: error,
            });
          }
          this.#stream.cancel(statusOnStream(error, this.#stream));
        },
      )
      .finally(() => this.#finished(message.length));
  }

  #finished(sizeBytes: number): void {
    this.#budget.release(sizeBytes);
    this.#unansweredBytes -= sizeBytes;
    this.#pending--;
    this.#flow();
    this.#endIfAnswered();
  }

  /** A client that ended is answered to the end; one that did not is told to go when the broker stops. */
  #endIfAnswered(): void {
    if (this.#pending > 0) return;
    if (this.#hasEnded) this.#stream.end(OK_STATUS);
    else if (this.#draining.isDraining) this.#stream.end(statusOnStream(stoppingError(), this.#stream));
  }

  #send(correlationId: number, results: readonly ProducePartitionResult[]): void {
    const response = { correlationId, results, windowBytes: this.#options.windowBytes, throttleTimeMs: 0 };
    if (!this.#stream.send(encodeProduceResponse(response))) {
      this.#isBehind = true;
      this.#flow();
    }
  }

  /** Reads on only while the client keeps to its window and takes its answers, and the broker is not stopping. */
  #flow(): void {
    const isFull = this.#isBehind || this.#unansweredBytes > this.#options.windowBytes;
    const mustPause = isFull || this.#draining.isDraining;
    if (mustPause === this.#isPaused) return;
    this.#isPaused = mustPause;
    if (mustPause) this.#stream.pause();
    else this.#stream.resume();
  }
}

/** The broker's word for a durability as the number of client.proto. */
export const DURABILITY_NUMBERS = {
  none: DURABILITY.NONE,
  written: DURABILITY.WRITTEN,
  synced: DURABILITY.SYNCED,
} as const;

/** A result of the broker as the message of client.proto. */
export function toMessage(result: ProduceResult): ProducePartitionResult {
  return {
    topic: result.topic,
    partition: result.partition,
    errorCode: errorCodeOf(result.error),
    errorMessage: result.errorMessage,
    baseOffset: result.baseOffset,
    logAppendTimeMs: result.logAppendTimeMs,
    logStartOffset: result.logStartOffset,
    leaderEpoch: result.leaderEpoch,
    durability: DURABILITY_NUMBERS[result.durability],
    replicas: result.replicas,
    duplicate: result.duplicate,
    leaderId: result.leaderId,
  };
}
