import { partitionOfKey } from "../model/murmur2.ts";

/** What a partitioner decides by. */
export interface PartitionInput {
  readonly topic: string;
  /** The bytes that will be written; null: no key. */
  readonly key: Uint8Array | null;
  readonly value: string | Uint8Array | null;
  readonly partitionCount: number;
}

/** Chooses a partition in 0..partitionCount-1, or undefined for "any": then batches are filled one partition at a time. */
export type Partitioner = (input: PartitionInput) => number | undefined;

/**
 * The default: the hash of the key, as Kafka's Java client computes it, so that both SDKs agree where a key lives.
 * Records without a key stick to one partition until its batch is full (KIP-480).
 */
export function murmur2(): Partitioner {
  return murmur2Partitioner;
}

/** One function for all producers: they know it by identity and do not call it for records without a key. */
export const murmur2Partitioner: Partitioner = ({ key, partitionCount }) =>
  key === null ? undefined : partitionOfKey(key, partitionCount);

/** One record to each partition in turn, whatever its key; for each topic on its own. */
export function roundRobin(): Partitioner {
  const next = new Map<string, number>();
  return ({ topic, partitionCount }) => {
    const partition = (next.get(topic) ?? 0) % partitionCount;
    next.set(topic, partition + 1);
    return partition;
  };
}

/** Any partition, one batch at a time, whatever the key. */
export function sticky(): Partitioner {
  return () => undefined;
}
