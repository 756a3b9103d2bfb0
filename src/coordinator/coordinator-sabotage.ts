/**
 * Deliberate bugs, for tests that must notice them:
 *  - `acceptStaleCommits`: offsets are committed for whoever asks, in whatever generation or member epoch, whoever owns the
 *    partition;
 *  - `wallClockSessions`: deadlines are measured by the wall clock;
 *  - `answerGroupsEarly`: requests are answered before what was decided is committed.
 */
export const COORDINATOR_SABOTAGES = [
  "acceptStaleCommits",
  "wallClockSessions",
  "answerGroupsEarly",
] as const;

export type CoordinatorSabotage = (typeof COORDINATOR_SABOTAGES)[number];
