import { silentLogger } from "../../src/base/logger.ts";
import { FileHandleCache } from "../../src/log/file-handle-cache.ts";
import { SyncScheduler } from "../../src/log/flusher.ts";
import { IndexCache } from "../../src/log/index-cache.ts";
import { DEFAULT_LOG_CONFIG } from "../../src/log/log-config.ts";
import type { LogConfig } from "../../src/log/log-config.ts";
import { DEFAULT_LOG_LIMITS } from "../../src/log/log-core.ts";
import type { Flushable, LogHost, LogLimits, PartitionLogDeps } from "../../src/log/log-core.ts";
import type { AppendResult } from "../../src/log/log-appender.ts";
import { PartitionLog } from "../../src/log/partition-log.ts";
import type { OpenHow } from "../../src/log/log-opening.ts";
import { TailCache } from "../../src/log/tail-cache.ts";
import { BatchBuilder } from "../../src/model/batch-builder.ts";
import type { BatchProducer } from "../../src/model/batch-builder.ts";
import { decodeRecords } from "../../src/model/record-reader.ts";
import { randomTopicId } from "../../src/model/ids.ts";
import { NO_LEADER_EPOCH, offset } from "../../src/model/offsets.ts";
import type { LeaderEpoch, Offset, Timestamp } from "../../src/model/offsets.ts";
import { batchSizeOf } from "../../src/model/record-batch.ts";
import type { Clock } from "../../src/platform/clock.ts";
import type { Disk } from "../../src/platform/disk.ts";
import { SeededRandom } from "../../src/platform/random.ts";
import { Scheduler } from "../../src/sim/scheduler.ts";
import { SimClock } from "../../src/sim/sim-clock.ts";
import { SimDisk } from "../../src/sim/sim-disk.ts";
import type { SimDiskOptions } from "../../src/sim/sim-disk.ts";

export const DATA = "/data";
export const DIRECTORY = "/data/t-0";
export const TOPIC_ID = randomTopicId(new Uint8Array(16).fill(7));
export const CODEC_NONE = "none";

/** A log's host that notes what it was asked. */
export class TestHost implements LogHost {
  readonly logStarts = new Map<string, number>();
  readonly dirty: { log: Flushable; withinMs: number }[] = [];
  readonly recoveryPoints: number[] = [];
  readonly offline: Error[] = [];
  readonly removals: { paths: readonly string[]; delayMs: number }[] = [];
  /** Up to where it was noted that there may be gaps, one after the other. */
  readonly gapBounds: number[] = [];
  /** Appends that found the disk full. */
  fullCount = 0;

  persistLogStart(topicPartition: { topic: string; partition: number }, start: Offset): Promise<void> {
    this.logStarts.set(`${topicPartition.topic}-${topicPartition.partition}`, start);
    return Promise.resolve();
  }

  lowerRecoveryPoint(_topicPartition: unknown, endOffset: Offset): Promise<void> {
    this.recoveryPoints.push(endOffset);
    return Promise.resolve();
  }

  saveGapsBelow(_topicPartition: unknown, gapsBelow: Offset): Promise<void> {
    this.gapBounds.push(gapsBelow);
    return Promise.resolve();
  }

  onDirty(log: Flushable, withinMs: number): void {
    this.dirty.push({ log, withinMs });
  }

  onOffline(_topicPartition: unknown, error: Error): void {
    this.offline.push(error);
  }

  onDiskFull(): void {
    this.fullCount += 1;
  }

  removeLater(paths: readonly string[], delayMs: number): void {
    this.removals.push({ paths, delayMs });
  }
}

export interface Machine<D extends Disk = SimDisk, C extends Clock = SimClock> {
  readonly clock: C;
  readonly disk: D;
  readonly host: TestHost;
  readonly deps: PartitionLogDeps;
}

/** What a process on one disk works with; a new one for each "process". */
export function machineOn<D extends Disk, C extends Clock>(
  disk: D,
  clock: C,
  limits: Partial<LogLimits> & { readonly tailBytes?: number; readonly maxConcurrentSyncs?: number } = {},
): Machine<D, C> {
  const host = new TestHost();
  const tailBytes = limits.tailBytes ?? 1024 * 1024;
  const deps: PartitionLogDeps = {
    clock,
    disk,
    logger: silentLogger,
    files: new FileHandleCache({ maxOpen: 8 }, { disk, logger: silentLogger }),
    tail: new TailCache({ maxBytes: tailBytes, maxPartitionBytes: tailBytes }),
    syncs: new SyncScheduler({ maxConcurrent: limits.maxConcurrentSyncs ?? 4 }, { clock }),
    indexes: new IndexCache({ maxBytes: 1024 * 1024 }),
    host,
    limits: { ...DEFAULT_LOG_LIMITS, ...limits },
  };
  return { clock, disk, host, deps };
}

/** A simulated machine with virtual time. */
export class SimMachine {
  readonly scheduler = new Scheduler();
  clock: SimClock;
  disk: SimDisk;
  machine: Machine;

  constructor(disk: SimDiskOptions = {}, limits: Parameters<typeof machineOn>[2] = {}, seed = 1) {
    this.clock = new SimClock({}, { scheduler: this.scheduler });
    this.disk = new SimDisk(disk, { clock: this.clock, random: new SeededRandom(seed) });
    this.machine = machineOn(this.disk, this.clock, limits);
  }

  get host(): TestHost {
    return this.machine.host;
  }

  /** Makes the data directory itself durable, as the log manager does. */
  async prepare(): Promise<void> {
    await this.run(this.disk.makeDir(DATA));
    await this.run(this.disk.syncDir("/"));
  }

  /** Runs virtual time until the promise settles. */
  run<T>(promise: Promise<T> | T, limitMs = 60_000): Promise<T> {
    return this.scheduler.settle(Promise.resolve(promise), limitMs);
  }

  /** Another process on what a crash left. What was noted of gaps is in a file of its own, which was durable. */
  restartOn(disk: SimDisk, limits: Parameters<typeof machineOn>[2] = {}): void {
    const { gapBounds } = this.host;
    this.disk = disk;
    this.machine = machineOn(disk, this.clock, limits);
    this.host.gapBounds.push(...gapBounds);
  }

  open(config: Partial<LogConfig> = {}, how: Partial<OpenHow> = {}): Promise<PartitionLog> {
    return this.run(openLog(this.machine, config, how));
  }
}

export const NEW_LOG: OpenHow = {
  exists: false,
  clean: false,
  recoveryPoint: offset(0),
  logStartOffset: offset(0),
  gapsBelow: offset(0),
};

export function openLog(
  machine: Machine<Disk, Clock>,
  config: Partial<LogConfig> = {},
  how: Partial<OpenHow> = {},
  directory = DIRECTORY,
): Promise<PartitionLog> {
  // Logs of tests are little; they are to be saved as large ones are, unless a test says otherwise.
  const whole = {
    ...DEFAULT_LOG_CONFIG,
    unsavedSegmentBytes: 0,
    timestampAfterMaxMs: Number.POSITIVE_INFINITY,
    ...config,
  };
  return PartitionLog.open(
    { topicPartition: { topic: "t", partition: 0 }, topicId: TOPIC_ID, directory, config: () => whole },
    machine.deps,
    { ...NEW_LOG, gapsBelow: offset(machine.host.gapBounds.at(-1) ?? 0), ...how },
  );
}

/** One batch with these values, unkeyed, at this time. */
export function records(
  values: readonly string[],
  options: { readonly timestamp?: number; readonly producer?: Partial<BatchProducer> } = {},
): Buffer {
  const builder = new BatchBuilder({ codec: CODEC_NONE, targetBytes: 16 * 1024 * 1024 });
  for (const value of values) builder.tryAppend(options.timestamp ?? 1000, null, value);
  const { producer } = options;
  if (producer !== undefined) {
    builder.setProducer({
      producerId: -1 as BatchProducer["producerId"],
      producerEpoch: 0 as BatchProducer["producerEpoch"],
      baseSequence: 0,
      isTransactional: false,
      ...producer,
    });
  }
  return builder.build();
}

export function append(
  log: PartitionLog,
  values: readonly string[],
  epoch = 0,
  timestamp = 1000,
): AppendResult {
  return log.append(records(values, { timestamp }), { leaderEpoch: epoch as LeaderEpoch, origin: "client" });
}

/** The accepted append, or an assertion failure that shows the refusal. */
export function accepted(result: AppendResult): Extract<AppendResult, { ok: true }> {
  if (!result.ok) throw new Error(`refused: ${result.error} ${result.message}`);
  return result;
}

export interface ReadRecord {
  readonly offset: number;
  readonly value: string;
}

export function recordsIn(chunks: readonly Buffer[]): ReadRecord[] {
  const found: ReadRecord[] = [];
  for (const chunk of chunks) {
    for (let at = 0; at < chunk.length; at += batchSizeOf(chunk, at)) {
      for (const record of decodeRecords(chunk, at)) {
        found.push({ offset: record.offset, value: Buffer.from(record.value ?? []).toString() });
      }
    }
  }
  return found;
}

/** Every record from `from` to the end, by reads of `maxBytes`. @throws Error on a refusal. */
export async function readAll(log: PartitionLog, from?: number, maxBytes = 4096): Promise<ReadRecord[]> {
  const found: ReadRecord[] = [];
  const first = (from ?? log.logStartOffset) as Offset;
  for (let at = first; at < log.logEndOffset;) {
    const result = await log.read(at, maxBytes);
    if (!result.ok) throw new Error(`read refused: ${result.error} ${result.message}`);
    found.push(...recordsIn(result.chunks).filter((record) => record.offset >= first));
    if (result.nextOffset <= at) throw new Error(`a read at ${at} found nothing`);
    at = result.nextOffset;
  }
  return found;
}

export const at = (value: number): Offset => value as Offset;
export const time = (value: number): Timestamp => value as Timestamp;
export { NO_LEADER_EPOCH };
