import fc from "fast-check";
import { expect, test } from "vitest";
import { SimulatedConsumers } from "./simulated-consumers.ts";

/*
 * Members with slow and lossy connections, crashes, restarts of static ones, delayed duplicates, changes of topics and of
 * coordinators, in random order.
 */

test("no partition is ever held by two, no epoch goes back, and all ends with every partition given once", () => {
  const seeds = fc.integer({ min: 0, max: 2 ** 31 });
  fc.assert(
    fc.property(seeds, (seed) => {
      const world = new SimulatedConsumers(seed);
      for (let step = 0; step < 400; step++) {
        world.act();
        world.checkHolders();
      }
      world.settle();
      world.checkHolders();
      expect(world.problemsOfQuiet()).toEqual([]);
    }),
    { numRuns: 300 },
  );
});
