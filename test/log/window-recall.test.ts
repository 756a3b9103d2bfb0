import { expect, test } from "vitest";
import type { LeaderEpoch, ProducerEpoch, ProducerId } from "../../src/model/offsets.ts";
import type { PartitionLog } from "../../src/log/partition-log.ts";
import { accepted, at, records, SimMachine } from "./engine.ts";

const LEADER = { leaderEpoch: 0 as LeaderEpoch, origin: "client" } as const;

/** Batch `i` of a producer, one record each, so that its sequence is `i`. */
function batch(i: number, producerId: number): Buffer {
  const producer = {
    producerId: producerId as ProducerId,
    producerEpoch: 0 as ProducerEpoch,
    baseSequence: i,
    isTransactional: false,
  };
  return records([`${producerId}-${i}`], { producer });
}

/** Twelve batches of each of two producers in turn: batch i of producer p is at offset 2i + p. */
async function fill(m: SimMachine, log: PartitionLog): Promise<void> {
  for (let i = 0; i < 12; i++)
    for (const id of [0, 1]) await m.run(accepted(log.append(batch(i, id), LEADER)).done);
}

function expectWindow(log: PartitionLog, lastBatch: number): void {
  for (const id of [0, 1])
    for (let i = lastBatch - 4; i <= lastBatch; i++) {
      const again = accepted(log.append(batch(i, id), LEADER));
      expect(again, `batch ${i} of producer ${id}`).toMatchObject({
        duplicate: true,
        baseOffset: 2 * i + id,
      });
    }
}

test.each([
  { how: "a clean stop", clean: true, segmentBytes: 100_000 },
  { how: "a crash that was recovered", clean: false, segmentBytes: 100_000 },
  { how: "a clean stop, over a roll", clean: true, segmentBytes: 700 },
  { how: "a crash that was recovered, over a roll", clean: false, segmentBytes: 700 },
])("the last five batches keep their offsets through $how (H54, H55)", async ({ clean, segmentBytes }) => {
  const m = new SimMachine();
  await m.prepare();
  const log = await m.open({ segmentBytes });
  await fill(m, log);
  if (clean) {
    await m.run(log.close());
  } else {
    m.restartOn(m.disk.crashKeepingAll());
    // Recovery leaves the directory as a clean stop does, and the log is opened from that when it is first used.
    await m.run((await m.open({ segmentBytes }, { exists: true })).close());
  }
  expectWindow(await m.open({ segmentBytes }, { exists: true, clean: true }), 11);
});

test("a truncation leaves the window of what is left", async () => {
  const m = new SimMachine();
  const log = await m.open({ segmentBytes: 700 });
  await fill(m, log);
  await m.run(log.truncateTo(at(20)));
  expectWindow(log, 9);
});
