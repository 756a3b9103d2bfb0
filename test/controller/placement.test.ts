import * as fc from "fast-check";
import { expect, test } from "vitest";
import { placementBrokers, placeReplicas } from "../../src/controller/placement.ts";
import type { PlacementBroker, PlacementRequest } from "../../src/controller/placement.ts";
import type { MetadataRecord } from "../../src/metadata/records.ts";
import { MetadataState } from "../../src/metadata/replay.ts";
import { nodeId } from "../../src/model/ids.ts";
import { registrationOf } from "../metadata/arbitrary-history.ts";

/** Brokers without rack or host. */
function brokers(...ids: number[]): PlacementBroker[] {
  return ids.map((id) => ({ nodeId: nodeId(id), rack: null, brokerHost: null }));
}

type Place = readonly [id: number, rack: string | null, brokerHost: string | null];

/** The brokers that a cluster offers for placement, unfenced unless listed. */
function offered(places: readonly Place[], fenced: readonly number[] = [], stopping: readonly number[] = []) {
  const records = places.flatMap(([id, rack, brokerHost]): MetadataRecord[] => [
    registrationOf(id, { rack, brokerHost }),
    {
      type: "BrokerChange",
      nodeId: nodeId(id),
      brokerEpoch: 1,
      isFenced: fenced.includes(id),
      isShuttingDown: stopping.includes(id),
      isDrained: false,
    },
  ]);
  const state = new MetadataState();
  state.replay(records);
  return placementBrokers(state).brokers;
}

/** Without brokers that are away, unless some are named. */
function placeAll(
  request: Omit<PlacementRequest, "spares"> & Partial<PlacementRequest>,
): ReturnType<typeof placeReplicas> {
  return placeReplicas({ spares: [], ...request });
}

/** How often each value comes up. */
function countOf<T>(values: readonly T[]): ReadonlyMap<T, number> {
  const counts = new Map<T, number>();
  for (const value of values) counts.set(value, (counts.get(value) ?? 0) + 1);
  return counts;
}

test("three partitions of three replicas on three brokers are led by one each", () => {
  expect(placeAll({ from: 0, to: 3, replicationFactor: 3, brokers: brokers(1, 2, 3), start: 0 })).toEqual([
    [1, 2, 3],
    [2, 3, 1],
    [3, 1, 2],
  ]);
});

test("the followers move on by one when the leaders have gone round", () => {
  const placed = placeAll({
    from: 0,
    to: 8,
    replicationFactor: 2,
    brokers: brokers(1, 2, 3, 4),
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
  const placed = placeAll({ from: 0, to: 1000, replicationFactor: 1, brokers: brokers(9), start: 7 });
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
        const ids = Array.from({ length: count }, (_, index) => index * 3);
        const replicationFactor = Math.max(1, count - fewer);
        const request = { replicationFactor, brokers: brokers(...ids), start };
        const placed = placeAll({ from: 0, to, ...request });
        const leaders = new Map<number, number>();
        for (const replicas of placed) {
          expect(new Set(replicas).size).toBe(replicationFactor);
          leaders.set(replicas[0]!, (leaders.get(replicas[0]!) ?? 0) + 1);
        }
        const counts = ids.map((id) => leaders.get(id) ?? 0);
        expect(Math.max(...counts) - Math.min(...counts)).toBeLessThanOrEqual(1);
        const from = Math.min(cut, to);
        expect(placeAll({ from, to, ...request })).toEqual(placed.slice(from));
      },
    ),
    { numRuns: 200 },
  );
});

test("fenced brokers and those that are shutting down take no replicas", () => {
  const places = [1, 2, 3, 4].map((id): Place => [id, null, null]);
  expect(offered(places, [2], [3]).map((broker) => broker.nodeId)).toEqual([1, 4]);
});

test("without racks and hosts the brokers come by id, however they registered", () => {
  const places = [3, 1, 2].map((id): Place => [id, null, null]);
  expect(offered(places).map((broker) => broker.nodeId)).toEqual([1, 2, 3]);
});

test("racks alternate, and hosts within a rack", () => {
  const places: Place[] = [
    [1, "a", "h1"],
    [2, "a", "h1"],
    [3, "a", "h2"],
    [4, "b", "h3"],
    [5, "b", "h3"],
    [6, "b", "h4"],
  ];
  expect(offered(places).map((broker) => broker.nodeId)).toEqual([1, 4, 3, 6, 2, 5]);
});

test("two brokers of one machine never hold the same partition while another machine is free", () => {
  const places: Place[] = [
    [1, null, "h1"],
    [2, null, "h1"],
    [3, null, "h2"],
    [4, null, "h2"],
  ];
  const hostOf = new Map(places.map(([id, , host]) => [nodeId(id), host]));
  const placed = placeAll({ from: 0, to: 40, replicationFactor: 2, brokers: offered(places), start: 0 });
  for (const [leader, follower] of placed) expect(hostOf.get(leader!)).not.toBe(hostOf.get(follower!));
  // Beyond the machines there is no choice, and each broker still has one replica at most.
  const wide = placeAll({ from: 0, to: 8, replicationFactor: 3, brokers: offered(places), start: 0 });
  for (const replicas of wide) {
    expect(new Set(replicas).size).toBe(3);
    expect(new Set(replicas.map((id) => hostOf.get(id))).size).toBe(2);
  }
});

test("leaders and followers are spread evenly over equal racks", () => {
  const places = [1, 2, 3, 4, 5, 6].map((id): Place => [id, `rack-${id % 3}`, null]);
  const placed = placeAll({ from: 0, to: 72, replicationFactor: 3, brokers: offered(places), start: 5 });
  expect([...countOf(placed.map(([leader]) => leader)).values()]).toEqual(
    Array.from({ length: 6 }, () => 12),
  );
  const load = [...countOf(placed.flat()).values()];
  expect(Math.max(...load) - Math.min(...load)).toBeLessThanOrEqual(6);
  for (const replicas of placed) expect(new Set(replicas.map((id) => id % 3)).size).toBe(3);
});

test("as many racks and hosts as can be have a replica, with any mix of both", () => {
  const place = fc.tuple(
    fc.option(fc.constantFrom("a", "b", "c")),
    fc.option(fc.integer({ min: 1, max: 3 })),
  );
  fc.assert(
    fc.property(
      fc.array(place, { minLength: 1, maxLength: 8 }),
      fc.integer({ min: 1, max: 4 }),
      fc.nat(30),
      (drawn, wanted, start) => {
        // A machine stands in one rack.
        const places = drawn.map(([rack, host], id): Place => [
          id,
          rack,
          host === null ? null : `${rack}-${host}`,
        ]);
        const list = offered(places);
        const replicationFactor = Math.min(wanted, list.length);
        const [rackOf, hostOf] = [
          (id: number): string => places[id]![1] ?? "none",
          (id: number): string => places[id]![2] ?? `own ${id}`,
        ];
        const ids = places.map(([id]) => id);
        const [racks, hosts] = [new Set(ids.map(rackOf)).size, new Set(ids.map(hostOf)).size];
        for (const replicas of placeAll({ from: 0, to: 25, replicationFactor, brokers: list, start })) {
          expect(new Set(replicas).size).toBe(replicationFactor);
          expect(new Set(replicas.map(hostOf)).size).toBe(Math.min(replicationFactor, hosts));
          expect(new Set(replicas.map(rackOf)).size).toBe(Math.min(replicationFactor, racks));
        }
      },
    ),
    { numRuns: 150 },
  );
});

test("fifty thousand partitions share few lists and are placed at once", () => {
  const places = Array.from({ length: 30 }, (_, id): Place => [id, `rack-${id % 3}`, `host-${id % 10}`]);
  const list = offered(places);
  const startedMs = performance.now();
  const placed = placeAll({ from: 0, to: 50_000, replicationFactor: 3, brokers: list, start: 0 });
  expect(performance.now() - startedMs).toBeLessThan(1500);
  expect(new Set(placed).size).toBeLessThanOrEqual(30 * 29);
});

test("brokers that are away get replicas when the others are too few, behind them, and lead none", () => {
  const request = { from: 0, to: 4, brokers: brokers(1, 2), spares: brokers(3, 4), start: 0 };
  expect(placeAll({ ...request, replicationFactor: 2 })).toEqual([
    [1, 2],
    [2, 1],
    [1, 2],
    [2, 1],
  ]);
  const placed = placeAll({ ...request, replicationFactor: 3 });
  expect(placed.map((replicas) => replicas.slice(0, 2))).toEqual(
    placeAll({ ...request, replicationFactor: 2 }),
  );
  expect(placed.every(([, , spare = 0]) => spare > 2)).toBe(true);
  expect(() => placeAll({ ...request, replicationFactor: 5 })).toThrow("a broker for each replica");
});
