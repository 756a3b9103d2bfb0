/**
 * Deliberate bugs, for tests that must notice them:
 *  - `windowOfOne`: of a producer's last batches only the very last is known again;
 *  - `forgetProducers`: what a follower is sent tells it nothing of producers, so a new leader knows none;
 *  - `truncateAtBadCrc`: recovery takes any damage for a torn end and cuts there, whatever follows;
 *  - `swallowFailedSync`: a failed sync counts as one that worked.
 */
export const LOG_SABOTAGES = [
  "windowOfOne",
  "forgetProducers",
  "truncateAtBadCrc",
  "swallowFailedSync",
] as const;

export type LogSabotage = (typeof LOG_SABOTAGES)[number];
