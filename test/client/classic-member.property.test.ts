import { expect, test } from "vitest";
import type { ClientAssignor } from "../../src/client/assignors/assignor.ts";
import { cooperativeStickyAssignor } from "../../src/client/assignors/cooperative-sticky.ts";
import { stickyAssignor } from "../../src/client/assignors/sticky.ts";
import { SeededRandom } from "../../src/platform/random.ts";
import { ClassicCluster, type GroupFate, type NotedMember } from "./classic-cluster.ts";

const PARTITIONS = 9;
const FATES: readonly GroupFate[] = [
  "down",
  "lost",
  "REBALANCE_IN_PROGRESS",
  "NOT_COORDINATOR",
  "ILLEGAL_GENERATION",
];

/** Members come, are closed and die; calls fail in every way that leaves a session alive. */
async function run(seed: number, assignors: readonly ClientAssignor[]): Promise<void> {
  const random = new SeededRandom(seed);
  const cluster = new ClassicCluster({ t: PARTITIONS });
  let isFaulty = true;
  let inRow = 0;
  cluster.fate = () => {
    // Never so many in a row that a session ends, which a member could not know.
    const isFault = isFaulty && inRow < 2 && random.below(8) === 0;
    inRow = isFault ? inRow + 1 : 0;
    return isFault ? FATES[random.below(FATES.length)] : undefined;
  };
  const living: NotedMember[] = [];
  const all: NotedMember[] = [];
  const closings: Promise<void>[] = [];
  for (let step = 0; step < 15; step++) {
    const [victim] = living.splice(random.below(living.length + 1), living.length > 1 ? 1 : 0);
    if (victim === undefined || living.length < 2) {
      const member = cluster.member(`m${all.length}`, { assignors, rebalanceTimeoutMs: 30_000 });
      member.revoking = () => cluster.clock.sleep(random.below(3000));
      all.push(member);
      living.push(member.started());
      if (victim !== undefined) living.push(victim);
    } else if (random.below(2) === 0) {
      closings.push(victim.member.close({ timeoutMs: 20_000 }));
    } else {
      victim.kill();
    }
    await cluster.scheduler.advance(random.below(15_000));
  }
  isFaulty = false;
  await cluster.scheduler.settle(Promise.all(closings), 60_000);
  const given = (): number => living.reduce((sum, { has }) => sum + has.size, 0);
  await cluster.scheduler.runUntil(
    () => given() === PARTITIONS && living.every(({ member }) => member.state === "stable"),
    300_000,
  );
  const joins = cluster.count("JoinGroup");
  await cluster.scheduler.advance(60_000);
  expect(cluster.count("JoinGroup"), `seed ${seed}: it comes to rest`).toBe(joins);
  expect(cluster.doubles, `seed ${seed}`).toEqual([]);
  const counts = living.map(({ has }) => has.size);
  expect(Math.max(...counts) - Math.min(...counts), `seed ${seed}`).toBeLessThan(2);
  expect(
    living.map(({ fatal }) => fatal),
    `seed ${seed}`,
  ).toEqual(living.map(() => undefined));
}

test.each([
  ["cooperative", [cooperativeStickyAssignor]],
  ["eager", [stickyAssignor]],
  ["the default", []],
] as const)(
  "members come, go and fail (%s): everything is given out in the end, and never to two at once",
  async (_, assignors) => {
    for (let seed = 1; seed <= 25; seed++) await run(seed, assignors);
  },
);
