/** An observation of something that may only grow, over the time that observing it took. */
export interface TimedNumber {
  readonly invokedAt: number;
  readonly completedAt: number;
  readonly number: number;
}

/** An observation and an earlier one that it contradicts. */
export interface Regression<T> {
  readonly earlier: T;
  readonly later: T;
}

/**
 * Finds observations that began after another had ended and yet show less (or, with `isStrict`, not more). One sweep
 * over both orders of time; each late one is told once, against the greatest that had ended before it began.
 */
export function findRegressions<T extends TimedNumber>(
  observations: readonly T[],
  options: { readonly isStrict: boolean },
): Regression<T>[] {
  const byEnd = observations.toSorted((a, b) => a.completedAt - b.completedAt);
  const byBegin = observations.toSorted((a, b) => a.invokedAt - b.invokedAt);
  const found: Regression<T>[] = [];
  let ended = 0;
  let greatest: T | undefined;
  for (const later of byBegin) {
    for (; ended < byEnd.length; ended++) {
      const one = byEnd[ended];
      if (one === undefined || one.completedAt >= later.invokedAt) break;
      if (greatest === undefined || one.number > greatest.number) greatest = one;
    }
    if (greatest === undefined) continue;
    const isLess = later.number < greatest.number || (options.isStrict && later.number === greatest.number);
    if (isLess) found.push({ earlier: greatest, later });
  }
  return found;
}
