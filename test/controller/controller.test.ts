import { expect, test } from "vitest";
import { Deferred } from "../../src/base/deferred.ts";
import { operationError } from "../../src/base/errors.ts";
import { Controller } from "../../src/controller/controller.ts";
import type { MetadataLog } from "../../src/controller/metadata-log.ts";
import { decideProducerIdBlock } from "../../src/controller/producer-ids.ts";
import type { MetadataRecord } from "../../src/metadata/records.ts";
import { MetadataState } from "../../src/metadata/replay.ts";
import { topicIdOf } from "../metadata/arbitrary-history.ts";

/** A log whose appends end when the test says so. */
class HeldLog implements MetadataLog {
  readonly appends: { records: readonly MetadataRecord[]; done: Deferred<{ index: number }> }[] = [];
  replayAll(): Promise<void> {
    return Promise.resolve();
  }
  append(records: readonly MetadataRecord[]): Promise<{ index: number }> {
    const done = new Deferred<{ index: number }>();
    this.appends.push({ records, done });
    return done.promise;
  }
  close(): Promise<void> {
    return Promise.resolve();
  }
}

function setUp(maxWaiting = 10) {
  const log = new HeldLog();
  const state = new MetadataState();
  const events: string[] = [];
  const onCommit = (): void => void events.push(`commit up to ${state.nextProducerId}`);
  const controller = new Controller({ maxWaiting }, { state, log, onCommit });
  return { log, controller, events };
}

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

test("the answer and the image wait for the commit, and the commit is told before the answer", async () => {
  const { log, controller, events } = setUp();
  const answered = controller
    .run(decideProducerIdBlock)
    .then((block) => events.push(`answer ${block.first}`));
  await turn();
  expect(controller.image.nextProducerId).toBe(0);
  expect(events).toEqual([]);
  log.appends[0]!.done.resolve({ index: 1 });
  await answered;
  expect(events).toEqual(["commit up to 1000", "answer 0"]);
});

test("each command decides on what the one before it committed", async () => {
  const { log, controller } = setUp();
  const blocks = Promise.all([controller.run(decideProducerIdBlock), controller.run(decideProducerIdBlock)]);
  await turn();
  expect(log.appends.length).toBe(1);
  log.appends[0]!.done.resolve({ index: 1 });
  await turn();
  log.appends[1]!.done.resolve({ index: 2 });
  expect(await blocks).toEqual([
    { first: 0, end: 1000 },
    { first: 1000, end: 2000 },
  ]);
});

test("a decision without records is answered without the log", async () => {
  const { log, controller } = setUp();
  expect(await controller.run(() => ({ records: [], response: 7 }))).toBe(7);
  expect(log.appends).toEqual([]);
});

test("commands past the bound are refused with BUFFER_EXHAUSTED", async () => {
  const { log, controller } = setUp(1);
  const first = controller.run(decideProducerIdBlock);
  const second = controller.run(decideProducerIdBlock);
  await expect(controller.run(decideProducerIdBlock)).rejects.toMatchObject({
    code: "BUFFER_EXHAUSTED",
    retriable: true,
  });
  log.appends[0]!.done.resolve({ index: 1 });
  await first;
  await turn();
  log.appends[1]!.done.resolve({ index: 2 });
  await second;
});

test("a failed append changes nothing and fails the command", async () => {
  const { log, controller, events } = setUp();
  const command = controller.run(decideProducerIdBlock);
  await turn();
  log.appends[0]!.done.reject(operationError("DISK_WRITE_FAILED", "EIO"));
  await expect(command).rejects.toMatchObject({ code: "DISK_WRITE_FAILED" });
  expect(controller.image.nextProducerId).toBe(0);
  expect(events).toEqual([]);
});

test("records that could not be replayed are never logged", async () => {
  const { log, controller } = setUp();
  const records = [{ type: "RemoveTopic", topicId: topicIdOf(1) }] as const;
  await expect(controller.run(() => ({ records, response: undefined }))).rejects.toMatchObject({
    code: "METADATA_CORRUPT",
  });
  expect(log.appends).toEqual([]);
});

test("closing refuses what waits and lets the running command end", async () => {
  const { log, controller } = setUp();
  const running = controller.run(decideProducerIdBlock);
  const waiting = controller.run(decideProducerIdBlock);
  const closed = controller.close();
  await expect(waiting).rejects.toMatchObject({ code: "CLOSED" });
  log.appends[0]!.done.resolve({ index: 1 });
  expect(await running).toEqual({ first: 0, end: 1000 });
  await closed;
});
