import type { Offset } from "../model/offsets.ts";
import { LogCore } from "./log-core.ts";
import type { PartitionLogDeps, PartitionLogOptions } from "./log-core.ts";
import { recoverLog } from "./recovery.ts";
import { damageMessage } from "./segment-damage.ts";

/** What is known of a log before its files are looked at. */
export interface OpenHow {
  readonly recoveryPoint: Offset;
  readonly logStartOffset: Offset;
  /** As was noted last; see `LogCore.gapsBelow`. */
  readonly gapsBelow: Offset;
  /** The last process closed it in order. */
  readonly clean: boolean;
  /** False when there is no directory for it: nothing was ever written, and nothing is read. */
  readonly exists: boolean;
  /** Where a clean log is known to end; if the files say otherwise they are walked as after a crash. */
  readonly expectedEndOffset?: Offset;
}

/** See `PartitionLog.open`. @throws LograftError DISK_READ_FAILED, DISK_WRITE_FAILED, DISK_SYNC_FAILED. */
export async function openCore(
  options: PartitionLogOptions,
  deps: PartitionLogDeps,
  how: OpenHow,
): Promise<LogCore> {
  const core = how.exists ? await recoverCore(options, deps, how) : emptyCore(options, deps, how);
  // The last process ended between a cut and its note, or before it wrote what it had noted.
  if (core.damage === undefined) await core.lowerGaps();
  return core;
}

function emptyCore(options: PartitionLogOptions, deps: PartitionLogDeps, how: OpenHow): LogCore {
  const { logStartOffset: start, gapsBelow } = how;
  return new LogCore(options, deps, [], { start, end: start, gapsBelow });
}

async function recoverCore(
  options: PartitionLogOptions,
  deps: PartitionLogDeps,
  how: OpenHow,
): Promise<LogCore> {
  const { clock, disk, logger, limits } = deps;
  const { directory } = options;
  const { gapsBelow } = how;
  const input = {
    directory,
    config: options.config(),
    recoveryPoint: how.recoveryPoint,
    logStartOffset: how.logStartOffset,
    gapsBelow,
    producerExpirationMs: limits.producerExpirationMs,
    sabotage: deps.sabotage,
  };
  const recoveryDeps = { disk, logger, wallMs: clock.wallMs(), monotonicMs: clock.monotonicMs() };
  let found = await recoverLog({ ...input, isClean: how.clean }, recoveryDeps);
  if (how.clean && how.expectedEndOffset !== undefined && found.logEndOffset !== how.expectedEndOffset) {
    logger.warn("a log does not end where it was closed and is walked as after a crash", {
      directory,
      expected: how.expectedEndOffset,
      found: found.logEndOffset,
    });
    const recoveryPoint = how.expectedEndOffset;
    found = await recoverLog({ ...input, recoveryPoint, isClean: false }, recoveryDeps);
  }
  const { logStartOffset: start, logEndOffset: end, segments, damage } = found;
  const core = new LogCore(options, deps, segments, { start, end, gapsBelow });
  core.hasDirectory = true;
  if (found.producers.count > 0) core.producers = found.producers;
  if (found.epochs.latestEpoch >= 0) core.epochs = found.epochs;
  for (const segment of segments) deps.indexes.touch(segment);
  if (damage !== undefined) {
    core.stopAtDamage({ offset: damage.offset, message: damageMessage(damage.path, damage) });
  }
  return core;
}
