import { expect, test } from "vitest";
import type {
  ConsumedRecord,
  HandlerContext,
  ProcessedWork,
  RunOptions,
  Telemetry,
} from "../../src/client/index.ts";
import { ConsumedBatch } from "../../src/client/index.ts";
import { tracedHandlers } from "../../src/client/traced-handlers.ts";
import { batch as stored } from "../log/batches.ts";

const context: HandlerContext = { signal: new AbortController().signal };
const reader = { clientId: "shop", groupId: "g" };

/** Notes what it is shown and calls what it is to call. */
class Watcher implements Telemetry {
  readonly works: ProcessedWork[] = [];

  produce(): never {
    throw new Error("nothing is produced here");
  }

  process(work: ProcessedWork, run: () => Promise<void> | void): Promise<void> | void {
    this.works.push(work);
    return run();
  }
}

const record: ConsumedRecord = {
  topic: "orders",
  partition: 3,
  offset: 17,
  timestamp: 0,
  key: null,
  value: null,
  headers: [],
};

test("a handler of records is called under the eyes of the telemetry, and what it throws goes on", async () => {
  const watcher = new Watcher();
  const seen: number[] = [];
  const options: RunOptions = {
    concurrency: 4,
    eachMessage: async ({ offset }) => {
      seen.push(offset);
      await Promise.reject(new Error("no"));
    },
  };
  const traced = tracedHandlers(watcher, options, reader);
  expect(traced.concurrency).toBe(4);
  await expect(traced.eachMessage?.(record, context)).rejects.toThrow("no");
  expect(seen).toEqual([17]);
  expect(watcher.works).toEqual([
    {
      topic: "orders",
      partition: 3,
      offset: 17,
      recordCount: 1,
      records: [record],
      isBatch: false,
      ...reader,
    },
  ]);
});

test("a handler of batches is shown as one piece of work", async () => {
  const watcher = new Watcher();
  const buffer = stored();
  const batch = new ConsumedBatch({
    topic: "orders",
    partition: 0,
    highWatermark: 10,
    buffer,
    at: 0,
    sizeBytes: buffer.length,
    firstOffset: 0,
    maxInflatedBytes: 1 << 20,
  });
  const seen: ConsumedBatch[] = [];
  const traced = tracedHandlers(watcher, { eachBatch: (one) => void seen.push(one) }, reader);
  await traced.eachBatch?.(batch, context);
  expect(seen).toEqual([batch]);
  expect(watcher.works[0]).toMatchObject({
    offset: batch.firstOffset,
    recordCount: batch.recordCount,
    isBatch: true,
  });
});
