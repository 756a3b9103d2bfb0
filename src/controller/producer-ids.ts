import type { MetadataImage } from "../metadata/image.ts";
import type { Decision } from "./result.ts";

/** Ids in a block: one commit for so many producers. */
export const PRODUCER_ID_BLOCK_SIZE = 1000;

/** Producer ids that one broker may give out: `first` inclusive, `end` exclusive. */
export interface ProducerIdBlock {
  readonly first: number;
  readonly end: number;
}

/**
 * Takes the next block. It is logged before any of its ids is used, so an id is never given twice, even by a broker that
 * crashed in between; what it had not used is lost (H57, KIP-730).
 */
export function decideProducerIdBlock(image: MetadataImage): Decision<ProducerIdBlock> {
  const first = image.nextProducerId;
  const end = first + PRODUCER_ID_BLOCK_SIZE;
  return { records: [{ type: "ProducerIds", nextProducerId: end }], response: { first, end } };
}
