import { describe, expect, test } from "vitest";

import type { Offset, ProducerEpoch, ProducerId, Timestamp } from "../../src/model/offsets.ts";
import { batchSizeOf } from "../../src/model/record-batch.ts";
import { replayBatch } from "../../src/log/producer-replay.ts";
import { parseProducerSnapshot } from "../../src/log/producer-snapshot.ts";
import { ProducerState } from "../../src/log/producer-state.ts";
import type { CompletedTransaction, ProducedBatch, ProducerDecision } from "../../src/log/producer-state.ts";
import { corpusFile, corpusFiles, corpusPartitions } from "./corpus.ts";

const MAX_SEQUENCE = 0x7fffffff;

interface Sent {
  readonly id?: number;
  readonly epoch?: number;
  readonly sequence: number;
  readonly count?: number;
  readonly transactional?: boolean;
}

function produced(sent: Sent): ProducedBatch {
  return {
    producerId: (sent.id ?? 7) as ProducerId,
    producerEpoch: (sent.epoch ?? 0) as ProducerEpoch,
    baseSequence: sent.sequence,
    lastSequence: (sent.sequence + (sent.count ?? 1) - 1) % (MAX_SEQUENCE + 1),
    isTransactional: sent.transactional ?? false,
  };
}

/** A partition's producer state with a log end offset, as an append would drive it. */
class Log {
  readonly state: ProducerState;
  end = 0;

  constructor(options: { expirationMs?: number; maxProducers?: number } = {}) {
    this.state = new ProducerState({ expirationMs: 1000, ...options });
  }

  /** What `check` says, in one word. */
  check(sent: Sent): string {
    const decision = this.state.check(produced(sent));
    if (decision.kind === "append") return "append";
    if (decision.kind === "refuse") return decision.error;
    return `duplicate ${decision.baseOffset}-${decision.lastOffset}`;
  }

  /** Appends without asking. */
  add(sent: Sent, nowMs = 0): void {
    const baseOffset = this.end as Offset;
    this.end += sent.count ?? 1;
    const lastOffset = (this.end - 1) as Offset;
    this.state.update(
      { ...produced(sent), baseOffset, lastOffset, maxTimestamp: (5000 + this.end) as Timestamp },
      nowMs,
    );
  }

  finish(
    type: "commit" | "abort",
    who: { id?: number; epoch?: number; coordinatorEpoch?: number } = {},
  ): CompletedTransaction | undefined {
    const at = this.end++ as Offset;
    const marker = { type, coordinatorEpoch: who.coordinatorEpoch ?? 0 };
    const sequences = { baseSequence: -1, lastSequence: -1 };
    const times = { maxTimestamp: 9000 as Timestamp };
    return this.state.update(
      {
        ...produced({ ...who, sequence: 0, transactional: true }),
        ...sequences,
        ...times,
        baseOffset: at,
        lastOffset: at,
        marker,
      },
      0,
    );
  }
}

describe("a producer's sequences", () => {
  test("begin at 0: an unknown producer with any other is UNKNOWN_PRODUCER_ID (H54)", () => {
    const log = new Log();
    expect(log.check({ sequence: 0, count: 3 })).toBe("append");
    expect(log.check({ sequence: 1 })).toBe("UNKNOWN_PRODUCER_ID");
  });

  test("without a producer id nothing is checked or remembered, whatever the sequence", () => {
    const log = new Log();
    expect(log.check({ id: -1, epoch: -1, sequence: 0 })).toBe("append");
    log.add({ id: -1, epoch: -1, sequence: 0 });
    expect(log.check({ id: -1, epoch: -1, sequence: 0 })).toBe("append");
    expect(log.state.count).toBe(0);
  });

  test("check changes nothing", () => {
    const log = new Log();
    log.check({ sequence: 0 });
    log.check({ sequence: 0 });
    expect(log.state.count).toBe(0);
  });

  test("each of the last five batches is a duplicate with its original offsets and time (KIP-98)", () => {
    const log = new Log();
    for (let i = 0; i < 5; i++) log.add({ sequence: i * 3, count: 3 });
    for (let i = 0; i < 5; i++) {
      expect(log.check({ sequence: i * 3, count: 3 })).toBe(`duplicate ${i * 3}-${i * 3 + 2}`);
    }
    const decision: ProducerDecision = log.state.check(produced({ sequence: 3, count: 3 }));
    expect(decision).toEqual({ kind: "duplicate", baseOffset: 3, lastOffset: 5, timestamp: 5006 });
    expect(log.check({ sequence: 15 })).toBe("append");
  });

  test("below the window they are DUPLICATE_SEQUENCE_NUMBER", () => {
    const log = new Log();
    for (let i = 0; i < 6; i++) log.add({ sequence: i });
    expect(log.check({ sequence: 0 })).toBe("DUPLICATE_SEQUENCE_NUMBER");
    expect(log.check({ sequence: 1 })).toBe("duplicate 1-1");
  });

  test("a gap, an overlap and other bounds are OUT_OF_ORDER_SEQUENCE_NUMBER", () => {
    const log = new Log();
    log.add({ sequence: 0, count: 4 });
    log.add({ sequence: 4, count: 4 });
    expect(log.check({ sequence: 9 })).toBe("OUT_OF_ORDER_SEQUENCE_NUMBER");
    expect(log.check({ sequence: 6, count: 4 })).toBe("OUT_OF_ORDER_SEQUENCE_NUMBER");
    expect(log.check({ sequence: 4, count: 3 })).toBe("OUT_OF_ORDER_SEQUENCE_NUMBER");
    expect(log.check({ sequence: 2, count: 4 })).toBe("OUT_OF_ORDER_SEQUENCE_NUMBER");
    expect(log.check({ sequence: 8 })).toBe("append");
  });

  test("a refusal names the producer, the sequences and what is expected", () => {
    const log = new Log();
    log.add({ sequence: 0, count: 4 });
    const decision = log.state.check(produced({ sequence: 9, count: 2 }));
    expect(decision).toMatchObject({
      message: "producer 7 epoch 0, sequences 9 to 10: sequence 4 is expected",
    });
  });

  test("follow 2^31 - 1 with 0, inside a batch and between two (H57)", () => {
    const log = new Log();
    log.add({ sequence: MAX_SEQUENCE - 3, count: 2 });
    log.add({ sequence: MAX_SEQUENCE - 1, count: 2 });
    expect(log.check({ sequence: 0 })).toBe("append");
    log.add({ sequence: 0, count: 2 });
    const wrapping = new Log();
    wrapping.add({ sequence: MAX_SEQUENCE - 1, count: 4 });
    expect(wrapping.check({ sequence: MAX_SEQUENCE - 1, count: 4 })).toBe("duplicate 0-3");
    expect(wrapping.check({ sequence: 2 })).toBe("append");
    expect(log.check({ sequence: MAX_SEQUENCE - 3, count: 2 })).toBe("duplicate 0-1");
    for (let i = 0; i < 4; i++) log.add({ sequence: 2 + i });
    expect(log.check({ sequence: MAX_SEQUENCE - 1, count: 2 })).toBe("DUPLICATE_SEQUENCE_NUMBER");
  });

  test("a sequence that was never used is no duplicate, even on the far side of 0", () => {
    const log = new Log();
    log.add({ sequence: 0 });
    expect(log.check({ sequence: MAX_SEQUENCE })).toBe("OUT_OF_ORDER_SEQUENCE_NUMBER");
  });

  test("of different producers are apart", () => {
    const log = new Log();
    log.add({ id: 1, sequence: 0 });
    log.add({ id: 2, sequence: 0 });
    expect(log.check({ id: 1, sequence: 0 })).toBe("duplicate 0-0");
    expect(log.check({ id: 2, sequence: 0 })).toBe("duplicate 1-1");
  });
});

describe("a producer's epoch", () => {
  test("lower is INVALID_PRODUCER_EPOCH, even for what would be a duplicate", () => {
    const log = new Log();
    log.add({ epoch: 1, sequence: 0 });
    log.add({ epoch: 2, sequence: 0 });
    expect(log.check({ epoch: 1, sequence: 0 })).toBe("INVALID_PRODUCER_EPOCH");
    expect(log.check({ epoch: 1, sequence: 1 })).toBe("INVALID_PRODUCER_EPOCH");
  });

  test("higher begins at 0 and forgets the batches before it", () => {
    const log = new Log();
    log.add({ epoch: 1, sequence: 0 });
    expect(log.check({ epoch: 2, sequence: 1 })).toBe("OUT_OF_ORDER_SEQUENCE_NUMBER");
    expect(log.check({ epoch: 2, sequence: 0 })).toBe("append");
    log.add({ epoch: 2, sequence: 0, count: 2 });
    expect(log.check({ epoch: 2, sequence: 0 })).toBe("OUT_OF_ORDER_SEQUENCE_NUMBER");
    expect(log.check({ epoch: 2, sequence: 0, count: 2 })).toBe("duplicate 1-2");
  });
});

describe("transactions", () => {
  test("the oldest open one is the first unstable offset (H67)", () => {
    const log = new Log();
    expect(log.state.firstUnstableOffset).toBeUndefined();
    log.add({ id: 1, sequence: 0, count: 3, transactional: true });
    log.add({ id: 2, sequence: 0, transactional: true });
    log.add({ id: 1, sequence: 3, transactional: true });
    expect(log.state.firstUnstableOffset).toBe(0);
    expect(log.finish("commit", { id: 1 })).toEqual({
      producerId: 1,
      firstOffset: 0,
      lastOffset: 5,
      isAborted: false,
      lastStableOffset: 3,
    });
    expect(log.state.firstUnstableOffset).toBe(3);
    expect(log.finish("abort", { id: 2 })).toMatchObject({
      firstOffset: 3,
      isAborted: true,
      lastStableOffset: 7,
    });
    expect(log.state.firstUnstableOffset).toBeUndefined();
  });

  test("a marker without an open transaction ends none and is remembered", () => {
    const log = new Log();
    expect(log.finish("abort", { coordinatorEpoch: 4 })).toBeUndefined();
    expect(log.state.entries()).toMatchObject([{ producerId: 7, lastSequence: -1, coordinatorEpoch: 4 }]);
    expect(log.check({ sequence: 0 })).toBe("append");
    expect(log.check({ sequence: 2 })).toBe("OUT_OF_ORDER_SEQUENCE_NUMBER");
  });

  test("sequences go on behind a marker, and those of the ended transaction are refused, not swallowed (H58)", () => {
    const log = new Log();
    log.add({ sequence: 0, count: 3, transactional: true });
    log.finish("abort");
    expect(log.check({ sequence: 0, count: 3, transactional: true })).toBe("OUT_OF_ORDER_SEQUENCE_NUMBER");
    expect(log.check({ sequence: 3, transactional: true })).toBe("append");
    for (let i = 3; i < 10; i++) log.add({ sequence: i, transactional: true });
    expect(log.check({ sequence: 1, transactional: true })).toBe("OUT_OF_ORDER_SEQUENCE_NUMBER");
    expect(log.check({ sequence: 3, transactional: true })).toBe("DUPLICATE_SEQUENCE_NUMBER");
    expect(log.check({ sequence: 9, transactional: true })).toBe("duplicate 10-10");
  });

  test("a marker of a higher epoch starts the sequences anew (KIP-890)", () => {
    const log = new Log();
    log.add({ sequence: 0, count: 3, transactional: true });
    expect(log.finish("commit", { epoch: 1 })).toMatchObject({ firstOffset: 0, isAborted: false });
    expect(log.check({ epoch: 1, sequence: 0, transactional: true })).toBe("append");
    expect(log.check({ epoch: 1, sequence: 3, transactional: true })).toBe("OUT_OF_ORDER_SEQUENCE_NUMBER");
    expect(log.check({ epoch: 0, sequence: 3, transactional: true })).toBe("INVALID_PRODUCER_EPOCH");
  });

  test("a plain batch inside an open one, or a new epoch over it, is INVALID_TXN_STATE", () => {
    const log = new Log();
    log.add({ sequence: 0, transactional: true });
    expect(log.check({ sequence: 1 })).toBe("INVALID_TXN_STATE");
    expect(log.check({ epoch: 1, sequence: 0, transactional: true })).toBe("INVALID_TXN_STATE");
    expect(log.check({ sequence: 1, transactional: true })).toBe("append");
  });

  test("markers of an older producer or coordinator epoch are refused", () => {
    const log = new Log();
    const check = (epoch: number, coordinatorEpoch: number): unknown => {
      const decision = log.state.checkMarker(7 as ProducerId, epoch as ProducerEpoch, coordinatorEpoch);
      return decision.kind === "refuse" ? decision.error : decision.kind;
    };
    expect(check(0, 0)).toBe("append");
    log.add({ epoch: 3, sequence: 0, transactional: true });
    log.finish("commit", { epoch: 3, coordinatorEpoch: 5 });
    expect(check(2, 5)).toBe("INVALID_PRODUCER_EPOCH");
    expect(check(3, 4)).toBe("TRANSACTION_COORDINATOR_FENCED");
    expect(check(3, 5)).toBe("append");
    expect(check(4, 6)).toBe("append");
  });
});

describe("forgetting", () => {
  test("expires the silent, never one with an open transaction (H57)", () => {
    const log = new Log({ expirationMs: 1000 });
    log.add({ id: 1, sequence: 0 }, 0);
    log.add({ id: 2, sequence: 0, transactional: true }, 10);
    log.add({ id: 3, sequence: 0 }, 20);
    log.add({ id: 1, sequence: 1 }, 500);
    expect(log.state.expire(1015)).toBe(0);
    expect(log.state.expire(1020)).toBe(1);
    expect(log.check({ id: 3, sequence: 1 })).toBe("UNKNOWN_PRODUCER_ID");
    expect(log.check({ id: 1, sequence: 2 })).toBe("append");
    expect(log.state.expire(99_999)).toBe(1);
    expect(log.state.entries().map((entry) => entry.producerId)).toEqual([2]);
  });

  test("at the bound the longest silent without an open transaction goes", () => {
    const log = new Log({ maxProducers: 3 });
    log.add({ id: 1, sequence: 0, transactional: true });
    log.add({ id: 2, sequence: 0 });
    log.add({ id: 3, sequence: 0 });
    log.add({ id: 2, sequence: 1 });
    log.add({ id: 4, sequence: 0 });
    expect(log.state.entries().map((entry) => entry.producerId)).toEqual([1, 2, 4]);
  });

  test("clear forgets everything", () => {
    const log = new Log();
    log.add({ sequence: 0, transactional: true });
    log.state.clear();
    expect(log.state.count).toBe(0);
    expect(log.state.firstUnstableOffset).toBeUndefined();
  });
});

describe("snapshots", () => {
  function reload(log: Log): Log {
    const again = new Log();
    again.end = log.end;
    again.state.load(parseProducerSnapshot(log.state.snapshot()) ?? [], 0);
    return again;
  }

  test("keep the epoch, the last batch and the open transaction", () => {
    const log = new Log();
    log.add({ id: 1, epoch: 3, sequence: 0, count: 2 });
    log.add({ id: 1, epoch: 3, sequence: 2, count: 2 });
    log.add({ id: 2, sequence: 0, transactional: true });
    const again = reload(log);
    expect(again.state.entries()).toEqual(log.state.entries());
    expect(again.state.firstUnstableOffset).toBe(4);
    expect(again.check({ id: 1, epoch: 3, sequence: 2, count: 2 })).toBe("duplicate 2-3");
    expect(again.check({ id: 1, epoch: 3, sequence: 0, count: 2 })).toBe("DUPLICATE_SEQUENCE_NUMBER");
    expect(again.check({ id: 1, epoch: 2, sequence: 0 })).toBe("INVALID_PRODUCER_EPOCH");
    expect(again.check({ id: 1, epoch: 3, sequence: 4 })).toBe("append");
  });

  test("order open transactions by their offset, not by producer id", () => {
    const log = new Log();
    log.add({ id: 9, sequence: 0, transactional: true });
    log.add({ id: 1, sequence: 0, transactional: true });
    const again = reload(log);
    expect(again.state.firstUnstableOffset).toBe(0);
    expect(again.finish("commit", { id: 9 })).toMatchObject({ lastStableOffset: 1 });
  });

  test("after a marker the ended transaction's batch is still no duplicate (H58)", () => {
    const log = new Log();
    log.add({ sequence: 0, count: 3, transactional: true });
    log.finish("abort");
    const again = reload(log);
    expect(again.check({ sequence: 0, count: 3, transactional: true })).toBe("OUT_OF_ORDER_SEQUENCE_NUMBER");
    expect(again.check({ sequence: 3, transactional: true })).toBe("append");
  });

  test("a batch across the wrap keeps its first sequence", () => {
    const log = new Log();
    log.add({ sequence: MAX_SEQUENCE - 1, count: 4 });
    expect(reload(log).check({ sequence: MAX_SEQUENCE - 1, count: 4 })).toBe("duplicate 0-3");
  });

  test("replaying each of Kafka's logs ends in the snapshot that Kafka wrote, byte for byte", () => {
    let transactions = 0;
    for (const partition of corpusPartitions) {
      const log = corpusFile(`${partition}/00000000000000000000.log`);
      const state = new ProducerState({ expirationMs: 1000 });
      for (let at = 0; at < log.length; at += batchSizeOf(log, at)) {
        const ended = replayBatch(state, log, at, 0);
        if (ended !== undefined) transactions++;
      }
      const file = corpusFiles(partition, ".snapshot")[0] ?? "";
      expect(state.snapshot(), partition).toEqual(corpusFile(file));
    }
    expect(transactions).toBe(4);
  });

  test("keep a producer that is known by a marker alone", () => {
    const log = new Log();
    log.finish("commit");
    const again = reload(log);
    expect(again.state.entries()).toMatchObject([{ lastOffset: -1, lastTimestamp: 9000, offsetDelta: 0 }]);
    expect(again.check({ sequence: 0 })).toBe("append");
  });
});
