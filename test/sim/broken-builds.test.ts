import { expect, test } from "vitest";
import type { RaftSabotage } from "../../src/raft/types.ts";
import { runSeed } from "../../src/sim/campaign.ts";

/*
 * A simulator that finds nothing may have nothing to find, or not look. Each deliberate bug must be found, and by the
 * invariant that it breaks, within a few of the seeds that are recorded here.
 */
const builds: readonly {
  readonly sabotage: RaftSabotage;
  readonly from: number;
  readonly within: number;
  readonly invariant: string;
}[] = [
  { sabotage: "forgetVote", from: 1, within: 5, invariant: "VoteIsDurable" },
  { sabotage: "acknowledgeBeforeWrite", from: 1, within: 5, invariant: "VoteIsDurable" },
  { sabotage: "votersWithoutOwnTerm", from: 100, within: 60, invariant: "VotersAfterOwnTerm" },
  { sabotage: "commitOldTerm", from: 1, within: 1500, invariant: "OwnTermCommits" },
];

test.each(builds)(
  "$sabotage is found within $within seeds, as $invariant",
  async (build) => {
    const { sabotage, from, within, invariant } = build;
    const found: string[] = [];
    for (let seed = from; seed < from + within && found.length === 0; seed++) {
      const { failure } = await runSeed({ seed, sabotage });
      if (failure !== undefined) found.push(failure.invariant);
    }
    expect(found).toEqual([invariant]);
  },
  120_000,
);
