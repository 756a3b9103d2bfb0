import { operationError, type LograftError } from "../base/errors.ts";
import { isLograftError, DeliveryError } from "./errors.ts";
import { ProtocolError } from "../model/error-code.ts";

/** The refusal of a record that can never be sent. */
export function recordTooLarge(topic: string, neededBytes: number, limitBytes: number): ProtocolError {
  return new ProtocolError(
    "MESSAGE_TOO_LARGE",
    `a record for topic ${topic} takes ${neededBytes} bytes, ${limitBytes} are allowed (maxRequestBytes of the producer, ` +
      "max.message.bytes of the topic)",
    { context: { topic, neededBytes, limitBytes } },
  );
}

/** The refusal of a record for a partition that the topic does not have. */
export function noSuchPartition(topic: string, partition: number | undefined, count: number): LograftError {
  const message = `topic ${topic} has partitions 0 to ${count - 1}, not ${partition}`;
  return operationError("INVALID_ARGUMENT", message, { context: { topic, partition, count } });
}

/** An error of a record that never left this process. */
export function unsentError(code: string, message: string, topic: string, cause?: unknown): DeliveryError {
  return new DeliveryError(code, `${topic}: ${message}`, {
    outcome: "failed",
    topic,
    partition: -1,
    recordCount: 1,
    ...(cause === undefined ? {} : { cause }),
  });
}

/** Refusals of a record keep their code and say that nothing was written. */
export function asDeliveryError(error: unknown, topic: string): DeliveryError {
  if (error instanceof DeliveryError) return error;
  if (isLograftError(error)) return unsentError(error.code, error.message, topic, error);
  throw error;
}
