import { allocUnsafe } from "../base/bytes.ts";
import { ProtocolError } from "./error-code.ts";
import type { LeaderEpoch, Offset, ProducerEpoch, ProducerId, Timestamp } from "./offsets.ts";
import {
  ATTRIBUTE_CONTROL,
  ATTRIBUTE_TRANSACTIONAL,
  BATCH_HEADER_BYTES,
  computeBatchCrc,
  LOG_OVERHEAD_BYTES,
  MAGIC_V2,
  patchBatch,
  writeInt64,
} from "./record-batch.ts";
import { DEFAULT_MAX_INFLATED_BYTES, RecordReader } from "./record-reader.ts";

/*
 * A transaction marker: a batch of its own, transactional and control bit set, no codec, one record, no sequence.
 * Source: Kafka protocol guide, "Control Batches"; KIP-98.
 *
 *   key    version i16 = 0 | type i16: 0 abort, 1 commit
 *   value  version i16 = 0 | coordinator epoch i32
 */

/** How a transaction ended. */
export type TransactionOutcome = "abort" | "commit";

/** What a transaction marker says. */
export interface TransactionMarker {
  readonly outcome: TransactionOutcome;
  /** The epoch of the coordinator that wrote it; an older one is fenced. */
  readonly coordinatorEpoch: number;
}

/** The batch around a marker. */
export interface MarkerBatch extends TransactionMarker {
  readonly baseOffset: Offset;
  readonly leaderEpoch: LeaderEpoch;
  readonly timestamp: Timestamp;
  readonly producerId: ProducerId;
  readonly producerEpoch: ProducerEpoch;
}

const MARKER_TYPE_ABORT = 0;
const MARKER_TYPE_COMMIT = 1;
const KEY_BYTES = 4;
const VALUE_BYTES = 6;
/** Length, attributes, two deltas, key length, key, value length, value, header count. */
const RECORD_BYTES = 1 + 3 + 1 + KEY_BYTES + 1 + VALUE_BYTES + 1;
const MARKER_BATCH_BYTES = BATCH_HEADER_BYTES + RECORD_BYTES;

/** A marker as the batch that goes into the log. */
export function encodeMarkerBatch(marker: MarkerBatch): Buffer {
  const batch = allocUnsafe(MARKER_BATCH_BYTES);
  patchBatch(batch, 0, marker.baseOffset, marker.leaderEpoch);
  batch.writeInt32BE(MARKER_BATCH_BYTES - LOG_OVERHEAD_BYTES, 8);
  batch.writeInt8(MAGIC_V2, 16);
  batch.writeInt16BE(ATTRIBUTE_TRANSACTIONAL | ATTRIBUTE_CONTROL, 21);
  batch.writeInt32BE(0, 23);
  writeInt64(batch, marker.timestamp, 27);
  writeInt64(batch, marker.timestamp, 35);
  writeInt64(batch, marker.producerId, 43);
  batch.writeInt16BE(marker.producerEpoch, 51);
  batch.writeInt32BE(-1, 53);
  batch.writeInt32BE(1, 57);
  writeMarkerRecord(batch, marker);
  batch.writeUInt32BE(computeBatchCrc(batch), 17);
  return batch;
}

/**
 * The marker in a control batch, or undefined when it is a control batch of another kind (types from 2 on), which
 * readers pass over. @throws ProtocolError CORRUPT_MESSAGE when the record is not that of a control batch.
 */
export function decodeMarkerBatch(batch: Buffer, at = 0): TransactionMarker | undefined {
  const reader = new RecordReader(batch, at, { maxInflatedBytes: DEFAULT_MAX_INFLATED_BYTES });
  const record = reader.next();
  const key = record?.key;
  if (
    !reader.isControl ||
    reader.count !== 1 ||
    key === undefined ||
    key === null ||
    key.length < KEY_BYTES
  ) {
    throw corrupt(reader.baseOffset, "no control record");
  }
  const type = key.readInt16BE(2);
  if (type !== MARKER_TYPE_ABORT && type !== MARKER_TYPE_COMMIT) return undefined;
  const value = record?.value;
  // Later versions may add fields at the end, so more bytes are accepted, fewer are not.
  if (value === undefined || value === null || value.length < VALUE_BYTES) {
    throw corrupt(reader.baseOffset, "a marker without a value");
  }
  return {
    outcome: type === MARKER_TYPE_COMMIT ? "commit" : "abort",
    coordinatorEpoch: value.readInt32BE(2),
  };
}

/** Every length is below 64, so each varint is one byte: twice the number. */
function writeMarkerRecord(batch: Buffer, marker: TransactionMarker): void {
  let at = BATCH_HEADER_BYTES;
  batch[at++] = (RECORD_BYTES - 1) * 2;
  batch[at++] = 0;
  batch[at++] = 0;
  batch[at++] = 0;
  batch[at++] = KEY_BYTES * 2;
  at = batch.writeInt16BE(0, at);
  at = batch.writeInt16BE(marker.outcome === "commit" ? MARKER_TYPE_COMMIT : MARKER_TYPE_ABORT, at);
  batch[at++] = VALUE_BYTES * 2;
  at = batch.writeInt16BE(0, at);
  at = batch.writeInt32BE(marker.coordinatorEpoch, at);
  batch[at] = 0;
}

function corrupt(baseOffset: Offset, what: string): ProtocolError {
  return new ProtocolError("CORRUPT_MESSAGE", `control batch at offset ${baseOffset}: ${what}`, {
    context: { baseOffset },
  });
}
