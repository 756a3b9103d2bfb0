import { expect, test } from "vitest";
import { SeededRandom } from "../../src/platform/random.ts";
import { planFaults } from "../../src/sim/faults.ts";

const plan = (seed: number): ReturnType<typeof planFaults> =>
  planFaults({ machineCount: 5, durationMs: 8_000 }, new SeededRandom(seed));

test("a plan is in order, within its time, about machines that exist, and the same for the same seed", () => {
  for (let seed = 0; seed < 200; seed++) {
    const faults = plan(seed);
    expect(faults).toEqual(plan(seed));
    const times = faults.map(({ atMs }) => atMs);
    expect(times).toEqual([...times].sort((a, b) => a - b));
    expect(times.every((atMs) => atMs > 0 && atMs < 8_000)).toBe(true);
    for (const { fault } of faults) {
      if ("target" in fault && fault.target !== "leader") expect(fault.target).toBeLessThan(5);
    }
  }
});

test("over many seeds every kind of fault strikes, and no run has all of them", () => {
  const kindsOf = (seed: number): Set<string> => new Set(plan(seed).map(({ fault }) => fault.kind));
  const perSeed = Array.from({ length: 300 }, (_, seed) => kindsOf(seed));
  const all = new Set(perSeed.flatMap((kinds) => [...kinds]));
  expect([...all].sort()).toEqual([
    "badLinks",
    "crash",
    "crashAll",
    "crashAtWrite",
    "damage",
    "failedFile",
    "failedWrite",
    "partition",
    "pause",
    "resetConnections",
    "restart",
    "slowDisk",
    "slowLink",
    "wallJump",
    "wipe",
  ]);
  expect(Math.max(...perSeed.map((kinds) => kinds.size))).toBeLessThan(all.size);
});
