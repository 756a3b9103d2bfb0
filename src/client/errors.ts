import { LograftError, type LograftErrorOptions } from "../base/errors.ts";

/**
 * What is known about records whose send failed. "failed": no broker has them. "unknown": a broker may have them, so
 * sending them again may write them twice (H77).
 */
export type DeliveryOutcome = "failed" | "unknown";

/** What a delivery error says beyond its code. */
export interface DeliveryErrorOptions extends LograftErrorOptions {
  readonly outcome: DeliveryOutcome;
  readonly topic: string;
  /** -1: the record was refused before a partition was chosen. */
  readonly partition: number;
  /** Records that share this fate. */
  readonly recordCount: number;
}

/**
 * Records were not acknowledged. `code` is a Kafka error name or DELIVERY_TIMEOUT, CLOSED, BUFFER_EXHAUSTED, ABORTED.
 * The producer has retried what could be retried: `retriable` is false, and `outcome` says what a new send may do.
 */
export class DeliveryError extends LograftError {
  readonly outcome: DeliveryOutcome;
  readonly topic: string;
  readonly partition: number;
  readonly recordCount: number;

  constructor(code: string, message: string, options: DeliveryErrorOptions) {
    super(code, message, options);
    this.name = "DeliveryError";
    this.outcome = options.outcome;
    this.topic = options.topic;
    this.partition = options.partition;
    this.recordCount = options.recordCount;
  }
}

/** True for every error that the SDK throws on purpose; `code` and `retriable` may then be used. */
export function isLograftError(error: unknown): error is LograftError {
  return error instanceof LograftError;
}
