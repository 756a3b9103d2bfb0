import { NOBODY } from "../../model/balance-problem.ts";
import type { ClientAssignor } from "./assignor.ts";
import { type GridTopic, inMemberOrder, partitionGrid, planOf, rackMatch } from "./partition-grid.ts";

/**
 * "range", Kafka's default: each topic by itself is cut into one run of partitions for each member that subscribes to it;
 * the first members get one more when it cannot be cut evenly. So equal keys of topics with equally many partitions meet
 * in one member, and the first members have more when there are many topics. Where racks are known and make a difference,
 * members first get, within the same numbers, partitions with a replica in their rack (KIP-881).
 */
export const rangeAssignor: ClientAssignor = {
  name: "range",
  protocol: "eager",
  assign(members, topics) {
    const grid = partitionGrid(inMemberOrder(members), topics);
    const owners = new Int32Array(grid.partitionCount).fill(NOBODY);
    const cuts = grid.topics
      .filter(({ subscribers }) => subscribers.length > 0)
      .map((topic) => new TopicCut(topic, owners));
    const isNear = rackMatch(grid);
    if (isNear !== undefined) for (const alike of coPartitioned(cuts)) giveNear(alike, isNear);
    for (const cut of cuts) cut.giveRest();
    return planOf(grid, owners);
  },
};

type IsNear = (topic: GridTopic, number: number, member: number) => boolean;

/** Topics with the same members and the same number of partitions are to be cut alike. */
function coPartitioned(cuts: readonly TopicCut[]): readonly (readonly TopicCut[])[] {
  const groups = new Map<string, TopicCut[]>();
  for (const cut of cuts) {
    const key = `${cut.topic.partitionCount}:${cut.topic.subscribers.join(",")}`;
    const group = groups.get(key);
    if (group === undefined) groups.set(key, [cut]);
    else group.push(cut);
  }
  return [...groups.values()];
}

/** Each partition number goes, in all of the topics, to the first member with room that is near it in all of them. */
function giveNear(cuts: readonly TopicCut[], isNear: IsNear): void {
  const [{ topic } = { topic: undefined }] = cuts;
  if (topic === undefined) return;
  for (let number = 0; number < topic.partitionCount; number++) {
    const member = topic.subscribers.find((candidate) =>
      cuts.every((cut) => cut.hasRoom(candidate) && isNear(cut.topic, number, candidate)),
    );
    if (member !== undefined) for (const cut of cuts) cut.give(number, member);
  }
}

/** One topic on its way to a plan. */
class TopicCut {
  readonly topic: GridTopic;
  readonly #owners: Int32Array;
  readonly #counts = new Map<number, number>();
  readonly #minCount: number;
  #extras: number;

  constructor(topic: GridTopic, owners: Int32Array) {
    this.topic = topic;
    this.#owners = owners;
    this.#minCount = Math.floor(topic.partitionCount / topic.subscribers.length);
    this.#extras = topic.partitionCount % topic.subscribers.length;
  }

  hasRoom(member: number): boolean {
    return this.#count(member) < this.#minCount + (this.#extras > 0 ? 1 : 0);
  }

  give(number: number, member: number): void {
    const count = this.#count(member) + 1;
    if (count > this.#minCount) this.#extras--;
    this.#counts.set(member, count);
    this.#owners[this.topic.first + number] = member;
  }

  giveRest(): void {
    const { subscribers, partitionCount, first } = this.topic;
    let at = 0;
    for (let number = 0; number < partitionCount; number++) {
      if (this.#owners[first + number] !== NOBODY) continue;
      while (!this.hasRoom(subscribers[at] ?? 0)) at++;
      this.give(number, subscribers[at] ?? 0);
    }
  }

  #count(member: number): number {
    return this.#counts.get(member) ?? 0;
  }
}
