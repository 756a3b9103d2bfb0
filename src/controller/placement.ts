import { assert } from "../base/assert.ts";
import { compareText, isActive } from "../metadata/image.ts";
import type { BrokerImage, MetadataImage } from "../metadata/image.ts";
import type { NodeId } from "../model/ids.ts";

/** A broker that takes replicas, and where it stands. */
export type PlacementBroker = Pick<BrokerImage, "nodeId" | "rack" | "brokerHost">;

/** Where the replicas of new partitions go. */
export interface PlacementRequest {
  /** First partition number to place, and the one after the last (exclusive). */
  readonly from: number;
  readonly to: number;
  readonly replicationFactor: number;
  /** Those in service, in the order of `placementBrokers`, without repeats; at least one. */
  readonly brokers: readonly PlacementBroker[];
  /** Those that are away at the moment; they get replicas, and lead none, when the others are too few. */
  readonly spares: readonly PlacementBroker[];
  /** Position in `brokers` of partition 0's leader; taken modulo their count. */
  readonly start: number;
}

/**
 * The brokers that new replicas may go to, the drained ones left out: those in service, and those that are fenced or
 * shutting down as spares, so that a topic can be made while one of three brokers is down. Racks alternate, hosts within a
 * rack too, so that neighbours are seldom on the same one; without any of them the order is that of the ids.
 */
export function placementBrokers(image: MetadataImage): Pick<PlacementRequest, "brokers" | "spares"> {
  const undrained = [...image.brokers()].filter((broker) => !broker.isDrained);
  return {
    brokers: spread(undrained.filter((broker) => isActive(broker))),
    spares: spread(undrained.filter((broker) => !isActive(broker))),
  };
}

function spread(brokers: readonly PlacementBroker[]): readonly PlacementBroker[] {
  const byId = brokers.toSorted((a, b) => a.nodeId - b.nodeId);
  const racks = groupBy(byId, rackOf).sort(([a], [b]) => compareText(a, b));
  return interleave(
    racks.map(([, brokers]) => interleave(groupBy(brokers, hostOf).map(([, group]) => group))),
  );
}

/**
 * The replicas of each partition, the leader first. Partition i is led by broker (start + i) mod n. Its followers are the
 * next brokers after a gap that grows by one each time the leaders have gone round, so that the followers of one broker's
 * partitions are spread over all others and its death loads them evenly. Among them those on a host that has no replica
 * yet come first, then those in the rack with the fewest, and spares last. Equal lists are one array.
 */
export function placeReplicas(request: PlacementRequest): readonly (readonly NodeId[])[] {
  const { from, to, replicationFactor, brokers, spares, start } = request;
  const count = brokers.length;
  const isEnough = replicationFactor <= count + spares.length;
  assert(replicationFactor >= 1 && count >= 1 && isEnough, "placement needs a broker for each replica", {
    replicationFactor,
    count,
    spareCount: spares.length,
  });
  const leaders: (LeaderPlacement | undefined)[] = [];
  const placed: (readonly NodeId[])[] = [];
  for (let partition = from; partition < to; partition++) {
    const position = (start + partition) % count;
    const leader = (leaders[position] ??= new LeaderPlacement(request, position));
    placed.push(leader.replicas(Math.floor(partition / count)));
  }
  return placed;
}

/** The lists of replicas that one broker leads. */
class LeaderPlacement {
  readonly #leader: PlacementBroker;
  /** All others, the next one first. */
  readonly #others: readonly PlacementBroker[];
  readonly #spares: readonly PlacementBroker[];
  readonly #followerCount: number;
  /** Best places for the first follower; the gap counts among them, so that each gets its share. */
  readonly #firstChoices: number;
  readonly #byGap = new Map<number, readonly NodeId[]>();

  constructor({ brokers, spares, replicationFactor }: PlacementRequest, position: number) {
    const [leader, ...others] = [...brokers.slice(position), ...brokers.slice(0, position)];
    assert(leader !== undefined, "a placement position is past the brokers", { position });
    this.#leader = leader;
    this.#others = others;
    this.#spares = spares;
    this.#followerCount = replicationFactor - 1;
    this.#firstChoices = Math.max(bestPlaces([leader], others).length, 1);
  }

  replicas(round: number): readonly NodeId[] {
    const gap = round % this.#firstChoices;
    let replicas = this.#byGap.get(gap);
    if (replicas === undefined) {
      replicas = this.#choose(gap).map(({ nodeId }) => nodeId);
      this.#byGap.set(gap, replicas);
    }
    return replicas;
  }

  #choose(gap: number): readonly PlacementBroker[] {
    const chosen = [this.#leader];
    let rest = this.#others;
    let at = gap;
    while (chosen.length <= this.#followerCount) {
      if (rest.length === 0) rest = this.#spares.filter((broker) => !chosen.includes(broker));
      const best = bestPlaces(chosen, rest);
      // Once one is taken, the same position is that of the next.
      at %= best.length;
      const next = best[at];
      assert(next !== undefined, "placement ran out of brokers", { chosen: chosen.length });
      chosen.push(next);
      rest = rest.filter((broker) => broker !== next);
    }
    return chosen;
  }
}

/** Those of `rest` that share the least with the chosen ones: a host if it must be, then as few as possible a rack. */
function bestPlaces(
  chosen: readonly PlacementBroker[],
  rest: readonly PlacementBroker[],
): readonly PlacementBroker[] {
  let best: PlacementBroker[] = [];
  let bestOnHost = Infinity;
  let bestInRack = Infinity;
  for (const broker of rest) {
    const onHost = chosen.filter((other) => hostOf(other) === hostOf(broker)).length;
    const inRack = chosen.filter((other) => rackOf(other) === rackOf(broker)).length;
    if (onHost > bestOnHost || (onHost === bestOnHost && inRack > bestInRack)) continue;
    if (onHost < bestOnHost || inRack < bestInRack) best = [];
    bestOnHost = onHost;
    bestInRack = inRack;
    best.push(broker);
  }
  return best;
}

/** Brokers without a rack may stand anywhere: they count as if they shared one. */
function rackOf({ rack }: PlacementBroker): string {
  return rack ?? "";
}

/** A broker that names no host has one of its own. */
function hostOf({ brokerHost, nodeId }: PlacementBroker): string {
  return brokerHost === null ? `node ${nodeId}` : `host ${brokerHost}`;
}

/** In the order in which the keys come up. */
function groupBy(
  brokers: readonly PlacementBroker[],
  keyOf: (broker: PlacementBroker) => string,
): [string, PlacementBroker[]][] {
  const groups = new Map<string, PlacementBroker[]>();
  for (const broker of brokers) {
    const group = groups.get(keyOf(broker));
    if (group === undefined) groups.set(keyOf(broker), [broker]);
    else group.push(broker);
  }
  return [...groups];
}

/** The first of each group, then the second of each. */
function interleave<T>(groups: readonly (readonly T[])[]): T[] {
  const longest = Math.max(0, ...groups.map(({ length }) => length));
  return Array.from({ length: longest }, (_, position) =>
    groups.flatMap((group) => group.slice(position, position + 1)),
  ).flat();
}
