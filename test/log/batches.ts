import { computeBatchCrc, patchBatch, writeInt64 } from "../../src/model/record-batch.ts";
import type { LeaderEpoch, Offset, ProducerEpoch, ProducerId, Timestamp } from "../../src/model/offsets.ts";
import { encodeMarkerBatch } from "../../src/model/control-record.ts";

/** Fields of a batch to build; each has a default that makes a valid plain batch of one record. */
export interface BatchFields {
  readonly baseOffset?: number;
  readonly leaderEpoch?: number;
  readonly count?: number;
  readonly lastOffsetDelta?: number;
  readonly attributes?: number;
  readonly baseTimestamp?: number;
  readonly maxTimestamp?: number;
  readonly producerId?: number;
  readonly producerEpoch?: number;
  readonly baseSequence?: number;
  /** Bytes of each record's value; one byte of length keeps it below 50. */
  readonly valueBytes?: number;
  readonly key?: string | null;
  readonly recordTimestampDelta?: number;
}

/** A whole batch with a right CRC, whatever its fields say. Records are uncompressed. */
export function batch(fields: BatchFields = {}): Buffer {
  const count = fields.count ?? 1;
  const records = Buffer.concat(Array.from({ length: Math.max(count, 0) }, (_, i) => record(fields, i)));
  const bytes = Buffer.alloc(61 + records.length);
  patchBatch(bytes, 0, (fields.baseOffset ?? 0) as Offset, (fields.leaderEpoch ?? 0) as LeaderEpoch);
  bytes.writeInt32BE(bytes.length - 12, 8);
  bytes[16] = 2;
  bytes.writeInt16BE(fields.attributes ?? 0, 21);
  bytes.writeInt32BE(fields.lastOffsetDelta ?? count - 1, 23);
  const baseTimestamp = fields.baseTimestamp ?? 1_700_000_000_000;
  writeInt64(bytes, baseTimestamp, 27);
  writeInt64(bytes, fields.maxTimestamp ?? baseTimestamp, 35);
  writeInt64(bytes, fields.producerId ?? -1, 43);
  bytes.writeInt16BE(fields.producerEpoch ?? -1, 51);
  bytes.writeInt32BE(fields.baseSequence ?? -1, 53);
  bytes.writeInt32BE(count, 57);
  records.copy(bytes, 61);
  return reseal(bytes);
}

/** Writes the CRC again after a test has changed the bytes. */
export function reseal(bytes: Buffer): Buffer {
  bytes.writeUInt32BE(computeBatchCrc(bytes), 17);
  return bytes;
}

/** A transaction marker. */
export function marker(fields: {
  readonly baseOffset: number;
  readonly producerId: number;
  readonly producerEpoch?: number;
  readonly outcome: "commit" | "abort";
}): Buffer {
  return encodeMarkerBatch({
    outcome: fields.outcome,
    coordinatorEpoch: 0,
    baseOffset: fields.baseOffset as Offset,
    leaderEpoch: 0 as LeaderEpoch,
    timestamp: 1_700_000_000_000 as Timestamp,
    producerId: fields.producerId as ProducerId,
    producerEpoch: (fields.producerEpoch ?? 0) as ProducerEpoch,
  });
}

function record(fields: BatchFields, index: number): Buffer {
  const key = fields.key === undefined ? "k" : fields.key;
  const body = Buffer.concat([
    Buffer.of(0, (fields.recordTimestampDelta ?? 0) * 2, index * 2),
    key === null ? Buffer.of(1) : Buffer.concat([Buffer.of(key.length * 2), Buffer.from(key)]),
    Buffer.of((fields.valueBytes ?? 3) * 2),
    Buffer.alloc(fields.valueBytes ?? 3, 0x61),
    Buffer.of(0),
  ]);
  return Buffer.concat([Buffer.of(body.length * 2), body]);
}
