import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { silentLogger } from "../../src/base/logger.ts";
import { DEFAULT_LOG_CONFIG } from "../../src/log/log-config.ts";
import type { LogConfig } from "../../src/log/log-config.ts";
import { LogManager } from "../../src/log/log-manager.ts";
import { verifyPartition } from "../../src/log/verify-partition.ts";
import type { LeaderEpoch } from "../../src/model/offsets.ts";
import { NodeClock } from "../../src/platform/node/node-clock.ts";
import { NodeDisk } from "../../src/platform/node/node-disk.ts";
import { SeededRandom } from "../../src/platform/random.ts";
import { accepted, append, at, machineOn, openLog, readAll, records, TOPIC_ID } from "./engine.ts";

let directory: string;
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), "lograft-log-"));
});
afterEach(() => rm(directory, { recursive: true, force: true }));

const disk = new NodeDisk();
const CONFIG: LogConfig = {
  ...DEFAULT_LOG_CONFIG,
  segmentBytes: 4000,
  timestampAfterMaxMs: Number.POSITIVE_INFINITY,
};
const start = (): Promise<LogManager> =>
  LogManager.open(
    { dataDirectory: `${directory}/a/data`, nodeId: 1, defaultConfig: CONFIG },
    { clock: new NodeClock(), disk, random: new SeededRandom(1), logger: silentLogger },
  );

test("on the machine's file system: append, roll, read, truncate, restart, delete", async () => {
  const first = await start();
  const log = await first.open({ topic: "t", partition: 0 }, TOPIC_ID, () => CONFIG);
  await Promise.all(
    Array.from({ length: 200 }, (_, i) => accepted(append(log, [`${i}`, "x".repeat(50)], 1)).done),
  );
  expect([log.logEndOffset, log.durableEndOffset]).toEqual([400, 400]);
  expect(log.segmentCount).toBeGreaterThan(5);
  await log.truncateTo(at(301));
  await accepted(append(log, ["after"], 2)).done;
  const expected = await readAll(log);
  expect(expected).toHaveLength(301);
  await first.close();
  expect((await verifyPartition(disk, `${directory}/a/data/t-0`)).findings).toEqual([]);

  const second = await start();
  expect(second.wasCleanShutdown).toBe(true);
  const again = await second.open({ topic: "t", partition: 0 }, TOPIC_ID, () => CONFIG);
  expect(await readAll(again)).toEqual(expected);
  expect(again.endOffsetForEpoch(1 as LeaderEpoch)).toEqual({ epoch: 1, endOffset: 300 });
  await second.delete({ topic: "t", partition: 0 }, TOPIC_ID);
  expect(second.list()).toEqual([]);
  await second.close();
});

test("on the machine's file system a killed process is recovered from", async () => {
  const machine = machineOn(disk, new NodeClock());
  const path = `${directory}/t-0`;
  const log = await openLog(machine, { ...CONFIG, flushPolicy: "os" }, {}, path);
  await Promise.all(Array.from({ length: 100 }, (_, i) => accepted(append(log, [`${i}`], 1)).done));
  // The first process is gone without a word; what it wrote is in the page cache, with half a batch behind it.
  const last = (await disk.list(path)).findLast(({ name }) => name.endsWith(".log"));
  const file = await disk.open(`${path}/${last?.name ?? ""}`, "write");
  await file.write([records(["torn"]).subarray(0, 40)], await file.sizeBytes());
  await file.close();
  const again = await openLog(machineOn(disk, new NodeClock()), CONFIG, { exists: true }, path);
  expect((await readAll(again)).map(({ value }) => value)).toEqual(
    Array.from({ length: 100 }, (_, i) => `${i}`),
  );
  await again.close();
  expect((await verifyPartition(disk, path)).findings).toEqual([]);
  await log.close();
});
