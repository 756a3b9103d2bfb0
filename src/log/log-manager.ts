import { errorMessage, LograftError, operationError } from "../base/errors.ts";
import type { Logger } from "../base/logger.ts";
import type { TopicId } from "../model/ids.ts";
import type { Offset } from "../model/offsets.ts";
import { topicPartitionKey, validateTopicName } from "../model/topic-partition.ts";
import type { TopicPartition, TopicPartitionKey } from "../model/topic-partition.ts";
import type { Clock, Timer } from "../platform/clock.ts";
import type { Disk, DiskLock } from "../platform/disk.ts";
import type { Random } from "../platform/random.ts";
import { readIfPresent } from "./checkpoint-file.ts";
import { CoalescedWrite } from "./coalesced-write.ts";
import { DataDirectory, LOCK_FILE, LOG_START_FILE, RECOVERY_POINT_FILE } from "./data-directory.ts";
import { FileHandleCache } from "./file-handle-cache.ts";
import { deletedDirName, parseSegmentFileName, partitionDirName, PARTITION_METADATA_FILE } from "./file-names.ts";
import { FlushTimer } from "./flush-timer.ts";
import { SyncScheduler } from "./flusher.ts";
import { IndexCache } from "./index-cache.ts";
import type { LogConfig } from "./log-config.ts";
import { DEFAULT_LOG_LIMITS } from "./log-core.ts";
import type { LogHost, LogLimits, PartitionLogDeps } from "./log-core.ts";
import type { DirectoryMeta } from "./meta-file.ts";
import { parsePartitionMetadata } from "./partition-metadata.ts";
import { PartitionLog } from "./partition-log.ts";
import { recoverLog } from "./recovery.ts";
import { ClockGuard } from "./retention.ts";
import type { ClosedLog } from "./shutdown-marker.ts";
import { TailCache } from "./tail-cache.ts";

/** Plain settings of a broker's storage. Sizes in bytes, times in milliseconds. */
export interface LogManagerOptions {
  readonly dataDirectory: string;
  readonly nodeId: number;
  /** Refused when the directory belongs to another cluster; noted when it belongs to none yet. */
  readonly clusterId?: string;
  /** For recovery at the start, before topic settings are known. */
  readonly defaultConfig: LogConfig;
  readonly limits?: Partial<LogLimits>;
  /** Segment files kept open. Default 512. */
  readonly maxOpenFiles?: number;
  /** Default 8; keep it below the size of libuv's thread pool. */
  readonly maxConcurrentSyncs?: number;
  /** Default 64 MiB over all partitions. */
  readonly tailCacheBytes?: number;
  /** Default 8 MiB. */
  readonly tailCachePartitionBytes?: number;
  /** Default 64 MiB. */
  readonly indexCacheBytes?: number;
  /** How often recovery points are written. Default 60 s. */
  readonly checkpointIntervalMs?: number;
  /** Kafka's log.retention.check.interval.ms. Default 5 min. */
  readonly retentionIntervalMs?: number;
  /** A wall clock that moves by more than this against the monotonic one is in doubt. Default 1 min. */
  readonly maxClockJumpMs?: number;
  /** Partitions recovered at the same time after a crash. Default 4. */
  readonly recoveryConcurrency?: number;
}

/** Collaborators; the callbacks are the broker's. */
export interface LogManagerDeps {
  readonly clock: Clock;
  readonly disk: Disk;
  readonly random: Random;
  readonly logger: Logger;
  /** Settings of a topic that the metadata knows; undefined leaves a partition nobody opened alone (H28). */
  readonly configOf?: (topic: string) => LogConfig | undefined;
  /** High watermark: retention deletes nothing at or above it (H50). Default: the durable end. */
  readonly highWatermarkOf?: (topicPartition: TopicPartition) => Offset | undefined;
  /** A log of this directory failed: called for each; the broker gives up what it leads there (H45). */
  readonly onDirectoryOffline?: (error: LograftError) => void;
}

/** A partition with a directory here. */
export interface ListedPartition {
  readonly topicPartition: TopicPartition;
  readonly isOpen: boolean;
}

interface KnownLog extends ClosedLog {
  readonly recoveryPoint: Offset;
  readonly isClean: boolean;
}

const DEFAULTS = {
  maxOpenFiles: 512,
  maxConcurrentSyncs: 8,
  tailCacheBytes: 64 * 1024 * 1024,
  tailCachePartitionBytes: 8 * 1024 * 1024,
  indexCacheBytes: 64 * 1024 * 1024,
  checkpointIntervalMs: 60_000,
  retentionIntervalMs: 300_000,
  maxClockJumpMs: 60_000,
  recoveryConcurrency: 4,
};

/** Logs flushed or closed at the same time. */
const PARALLEL = 16;
const ZERO = 0 as Offset;

/**
 * All partition logs of one data directory, and everything in it that is not a partition's own: lock, identity,
 * checkpoints, clean-shutdown marker, deleted directories. Partitions are opened when first asked for, so a clean start
 * costs one listing however much data there is. Nothing is ever deleted because it is unknown (H28).
 */
export class LogManager {
  readonly #options: Required<Omit<LogManagerOptions, "clusterId" | "limits">>;
  readonly #deps: LogManagerDeps;
  readonly #directory: DataDirectory;
  readonly #logDeps: PartitionLogDeps;
  readonly #lock: DiskLock;
  readonly #flushTimer: FlushTimer;
  readonly #clockGuard: ClockGuard;
  readonly #logs = new Map<TopicPartitionKey, PartitionLog>();
  readonly #opening = new Map<TopicPartitionKey, Promise<PartitionLog>>();
  readonly #deleting = new Map<TopicPartitionKey, Promise<void>>();
  /** Partitions with a directory, by what is known of them until they are opened. */
  readonly #known = new Map<TopicPartitionKey, { readonly topicPartition: TopicPartition; closed: KnownLog | undefined }>();
  readonly #logStarts: Map<TopicPartitionKey, Offset>;
  readonly #recoveryPoints: Map<TopicPartitionKey, Offset>;
  readonly #saveLogStarts: CoalescedWrite;
  readonly #saveRecoveryPoints: CoalescedWrite;
  readonly #timers = new Set<Timer>();
  readonly #background = new Set<Promise<void>>();
  #meta: DirectoryMeta;
  #isOffline = false;
  #closing: Promise<void> | undefined;
  /** The broker epoch of the process before, if that one stopped in order. */
  readonly previousBrokerEpoch: number | undefined;
  readonly wasCleanShutdown: boolean;

  private constructor(opened: OpenedDirectory, options: LogManagerOptions, deps: LogManagerDeps) {
    this.#options = { ...DEFAULTS, ...options };
    this.#deps = deps;
    this.#directory = opened.directory;
    this.#lock = opened.lock;
    this.#meta = opened.meta;
    this.#logStarts = opened.logStarts;
    this.#recoveryPoints = opened.recoveryPoints;
    this.wasCleanShutdown = opened.marker !== undefined;
    this.previousBrokerEpoch = opened.marker?.brokerEpoch;
    const { clock, disk, logger } = deps;
    const { maxOpenFiles, maxConcurrentSyncs, tailCacheBytes, tailCachePartitionBytes, indexCacheBytes } = this.#options;
    this.#flushTimer = new FlushTimer({ clock });
    this.#clockGuard = new ClockGuard({
      maxJumpMs: this.#options.maxClockJumpMs,
      settleMs: this.#options.retentionIntervalMs * 2,
    });
    this.#saveLogStarts = new CoalescedWrite(() => this.#directory.saveCheckpoint(LOG_START_FILE, this.#logStarts));
    this.#saveRecoveryPoints = new CoalescedWrite(() =>
      this.#directory.saveCheckpoint(RECOVERY_POINT_FILE, this.#recoveryPoints),
    );
    this.#logDeps = {
      clock,
      disk,
      logger,
      files: new FileHandleCache({ maxOpen: maxOpenFiles }, { disk, logger }),
      tail: new TailCache({ maxBytes: tailCacheBytes, maxPartitionBytes: tailCachePartitionBytes }),
      syncs: new SyncScheduler({ maxConcurrent: maxConcurrentSyncs }),
      indexes: new IndexCache({ maxBytes: indexCacheBytes }),
      host: this.#makeHost(),
      limits: { ...DEFAULT_LOG_LIMITS, ...options.limits },
    };
    for (const [key, topicPartition] of opened.partitions) {
      const closed = opened.marker?.logs.get(key);
      const known = closed === undefined ? undefined : { ...closed, recoveryPoint: closed.logEndOffset, isClean: true };
      this.#known.set(key, { topicPartition, closed: known });
    }
  }

  /**
   * Takes the directory's lock (making the directory if need be), checks whose it is, and after a crash recovers every
   * partition in it. @throws LograftError DATA_DIR_LOCKED, DATA_DIR_VERSION, METADATA_CORRUPT, CONFIG_INVALID, DISK_*.
   */
  static async open(options: LogManagerOptions, deps: LogManagerDeps): Promise<LogManager> {
    const { disk, logger, random } = deps;
    await makeDurableDir(disk, options.dataDirectory);
    const lock = await disk.lock(`${options.dataDirectory}/${LOCK_FILE}`, `node ${options.nodeId}`);
    try {
      const directory = new DataDirectory(options.dataDirectory, { disk, logger });
      const meta = await directory.identify(options.nodeId, options.clusterId, random);
      const { partitions, deleted } = await directory.list();
      const logStarts = await directory.readCheckpoint(LOG_START_FILE);
      const recoveryPoints = await directory.readCheckpoint(RECOVERY_POINT_FILE);
      const marker = await directory.takeMarker();
      const manager = new LogManager(
        { directory, lock, meta, partitions, logStarts, recoveryPoints, marker },
        options,
        deps,
      );
      if (marker === undefined) await manager.#recoverAll();
      manager.#start(deleted);
      return manager;
    } catch (error: unknown) {
      await lock.release();
      throw error;
    }
  }

  get directoryId(): string {
    return this.#meta.directoryId;
  }

  get clusterId(): string | undefined {
    return this.#meta.clusterId;
  }

  /** A log here has failed; the directory is not to be trusted until a restart. */
  get isOffline(): boolean {
    return this.#isOffline;
  }

  /** Shared parts, for metrics. */
  get resources(): Pick<PartitionLogDeps, "files" | "tail" | "syncs" | "indexes"> {
    return this.#logDeps;
  }

  /** Notes the cluster that this directory has joined; it never changes afterwards. @throws LograftError CONFIG_INVALID. */
  async joinCluster(clusterId: string): Promise<void> {
    this.#meta = await this.#directory.identify(this.#meta.nodeId, clusterId, this.#deps.random);
  }

  /** The log if it is open now. */
  get(topicPartition: TopicPartition): PartitionLog | undefined {
    return this.#logs.get(keyOf(topicPartition));
  }

  /** Ends of a log, open or not; undefined when nothing is known of it here. */
  ends(topicPartition: TopicPartition): ClosedLog | undefined {
    const key = keyOf(topicPartition);
    return this.#logs.get(key) ?? this.#known.get(key)?.closed;
  }

  /** Partitions that have a directory here, by name; also those that nobody asked for. */
  list(): ListedPartition[] {
    const listed: ListedPartition[] = [];
    for (const [key, { topicPartition }] of this.#known) {
      listed.push({ topicPartition, isOpen: this.#logs.has(key) });
    }
    return listed.sort(
      (a, b) =>
        a.topicPartition.topic.localeCompare(b.topicPartition.topic) ||
        a.topicPartition.partition - b.topicPartition.partition,
    );
  }

  /** Logs that are open. */
  openLogs(): IterableIterator<PartitionLog> {
    return this.#logs.values();
  }

  /**
   * The log of a partition, opened or made; concurrent calls share one. Its directory comes with the first append.
   * @throws LograftError INCONSISTENT_TOPIC_ID when the directory holds another topic of that name (nothing is touched),
   * INVALID_ARGUMENT for a name that cannot be a directory, CLOSED, METADATA_CORRUPT, DISK_*.
   */
  open(topicPartition: TopicPartition, topicId: TopicId, config: () => LogConfig): Promise<PartitionLog> {
    const key = keyOf(topicPartition);
    const opened = this.#logs.get(key);
    if (opened !== undefined) return this.#checkedTopic(opened, topicId);
    if (this.#closing !== undefined) return Promise.reject(closedError(this.#directory.path));
    const opening = this.#opening.get(key) ?? this.#startOpening(key, topicPartition, topicId, config);
    return opening.then((log) => this.#checkedTopic(log, topicId));
  }

  /**
   * Deletes the data of a topic's partition because the committed metadata says so (D15): closes it, renames the directory
   * durably, and removes it after `file.delete.delay.ms`. Nothing happens when the directory holds another topic id.
   * @throws LograftError DISK_*.
   */
  delete(topicPartition: TopicPartition, topicId: TopicId): Promise<void> {
    const key = keyOf(topicPartition);
    const before = this.#deleting.get(key) ?? Promise.resolve();
    const deleting = before.then(() => this.#delete(key, topicPartition, topicId));
    const ended = deleting.then(ignore, ignore).then(() => {
      if (this.#deleting.get(key) === ended) this.#deleting.delete(key);
    });
    this.#deleting.set(key, ended);
    return deleting;
  }

  /** One pass of retention over all logs, also closed ones whose topic the metadata knows. Answers segments removed. */
  async runRetention(): Promise<number> {
    const { clock, configOf, highWatermarkOf, logger } = this.#deps;
    const nowMs = clock.wallMs();
    const { isTrusted, jumpMs } = this.#clockGuard.check(nowMs, clock.monotonicMs());
    if (!isTrusted) logger.warn("the wall clock jumped; nothing is deleted by age for now", { jumpMs });
    let removed = 0;
    for (const [key, { topicPartition }] of [...this.#known]) {
      if (this.#closing !== undefined) break;
      try {
        const log = this.#logs.get(key) ?? (await this.#openForRetention(topicPartition, configOf));
        if (log?.state !== "open") continue;
        log.expireProducers();
        const endOffset = highWatermarkOf?.(topicPartition);
        const limits = { isClockTrusted: isTrusted, ...(endOffset === undefined ? {} : { endOffset }) };
        removed += await log.applyRetention(nowMs, limits);
      } catch (error: unknown) {
        logger.warn("retention of a partition failed and is tried again later", { partition: key, cause: errorMessage(error) });
      }
    }
    return removed;
  }

  /** Syncs what is not synced and writes all recovery points, so that a crash from here on has less to recover. */
  async checkpoint(): Promise<void> {
    await forEachOf([...this.#logs.values()], PARALLEL, async (log) => {
      if (log.state !== "open" || !log.hasDirectory) return;
      if (log.recoveryPoint < log.logEndOffset) await log.flush();
    });
    let isChanged = false;
    for (const [key, log] of this.#logs) {
      if (!log.hasDirectory || log.state === "offline") continue;
      if (this.#recoveryPoints.get(key) === log.recoveryPoint) continue;
      this.#recoveryPoints.set(key, log.recoveryPoint);
      isChanged = true;
    }
    if (isChanged) await this.#saveRecoveryPoints.request();
  }

  /**
   * Closes every log, writes the checkpoints and, if nothing failed, the marker of a clean stop; then lets the directory
   * go. `brokerEpoch` goes into the marker. Idempotent. A log that could not be closed in order is logged, not thrown: the
   * next start then recovers.
   */
  close(options: { readonly brokerEpoch?: number } = {}): Promise<void> {
    this.#closing ??= this.#close(options.brokerEpoch);
    return this.#closing;
  }

  #checkedTopic(log: PartitionLog, topicId: TopicId): Promise<PartitionLog> {
    return log.topicId === topicId
      ? Promise.resolve(log)
      : Promise.reject(inconsistentTopic(log.directory, log.topicId, topicId));
  }

  #startOpening(
    key: TopicPartitionKey,
    topicPartition: TopicPartition,
    topicId: TopicId,
    config: () => LogConfig,
  ): Promise<PartitionLog> {
    const opening = this.#open(key, topicPartition, topicId, config).finally(() => this.#opening.delete(key));
    this.#opening.set(key, opening);
    return opening;
  }

  async #open(
    key: TopicPartitionKey,
    topicPartition: TopicPartition,
    topicId: TopicId,
    config: () => LogConfig,
  ): Promise<PartitionLog> {
    const directory = this.#pathOf(topicPartition);
    await this.#deleting.get(key);
    const known = this.#known.get(key);
    const exists = known !== undefined && (await this.#checkTopicId(directory, topicId));
    const closed = known?.closed;
    const log = await PartitionLog.open({ topicPartition, topicId, directory, config }, this.#logDeps, {
      exists,
      clean: closed?.isClean === true,
      recoveryPoint: closed?.recoveryPoint ?? this.#recoveryPoints.get(key) ?? ZERO,
      logStartOffset: this.#logStarts.get(key) ?? closed?.logStartOffset ?? ZERO,
      ...(closed?.isClean === true ? { expectedEndOffset: closed.logEndOffset } : {}),
    });
    if (this.#closing !== undefined) {
      await log.close();
      throw closedError(this.#directory.path);
    }
    this.#logs.set(key, log);
    // The directory comes with the first append; from then on it is part of what a crash leaves.
    if (known === undefined) this.#known.set(key, { topicPartition, closed: undefined });
    return log;
  }

  /** False when the directory is one that a crash left before it held anything. */
  async #checkTopicId(directory: string, topicId: TopicId): Promise<boolean> {
    const { disk } = this.#deps;
    if ((await disk.stat(directory)) === undefined) return false;
    const path = `${directory}/${PARTITION_METADATA_FILE}`;
    const text = (await readIfPresent(disk, path))?.toString();
    const found = text === undefined ? undefined : parsePartitionMetadata(text);
    if (found === topicId) return true;
    if (found !== undefined) throw inconsistentTopic(directory, found, topicId);
    const hasLog = (await disk.list(directory)).some(({ name }) => parseSegmentFileName(name)?.kind === "log");
    if (!hasLog) return false;
    throw operationError("METADATA_CORRUPT", `${path} is ${text === undefined ? "missing" : "damaged"}; restore it to say whose data this is`, {
      context: { path },
    });
  }

  async #delete(key: TopicPartitionKey, topicPartition: TopicPartition, topicId: TopicId): Promise<void> {
    const { disk, logger, random } = this.#deps;
    await this.#opening.get(key)?.catch(ignore);
    const log = this.#logs.get(key);
    if (log !== undefined && log.topicId !== topicId) return;
    const directory = this.#pathOf(topicPartition);
    const delayMs = this.#deps.configOf?.(topicPartition.topic)?.fileDeleteDelayMs ?? this.#options.defaultConfig.fileDeleteDelayMs;
    if (log !== undefined) {
      this.#logs.delete(key);
      // What it could not keep is deleted anyway.
      await log.close().catch(ignore);
    }
    const isThere = (await disk.stat(directory)) !== undefined;
    if (isThere) {
      const text = (await readIfPresent(disk, `${directory}/${PARTITION_METADATA_FILE}`))?.toString();
      const found = text === undefined ? undefined : parsePartitionMetadata(text);
      if (found !== undefined && found !== topicId) return;
      const trash = `${this.#directory.path}/${deletedDirName(topicPartition, Buffer.from(random.bytes(16)).toString("hex"))}`;
      await disk.rename(directory, trash);
      await disk.syncDir(this.#directory.path);
      logger.info("a partition was deleted; its directory is removed later", { directory, trash, delayMs });
      this.#removeDirLater(trash, delayMs);
    }
    this.#known.delete(key);
    const hadCheckpoint = this.#logStarts.delete(key);
    this.#recoveryPoints.delete(key);
    // A new topic of this name must not start where the old one had been deleted to.
    if (hadCheckpoint) await this.#saveLogStarts.request();
    if (isThere) await this.#saveRecoveryPoints.request();
  }

  async #openForRetention(
    topicPartition: TopicPartition,
    configOf: LogManagerDeps["configOf"],
  ): Promise<PartitionLog | undefined> {
    const config = configOf?.(topicPartition.topic);
    if (config === undefined || !config.isDeleting) return undefined;
    const path = `${this.#pathOf(topicPartition)}/${PARTITION_METADATA_FILE}`;
    const text = (await readIfPresent(this.#deps.disk, path))?.toString();
    const topicId = text === undefined ? undefined : parsePartitionMetadata(text);
    if (topicId === undefined) return undefined;
    return this.open(topicPartition, topicId, () => configOf?.(topicPartition.topic) ?? config);
  }

  async #recoverAll(): Promise<void> {
    const { clock, disk, logger } = this.#deps;
    const total = this.#known.size;
    if (total === 0) return;
    const startMs = clock.monotonicMs();
    logger.warn("the last process did not stop in order; partitions are recovered", { partitions: total });
    let done = 0;
    let damagedCount = 0;
    let cutBytes = 0;
    await forEachOf([...this.#known], this.#options.recoveryConcurrency, async ([key, known]) => {
      const logStartOffset = this.#logStarts.get(key) ?? ZERO;
      const recoveryPoint = this.#recoveryPoints.get(key) ?? ZERO;
      try {
        const config = this.#deps.configOf?.(known.topicPartition.topic) ?? this.#options.defaultConfig;
        const found = await recoverLog(
          {
            directory: this.#pathOf(known.topicPartition),
            config,
            recoveryPoint,
            logStartOffset,
            isClean: false,
            producerExpirationMs: this.#logDeps.limits.producerExpirationMs,
          },
          { disk, logger, wallMs: clock.wallMs(), monotonicMs: clock.monotonicMs() },
        );
        cutBytes += found.cutBytes;
        if (found.damage === undefined) {
          const { logStartOffset: start, logEndOffset } = found;
          let sizeBytes = 0;
          for (const segment of found.segments) sizeBytes += segment.sizeBytes;
          known.closed = { logStartOffset: start, logEndOffset, sizeBytes, recoveryPoint: logEndOffset, isClean: true };
          this.#recoveryPoints.set(key, logEndOffset);
        } else {
          damagedCount++;
        }
      } catch (error: unknown) {
        // One unreadable partition must not keep the others from serving; opening it will say the same.
        if (!(error instanceof LograftError)) throw error;
        damagedCount++;
        logger.error("a partition could not be recovered", { partition: key, cause: errorMessage(error) });
      }
      done++;
      if (done % 500 === 0) logger.info("recovery goes on", { done, total, elapsedMs: clock.monotonicMs() - startMs });
    });
    await this.#saveRecoveryPoints.request();
    logger.info("recovery is done", {
      partitions: total,
      damaged: damagedCount,
      cutBytes,
      elapsedMs: Math.round(clock.monotonicMs() - startMs),
    });
  }

  #start(deleted: readonly string[]): void {
    const { checkpointIntervalMs, retentionIntervalMs, defaultConfig } = this.#options;
    for (const path of deleted) this.#removeDirLater(path, defaultConfig.fileDeleteDelayMs);
    this.#every(checkpointIntervalMs, "writing recovery points", () => this.checkpoint());
    this.#every(retentionIntervalMs, "retention", async () => {
      await this.runRetention();
    });
    // The first pass sets the guard's reference.
    this.#clockGuard.check(this.#deps.clock.wallMs(), this.#deps.clock.monotonicMs());
  }

  #every(intervalMs: number, what: string, task: () => Promise<void>): void {
    this.#after(intervalMs, what, async () => {
      try {
        await task();
      } finally {
        if (this.#closing === undefined) this.#every(intervalMs, what, task);
      }
    });
  }

  #after(delayMs: number, what: string, task: () => Promise<void>): void {
    const timer = this.#deps.clock.setTimer(delayMs, () => {
      this.#timers.delete(timer);
      const running = task()
        .catch((error: unknown) => this.#deps.logger.warn(`${what} failed`, { cause: errorMessage(error) }))
        .finally(() => this.#background.delete(running));
      this.#background.add(running);
    });
    this.#timers.add(timer);
  }

  #removeDirLater(path: string, delayMs: number): void {
    this.#after(delayMs, `removing ${path}`, () => this.#deps.disk.removeDir(path));
  }

  #makeHost(): LogHost {
    return {
      persistLogStart: (topicPartition, logStartOffset) => {
        this.#logStarts.set(keyOf(topicPartition), logStartOffset);
        return this.#saveLogStarts.request();
      },
      onDirty: (log, withinMs) => this.#flushTimer.add(log, withinMs),
      onOffline: (_topicPartition, error) => {
        this.#isOffline = true;
        this.#deps.onDirectoryOffline?.(error);
      },
      removeLater: (paths, delayMs) => {
        this.#after(delayMs, "removing deleted segments", async () => {
          for (const path of paths) await this.#deps.disk.remove(path);
        });
      },
    };
  }

  async #close(brokerEpoch: number | undefined): Promise<void> {
    const { logger } = this.#deps;
    for (const timer of this.#timers) timer.cancel();
    this.#timers.clear();
    this.#flushTimer.close();
    await Promise.allSettled([...this.#opening.values(), ...this.#deleting.values(), ...this.#background]);
    const ends = new Map<TopicPartitionKey, ClosedLog>();
    for (const [key, { closed }] of this.#known) if (closed?.isClean === true) ends.set(key, closed);
    let isClean = !this.#isOffline;
    await forEachOf([...this.#logs], PARALLEL, async ([key, log]) => {
      const wasDamaged = log.state === "offline";
      try {
        await log.close();
      } catch (error: unknown) {
        logger.error("a log could not be closed in order", { partition: key, cause: errorMessage(error) });
        isClean = false;
      }
      ends.delete(key);
      if (wasDamaged || !log.hasDirectory) return;
      const { logStartOffset, logEndOffset, sizeBytes } = log;
      ends.set(key, { logStartOffset, logEndOffset, sizeBytes });
      this.#recoveryPoints.set(key, log.logEndOffset);
    });
    this.#logs.clear();
    try {
      if (isClean && !this.#isOffline) {
        await this.#saveRecoveryPoints.request();
        await this.#saveLogStarts.request();
        await this.#directory.saveMarker({ brokerEpoch, logs: ends });
      }
    } catch (error: unknown) {
      logger.error("the clean stop could not be noted; the next start recovers", { cause: errorMessage(error) });
    }
    await this.#logDeps.files.close();
    await this.#lock.release();
  }

  /** H75: only what a topic may be named becomes a path, and that has no separator. */
  #pathOf(topicPartition: TopicPartition): string {
    const { topic, partition } = topicPartition;
    const validity = validateTopicName(topic);
    if (!validity.ok || !Number.isInteger(partition) || partition < 0 || partition > 0x7fffffff) {
      throw operationError("INVALID_ARGUMENT", validity.ok ? `${partition} is not a partition number` : validity.reason);
    }
    return `${this.#directory.path}/${partitionDirName(topicPartition)}`;
  }
}

interface OpenedDirectory {
  readonly directory: DataDirectory;
  readonly lock: DiskLock;
  readonly meta: DirectoryMeta;
  readonly partitions: ReadonlyMap<TopicPartitionKey, TopicPartition>;
  readonly logStarts: Map<TopicPartitionKey, Offset>;
  readonly recoveryPoints: Map<TopicPartitionKey, Offset>;
  readonly marker: { readonly brokerEpoch: number | undefined; readonly logs: ReadonlyMap<TopicPartitionKey, ClosedLog> } | undefined;
}

function keyOf({ topic, partition }: TopicPartition): TopicPartitionKey {
  return topicPartitionKey(topic, partition);
}

function inconsistentTopic(directory: string, found: TopicId, wanted: TopicId): LograftError {
  return new LograftError(
    "INCONSISTENT_TOPIC_ID",
    `${directory} holds topic id ${found}, not ${wanted}; it is left as it is, move it away if it is not needed`,
    { context: { directory, found, wanted } },
  );
}

/** Makes a directory and its missing parents, each of whose names survives a power cut (H49). */
async function makeDurableDir(disk: Disk, path: string): Promise<void> {
  const made: string[] = [];
  for (let at = path; (await disk.stat(at)) === undefined; at = parentOf(at)) made.push(at);
  if (made.length === 0) return;
  await disk.makeDir(path);
  for (const name of made.reverse()) await disk.syncDir(parentOf(name));
}

function parentOf(path: string): string {
  const separator = path.lastIndexOf("/");
  return separator < 0 ? "." : path.slice(0, Math.max(separator, 1));
}

function closedError(directory: string): LograftError {
  return operationError("CLOSED", `the log manager of ${directory} is closed`);
}

function ignore(): undefined {
  return undefined;
}

/** Runs `task` for each item, at most `limit` at the same time; the first failure stops the rest from starting. */
async function forEachOf<T>(items: readonly T[], limit: number, task: (item: T) => Promise<void>): Promise<void> {
  let next = 0;
  const worker = async (): Promise<void> => {
    for (;;) {
      const item = items[next++];
      if (item === undefined) return;
      await task(item);
    }
  };
  await Promise.all(Array.from({ length: Math.min(limit, items.length) }, worker));
}
