import { expect, test } from "vitest";
import { OFFSETS_TOPIC } from "../../src/broker/offsets-topic.ts";
import type { PartitionLog } from "../../src/log/partition-log.ts";
import { SimBroker } from "./sim-broker.ts";

const GROUPS = Array.from({ length: 5 }, (_, index) => `group-${index}`);
const PARTITIONS = [0, 1, 2, 3];
const ROUNDS = 40;
const BACKOFF_MS = 15_000;

function logOf({ broker }: SimBroker): PartitionLog {
  const log = broker.storage.get({ topic: OFFSETS_TOPIC, partition: 0 });
  if (log === undefined) throw new Error("the log of the coordinator is not open");
  return log;
}

async function commit(machine: SimBroker, groupId: string, offset: number): Promise<void> {
  const answer = await machine.run(
    machine.broker.groups.commitOffsets({
      groupId,
      memberId: "",
      generationIdOrMemberEpoch: -1,
      requireOwned: true,
      partitions: PARTITIONS.map((partition) => ({
        topic: "orders",
        partition,
        offset,
        leaderEpoch: -1,
        metadata: "",
      })),
    }),
  );
  expect(answer.partitions.map(({ error }) => error)).toEqual(PARTITIONS.map(() => "NONE"));
}

async function committed(machine: SimBroker, groupId: string): Promise<readonly number[]> {
  const request = { groupId, partitions: undefined, requireStable: true };
  const answer = await machine.run(machine.broker.groups.fetchOffsets(request));
  expect(answer.error).toBe("NONE");
  return answer.partitions.map(({ offset }) => offset);
}

test("the log of a coordinator is compacted as the broker runs, and gives every committed offset after a crash", async () => {
  const machine = new SimBroker({ config: { "offsets.topic.num.partitions": "1" } });
  await machine.start();
  await machine.run(machine.broker.groups.findCoordinator(GROUPS));
  await machine.create("orders", PARTITIONS.length);
  await machine.scheduler.advance(100);
  const set = new Map([["segment.bytes", "4096"]]);
  const altered = machine.broker.alterTopicConfigs({
    name: OFFSETS_TOPIC,
    set,
    unset: [],
    validateOnly: false,
  });
  expect(await machine.run(altered)).toMatchObject({ error: "NONE" });
  for (let round = 1; round <= ROUNDS; round++) {
    for (const groupId of GROUPS) await commit(machine, groupId, round);
  }
  const sizeBefore = logOf(machine).sizeBytes;
  const endBefore = logOf(machine).logEndOffset;
  expect(endBefore).toBe(GROUPS.length * PARTITIONS.length * ROUNDS);
  // Nobody asks for it: it is what the default of log.cleaner.backoff.ms does.
  await machine.scheduler.advance(2 * BACKOFF_MS);
  expect(logOf(machine).sizeBytes).toBeLessThan(sizeBefore / 3);
  expect(logOf(machine).logEndOffset).toBe(endBefore);
  for (const groupId of GROUPS) await commit(machine, groupId, ROUNDS + 1);
  machine.cutPower();
  await machine.start();
  await machine.scheduler.advance(100);
  expect(logOf(machine).damage).toBeUndefined();
  for (const groupId of GROUPS)
    expect(await committed(machine, groupId), groupId).toEqual(PARTITIONS.map(() => ROUNDS + 1));
  await machine.stop();
});
