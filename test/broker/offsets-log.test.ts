import { expect, test } from "vitest";
import type { Broker } from "../../src/broker/broker.ts";
import { OFFSETS_TOPIC } from "../../src/broker/offsets-topic.ts";
import type { ErrorName } from "../../src/model/error-code.ts";
import { SimBroker } from "./sim-broker.ts";

const GROUP = "billing";

async function commit(broker: Broker, offset: number): Promise<ErrorName | undefined> {
  const { partitions } = await broker.groups.commitOffsets({
    groupId: GROUP,
    memberId: "",
    generationIdOrMemberEpoch: -1,
    requireOwned: true,
    partitions: [{ topic: "orders", partition: 0, offset, leaderEpoch: -1, metadata: "" }],
  });
  return partitions[0]?.error;
}

test("a coordinator whose append found the disk full reads its log again and goes on, once there is room", async () => {
  const machine = new SimBroker({ config: { "offsets.topic.num.partitions": "1" } });
  const broker = await machine.start();
  await machine.create("orders");
  await machine.run(broker.groups.findCoordinator([GROUP]));
  await machine.scheduler.advance(100);
  expect(await machine.run(commit(broker, 5))).toBe("NONE");
  // Nothing of it is kept, and its offset is given out again: a load that waits for it would wait for ever.
  const full = machine.platform.disk.faults.arm({
    kind: "full",
    afterBytes: 10,
    path: (path) => path.includes(OFFSETS_TOPIC),
  });
  expect(await machine.run(commit(broker, 6))).toBe("NOT_COORDINATOR");
  full.disarm();
  await machine.scheduler.advance(10_000);
  expect(await machine.run(commit(broker, 7))).toBe("NONE");
  const request = { groupId: GROUP, partitions: undefined, requireStable: true };
  const { partitions } = await machine.run(broker.groups.fetchOffsets(request));
  expect(partitions.map(({ offset }) => offset)).toEqual([7]);
  await machine.stop();
});
