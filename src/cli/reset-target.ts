import { operationError } from "../base/errors.ts";
import type { ResetTarget } from "../client/index.ts";
import { parseInteger, parseTime } from "./arguments.ts";

/** The options that say where a reset leads to; `kafka-consumer-groups` has the same, and some more. */
export interface ResetTargetOptions {
  readonly toEarliest?: boolean;
  readonly toLatest?: boolean;
  readonly toCurrent?: boolean;
  readonly toDatetime?: string;
  readonly byDuration?: string;
  readonly shiftBy?: string;
  readonly toOffset?: string;
}

/**
 * The one target that is given. `nowMs`: what a duration counts back from. @throws LograftError INVALID_ARGUMENT for none,
 * several, or one that cannot be read.
 */
export function parseResetTarget(options: ResetTargetOptions, nowMs: number): ResetTarget {
  const { toDatetime, byDuration, shiftBy, toOffset } = options;
  const given: ResetTarget[] = [];
  if (options.toEarliest === true) given.push("earliest");
  if (options.toLatest === true) given.push("latest");
  if (options.toCurrent === true) given.push("current");
  if (toDatetime !== undefined) given.push(parseTime(toDatetime, "--to-datetime"));
  if (byDuration !== undefined) {
    given.push({ timestamp: Math.max(0, nowMs - parseIsoDuration(byDuration, "--by-duration")) });
  }
  if (shiftBy !== undefined)
    given.push({ shiftBy: parseInteger(shiftBy, "--shift-by", Number.MIN_SAFE_INTEGER) });
  if (toOffset !== undefined) given.push({ offset: parseInteger(toOffset, "--to-offset", 0) });
  const [target, second] = given;
  if (target !== undefined && second === undefined) return target;
  throw operationError(
    "INVALID_ARGUMENT",
    "say where to, once: --to-earliest, --to-latest, --to-datetime T, --shift-by N or --to-offset N",
  );
}

/** An ISO 8601 duration in days and less, such as P7D or PT1H30M, in milliseconds. @throws INVALID_ARGUMENT. */
export function parseIsoDuration(text: string, option: string): number {
  const match = /^P(?=.)(?:(\d+)D)?(?:T(?=.)(?:(\d+)H)?(?:(\d+)M)?(?:(\d+(?:\.\d+)?)S)?)?$/.exec(text);
  if (match === null) {
    throw operationError("INVALID_ARGUMENT", `${option} ${text}: write it as P7D or PT1H30M (ISO 8601)`);
  }
  const [days, hours, minutes, seconds] = match.slice(1).map((part) => Number(part ?? 0));
  return ((((days ?? 0) * 24 + (hours ?? 0)) * 60 + (minutes ?? 0)) * 60 + (seconds ?? 0)) * 1000;
}
