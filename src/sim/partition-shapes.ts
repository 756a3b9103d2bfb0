import type { Random } from "../platform/random.ts";

/** Directions between machines. */
export type Links = readonly (readonly [from: number, to: number])[];

/** The shapes of cuts that have broken clusters before. */
export const PARTITION_SHAPES = [
  "isolateOne",
  "split",
  "isolateLeader",
  "bridge",
  "ring",
  "oneWay",
  "deafLeader",
  "muteLeader",
] as const;

export type PartitionShape = (typeof PARTITION_SHAPES)[number];

/**
 * The links that a shape cuts among machines 0..count-1. `leader` is whoever leads now, for the shapes that are about it;
 * without one they take any machine.
 */
export function linksOf(
  shape: PartitionShape,
  count: number,
  leader: number | undefined,
  random: Random,
): Links {
  const order = shuffled(count, random);
  const chosen = leader ?? order[0] ?? 0;
  switch (shape) {
    case "isolateOne":
      return between([order[0] ?? 0], order.slice(1));
    case "split": {
      const size = 1 + random.below(Math.max(count - 1, 1));
      return between(order.slice(0, size), order.slice(size));
    }
    case "isolateLeader":
      return between(
        [chosen],
        order.filter((machine) => machine !== chosen),
      );
    case "bridge": {
      // One machine sees both halves, which do not see each other.
      const half = 1 + ((count - 1) >> 1);
      return between(order.slice(1, half), order.slice(half));
    }
    case "ring":
      return order.flatMap((from, at) =>
        order.flatMap((to, other) => {
          const distance = Math.min((at - other + count) % count, (other - at + count) % count);
          return distance > 1 ? [[from, to] as const] : [];
        }),
      );
    case "oneWay": {
      const size = 1 + random.below(Math.max(count - 1, 1));
      return directed(order.slice(0, size), order.slice(size));
    }
    case "deafLeader":
      return directed(
        order.filter((machine) => machine !== chosen),
        [chosen],
      );
    case "muteLeader":
      return directed(
        [chosen],
        order.filter((machine) => machine !== chosen),
      );
  }
}

/** The numbers 0..count-1 in a random order. */
export function shuffled(count: number, random: Random): number[] {
  const order = Array.from({ length: count }, (_, index) => index);
  for (let last = count - 1; last > 0; last--) {
    const other = random.below(last + 1);
    [order[last], order[other]] = [order[other] ?? 0, order[last] ?? 0];
  }
  return order;
}

function directed(from: readonly number[], to: readonly number[]): Links {
  return from.flatMap((a) => to.map((b) => [a, b] as const));
}

function between(a: readonly number[], b: readonly number[]): Links {
  return [...directed(a, b), ...directed(b, a)];
}
