/** Replicas of a topic's partitions when nobody says how many and there are brokers enough. */
const USUAL_REPLICAS = 3;
/** In-sync replicas of a write with acks=all when nobody says how many. */
const USUAL_IN_SYNC = 2;

/**
 * In-sync replicas that a write with acks=all needs. `setting` is `min.insync.replicas`; 0 leaves it to the number of
 * replicas: one may be missing, and two are enough. A partition never needs more than it has, nor less than one.
 */
export function requiredInSync(setting: number, replicas: number): number {
  const wanted = setting === 0 ? Math.min(USUAL_IN_SYNC, replicas - 1) : setting;
  return Math.max(1, Math.min(wanted, replicas));
}

/** `default.replication.factor`; 0 leaves it to the number of brokers that the cluster has, those that are down included. */
export function usualReplicationFactor(setting: number, brokers: number): number {
  return setting === 0 ? Math.max(1, Math.min(USUAL_REPLICAS, brokers)) : setting;
}
