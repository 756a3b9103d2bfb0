import type { FeatureRange } from "./records.ts";

/** The feature whose level says in which form the records of the metadata log are written. */
export const METADATA_VERSION = "metadata.version";

/**
 * The levels that this release can work with.
 *
 *   1  release 0.2.0
 *   2  partitions can be on their way to other brokers, and brokers can be drained: bodies of Partition and BrokerChange
 *      that older releases cannot read, and stop at
 *   3  brokers can have several listeners for clients: a body of BrokerRegistration that older releases stop at
 */
export const METADATA_VERSIONS: FeatureRange = { min: 1, max: 3 };

/** From this level on a partition can move and a broker can be drained. */
export const MOVEMENT_LEVEL = 2;

/** From this level on a broker can have several listeners for clients. */
export const LISTENERS_LEVEL = 3;

/**
 * The level that records are written in. A cluster without one is new: this release is just founding it, at its newest.
 */
export function metadataVersionOf(image: { readonly features: ReadonlyMap<string, number> }): number {
  return image.features.get(METADATA_VERSION) ?? METADATA_VERSIONS.max;
}
