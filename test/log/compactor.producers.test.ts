import { describe, expect, test } from "vitest";
import type { PartitionLog } from "../../src/log/partition-log.ts";
import type { LeaderEpoch, ProducerEpoch, ProducerId } from "../../src/model/offsets.ts";
import { baseOffsetOf, recordCountOf } from "../../src/model/record-batch.ts";
import {
  batchesOf,
  compact,
  COMPACTED,
  end,
  keyed,
  linesOf,
  put,
  recordsOf,
  seal,
  opened,
  reopened,
  namesIn,
} from "./compaction.ts";
import { accepted, at, DIRECTORY } from "./engine.ts";

const transactional = (producerId: number, baseSequence: number) => ({
  producer: { producerId: producerId as ProducerId, baseSequence, isTransactional: true },
});

describe("an idempotent producer", () => {
  const send = (log: PartitionLog, producerId: number, baseSequence: number) =>
    log.append(
      keyed([{ key: `p${producerId}`, value: `${baseSequence}` }], {
        producer: { producerId: producerId as ProducerId, producerEpoch: 0 as ProducerEpoch, baseSequence },
      }),
      { leaderEpoch: 0 as LeaderEpoch, origin: "client" },
    );

  test("goes on after compaction, a restart, and the loss of every snapshot, with its sequence", async () => {
    const { m, log } = await opened();
    for (let sequence = 0; sequence < 12; sequence++) {
      await m.run(accepted(send(log, 7, sequence)).done);
      await m.run(accepted(send(log, 8, sequence)).done);
    }
    // Nothing of producer 7 is the last of its key any more, but its last batch stays for its sequence.
    await m.run(put(log, [{ key: "p7", value: "someone else" }]));
    await m.run(seal(log));
    await m.run(compact(log));
    expect(await m.run(linesOf(log))).toEqual(["23 p8=11", "24 p7=someone else"]);
    let again = await reopened(m, log);
    await m.run(again.close());
    for (const name of await namesIn(m))
      if (name.endsWith("snapshot")) await m.run(m.disk.remove(`${DIRECTORY}/${name}`));
    again = await m.open(COMPACTED, { exists: true });
    expect(again.producerCount).toBe(2);
    expect(send(again, 7, 13)).toMatchObject({ ok: false, error: "OUT_OF_ORDER_SEQUENCE_NUMBER" });
    expect(send(again, 7, 11)).toMatchObject({ ok: true, duplicate: true, baseOffset: 22 });
    expect(send(again, 7, 12)).toMatchObject({ ok: true, duplicate: false, baseOffset: 27 });
  });

  test("that has written more since loses the empty batch that stood for it", async () => {
    const { m, log } = await opened();
    for (let sequence = 0; sequence < 6; sequence++) await m.run(accepted(send(log, 7, sequence)).done);
    await m.run(put(log, [{ key: "p7", value: "x" }]));
    await m.run(seal(log));
    const first = await m.run(compact(log));
    const emptyOf = async (): Promise<number[]> =>
      (await m.run(batchesOf(log)))
        .filter((batch) => recordCountOf(batch) === 0)
        .map((batch) => baseOffsetOf(batch));
    expect(await emptyOf()).toContain(5);
    await m.run(accepted(send(log, 7, 6)).done);
    await m.run(seal(log));
    await m.run(compact(log, { firstDirtyOffset: first?.firstDirtyOffset }));
    expect(await emptyOf()).not.toContain(5);
  });
});

describe("a transaction", () => {
  test("that was aborted loses its records, and never stands for what it would have replaced", async () => {
    const { m, log } = await opened();
    await m.run(put(log, [{ key: "a", value: "old" }]));
    await m.run(put(log, [{ key: "a", value: "aborted" }], transactional(5, 0)));
    await m.run(put(log, [{ key: "b", value: "aborted" }], transactional(5, 1)));
    await m.run(end(log, 5, "abort"));
    await m.run(put(log, [{ key: "c", value: "committed" }], transactional(6, 0)));
    await m.run(end(log, 6, "commit"));
    await m.run(seal(log));
    expect(await m.run(compact(log))).toMatchObject({ outcome: "done" });
    const data = (await m.run(linesOf(log))).filter((line) => !line.includes("\0"));
    expect(data).toEqual(["0 a=old", "4 c=committed"]);
    await reopened(m, log);
  });

  test("keeps its marker while it has records, and for delete.retention.ms from the time it has none", async () => {
    const { m, log } = await opened();
    await m.run(put(log, [{ key: "a", value: "1" }], transactional(5, 0)));
    const marker = await m.run(end(log, 5, "commit"));
    const markers = async (): Promise<number[]> =>
      (await m.run(recordsOf(log))).map(({ offset }) => offset).filter((offset) => offset === marker);
    let firstDirtyOffset: number | undefined;
    const round = async (nowMs: number): Promise<void> => {
      await m.run(seal(log));
      ({ firstDirtyOffset } = (await m.run(compact(log, { nowMs, firstDirtyOffset }))) ?? {});
    };
    await round(1000);
    await round(90_000);
    expect(await markers()).toEqual([marker]);
    // The producer goes on, and its key is written by somebody else: nothing of the transaction has to stay.
    await m.run(put(log, [{ key: "x", value: "1" }], transactional(5, 1)));
    await m.run(end(log, 5, "commit"));
    await m.run(put(log, [{ key: "a", value: "2" }]));
    await round(100_000);
    expect(await markers()).toEqual([marker]);
    await round(110_000);
    expect(await markers()).toEqual([marker]);
    await round(110_999);
    expect(await markers()).toEqual([marker]);
    await round(111_000);
    expect(await markers()).toEqual([]);
    await reopened(m, log);
  });

  test("that is open holds compaction back from its first record on, until its marker lies in a closed segment", async () => {
    const { m, log } = await opened();
    for (const value of ["1", "2", "3"]) await m.run(put(log, [{ key: "a", value }]));
    await m.run(put(log, [{ key: "a", value: "open" }], transactional(5, 0)));
    await m.run(seal(log, { count: 3 }));
    const first = await m.run(compact(log));
    expect(first).toMatchObject({ outcome: "done", firstDirtyOffset: 3 });
    expect(await m.run(linesOf(log))).toEqual(["2 a=3", "3 a=open"]);
    const how = { firstDirtyOffset: first?.firstDirtyOffset };
    expect(await m.run(compact(log, how))).toMatchObject({ outcome: "open" });
    // Its end is known here, but may still be taken back by another leader.
    await m.run(end(log, 5, "abort"));
    expect(await m.run(compact(log, how))).toMatchObject({ outcome: "open" });
    await m.run(seal(log, { count: 3 }));
    expect(await m.run(compact(log, how))).toMatchObject({ outcome: "done" });
    expect((await m.run(linesOf(log)))[0]).toBe("2 a=3");
  });

  test("that was aborted is told to readers while a record of it is left, also after its index was lost", async () => {
    const { m, log } = await opened();
    await m.run(put(log, [{ key: "a", value: "1" }], transactional(5, 0)));
    await m.run(put(log, [{ key: "b", value: "2" }], transactional(5, 1)));
    await m.run(end(log, 5, "abort"));
    await m.run(seal(log));
    const how = { firstDirtyOffset: (await m.run(compact(log)))?.firstDirtyOffset };
    const aborted = () => m.run(log.abortedTransactions(at(0), log.logEndOffset));
    // The producer's last batch is still there, without records.
    expect(await aborted()).toMatchObject([{ producerId: 5, firstOffset: 0, lastOffset: 2 }]);
    await m.run(put(log, [{ key: "c", value: "3" }], transactional(5, 2)));
    await m.run(end(log, 5, "commit"));
    await m.run(seal(log));
    // What its entry was for goes in this pass, the entry in the next.
    const next = { firstDirtyOffset: (await m.run(compact(log, how)))?.firstDirtyOffset };
    expect(await aborted()).toHaveLength(1);
    await m.run(seal(log));
    expect(await m.run(compact(log, next))).toMatchObject({ outcome: "done" });
    expect(await aborted()).toEqual([]);
    const again = await reopened(m, log);
    await m.run(again.close());
    for (const name of await namesIn(m))
      if (name.endsWith("index")) await m.run(m.disk.remove(`${DIRECTORY}/${name}`));
    const rebuilt = await m.open(COMPACTED, { exists: true });
    expect(await m.run(rebuilt.abortedTransactions(at(0), rebuilt.logEndOffset))).toEqual([]);
  });
});
