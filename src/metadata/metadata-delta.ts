import type { BrokerImage, TopicImage } from "./image.ts";

/** What one replay changed, for those who act on it: logs to fence or delete, sessions to end. */
export interface MetadataDelta {
  /** Created or changed, as they are now. */
  readonly changed: readonly TopicImage[];
  /** As they were. */
  readonly removed: readonly TopicImage[];
  /** Registered or changed, as they are now. */
  readonly brokers: readonly BrokerImage[];
  /** Unregistered, as they were. */
  readonly removedBrokers: readonly BrokerImage[];
  /** Those whose level was set. */
  readonly features: ReadonlyMap<string, number>;
}
