import type { ErrorName } from "../../src/model/error-code.ts";
import type { LeaderEpoch, Offset } from "../../src/model/offsets.ts";
import { RecordReader } from "../../src/model/record-reader.ts";
import {
  addSequence,
  baseSequenceOf,
  lastOffsetOf,
  lastSequenceOf,
  patchBatch,
  producerEpochOf,
  producerIdOf,
  recordCountOf,
  verifyBatchCrc,
} from "../../src/model/record-batch.ts";

interface KnownBatch {
  readonly baseSequence: number;
  readonly lastSequence: number;
  readonly baseOffset: number;
}

/** What an append came to. */
export interface FakeAppend {
  readonly error: ErrorName;
  readonly baseOffset: number;
  readonly duplicate: boolean;
}

/** A partition's log with the rules of idempotence (KIP-98): five batches remembered, no gaps, unknown ids start at 0. */
export class FakeLog {
  readonly batches: Buffer[] = [];
  leaderId: number;
  leaderEpoch = 0;
  startOffset = 0;
  endOffset = 0;
  readonly #producers = new Map<string, KnownBatch[]>();

  constructor(leaderId: number) {
    this.leaderId = leaderId;
  }

  append(records: Buffer): FakeAppend {
    if (!verifyBatchCrc(records)) return refused("CORRUPT_MESSAGE");
    const producer = `${producerIdOf(records)}/${producerEpochOf(records)}`;
    const baseSequence = baseSequenceOf(records);
    if (baseSequence >= 0) {
      const known = this.#producers.get(producer) ?? [];
      const same = known.find((batch) => batch.baseSequence === baseSequence);
      if (same !== undefined) return { error: "NONE", baseOffset: same.baseOffset, duplicate: true };
      const last = known.at(-1);
      if (last === undefined && baseSequence !== 0) return refused("UNKNOWN_PRODUCER_ID");
      if (last !== undefined && baseSequence !== addSequence(last.lastSequence, 1)) {
        return refused("OUT_OF_ORDER_SEQUENCE_NUMBER");
      }
      const entry = { baseSequence, lastSequence: lastSequenceOf(records), baseOffset: this.endOffset };
      this.#producers.set(producer, [...known, entry].slice(-5));
    }
    const batch = Buffer.from(records);
    const baseOffset = this.endOffset;
    patchBatch(batch, 0, baseOffset as Offset, this.leaderEpoch as LeaderEpoch);
    this.batches.push(batch);
    this.endOffset += recordCountOf(batch);
    return { error: "NONE", baseOffset, duplicate: false };
  }

  forgetProducers(): void {
    this.#producers.clear();
  }

  /** Batches from the one that holds `offset` on. */
  from(offset: number): Buffer[] {
    return this.batches.filter((batch) => lastOffsetOf(batch) >= offset);
  }

  values(): string[] {
    return this.batches.flatMap((batch) => {
      const out: string[] = [];
      const reader = new RecordReader(batch, 0, { maxInflatedBytes: 1 << 26 });
      for (let record = reader.next(); record !== undefined; record = reader.next()) {
        out.push(record.value?.toString() ?? "null");
      }
      return out;
    });
  }
}

function refused(error: ErrorName): FakeAppend {
  return { error, baseOffset: -1, duplicate: false };
}
