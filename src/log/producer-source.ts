import type { Logger } from "../base/logger.ts";
import type { Disk } from "../platform/disk.ts";
import type { Segment } from "./segment.ts";

/** What building a producer state takes. */
export interface ProducerSource {
  readonly disk: Disk;
  readonly logger: Logger;
  readonly directory: string;
  /** Of the whole log, oldest first. */
  readonly segments: readonly Segment[];
  readonly producerExpirationMs: number;
  readonly nowMs: number;
}
