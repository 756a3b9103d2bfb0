import { expect, test } from "vitest";
import { DiskReserve } from "../../src/broker/disk-reserve.ts";
import { LocalMetadataLog } from "../../src/broker/local-metadata-log.ts";
import type { MetadataRecord } from "../../src/metadata/records.ts";
import { topicIdFromBytes } from "../../src/model/ids.ts";
import { Scheduler } from "../../src/sim/scheduler.ts";
import { SimPlatform } from "../../src/sim/sim-platform.ts";

const MIB = 1024 * 1024;
const DIRECTORY = "data";
const RESERVE = "data/metadata-reserve";

async function machine(): Promise<SimPlatform> {
  const platform = SimPlatform.create(
    { seed: 5, disk: { capacityBytes: 10 * MIB } },
    { scheduler: new Scheduler() },
  );
  await platform.disk.makeDir(DIRECTORY);
  return platform;
}

/** Leaves `leftBytes` free. */
async function fill(platform: SimPlatform, leftBytes: number): Promise<void> {
  const file = await platform.disk.open("filler", "create");
  const size = (await platform.disk.freeBytes(DIRECTORY)) - leftBytes;
  await file.write([new Uint8Array(size)], 0);
  await file.close();
}

const ids: MetadataRecord[] = [{ type: "ProducerIds", nextProducerId: 7 }];
const removal: MetadataRecord[] = [{ type: "RemoveTopic", topicId: topicIdFromBytes(Buffer.alloc(16, 3)) }];

test("a reserve takes at most half of what is free, is made once, and is given back once", async () => {
  const { disk } = await machine();
  const tooLarge = new DiskReserve({ directory: DIRECTORY, sizeBytes: 6 * MIB }, { disk });
  await tooLarge.keep();
  expect(await disk.stat(RESERVE)).toBeUndefined();
  const reserve = new DiskReserve({ directory: DIRECTORY, sizeBytes: 2 * MIB }, { disk });
  await reserve.keep();
  await reserve.keep();
  expect(await disk.stat(RESERVE)).toMatchObject({ sizeBytes: 2 * MIB });
  expect(await reserve.release()).toBe(true);
  expect(await reserve.release()).toBe(false);
  expect(await disk.freeBytes(DIRECTORY)).toBe(10 * MIB);
});

test("a reserve whose writing was cut short by a kill is made whole", async () => {
  const { disk } = await machine();
  const file = await disk.open(RESERVE, "create");
  await file.write([new Uint8Array(1000)], 0);
  await file.close();
  await new DiskReserve({ directory: DIRECTORY, sizeBytes: 2 * MIB }, { disk }).keep();
  expect(await disk.stat(RESERVE)).toMatchObject({ sizeBytes: 2 * MIB });
});

test("on a full disk only what makes room is written, and the log goes on when there is room", async () => {
  const platform = await machine();
  const log = await LocalMetadataLog.open({ directory: DIRECTORY, reserveBytes: MIB }, { platform });
  await log.replayAll(() => undefined);
  expect(await log.append(ids)).toEqual({ index: 1 });
  while ((await platform.disk.stat(RESERVE))?.sizeBytes !== MIB) await Promise.resolve();
  await fill(platform, 1000);
  await expect(log.append(ids)).rejects.toMatchObject({
    code: "DISK_FULL",
    retriable: true,
    message: expect.stringContaining(DIRECTORY) as unknown,
  });
  expect(await platform.disk.stat(RESERVE)).toBeDefined();
  expect(await log.append(removal)).toEqual({ index: 2 });
  expect(await platform.disk.stat(RESERVE)).toBeUndefined();
  await platform.disk.remove("filler");
  await fill(platform, 1000);
  await expect(log.append(removal)).rejects.toMatchObject({ code: "DISK_FULL" });
  await platform.disk.remove("filler");
  expect(await log.append(ids)).toEqual({ index: 3 });
  await log.close();
  expect(await platform.disk.stat(RESERVE)).toMatchObject({ sizeBytes: MIB });
});
