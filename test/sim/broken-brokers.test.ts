import { expect, test } from "vitest";
import { runBrokerSeed } from "../../src/sim/broker-campaign.ts";
import type { BrokerSeedOptions } from "../../src/sim/broker-campaign.ts";

/*
 * As for the metadata: each deliberate bug must be found, and by what it breaks, within the seeds recorded here. One of
 * them without a look into the brokers: the clients' history alone must tell.
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
    what: "a follower that begins by cutting its log to the high watermark that it knows (KIP-101)",
    options: { sabotage: "truncateToHighWatermark", faults: "powerCuts" },
    from: 1,
    within: 10,
    found: ["StrongIsr", "ReplicasRecover"],
  },
  {
    what: "a leader that sends to whoever asks, in whatever epoch and with whatever history (KIP-320)",
    options: { sabotage: "followUnchecked", faults: "powerCuts" },
    from: 1,
    within: 10,
    found: ["StrongIsr", "ReplicasEqual", "ReplicasRecover"],
  },
  {
    what: "the high watermark on the committed ISR alone",
    options: { sabotage: "committedIsrOnly", faults: "powerCuts" },
    from: 1,
    within: 150,
    found: ["StrongIsr"],
  },
  {
    what: "a follower in the ISR before it has what its leader began with (KIP-966)",
    options: { sabotage: "joinWithoutEpochStart", faults: "laggards" },
    from: 1,
    within: 10,
    found: ["StrongIsr"],
  },
  {
    what: "a broker that lost its memory kept in the ELR",
    options: { sabotage: "keepUncleanInIsr", faults: "allButOne" },
    from: 1,
    within: 40,
    found: ["StrongIsr"],
  },
  {
    what: "a quorum's acknowledgement before the write",
    options: { sabotage: "acknowledgeBeforeWrite", faults: "powerCuts" },
    from: 1,
    within: 3,
    found: ["VoteIsDurable"],
  },
  {
    what: "a vote that a restart forgets",
    options: { sabotage: "forgetVote", faults: "mixed" },
    from: 1,
    within: 3,
    found: ["VoteIsDurable"],
  },
  {
    what: "one batch of a producer remembered in place of five",
    options: { sabotage: "windowOfOne", faults: "mixed" },
    from: 1,
    within: 40,
    found: ["SequencesSurvive"],
  },
  {
    what: "what producers have sent forgotten by the next leader",
    options: { sabotage: "forgetProducers", faults: "mixed" },
    from: 1,
    within: 10,
    found: ["SequencesSurvive"],
  },
  {
    what: "a duplicate acknowledged before the original is replicated",
    options: { sabotage: "answerDuplicateEarly", faults: "mixed" },
    from: 1,
    within: 40,
    found: ["AcknowledgedIsCommitted"],
  },
  {
    what: "a log cut at the first damaged batch, wherever it is",
    options: { sabotage: "truncateAtBadCrc", faults: "storage" },
    from: 1,
    within: 400,
    found: ["StrongIsr"],
  },
  {
    what: "a failed sync taken for one that worked",
    options: { sabotage: "swallowFailedSync", faults: "storage" },
    from: 1,
    within: 400,
    found: ["StrongIsr", "lost-write"],
  },
  {
    what: "directories removed because the metadata does not know them yet",
    options: { sabotage: "deleteUnknown", faults: "mixed" },
    from: 1,
    within: 100,
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
