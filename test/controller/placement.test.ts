import * as fc from "fast-check";
import { expect, test } from "vitest";
import { placeReplicas } from "../../src/controller/placement.ts";
import { nodes } from "../metadata/arbitrary-history.ts";

test("three partitions of three replicas on three brokers are led by one each", () => {
  expect(placeReplicas({ from: 0, to: 3, replicationFactor: 3, brokers: nodes(1, 2, 3), start: 0 })).toEqual([
    [1, 2, 3],
    [2, 3, 1],
    [3, 1, 2],
  ]);
});

test("the followers move on by one when the leaders have gone round", () => {
  const placed = placeReplicas({
    from: 0,
    to: 8,
    replicationFactor: 2,
    brokers: nodes(1, 2, 3, 4),
    start: 0,
  });
  expect(placed.map(([leader, follower]) => [leader, follower])).toEqual([
    [1, 2],
    [2, 3],
    [3, 4],
    [4, 1],
    [1, 3],
    [2, 4],
    [3, 1],
    [4, 2],
  ]);
});

test("one broker takes everything, in one shared list", () => {
  const placed = placeReplicas({ from: 0, to: 1000, replicationFactor: 1, brokers: nodes(9), start: 7 });
  expect(new Set(placed)).toEqual(new Set([placed[0]]));
  expect(placed[0]).toEqual([9]);
});

test("replicas are on different brokers, leaders even within one, and growing changes nothing placed before", () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 7 }),
      fc.nat(6),
      fc.integer({ min: 1, max: 40 }),
      fc.nat(20),
      fc.nat(40),
      (count, fewer, to, start, cut) => {
        const brokers = nodes(...Array.from({ length: count }, (_, index) => index * 3));
        const replicationFactor = Math.max(1, count - fewer);
        const placed = placeReplicas({ from: 0, to, replicationFactor, brokers, start });
        const leaders = new Map<number, number>();
        for (const replicas of placed) {
          expect(new Set(replicas).size).toBe(replicationFactor);
          leaders.set(replicas[0]!, (leaders.get(replicas[0]!) ?? 0) + 1);
        }
        const counts = brokers.map((broker) => leaders.get(broker) ?? 0);
        expect(Math.max(...counts) - Math.min(...counts)).toBeLessThanOrEqual(1);
        const from = Math.min(cut, to);
        expect(placeReplicas({ from, to, replicationFactor, brokers, start })).toEqual(placed.slice(from));
      },
    ),
    { numRuns: 200 },
  );
});
