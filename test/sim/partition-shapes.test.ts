import { expect, test } from "vitest";
import { SeededRandom } from "../../src/platform/random.ts";
import { linksOf, PARTITION_SHAPES, shuffled } from "../../src/sim/partition-shapes.ts";

const cutPairs = (shape: (typeof PARTITION_SHAPES)[number], count: number, leader?: number): Set<string> =>
  new Set(linksOf(shape, count, leader, new SeededRandom(9)).map(([from, to]) => `${from}>${to}`));

test("every shape cuts something between other machines, never a machine from itself", () => {
  for (const shape of PARTITION_SHAPES) {
    for (let count = 3; count <= 7; count++) {
      const links = linksOf(shape, count, undefined, new SeededRandom(count));
      // In a ring of three each machine is the neighbour of both others.
      if (shape !== "ring" || count > 3) expect(links.length, `${shape} of ${count}`).toBeGreaterThan(0);
      expect(links.every(([from, to]) => from !== to && from < count && to < count)).toBe(true);
    }
  }
});

test("the shapes about the leader cut just its links, in the directions they are named for", () => {
  expect(cutPairs("isolateLeader", 3, 1)).toEqual(new Set(["1>0", "1>2", "0>1", "2>1"]));
  expect(cutPairs("deafLeader", 3, 1)).toEqual(new Set(["0>1", "2>1"]));
  expect(cutPairs("muteLeader", 3, 1)).toEqual(new Set(["1>0", "1>2"]));
});

test("in a ring each machine reaches exactly two others, and over a bridge exactly one machine reaches all", () => {
  const reached = (shape: "ring" | "bridge", count: number): number[] => {
    const cut = cutPairs(shape, count);
    const all = Array.from({ length: count }, (_, index) => index);
    return all.map((from) => all.filter((to) => from !== to && !cut.has(`${from}>${to}`)).length);
  };
  expect(reached("ring", 6)).toEqual([2, 2, 2, 2, 2, 2]);
  expect(reached("bridge", 5).filter((count) => count === 4)).toHaveLength(1);
});

test("a shuffle holds every number once", () => {
  expect(shuffled(7, new SeededRandom(4)).sort((a, b) => a - b)).toEqual([0, 1, 2, 3, 4, 5, 6]);
});
