import { beforeEach, expect, test } from "vitest";
import { LograftError } from "../../src/base/errors.ts";
import { silentLogger } from "../../src/base/logger.ts";
import type { MetadataCalls } from "../../src/broker/metadata-calls.ts";
import { Partition } from "../../src/broker/partition.ts";
import { ReplicaRepair } from "../../src/broker/replica-repair.ts";
import type { DamagedReplicasCommand } from "../../src/controller/damaged-replicas.ts";
import type { ControllerRequest } from "../../src/controller/requests.ts";
import type { ItemOutcome } from "../../src/controller/result.ts";
import type { PartitionImage } from "../../src/metadata/image.ts";
import { MetadataState } from "../../src/metadata/replay.ts";
import { nodeId } from "../../src/model/ids.ts";
import { leaderEpoch, offset } from "../../src/model/offsets.ts";
import { Scheduler } from "../../src/sim/scheduler.ts";
import { SimClock } from "../../src/sim/sim-clock.ts";
import { nodes, registrationOf, topicIdOf } from "../metadata/arbitrary-history.ts";
import { batchOf, FakeLog } from "./fake-logs.ts";

const IN_SYNC: PartitionImage = {
  replicas: nodes(1, 2),
  isr: nodes(1, 2),
  elr: [],
  lastKnownElr: [],
  addingReplicas: [],
  removingReplicas: [],
  leader: nodeId(1),
  leaderEpoch: leaderEpoch(5),
  partitionEpoch: 3,
};
const SPARE: PartitionImage = {
  ...IN_SYNC,
  isr: nodes(2),
  leader: nodeId(2),
  leaderEpoch: leaderEpoch(6),
  partitionEpoch: 4,
};
const DONE: ItemOutcome = { error: "NONE", errorMessage: "" };
const ALONE: ItemOutcome = { error: "NOT_ENOUGH_REPLICAS", errorMessage: "nobody else has it" };

let scheduler: Scheduler;
let asked: DamagedReplicasCommand[];
/** What the controller does with the next request. */
let answers: (() => ItemOutcome)[];
let mended: string[];
let repair: ReplicaRepair;

function damagedPartition(number = 0, image = IN_SYNC): { partition: Partition; log: FakeLog } {
  const log = new FakeLog();
  for (const value of ["a", "b", "c"]) log.append(batchOf(value), { leaderEpoch: leaderEpoch(4) });
  const partition = new Partition(
    {
      topic: "t",
      partition: number,
      topicId: topicIdOf(1),
      image,
      nodeId: nodeId(1),
      highWatermark: offset(1),
      lagTimeMs: 1000,
      maxWaiting: 10,
    },
    {
      openLog: () => Promise.resolve(log),
      clock: new SimClock({}, { scheduler }),
      logger: silentLogger,
      minInsyncReplicas: () => 1,
      mayLoseCommitted: () => false,
      isContactLost: () => false,
      onDamage: (damaged) => repair.note(damaged),
      pace: () => undefined,
      onIsrNews: () => undefined,
    },
  );
  return { partition, log };
}

async function damage(number = 0): Promise<{ partition: Partition; log: FakeLog }> {
  const made = damagedPartition(number);
  await made.partition.openedLog();
  made.log.damage = { offset: offset(1), message: "bits flipped" };
  made.log.notify();
  return made;
}

beforeEach(() => {
  scheduler = new Scheduler();
  asked = [];
  answers = [];
  mended = [];
  const image = new MetadataState();
  image.replay([registrationOf(1)]);
  const metadata = {
    image,
    call: (request: ControllerRequest) => {
      if (request.type !== "reportDamage") throw new Error(`${request.type} is not expected`);
      asked.push(request);
      const { type, partitions } = request;
      try {
        const outcome = (answers.shift() ?? (() => DONE))();
        return Promise.resolve({
          type,
          offset: 1,
          result: partitions.map((ref) => ({ ...ref, ...outcome })),
        });
      } catch (error: unknown) {
        return Promise.reject(error instanceof Error ? error : new Error(String(error)));
      }
    },
  };
  repair = new ReplicaRepair(
    { nodeId: nodeId(1) },
    {
      // The one call that it makes.
      metadata: metadata as unknown as MetadataCalls,
      clock: new SimClock({}, { scheduler }),
      logger: silentLogger,
      onRepaired: ({ topic, partition }) => mended.push(`${topic}-${partition}`),
    },
  );
});

test("a damaged replica leaves everything that counts first, is cut then, and is followed again", async () => {
  const { partition, log } = await damage();
  answers.push(() => {
    expect(log.logEndOffset).toBe(3);
    partition.update(SPARE);
    return DONE;
  });
  await scheduler.advance(0);
  expect(asked).toMatchObject([{ nodeId: 1, partitions: [{ topicId: topicIdOf(1), partition: 0 }] }]);
  expect([log.logEndOffset, log.damage, mended]).toEqual([1, undefined, ["t-0"]]);
});

test("damage that is found together is reported together, and only once", async () => {
  const made = [await damage(0), await damage(1)];
  for (const { log } of made) log.notify();
  answers.push(() => {
    for (const { partition } of made) partition.update(SPARE);
    return DONE;
  });
  await scheduler.advance(0);
  expect(asked.map(({ partitions }) => partitions.length)).toEqual([2]);
  expect(mended).toEqual(["t-0", "t-1"]);
});

test("what nobody else has is kept, and asked for again until somebody has", async () => {
  const { partition, log } = await damage();
  answers.push(
    () => ALONE,
    () => ALONE,
    () => {
      partition.update(SPARE);
      return DONE;
    },
  );
  await scheduler.advance(999);
  expect([asked.length, log.logEndOffset]).toEqual([1, 3]);
  await scheduler.advance(1001);
  expect([asked.length, mended]).toEqual([3, ["t-0"]]);
});

test("an answer that was lost is asked for again; nothing is cut on a guess", async () => {
  const { partition, log } = await damage();
  answers.push(
    () => {
      // Carried out, but the answer is lost.
      partition.update(SPARE);
      throw new LograftError("TIMEOUT", "no answer");
    },
    () => DONE,
  );
  await scheduler.advance(0);
  expect([asked.length, log.logEndOffset]).toEqual([1, 3]);
  await scheduler.advance(1000);
  expect([asked.length, log.logEndOffset]).toEqual([2, 1]);
});

test("a replica that was elected after all is not cut", async () => {
  const { partition, log } = await damage();
  answers.push(() => {
    partition.update({ ...SPARE, leader: nodeId(1), isr: nodes(1) });
    return DONE;
  });
  await scheduler.advance(0);
  expect([log.logEndOffset, mended]).toEqual([3, []]);
});

test("a partition that has no other replicas is left as it is, without a timer", async () => {
  const { partition, log } = damagedPartition(0, { ...IN_SYNC, replicas: nodes(1), isr: nodes(1) });
  await partition.openedLog();
  log.damage = { offset: offset(1), message: "bits flipped" };
  log.notify();
  await scheduler.advance(0);
  expect([asked.length, scheduler.pendingCount]).toEqual([0, 0]);
});

test("nothing is asked for after the end", async () => {
  await damage();
  repair.close();
  await scheduler.advance(5000);
  expect([asked.length, scheduler.pendingCount]).toEqual([0, 0]);
});
