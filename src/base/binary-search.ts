/** The number at `index` (0 <= index < count); values must not fall as the index grows. */
export type NumberAt = (index: number) => number;

/** First index in [0, count) whose number is >= `wanted`; `count` when there is none. */
export function lowerBound(count: number, numberAt: NumberAt, wanted: number): number {
  let low = 0;
  let high = count;
  while (low < high) {
    const middle = low + ((high - low) >>> 1);
    if (numberAt(middle) < wanted) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** First index in [0, count) whose number is > `wanted`; `count` when there is none. */
export function upperBound(count: number, numberAt: NumberAt, wanted: number): number {
  let low = 0;
  let high = count;
  while (low < high) {
    const middle = low + ((high - low) >>> 1);
    if (numberAt(middle) <= wanted) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** Last index in [0, count) whose number is <= `wanted`, or -1: the segment or index entry that covers an offset. */
export function floorIndex(count: number, numberAt: NumberAt, wanted: number): number {
  return upperBound(count, numberAt, wanted) - 1;
}
