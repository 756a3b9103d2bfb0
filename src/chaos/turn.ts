/** Which one of how many producers, that give all keys their records at one even pace between them. */
export interface Turn {
  /** From 0 on, below `of`. */
  readonly index: number;
  readonly of: number;
}

/**
 * The key, from 0 on below `keyCount`, that a producer gives a record in a slot of time. Between them each key gets one in
 * each round. They change places after so many slots as there are keys, so that every producer comes to every key.
 */
export function keyInTurn(slot: number, { index, of }: Turn, keyCount: number): number {
  const place = (index + Math.floor(slot / keyCount)) % of;
  return (slot * of + place) % keyCount;
}
