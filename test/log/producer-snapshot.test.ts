import * as fc from "fast-check";
import { describe, expect, test } from "vitest";

import { crc32c } from "../../src/base/crc32c.ts";
import { formatProducerSnapshot, parseProducerSnapshot } from "../../src/log/producer-snapshot.ts";
import type { ProducerEntry } from "../../src/log/producer-snapshot.ts";
import type { Offset, ProducerEpoch, ProducerId, Timestamp } from "../../src/model/offsets.ts";
import { corpusDump, corpusFile, corpusFiles, corpusPartitions } from "./corpus.ts";
import { expectParserWithstandsDamage } from "./damage.ts";

function entry(fields: Partial<ProducerEntry> = {}): ProducerEntry {
  return {
    producerId: 7 as ProducerId,
    producerEpoch: 2 as ProducerEpoch,
    lastSequence: 40,
    lastOffset: 90 as Offset,
    offsetDelta: 3,
    lastTimestamp: 1_700_000_000_000 as Timestamp,
    coordinatorEpoch: -1,
    transactionFirstOffset: undefined,
    ...fields,
  };
}

describe("producer snapshot", () => {
  test("reads Kafka's files to the entries of Kafka's dump, and writes them back byte for byte", () => {
    let dumped = 0;
    for (const file of corpusPartitions.flatMap((partition) => corpusFiles(partition, ".snapshot"))) {
      const bytes = corpusFile(file);
      const entries = parseProducerSnapshot(bytes) ?? [];
      expect(formatProducerSnapshot(entries), file).toEqual(bytes);
      const dump = corpusDump("indexes.txt").get(file);
      if (dump === undefined) continue;
      dumped++;
      const lines = entries.map(
        (producer) =>
          `producerId: ${producer.producerId} producerEpoch: ${producer.producerEpoch} ` +
          `coordinatorEpoch: ${producer.coordinatorEpoch} currentTxnFirstOffset: OptionalLong.empty ` +
          `lastTimestamp: ${producer.lastTimestamp} firstSequence: ${producer.lastSequence - producer.offsetDelta} ` +
          `lastSequence: ${producer.lastSequence} lastOffset: ${producer.lastOffset} ` +
          `offsetDelta: ${producer.offsetDelta} timestamp: ${producer.lastTimestamp}`,
      );
      expect(lines, file).toEqual(dump);
    }
    expect(dumped).toBe(2);
  });

  test("keeps every field of any entries", () => {
    const anyEntry = fc.record({
      producerId: fc.maxSafeNat().map((value) => value as ProducerId),
      producerEpoch: fc.nat(0x7fff).map((value) => value as ProducerEpoch),
      lastSequence: fc.nat(0x7fffffff),
      lastOffset: fc.integer({ min: 1000, max: Number.MAX_SAFE_INTEGER }).map((value) => value as Offset),
      offsetDelta: fc.nat(1000),
      lastTimestamp: fc.maxSafeInteger().map((value) => value as Timestamp),
      coordinatorEpoch: fc.integer({ min: -1, max: 0x7fffffff }),
      transactionFirstOffset: fc.option(
        fc.maxSafeNat().map((value) => value as Offset),
        { nil: undefined },
      ),
    });
    fc.assert(
      fc.property(fc.uniqueArray(anyEntry, { selector: (each) => each.producerId }), (entries) => {
        expect(parseProducerSnapshot(formatProducerSnapshot(entries))).toEqual(entries);
      }),
    );
  });

  test("refuses another version, a wrong count, and one producer twice", () => {
    const seal = (bytes: Buffer): Buffer => {
      bytes.writeUInt32BE(crc32c(bytes.subarray(6)), 2);
      return bytes;
    };
    const good = formatProducerSnapshot([entry()]);
    const changed = (change: (bytes: Buffer) => void): Buffer => {
      const copy = Buffer.from(good);
      change(copy);
      return seal(copy);
    };
    expect(parseProducerSnapshot(changed(() => undefined))).toEqual([entry()]);
    expect(parseProducerSnapshot(changed((bytes) => bytes.writeInt16BE(2, 0)))).toBeUndefined();
    expect(parseProducerSnapshot(changed((bytes) => bytes.writeInt32BE(2, 6)))).toBeUndefined();
    expect(parseProducerSnapshot(changed((bytes) => bytes.writeInt32BE(-1, 6)))).toBeUndefined();
    expect(parseProducerSnapshot(changed((bytes) => bytes.writeInt32BE(0x7fffffff, 24)))).toBeUndefined();
    expect(parseProducerSnapshot(changed((bytes) => bytes.writeInt32BE(-2, 20)))).toBeUndefined();
    expect(parseProducerSnapshot(formatProducerSnapshot([entry(), entry()]))).toBeUndefined();
  });

  test("withstands truncation and flipped bytes", () => {
    const bytes = formatProducerSnapshot([
      entry(),
      entry({ producerId: 8 as ProducerId, transactionFirstOffset: 5 as Offset }),
    ]);
    expectParserWithstandsDamage(bytes, (content) => {
      const entries = parseProducerSnapshot(content);
      return entries === undefined ? undefined : formatProducerSnapshot(entries);
    });
  });
});
