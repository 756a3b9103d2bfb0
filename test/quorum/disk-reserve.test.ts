import { expect, test } from "vitest";
import { DiskReserve } from "../../src/quorum/disk-reserve.ts";
import { Scheduler } from "../../src/sim/scheduler.ts";
import { SimPlatform } from "../../src/sim/sim-platform.ts";

const MIB = 1024 * 1024;
const DIRECTORY = "data";
const RESERVE = "data/reserve";

async function machine(): Promise<SimPlatform> {
  const options = { seed: 5, disk: { capacityBytes: 10 * MIB } };
  const platform = SimPlatform.create(options, { scheduler: new Scheduler() });
  await platform.disk.makeDir(DIRECTORY);
  return platform;
}

test("a reserve takes at most half of what is free, is made once, and is given back once", async () => {
  const { disk } = await machine();
  const tooLarge = new DiskReserve({ directory: DIRECTORY, sizeBytes: 6 * MIB }, { disk });
  await tooLarge.keep();
  expect(await disk.stat(RESERVE)).toBeUndefined();
  const reserve = new DiskReserve({ directory: DIRECTORY, sizeBytes: 2 * MIB }, { disk });
  await reserve.keep();
  await reserve.keep();
  expect(await disk.stat(RESERVE)).toMatchObject({ sizeBytes: 2 * MIB });
  expect(await reserve.isKept()).toBe(true);
  expect(await reserve.release()).toBe(true);
  expect(await reserve.release()).toBe(false);
  expect(await reserve.isKept()).toBe(false);
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
