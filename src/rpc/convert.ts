import { operationError } from "../base/errors.ts";

/**
 * Checked conversions of the 64-bit numbers that proto-loader hands out (H47). It rounds what does not fit 2^53, so a
 * value at or above that is refused, never used: a rounded offset would mean another record.
 */
export function checkedUint64(value: number, field: string): number {
  if (Number.isSafeInteger(value) && value >= 0) return value;
  throw operationError("INVALID_ARGUMENT", `${field} is ${value}; it must be between 0 and 2^53 - 1`, {
    context: { field, value },
  });
}

/** As `checkedUint64`, for signed fields. */
export function checkedInt64(value: number, field: string): number {
  if (Number.isSafeInteger(value)) return value;
  throw operationError("INVALID_ARGUMENT", `${field} is ${value}; it must be within 2^53 - 1 of zero`, {
    context: { field, value },
  });
}

/** A signed field in which only -1 has a meaning below zero (none, latest...). */
export function checkedInt64OrMinusOne(value: number, field: string): number {
  if (Number.isSafeInteger(value) && value >= -1) return value;
  throw operationError("INVALID_ARGUMENT", `${field} is ${value}; it must be -1 or up to 2^53 - 1`, {
    context: { field, value },
  });
}
