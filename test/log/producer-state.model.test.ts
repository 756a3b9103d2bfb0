import * as fc from "fast-check";
import { expect, test } from "vitest";

import type { Offset, ProducerEpoch, ProducerId, Timestamp } from "../../src/model/offsets.ts";
import { parseProducerSnapshot } from "../../src/log/producer-snapshot.ts";
import { ProducerState } from "../../src/log/producer-state.ts";
import type { ProducedBatch } from "../../src/log/producer-state.ts";

const MODULUS = 2 ** 31;

/** Sequences here never wrap; they are wrapped on the way to the code under test. */
interface ModelBatch {
  readonly first: number;
  readonly last: number;
  readonly baseOffset: number;
}

/** The rules told naively: a producer is the list of all that it wrote in its epoch. */
class ModelProducer {
  epoch = 0;
  next = 0;
  batches: ModelBatch[] = [];
  /** First batch that a duplicate may match, and first sequence that "below the window" may mean. */
  rememberedFrom = 0;
  usedFrom = 0;
  openSince: number | undefined;
  hasMarker = false;

  get window(): readonly ModelBatch[] {
    return this.batches.slice(Math.max(this.rememberedFrom, this.batches.length - 5));
  }

  decide(epoch: number, first: number, last: number, isTransactional: boolean): string {
    if (epoch < this.epoch) return "INVALID_PRODUCER_EPOCH";
    const isNew = epoch > this.epoch;
    const same = isNew
      ? undefined
      : this.window.find((batch) => batch.first === first && batch.last === last);
    if (same !== undefined) return `duplicate at ${same.baseOffset}`;
    if (first === (isNew ? 0 : this.next)) {
      const fits = this.openSince === undefined || (isTransactional && !isNew);
      return fits ? "append" : "INVALID_TXN_STATE";
    }
    const oldest = this.window[0];
    const isBelow = !isNew && oldest !== undefined && last < oldest.first && first >= this.usedFrom;
    return isBelow ? "DUPLICATE_SEQUENCE_NUMBER" : "OUT_OF_ORDER_SEQUENCE_NUMBER";
  }

  enter(epoch: number): void {
    if (epoch === this.epoch) return;
    this.epoch = epoch;
    this.next = 0;
    this.batches = [];
    this.rememberedFrom = 0;
    this.usedFrom = 0;
  }

  write(epoch: number, first: number, last: number, baseOffset: number, isTransactional: boolean): void {
    this.enter(epoch);
    this.batches.push({ first, last, baseOffset });
    this.next = last + 1;
    if (isTransactional) this.openSince ??= baseOffset;
  }

  end(epoch: number): void {
    this.enter(epoch);
    this.rememberedFrom = this.batches.length;
    this.usedFrom = this.next;
    this.openSince = undefined;
    this.hasMarker = true;
  }

  /** A snapshot keeps the last batch only, and not where the transaction's sequences began. */
  restart(): void {
    if (this.hasMarker && this.openSince === undefined) {
      this.rememberedFrom = this.batches.length;
      this.usedFrom = this.next;
    } else if (this.batches.length > 0) {
      this.rememberedFrom = this.batches.length - 1;
      this.usedFrom = Number.NEGATIVE_INFINITY;
    }
  }
}

type Step =
  | {
      readonly type: "data";
      readonly id: number;
      readonly epochUp: number;
      readonly back: number;
      readonly count: number;
      readonly txn: boolean;
    }
  | { readonly type: "marker"; readonly id: number; readonly epochUp: number }
  | { readonly type: "restart" };

const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 20,
    arbitrary: fc.record({
      type: fc.constant("data" as const),
      id: fc.integer({ min: 1, max: 2 }),
      epochUp: fc.constantFrom(0, 0, 0, 0, 0, 0, 1, -1),
      back: fc.constantFrom(0, 0, 0, 0, 1, 2, 3, 5, 6, 7, 9, -1),
      count: fc.constantFrom(1, 1, 1, 2, 3),
      txn: fc.boolean(),
    }),
  },
  {
    weight: 3,
    arbitrary: fc.record({
      type: fc.constant("marker" as const),
      id: fc.integer({ min: 1, max: 2 }),
      epochUp: fc.constantFrom(0, 0, 1),
    }),
  },
  { weight: 1, arbitrary: fc.constant({ type: "restart" as const }) },
);

function wrapped(
  id: number,
  epoch: number,
  first: number,
  last: number,
  isTransactional: boolean,
): ProducedBatch {
  return {
    producerId: id as ProducerId,
    producerEpoch: epoch as ProducerEpoch,
    baseSequence: ((first % MODULUS) + MODULUS) % MODULUS,
    lastSequence: ((last % MODULUS) + MODULUS) % MODULUS,
    isTransactional,
  };
}

test("decides as the naive model does, through epochs, transactions, restarts and the wrap of sequences", () => {
  const seen = new Map<string, number>();
  fc.assert(
    fc.property(fc.array(step, { minLength: 10, maxLength: 80 }), fc.boolean(), (steps, nearWrap) => {
      const state = new ProducerState({ expirationMs: 1000 });
      const model = new Map<number, ModelProducer>();
      let end = 0;
      const append = (batch: ProducedBatch, producer: ModelProducer, first: number, last: number): void => {
        const lastOffset = end + last - first;
        state.update(
          {
            ...batch,
            baseOffset: end as Offset,
            lastOffset: lastOffset as Offset,
            maxTimestamp: end as Timestamp,
          },
          0,
        );
        producer.write(batch.producerEpoch, first, last, end, batch.isTransactional);
        end = lastOffset + 1;
      };
      if (nearWrap) {
        for (const id of [1, 2]) {
          const producer = new ModelProducer();
          model.set(id, producer);
          // One batch just below the wrap; where its epoch began was not seen.
          append(wrapped(id, 0, MODULUS - 6, MODULUS - 6, false), producer, MODULUS - 6, MODULUS - 6);
          producer.usedFrom = Number.NEGATIVE_INFINITY;
        }
      }
      for (const item of steps) {
        if (item.type === "restart") {
          state.load(parseProducerSnapshot(state.snapshot()) ?? [], 0);
          for (const producer of model.values()) producer.restart();
          continue;
        }
        const known = model.get(item.id);
        const producer = known ?? new ModelProducer();
        const epoch = Math.max(0, producer.epoch + item.epochUp);
        if (item.type === "marker") {
          model.set(item.id, producer);
          const firstOffset = producer.openSince;
          producer.end(epoch);
          const at = end++ as Offset;
          const open = [...model.values()].flatMap(({ openSince }) =>
            openSince === undefined ? [] : [openSince],
          );
          const ended = state.update(
            {
              ...wrapped(item.id, epoch, -1, -1, true),
              baseOffset: at,
              lastOffset: at,
              maxTimestamp: at as number as Timestamp,
              marker: { type: "commit", coordinatorEpoch: 0 },
            },
            0,
          );
          expect(ended?.firstOffset).toBe(firstOffset);
          if (ended !== undefined) expect(ended.lastStableOffset).toBe(Math.min(end, ...open));
          continue;
        }
        const isNew = epoch !== producer.epoch;
        const first = isNew
          ? item.back < 4
            ? 0
            : item.back
          : Math.max(nearWrap && epoch === 0 ? MODULUS - 30 : 0, producer.next - item.back);
        const last = first + item.count - 1;
        const batch = wrapped(item.id, epoch, first, last, item.txn);
        const decision = state.check(batch);
        const told =
          decision.kind === "append"
            ? "append"
            : decision.kind === "refuse"
              ? decision.error
              : `duplicate at ${decision.baseOffset}`;
        const expected =
          known === undefined
            ? first === 0
              ? "append"
              : "UNKNOWN_PRODUCER_ID"
            : producer.decide(epoch, first, last, item.txn);
        expect(told).toBe(expected);
        const kind = told.startsWith("duplicate") ? "duplicate" : told;
        seen.set(kind, (seen.get(kind) ?? 0) + 1);
        if (told === "append") {
          model.set(item.id, producer);
          append(batch, producer, first, last);
        }
        const open = [...model.values()].flatMap(({ openSince }) =>
          openSince === undefined ? [] : [openSince],
        );
        expect(state.firstUnstableOffset).toBe(open.length === 0 ? undefined : Math.min(...open));
      }
    }),
    { numRuns: 1500 },
  );
  expect([...seen.keys()].sort()).toEqual([
    "DUPLICATE_SEQUENCE_NUMBER",
    "INVALID_PRODUCER_EPOCH",
    "INVALID_TXN_STATE",
    "OUT_OF_ORDER_SEQUENCE_NUMBER",
    "UNKNOWN_PRODUCER_ID",
    "append",
    "duplicate",
  ]);
});
