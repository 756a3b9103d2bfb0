import * as fc from "fast-check";
import { describe, expect, test } from "vitest";

import type { Offset, ProducerId } from "../../src/model/offsets.ts";
import { TransactionIndex } from "../../src/log/transaction-index.ts";
import type { AbortedTransaction } from "../../src/log/transaction-index.ts";
import { corpusDump, corpusFile } from "./corpus.ts";
import { expectParserWithstandsDamage } from "./damage.ts";

const at = (value: number): Offset => value as Offset;

function aborted(producerId: number, first: number, last: number, stable: number): AbortedTransaction {
  return {
    producerId: producerId as ProducerId,
    firstOffset: at(first),
    lastOffset: at(last),
    lastStableOffset: at(stable),
  };
}

const A = aborted(1, 0, 10, 5);
const B = aborted(2, 5, 20, 21);
const C = aborted(1, 25, 40, 41);

function indexOf(...transactions: readonly AbortedTransaction[]): TransactionIndex {
  const index = new TransactionIndex();
  for (const transaction of transactions) index.append(transaction);
  return index;
}

describe("TransactionIndex", () => {
  test("reads Kafka's file to the transactions of Kafka's dump, and writes it back byte for byte", () => {
    const file = "txn-0/00000000000000000000.txnindex";
    const bytes = corpusFile(file);
    const index = TransactionIndex.parse(at(0), bytes);
    const lines = Array.from({ length: index?.entryCount ?? 0 }, (_, i) => {
      const entry = index?.entry(i);
      return (
        `version: 0 producerId: ${entry?.producerId} firstOffset: ${entry?.firstOffset} ` +
        `lastOffset: ${entry?.lastOffset} lastStableOffset: ${entry?.lastStableOffset}`
      );
    });
    expect(lines).toEqual(corpusDump("indexes.txt").get(file));
    expect(index?.bytes()).toEqual(bytes);
  });

  test("collects the transactions that reach into the range", () => {
    const index = indexOf(A, B, C);
    expect(index.collectAborted(at(0), at(100)).aborted).toEqual([A, B, C]);
    expect(index.collectAborted(at(10), at(25)).aborted).toEqual([A, B]);
    expect(index.collectAborted(at(11), at(26)).aborted).toEqual([B, C]);
    expect(index.collectAborted(at(0), at(5)).aborted).toEqual([A]);
    expect(index.collectAborted(at(41), at(100)).aborted).toEqual([]);
  });

  test("is complete once nothing older than the bound was open", () => {
    const index = indexOf(A, B, C);
    expect(index.collectAborted(at(0), at(5))).toEqual({ aborted: [A], isComplete: true });
    expect(index.collectAborted(at(0), at(21)).isComplete).toBe(true);
    expect(index.collectAborted(at(0), at(42)).isComplete).toBe(false);
    expect(indexOf().collectAborted(at(0), at(1)).isComplete).toBe(false);
  });

  test("truncateTo drops transactions whose marker is cut off", () => {
    const index = indexOf(A, B, C);
    index.truncateTo(at(20));
    expect(index.entryCount).toBe(1);
    index.append(C);
    expect(index.collectAborted(at(0), at(100)).aborted).toEqual([A, C]);
  });

  test("append refuses markers out of order", () => {
    expect(() => indexOf(B, A)).toThrow("out of order");
    expect(() => indexOf(aborted(1, 5, 4, 5))).toThrow("ends before");
  });

  test("parse refuses other versions and impossible offsets", () => {
    const changed = (change: (bytes: Buffer) => void): TransactionIndex | undefined => {
      const bytes = Buffer.from(indexOf(A, B).bytes());
      change(bytes);
      return TransactionIndex.parse(at(0), bytes);
    };
    expect(changed(() => undefined)?.entryCount).toBe(2);
    expect(changed((bytes) => bytes.writeInt16BE(1, 0))).toBeUndefined();
    expect(changed((bytes) => bytes.writeInt32BE(30, 22))).toBeUndefined();
    expect(changed((bytes) => bytes.writeInt32BE(0x7fffffff, 2))).toBeUndefined();
    expect(changed((bytes) => bytes.writeInt32BE(100, 14))).toBeUndefined();
    expect(changed((bytes) => bytes.writeInt32BE(100, 30))).toBeUndefined();
    expect(TransactionIndex.parse(at(11), indexOf(A, B).bytes())).toBeUndefined();
  });

  test("withstands truncation and flipped bytes", () => {
    const bytes = Buffer.from(indexOf(A, B, C).bytes());
    expectParserWithstandsDamage(bytes, (content) => TransactionIndex.parse(at(0), content)?.bytes());
  });

  test("collects what a plain filter finds", () => {
    const lengths = fc.array(fc.record({ step: fc.integer({ min: 1, max: 5 }), length: fc.nat(12) }), {
      maxLength: 20,
    });
    fc.assert(
      fc.property(lengths, fc.nat(60), fc.nat(60), (steps, from, size) => {
        let last = 0;
        const all = steps.map(({ step, length }) => {
          last += step;
          return aborted(1, Math.max(0, last - length), last, 0);
        });
        const wanted = all.filter((each) => each.lastOffset >= from && each.firstOffset < from + size);
        expect(indexOf(...all).collectAborted(at(from), at(from + size)).aborted.length).toBeLessThanOrEqual(
          wanted.length,
        );
        if (size > 0)
          expect(indexOf(...all).collectAborted(at(from), at(from + size)).aborted).toEqual(wanted);
      }),
    );
  });
});
