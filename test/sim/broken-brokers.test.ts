import { expect, test } from "vitest";
import { runBrokerSeed } from "../../src/sim/broker-campaign.ts";
import type { BrokerSeedOptions } from "../../src/sim/broker-campaign.ts";

/*
 * As for the metadata: each deliberate bug must be found, and by what it breaks, within a few of the seeds recorded here.
 * One of them without a look into the brokers: the clients' history alone must tell.
 */
const builds: readonly {
  readonly what: string;
  readonly options: Omit<BrokerSeedOptions, "seed">;
  readonly from: number;
  readonly within: number;
  readonly found: readonly string[];
}[] = [
  {
    what: "acks=all answered before the high watermark",
    options: { sabotage: "answerBeforeCommit" },
    from: 1,
    within: 2,
    found: ["AcknowledgedIsCommitted"],
  },
  {
    what: "the same, judged by the clients' history",
    options: { sabotage: "answerBeforeCommit", isWatched: false, faults: "mixed" },
    from: 1,
    within: 60,
    found: ["inconsistent-offsets", "lost-write", "vanished", "duplicate"],
  },
  {
    what: "the high watermark on the committed ISR alone",
    options: { sabotage: "committedIsrOnly", faults: "powerCuts" },
    from: 26,
    within: 40,
    found: ["StrongIsr"],
  },
  {
    what: "a broker that lost its memory kept in the ELR",
    options: { sabotage: "keepUncleanInIsr", faults: "allButOne" },
    from: 1,
    within: 12,
    found: ["StrongIsr"],
  },
];

test.each(builds)(
  "$what is found within $within seeds",
  async ({ options, from, within, found }) => {
    const violated: string[] = [];
    for (let seed = from; seed < from + within && violated.length === 0; seed++) {
      const { failure } = await runBrokerSeed({ ...options, seed });
      if (failure !== undefined) violated.push(failure.invariant);
    }
    expect(violated).toHaveLength(1);
    expect(found).toContain(violated[0]);
  },
  120_000,
);
