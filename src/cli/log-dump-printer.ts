import type { DumpedBatch } from "../log/dump.ts";
import { formatDumpedBatch } from "../log/dump.ts";
import type { OffsetPosition } from "../log/offset-index.ts";
import type { ProducerEntry } from "../log/producer-snapshot.ts";
import type { ScanProblem } from "../log/record-scan.ts";
import type { TimestampOffset } from "../log/time-index.ts";
import type { AbortedTransaction } from "../log/transaction-index.ts";
import { decodeMarkerBatch } from "../model/control-record.ts";
import type { RecordView } from "../model/record.ts";
import { DEFAULT_MAX_INFLATED_BYTES, RecordReader } from "../model/record-reader.ts";
import type { Output } from "./output.ts";
import { jsonBytes, printable } from "./record-text.ts";

/** How far a dump goes into a segment. */
export type DumpDepth = "batches" | "records" | "data";

/** Takes the parts of a dump, file by file. Each call resolves when the reader of the output has kept up. */
export interface DumpPrinter {
  readonly depth: DumpDepth;
  file(path: string): Promise<void>;
  batch(batch: DumpedBatch): Promise<void>;
  /** The records of the batch given last; `bytes` holds it whole. */
  records(batch: DumpedBatch, bytes: Buffer): Promise<void>;
  offsetIndexEntry(entry: OffsetPosition): Promise<void>;
  timeIndexEntry(entry: TimestampOffset): Promise<void>;
  abortedTransaction(entry: AbortedTransaction): Promise<void>;
  producer(entry: ProducerEntry): Promise<void>;
  /** What ended the reading of a segment. */
  problem(path: string, problem: ScanProblem): Promise<void>;
}

/** Sequence numbers wrap from 2^31 - 1 to 0. */
const SEQUENCES = 0x8000_0000;

/** The form of Kafka's own dump, field for field, so that the two can be compared by a diff. */
export class TextDumpPrinter implements DumpPrinter {
  readonly depth: DumpDepth;
  readonly #lines: Lines;

  constructor(output: Output, depth: DumpDepth) {
    this.depth = depth;
    this.#lines = new Lines(output);
  }

  file(path: string): Promise<void> {
    return this.#lines.print(`Dumping ${path}`);
  }

  batch(batch: DumpedBatch): Promise<void> {
    return this.#lines.print(formatDumpedBatch(batch));
  }

  async records(batch: DumpedBatch, bytes: Buffer): Promise<void> {
    for (const { record, sequence } of recordsOf(batch, bytes)) {
      const { key, value, headers } = record;
      const line = [
        `| offset: ${record.offset} ${batch.timestampType}: ${record.timestamp}`,
        `keySize: ${key?.byteLength ?? -1} valueSize: ${value?.byteLength ?? -1}`,
        `sequence: ${sequence} headerKeys: [${headers.map((header) => printable(header.key)).join(",")}]`,
      ];
      if (batch.isControl) line.push(markerText(bytes));
      else if (this.depth === "data") {
        if (key !== null) line.push(`key: ${dataText(key)}`);
        if (value !== null) line.push(`payload: ${dataText(value)}`);
      }
      await this.#lines.print(line.join(" "));
    }
  }

  offsetIndexEntry({ offset, position }: OffsetPosition): Promise<void> {
    return this.#lines.print(`offset: ${offset} position: ${position}`);
  }

  timeIndexEntry({ timestamp, offset }: TimestampOffset): Promise<void> {
    return this.#lines.print(`timestamp: ${timestamp} offset: ${offset}`);
  }

  abortedTransaction(entry: AbortedTransaction): Promise<void> {
    const { producerId, firstOffset, lastOffset, lastStableOffset } = entry;
    return this.#lines.print(
      `version: 0 producerId: ${producerId} firstOffset: ${firstOffset} lastOffset: ${lastOffset} ` +
        `lastStableOffset: ${lastStableOffset}`,
    );
  }

  producer(entry: ProducerEntry): Promise<void> {
    const { transactionFirstOffset, lastSequence, offsetDelta } = entry;
    const open = transactionFirstOffset === undefined ? ".empty" : `[${transactionFirstOffset}]`;
    const batch =
      entry.lastOffset < 0
        ? []
        : [
            `firstSequence: ${firstSequenceOf(lastSequence, offsetDelta)} lastSequence: ${lastSequence}`,
            `lastOffset: ${entry.lastOffset} offsetDelta: ${offsetDelta} timestamp: ${entry.lastTimestamp}`,
          ];
    return this.#lines.print(
      [
        `producerId: ${entry.producerId} producerEpoch: ${entry.producerEpoch}`,
        `coordinatorEpoch: ${entry.coordinatorEpoch} currentTxnFirstOffset: OptionalLong${open}`,
        `lastTimestamp: ${entry.lastTimestamp}`,
        ...batch,
      ].join(" "),
    );
  }

  problem(_path: string, { position, message }: ScanProblem): Promise<void> {
    return this.#lines.print(`Found damage at position ${position}: ${message}`);
  }
}

/** One JSON object a line, each with its file and a `type`; 64-bit values are decimal strings. */
export class JsonDumpPrinter implements DumpPrinter {
  readonly depth: DumpDepth;
  readonly #lines: Lines;
  #file = "";

  constructor(output: Output, depth: DumpDepth) {
    this.depth = depth;
    this.#lines = new Lines(output);
  }

  file(path: string): Promise<void> {
    this.#file = path;
    return Promise.resolve();
  }

  batch(batch: DumpedBatch): Promise<void> {
    return this.#print("batch", {
      ...batch,
      baseOffset: String(batch.baseOffset),
      lastOffset: String(batch.lastOffset),
      producerId: String(batch.producerId),
      maxTimestamp: String(batch.maxTimestamp),
      deleteHorizonMs: batch.deleteHorizonMs === undefined ? null : String(batch.deleteHorizonMs),
    });
  }

  async records(batch: DumpedBatch, bytes: Buffer): Promise<void> {
    for (const { record, sequence } of recordsOf(batch, bytes)) {
      const data = this.depth === "data" && !batch.isControl;
      const headers = record.headers.map((header) =>
        data ? { key: header.key, ...jsonBytes("value", header.value) } : { key: header.key },
      );
      await this.#print("record", {
        offset: String(record.offset),
        timestamp: String(record.timestamp),
        sequence,
        keySize: record.key?.byteLength ?? null,
        valueSize: record.value?.byteLength ?? null,
        headers,
        ...(data ? { ...jsonBytes("key", record.key), ...jsonBytes("value", record.value) } : {}),
        ...(batch.isControl ? { marker: decodeMarkerBatch(bytes) ?? null } : {}),
      });
    }
  }

  offsetIndexEntry({ offset, position }: OffsetPosition): Promise<void> {
    return this.#print("offset", { offset: String(offset), position });
  }

  timeIndexEntry({ timestamp, offset }: TimestampOffset): Promise<void> {
    return this.#print("timestamp", { timestamp: String(timestamp), offset: String(offset) });
  }

  abortedTransaction(entry: AbortedTransaction): Promise<void> {
    return this.#print("abortedTransaction", {
      producerId: String(entry.producerId),
      firstOffset: String(entry.firstOffset),
      lastOffset: String(entry.lastOffset),
      lastStableOffset: String(entry.lastStableOffset),
    });
  }

  producer(entry: ProducerEntry): Promise<void> {
    const { transactionFirstOffset } = entry;
    return this.#print("producer", {
      ...entry,
      producerId: String(entry.producerId),
      lastOffset: String(entry.lastOffset),
      lastTimestamp: String(entry.lastTimestamp),
      transactionFirstOffset: transactionFirstOffset === undefined ? null : String(transactionFirstOffset),
    });
  }

  problem(_path: string, { position, reason, message }: ScanProblem): Promise<void> {
    return this.#print("problem", { position, reason, message });
  }

  #print(type: string, fields: Readonly<Record<string, unknown>>): Promise<void> {
    return this.#lines.print(JSON.stringify({ file: this.#file, type, ...fields }));
  }
}

/** Lines on stdout that wait for a slow reader. */
class Lines {
  readonly #output: Output;

  constructor(output: Output) {
    this.#output = output;
  }

  async print(line: string): Promise<void> {
    if (!this.#output.write(`${line}\n`)) await this.#output.drained();
  }
}

function* recordsOf(
  batch: DumpedBatch,
  bytes: Buffer,
): Generator<{ readonly record: RecordView; readonly sequence: number }, void> {
  const reader = new RecordReader(bytes, 0, { maxInflatedBytes: DEFAULT_MAX_INFLATED_BYTES });
  let sequence = batch.baseSequence;
  for (let record = reader.next(); record !== undefined; record = reader.next()) {
    yield { record, sequence };
    if (sequence >= 0) sequence = (sequence + 1) % SEQUENCES;
  }
}

function markerText(bytes: Buffer): string {
  const marker = decodeMarkerBatch(bytes);
  if (marker === undefined) return "controlType: unknown";
  return `endTxnMarker: ${marker.outcome.toUpperCase()} coordinatorEpoch: ${marker.coordinatorEpoch}`;
}

function firstSequenceOf(lastSequence: number, offsetDelta: number): number {
  return (lastSequence - offsetDelta + SEQUENCES) % SEQUENCES;
}

/** One line whatever the data is. */
function dataText(bytes: Buffer): string {
  return printable(bytes.toString("utf8")).replaceAll("\n", "\\n").replaceAll("\t", "\\t");
}
