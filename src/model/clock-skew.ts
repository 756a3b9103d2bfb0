/**
 * How far two clocks of a cluster may lie apart before that is told, in ms. Clocks that are set by the network differ by
 * milliseconds; what goes by them (timestamps of records, retention, the bounds on timestamps) is in minutes and hours.
 */
export const MAX_CLOCK_SKEW_MS = 5000;

/** A reading of another clock, between two readings of the own one. All in ms. */
export interface ClockReading {
  readonly askedMs: number;
  readonly theirsMs: number;
  readonly answeredMs: number;
}

/** How far the other clock is ahead of the own one, at least: the time of the answer's way counts for neither. Negative: behind. */
export function clockSkewMs({ askedMs, theirsMs, answeredMs }: ClockReading): number {
  if (theirsMs > answeredMs) return theirsMs - answeredMs;
  return theirsMs < askedMs ? theirsMs - askedMs : 0;
}

/** "4.2 s ahead of", "2 h 3 min behind". */
export function shownSkew(skewMs: number): string {
  const [seconds, side] = [Math.abs(skewMs) / 1000, skewMs < 0 ? "behind" : "ahead of"];
  if (seconds < 120) return `${seconds.toFixed(1)} s ${side}`;
  const minutes = Math.round(seconds / 60);
  if (minutes < 120) return `${minutes} min ${side}`;
  const hours = Math.round(minutes / 60);
  return hours < 48 ? `${hours} h ${side}` : `${Math.round(hours / 24)} days ${side}`;
}
