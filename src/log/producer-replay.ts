import { ProtocolError } from "../model/error-code.ts";
import { decodeMarkerBatch } from "../model/control-record.ts";
import {
  baseOffsetOf,
  baseSequenceOf,
  isControlBatch,
  isTransactionalBatch,
  lastOffsetOf,
  lastSequenceOf,
  maxTimestampOf,
  producerEpochOf,
  producerIdOf,
} from "../model/record-batch.ts";
import type { CompletedTransaction, ProducerState, TransactionMarker } from "./producer-state.ts";

/**
 * Feeds one batch of the log, from append, replication or replay, to the producer state (H55). The batch has passed its
 * CRC check and carries its offsets. Answers the transaction it ended, if it did.
 */
export function replayBatch(
  producers: ProducerState,
  buffer: Buffer,
  at: number,
  nowMs: number,
): CompletedTransaction | undefined {
  const producerId = producerIdOf(buffer, at);
  if (producerId < 0) return undefined;
  const marker = isControlBatch(buffer, at) ? markerOf(buffer, at) : undefined;
  if (marker === "other") return undefined;
  return producers.update(
    {
      producerId,
      producerEpoch: producerEpochOf(buffer, at),
      baseSequence: baseSequenceOf(buffer, at),
      lastSequence: lastSequenceOf(buffer, at),
      isTransactional: isTransactionalBatch(buffer, at),
      baseOffset: baseOffsetOf(buffer, at),
      lastOffset: lastOffsetOf(buffer, at),
      maxTimestamp: maxTimestampOf(buffer, at),
      ...(marker === undefined ? {} : { marker }),
    },
    nowMs,
  );
}

/** "other": a control batch that is not a transaction marker, or not one we can read; it ends no transaction. */
function markerOf(buffer: Buffer, at: number): TransactionMarker | "other" {
  try {
    const marker = decodeMarkerBatch(buffer, at);
    return marker === undefined
      ? "other"
      : { type: marker.outcome, coordinatorEpoch: marker.coordinatorEpoch };
  } catch (error: unknown) {
    // Its checksum is right, so this is what somebody wrote. Stopping here would keep the whole partition from opening.
    if (error instanceof ProtocolError) return "other";
    throw error;
  }
}
