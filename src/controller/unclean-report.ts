import type { Logger } from "../base/logger.ts";
import type { UncleanElection } from "./affected-partitions.ts";

/** Partitions named in one line. */
const NAMED = 20;

/** Tells, at error level and in one line, which partitions may have lost confirmed records (H25). */
export function reportUncleanElections(logger: Logger, elections: readonly UncleanElection[]): void {
  if (elections.length === 0) return;
  const named = elections
    .slice(0, NAMED)
    .map(({ topic, partition, leader }) => `${topic}-${partition} (broker ${leader})`)
    .join(", ");
  logger.error(
    "unclean leader elections: these partitions are led by replicas that may lack confirmed records, which are lost then",
    { count: elections.length, partitions: elections.length > NAMED ? `${named}, ...` : named },
  );
}
