import { expect, test } from "vitest";
import { Scheduler } from "../../src/sim/scheduler.ts";
import { SimPlatform } from "../../src/sim/sim-platform.ts";
import { SimulatedCrash } from "../../src/sim/simulated-crash.ts";

const one = { type: "put", key: Uint8Array.of(1), value: Uint8Array.of(1) } as const;

test("disk and stores share one crash point, so every mutation of either can be the last", async () => {
  const scheduler = new Scheduler();
  const work = async (platform: SimPlatform): Promise<void> => {
    const store = await platform.openKeyValue("/store");
    const file = await platform.disk.open("/a", "create");
    await store.batch([one], { sync: true });
    await file.write([Uint8Array.of(1)], 0);
  };
  const whole = SimPlatform.create({ seed: 1 }, { scheduler });
  await work(whole);
  expect(whole.mutationCount).toBe(3);
  for (let n = 0; n < 3; n++) {
    const platform = SimPlatform.create({ seed: 1, failAfterOperations: n }, { scheduler });
    await expect(work(platform)).rejects.toBeInstanceOf(SimulatedCrash);
    const next = platform.kill();
    expect(await next.disk.stat("/a")).toEqual(n === 0 ? undefined : { sizeBytes: 0, isDirectory: false });
    const store = await next.openKeyValue("/store");
    expect((await store.get(one.key)) !== undefined).toBe(n === 2);
  }
});

test("a crash ends the old process on every side and hands the machine to the next one", async () => {
  const scheduler = new Scheduler();
  const platform = SimPlatform.create({ seed: 1, clock: { wallStartMs: 5_000, rate: 2 } }, { scheduler });
  platform.clock.jumpWall(1_000);
  let hasFired = false;
  platform.clock.setTimer(1, () => {
    hasFired = true;
  });
  await platform.disk.lock("/lock", "first");
  const store = await platform.openKeyValue("/store");
  await store.batch([one], { sync: true });
  const next = platform.crash();
  await scheduler.advance(10);
  expect(hasFired).toBe(false);
  await expect(platform.disk.list("/")).rejects.toBeInstanceOf(SimulatedCrash);
  await expect(platform.openKeyValue("/other")).rejects.toBeInstanceOf(SimulatedCrash);
  expect(next.clock.wallMs()).toBe(5_000 + 1_000 + 20);
  await next.disk.lock("/lock", "second");
  expect(await (await next.openKeyValue("/store")).get(one.key)).toEqual(one.value);
});
