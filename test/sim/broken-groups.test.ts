import { expect, test } from "vitest";
import { runGroupSeed } from "../../src/sim/group-campaign.ts";
import type { GroupSeedOptions } from "../../src/sim/group-campaign.ts";

/* As for whole brokers: each deliberate bug of the coordinator must be found within the seeds recorded here. */
const builds: readonly {
  readonly what: string;
  readonly options: Omit<GroupSeedOptions, "seed">;
  readonly within: number;
  readonly found: readonly string[];
}[] = [
  {
    what: "commits of an old generation or member epoch accepted",
    options: { sabotage: "acceptStaleCommits", faults: "members" },
    within: 60,
    found: ["stale-generation-commit", "GroupComesToTheEnd"],
  },
  {
    what: "sessions measured by the wall clock",
    options: { sabotage: "wallClockSessions", faults: "clocks" },
    within: 20,
    found: ["GroupComesToTheEnd", "SessionsLast"],
  },
  {
    what: "a coordinator that answers before its batch is committed",
    options: { sabotage: "answerGroupsEarly", faults: "mixed" },
    within: 100,
    found: [
      "commit-regress",
      "lost-commit",
      "phantom-commit",
      "double-assignment",
      "stale-generation-commit",
    ],
  },
];

test.each(builds)(
  "$what: found within $within seeds",
  async ({ options, within, found }) => {
    const violated: string[] = [];
    for (let seed = 1; seed <= within && violated.length === 0; seed++) {
      const { failure } = await runGroupSeed({ ...options, seed });
      if (failure !== undefined) violated.push(failure.invariant);
    }
    expect(violated).toHaveLength(1);
    expect(found).toContain(violated[0]);
  },
  240_000,
);
