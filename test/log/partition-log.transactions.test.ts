import { expect, test } from "vitest";
import type { LeaderEpoch, ProducerEpoch, ProducerId } from "../../src/model/offsets.ts";
import { marker } from "./batches.ts";
import { accepted, at, records, SimMachine } from "./engine.ts";

test("aborted transactions are found by their offsets, through rolls, restarts and lost indexes", async () => {
  const m = new SimMachine();
  await m.prepare();
  const config = { segmentBytes: 500 };
  let log = await m.open(config);
  const epoch = 0 as LeaderEpoch;
  const send = async (producerId: number, baseSequence: number): Promise<void> => {
    const producer = {
      producerId: producerId as ProducerId,
      producerEpoch: 0 as ProducerEpoch,
      baseSequence,
      isTransactional: true,
    };
    await m.run(
      accepted(log.append(records(["v"], { producer }), { leaderEpoch: epoch, origin: "client" })).done,
    );
  };
  const end = async (producerId: number, outcome: "commit" | "abort"): Promise<void> => {
    const batch = marker({ baseOffset: 0, producerId, outcome });
    expect(log.append(Buffer.from(batch), { leaderEpoch: epoch, origin: "client" })).toMatchObject({
      ok: false,
    });
    await m.run(accepted(log.append(batch, { leaderEpoch: epoch, origin: "coordinator" })).done);
  };
  for (let round = 0; round < 6; round++) {
    await send(1, round * 2);
    await send(2, round);
    await send(1, round * 2 + 1);
    expect(log.firstUnstableOffset).toBe(round * 5);
    await end(1, round % 2 === 0 ? "abort" : "commit");
    await end(2, "commit");
  }
  expect(log.firstUnstableOffset).toBeUndefined();
  expect(log.segmentCount).toBeGreaterThan(3);
  const expected = [0, 2, 4].map(
    (round) =>
      expect.objectContaining({
        producerId: 1,
        firstOffset: round * 5,
        lastOffset: round * 5 + 3,
      }) as unknown,
  );
  expect(await m.run(log.abortedTransactions(at(0), at(30)))).toEqual(expected);
  expect(await m.run(log.abortedTransactions(at(10), at(20)))).toEqual(expected.slice(1, 2));
  await m.run(log.close());
  for (const { name } of await m.run(m.disk.list("/data/t-0"))) {
    if (name.endsWith("index")) await m.run(m.disk.remove(`/data/t-0/${name}`));
  }
  log = await m.open(config, { exists: true, clean: true });
  expect(await m.run(log.abortedTransactions(at(0), at(30)))).toEqual(expected);
  m.restartOn(m.disk.crashDroppingAll());
  log = await m.open(config, { exists: true });
  expect(await m.run(log.abortedTransactions(at(0), at(30)))).toEqual(expected);
});
