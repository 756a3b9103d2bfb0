import { readFileSync, readdirSync } from "node:fs";
import { join } from "node:path";

import { describe, expect, test } from "vitest";

import { BatchIterator } from "../../src/model/batch-iterator.ts";
import { codecOf } from "../../src/model/compression.ts";
import { decodeMarkerBatch } from "../../src/model/control-record.ts";
import * as header from "../../src/model/record-batch.ts";
import { decodeRecords } from "../../src/model/record-reader.ts";
import type { DecodedRecord } from "../../src/model/record.ts";

/* Segments that Apache Kafka 4.3.0 wrote, against what was sent and against Kafka's own dump; see test/corpus/README.md. */

interface ExpectedRecord {
  readonly offset: number;
  readonly timestamp: number;
  readonly key: string | null;
  readonly value: string | null;
  readonly headers: readonly (readonly [string, string | null])[];
  readonly committed?: boolean;
}

const root = join(import.meta.dirname, "../corpus/kafka-segments");
const expected = JSON.parse(readFileSync(join(root, "expected.json"), "utf8")) as Record<
  string,
  readonly ExpectedRecord[]
>;
const dump = readDump(readFileSync(join(root, "batches.txt"), "utf8"));
const directories = readdirSync(root, { withFileTypes: true })
  .filter((entry) => entry.isDirectory())
  .map((entry) => entry.name);

/** Lines of Kafka's dump by directory. */
function readDump(text: string): ReadonlyMap<string, readonly string[]> {
  const sections = new Map<string, string[]>();
  let lines: string[] = [];
  for (const line of text.split("\n")) {
    if (line.startsWith("# ")) sections.set(line.slice(2), (lines = []));
    else if (line !== "") lines.push(line);
  }
  return sections;
}

function readLog(directory: string): Buffer {
  return readFileSync(join(root, directory, "00000000000000000000.log"));
}

function walk(log: Buffer): BatchIterator {
  return new BatchIterator(log, { maxBatchBytes: log.length, verifyCrc: false });
}

/** The line that Kafka's dump has for this batch. */
function describeBatch(log: Buffer, at: number): string {
  const timestampType = header.isLogAppendTime(log, at) ? "LogAppendTime" : "CreateTime";
  const horizon = header.deleteHorizonMsOf(log, at);
  const fields: readonly (readonly [string, unknown])[] = [
    ["baseOffset", header.baseOffsetOf(log, at)],
    ["lastOffset", header.lastOffsetOf(log, at)],
    ["count", header.recordCountOf(log, at)],
    ["baseSequence", header.baseSequenceOf(log, at)],
    ["lastSequence", header.lastSequenceOf(log, at)],
    ["producerId", header.producerIdOf(log, at)],
    ["producerEpoch", header.producerEpochOf(log, at)],
    ["partitionLeaderEpoch", header.leaderEpochOf(log, at)],
    ["isTransactional", header.isTransactionalBatch(log, at)],
    ["isControl", header.isControlBatch(log, at)],
    ["deleteHorizonMs", horizon === undefined ? "OptionalLong.empty" : `OptionalLong[${horizon}]`],
    ["position", at],
    [timestampType, header.maxTimestampOf(log, at)],
    ["size", header.batchSizeOf(log, at)],
    ["magic", header.magicOf(log, at)],
    ["compresscodec", codecOf(header.attributesOf(log, at) & header.ATTRIBUTE_CODEC_MASK)],
    ["crc", header.crcOf(log, at)],
    ["isvalid", header.verifyBatchCrc(log, at)],
  ];
  return fields.map(([name, value]) => `${name}: ${String(value)}`).join(" ");
}

/** The records of all batches but the control ones. */
function readRecords(log: Buffer): DecodedRecord[] {
  const records: DecodedRecord[] = [];
  const batches = walk(log);
  while (batches.next()) {
    if (!header.isControlBatch(log, batches.at)) records.push(...decodeRecords(log, batches.at));
  }
  return records;
}

function textOf(bytes: Uint8Array | null): string | null {
  return bytes === null ? null : Buffer.from(bytes).toString();
}

test("all twelve directories are there", () => {
  expect(directories).toHaveLength(12);
  expect([...dump.keys()].toSorted()).toEqual(directories.toSorted());
});

describe.each(directories)("%s", (directory) => {
  const log = readLog(directory);
  const topic = directory.replace(/-0$/, "");

  test("each batch header reads as in Kafka's dump, to the last byte of the file", () => {
    const batches = walk(log);
    const lines: string[] = [];
    while (batches.next()) lines.push(describeBatch(log, batches.at));
    expect(lines).toEqual(dump.get(directory));
    expect(batches.at).toBe(log.length);
  });

  test("each record is the one that was sent", () => {
    const records = readRecords(log);
    const sent = expected[topic];
    if (sent === undefined) {
      expect(records.map(({ offset, key, value }) => [offset, key, textOf(value)])).toEqual(
        Array.from({ length: 300 }, (_, index) => [index, null, `java value ${index + 1}`]),
      );
      return;
    }
    const isAppendTime = topic === "logappend";
    const read = records.map((record, index) => ({
      offset: record.offset,
      // The broker's time took the place of the one sent; the dump has been compared with it above.
      timestamp: isAppendTime ? sent[index]?.timestamp : record.timestamp,
      key: textOf(record.key),
      value: textOf(record.value),
      headers: record.headers.map(({ key, value }) => [key, textOf(value)]),
    }));
    expect(read).toEqual(
      sent.map(({ offset, timestamp, key, value, headers }) => ({ offset, timestamp, key, value, headers })),
    );
  });
});

test("append time is one time for all records of a batch", () => {
  const log = readLog("logappend-0");
  const batches = walk(log);
  while (batches.next()) {
    const times = new Set(decodeRecords(log, batches.at).map(({ timestamp }) => timestamp));
    expect([...times]).toEqual([header.maxTimestampOf(log, batches.at)]);
  }
});

test("the markers of the transactional log commit and abort what was committed and aborted", () => {
  const log = readLog("txn-0");
  const outcomes: string[] = [];
  let open: number[] = [];
  const batches = walk(log);
  while (batches.next()) {
    if (!header.isControlBatch(log, batches.at)) {
      open.push(...decodeRecords(log, batches.at).map(({ offset }) => offset));
      continue;
    }
    const marker = decodeMarkerBatch(log, batches.at);
    outcomes.push(marker?.outcome ?? "none");
    const sent = expected["txn"]?.filter(({ offset }) => open.includes(offset)) ?? [];
    expect(sent).toHaveLength(open.length);
    expect(new Set(sent.map(({ committed }) => committed))).toEqual(new Set([marker?.outcome === "commit"]));
    open = [];
  }
  expect(outcomes).toEqual(["commit", "abort", "commit", "abort"]);
});
