/** Nanoseconds of the machine's monotonic clock, the same in all its processes. */
export function nowNs(): number {
  return Number(process.hrtime.bigint());
}
