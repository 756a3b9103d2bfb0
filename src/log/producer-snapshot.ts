import { crc32c } from "../base/crc32c.ts";
import { NO_OFFSET } from "../model/offsets.ts";
import type { Offset, ProducerEpoch, ProducerId, Timestamp } from "../model/offsets.ts";
import { readInt64, writeInt64 } from "../model/record-batch.ts";

/*
 * Producer snapshot, `<offset>.snapshot`: what a partition knew of its producers when its log ended at `<offset>`.
 * Kafka's format, version 1, big-endian.
 *
 *   at  size field                       note
 *    0    2  version                     1
 *    2    4  CRC-32C                     of the bytes from 6 to the end
 *    6    4  entry count
 *   10   46  entries, each:
 *    0    8    producer id
 *    8    2    producer epoch
 *   10    4    last sequence             -1: no data batch in this epoch
 *   14    8    last offset               of the last data batch, -1: none
 *   22    4    offset delta              last offset minus base offset of that batch
 *   26    8    last timestamp            of the last batch or marker
 *   34    4    coordinator epoch         of the last marker, -1: none
 *   38    8    open transaction          its first offset, -1: none
 *
 * Torn or damaged: the size or the CRC is wrong; recovery takes an older snapshot and replays the log from there.
 */

/** One producer as a snapshot keeps it: its newest batch only. Older batches of the window return by replay. */
export interface ProducerEntry {
  readonly producerId: ProducerId;
  readonly producerEpoch: ProducerEpoch;
  /** Sequence of the last record; -1 when this epoch has written no data. */
  readonly lastSequence: number;
  /** Offset of the last data record, -1 when none. */
  readonly lastOffset: Offset;
  /** Records of the last batch minus one. */
  readonly offsetDelta: number;
  readonly lastTimestamp: Timestamp;
  /** Epoch of the coordinator that wrote the last marker, -1 when there was none. */
  readonly coordinatorEpoch: number;
  /** First offset of the open transaction, undefined when none is open. */
  readonly transactionFirstOffset: Offset | undefined;
}

const VERSION = 1;
const CRC_AT = 2;
const CRC_COVERS_FROM = 6;
const HEADER_BYTES = 10;
const ENTRY_BYTES = 46;

/** The file's content, entries in the given order. */
export function formatProducerSnapshot(entries: readonly ProducerEntry[]): Buffer {
  const bytes = Buffer.alloc(HEADER_BYTES + entries.length * ENTRY_BYTES);
  bytes.writeInt16BE(VERSION, 0);
  bytes.writeInt32BE(entries.length, CRC_COVERS_FROM);
  let at = HEADER_BYTES;
  for (const entry of entries) {
    writeInt64(bytes, entry.producerId, at);
    bytes.writeInt16BE(entry.producerEpoch, at + 8);
    bytes.writeInt32BE(entry.lastSequence, at + 10);
    writeInt64(bytes, entry.lastOffset, at + 14);
    bytes.writeInt32BE(entry.offsetDelta, at + 22);
    writeInt64(bytes, entry.lastTimestamp, at + 26);
    bytes.writeInt32BE(entry.coordinatorEpoch, at + 34);
    writeInt64(bytes, entry.transactionFirstOffset ?? NO_OFFSET, at + 38);
    at += ENTRY_BYTES;
  }
  bytes.writeUInt32BE(crc32c(bytes.subarray(CRC_COVERS_FROM)), CRC_AT);
  return bytes;
}

/** The entries in file order, or undefined when the file is damaged, torn or of another version. */
export function parseProducerSnapshot(bytes: Buffer): ProducerEntry[] | undefined {
  if (bytes.length < HEADER_BYTES || bytes.readInt16BE(0) !== VERSION) return undefined;
  const count = bytes.readInt32BE(CRC_COVERS_FROM);
  if (count < 0 || bytes.length !== HEADER_BYTES + count * ENTRY_BYTES) return undefined;
  if (bytes.readUInt32BE(CRC_AT) !== crc32c(bytes.subarray(CRC_COVERS_FROM))) return undefined;
  const entries: ProducerEntry[] = [];
  const ids = new Set<ProducerId>();
  for (let at = HEADER_BYTES; at < bytes.length; at += ENTRY_BYTES) {
    const entry = parseEntry(bytes, at);
    if (entry === undefined || ids.has(entry.producerId)) return undefined;
    ids.add(entry.producerId);
    entries.push(entry);
  }
  return entries;
}

function parseEntry(bytes: Buffer, at: number): ProducerEntry | undefined {
  const transactionFirstOffset = readInt64(bytes, at + 38) as Offset;
  const entry: ProducerEntry = {
    producerId: readInt64(bytes, at) as ProducerId,
    producerEpoch: bytes.readInt16BE(at + 8) as ProducerEpoch,
    lastSequence: bytes.readInt32BE(at + 10),
    lastOffset: readInt64(bytes, at + 14) as Offset,
    offsetDelta: bytes.readInt32BE(at + 22),
    lastTimestamp: readInt64(bytes, at + 26) as Timestamp,
    coordinatorEpoch: bytes.readInt32BE(at + 34),
    transactionFirstOffset: transactionFirstOffset === NO_OFFSET ? undefined : transactionFirstOffset,
  };
  return isSane(entry) && transactionFirstOffset >= NO_OFFSET ? entry : undefined;
}

/** The CRC was right, so a wrong field is a writer's mistake; still it must not reach arithmetic. */
function isSane(entry: ProducerEntry): boolean {
  return (
    Number.isSafeInteger(entry.producerId) &&
    entry.producerId >= 0 &&
    entry.producerEpoch >= 0 &&
    entry.lastSequence >= -1 &&
    Number.isSafeInteger(entry.lastOffset) &&
    entry.lastOffset >= NO_OFFSET &&
    (entry.lastSequence === -1) === (entry.lastOffset === NO_OFFSET) &&
    entry.offsetDelta >= 0 &&
    entry.offsetDelta <= Math.max(entry.lastOffset, 0) &&
    Number.isSafeInteger(entry.lastTimestamp) &&
    entry.coordinatorEpoch >= -1 &&
    (entry.transactionFirstOffset === undefined || Number.isSafeInteger(entry.transactionFirstOffset))
  );
}
