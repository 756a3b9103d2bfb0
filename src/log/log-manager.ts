import type { TopicId } from "../model/ids.ts";
import { offset } from "../model/offsets.ts";
import type { Offset } from "../model/offsets.ts";
import { topicPartitionKey } from "../model/topic-partition.ts";
import type { TopicPartition, TopicPartitionKey } from "../model/topic-partition.ts";
import { BackgroundTasks } from "./background-tasks.ts";
import type { CompactionPassReport } from "./compaction-pass.ts";
import { Checkpoints } from "./checkpoints.ts";
import { openDataDirectory } from "./data-directory.ts";
import type { DataDirectory, OpenedDirectory } from "./data-directory.ts";
import { FlushTimer } from "./flush-timer.ts";
import type { LogConfig } from "./log-config.ts";
import { DEFAULT_LOG_LIMITS } from "./log-core.ts";
import type { LogHost, PartitionLogDeps } from "./log-core.ts";
import { closedError, inconsistentTopic } from "./log-manager-errors.ts";
import { LOG_MANAGER_DEFAULTS } from "./log-manager-options.ts";
import type { LogManagerDeps, LogManagerOptions, LogManagerSettings } from "./log-manager-options.ts";
import { LogUpkeep } from "./log-upkeep.ts";
import type { UpkeepLogs } from "./log-upkeep.ts";
import { makeResources } from "./log-resources.ts";
import type { LogResources } from "./log-resources.ts";
import type { DirectoryMeta } from "./meta-file.ts";
import { forEachOf } from "./parallel.ts";
import { PartitionLog } from "./partition-log.ts";
import { recoverPartitions } from "./recover-partitions.ts";
import type { ScrubReport } from "./scrub-pass.ts";
import type { ClosedLog } from "./shutdown-marker.ts";

/** A partition with a directory here. */
export interface ListedPartition {
  readonly topicPartition: TopicPartition;
  readonly isOpen: boolean;
}

interface KnownLog extends ClosedLog {
  readonly recoveryPoint: Offset;
  readonly isClean: boolean;
}

/** Logs flushed or closed at the same time. */
const PARALLEL = 16;
const ZERO = offset(0);

/**
 * All partition logs of one data directory, and everything in it that is not a partition's own: lock, identity,
 * checkpoints, clean-shutdown marker, deleted directories. Partitions are opened when first asked for, so a clean start
 * costs one listing however much data there is. Nothing is ever deleted because it is unknown (H28).
 */
export class LogManager {
  readonly #options: LogManagerSettings;
  readonly #deps: LogManagerDeps;
  readonly #directory: DataDirectory;
  readonly #logDeps: PartitionLogDeps;
  readonly #lock: OpenedDirectory["lock"];
  readonly #flushTimer: FlushTimer;
  readonly #logs = new Map<TopicPartitionKey, PartitionLog>();
  readonly #opening = new Map<TopicPartitionKey, Promise<PartitionLog>>();
  readonly #deleting = new Map<TopicPartitionKey, Promise<void>>();
  /** Partitions with a directory, by what is known of them until they are opened. */
  readonly #known = new Map<
    TopicPartitionKey,
    { readonly topicPartition: TopicPartition; closed: KnownLog | undefined }
  >();
  readonly #checkpoints: Checkpoints;
  readonly #tasks: BackgroundTasks;
  readonly #upkeep: LogUpkeep;
  #meta: DirectoryMeta;
  #isOffline = false;
  #closing: Promise<void> | undefined;
  /** The broker epoch of the process before, if that one stopped in order. */
  readonly previousBrokerEpoch: number | undefined;
  readonly wasCleanShutdown: boolean;

  private constructor(opened: OpenedDirectory, options: LogManagerOptions, deps: LogManagerDeps) {
    this.#options = { ...LOG_MANAGER_DEFAULTS, ...options };
    this.#deps = deps;
    this.#directory = opened.directory;
    this.#lock = opened.lock;
    this.#meta = opened.meta;
    this.#checkpoints = new Checkpoints(opened, { directory: opened.directory });
    this.wasCleanShutdown = opened.marker !== undefined;
    this.previousBrokerEpoch = opened.marker?.brokerEpoch;
    const { clock, disk, logger } = deps;
    this.#flushTimer = new FlushTimer({ clock });
    this.#tasks = new BackgroundTasks({ clock, logger });
    this.#upkeep = new LogUpkeep(this.#options, { ...deps, tasks: this.#tasks, logs: this.#upkeepLogs() });
    const limits = { ...DEFAULT_LOG_LIMITS, ...options.limits };
    this.#logDeps = {
      clock,
      disk,
      logger,
      limits,
      sabotage: options.sabotage,
      host: this.#makeHost(),
      ...makeResources(this.#options, deps),
    };
    for (const [key, topicPartition] of opened.partitions) {
      const closed = opened.marker?.logs.get(key);
      const known =
        closed === undefined ? undefined : { ...closed, recoveryPoint: closed.logEndOffset, isClean: true };
      this.#known.set(key, { topicPartition, closed: known });
    }
  }

  /**
   * Takes the directory's lock (making the directory if need be), checks whose it is, and after a crash recovers every
   * partition in it. @throws LograftError DATA_DIR_LOCKED, DATA_DIR_VERSION, METADATA_CORRUPT, CONFIG_INVALID, DISK_*.
   */
  static async open(options: LogManagerOptions, deps: LogManagerDeps): Promise<LogManager> {
    const opened = await openDataDirectory(options, deps);
    try {
      const manager = new LogManager(opened, options, deps);
      if (opened.marker === undefined) await manager.#recoverAll();
      manager.#start(opened.deleted);
      return manager;
    } catch (error: unknown) {
      await opened.lock.release();
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
  get resources(): LogResources {
    return this.#logDeps;
  }

  /** Notes the cluster that this directory has joined; it never changes afterwards. @throws LograftError CONFIG_INVALID. */
  async joinCluster(clusterId: string): Promise<void> {
    this.#meta = await this.#directory.join(this.#meta, clusterId);
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
      const log = this.#logs.get(key);
      if (log?.hasDirectory !== false) listed.push({ topicPartition, isOpen: log !== undefined });
    }
    return listed.sort(
      ({ topicPartition: a }, { topicPartition: b }) =>
        a.topic.localeCompare(b.topic) || a.partition - b.partition,
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
  runRetention(): Promise<number> {
    return this.#upkeep.runRetention();
  }

  /** One pass of compaction over all logs, or the rest of the one that runs. @throws LograftError CLOSED. */
  compact(): Promise<CompactionPassReport> {
    return this.#upkeep.compact();
  }

  /** One pass of the scrub over all logs, or the rest of the one that runs. @throws LograftError CLOSED. */
  scrub(): Promise<ScrubReport> {
    return this.#upkeep.scrub();
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
      if (this.#checkpoints.setRecoveryPoint(key, log.recoveryPoint)) isChanged = true;
    }
    if (isChanged) await this.#checkpoints.saveRecoveryPoints();
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
    const directory = this.#directory.pathOf(topicPartition);
    await this.#deleting.get(key);
    const known = this.#known.get(key);
    const found = known === undefined ? undefined : await this.#directory.topicIdOf(directory);
    if (found !== undefined && found !== topicId) throw inconsistentTopic(directory, found, topicId);
    const closed = known?.closed;
    const options = { topicPartition, topicId, directory, config };
    const log = await PartitionLog.open(options, this.#logDeps, {
      exists: found !== undefined,
      clean: closed?.isClean === true,
      recoveryPoint: closed?.recoveryPoint ?? this.#checkpoints.recoveryPointOf(key),
      logStartOffset: this.#checkpoints.logStartOf(key) ?? closed?.logStartOffset ?? ZERO,
      gapsBelow: this.#checkpoints.gapsBelowOf(key),
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

  async #delete(key: TopicPartitionKey, topicPartition: TopicPartition, topicId: TopicId): Promise<void> {
    const { logger, random } = this.#deps;
    await this.#opening.get(key)?.catch(ignore);
    const log = this.#logs.get(key);
    if (log !== undefined && log.topicId !== topicId) return;
    const directory = this.#directory.pathOf(topicPartition);
    const { fileDeleteDelayMs: delayMs } = this.#configOf(topicPartition);
    if (log !== undefined) {
      this.#logs.delete(key);
      // What it could not keep is deleted anyway.
      await log.close().catch(ignore);
    }
    const moved = await this.#directory.moveToTrash(topicPartition, topicId, random);
    if (moved === "other topic") return;
    const { trash } = moved;
    if (trash !== undefined) {
      logger.info("a partition was deleted; its directory is removed later", { directory, trash, delayMs });
      this.#removeDirLater(trash, delayMs);
    }
    this.#known.delete(key);
    await this.#checkpoints.forget(key);
  }

  /** Opens a log that nobody asked for, if its topic is known and its settings call for it. */
  async #openKnown(
    topicPartition: TopicPartition,
    isWanted: (config: LogConfig) => boolean,
  ): Promise<PartitionLog | undefined> {
    const config = this.#deps.configOf?.(topicPartition.topic);
    if (config === undefined || !isWanted(config)) return undefined;
    const topicId = await this.#directory.topicIdOf(this.#directory.pathOf(topicPartition));
    return topicId && this.open(topicPartition, topicId, () => this.#configOf(topicPartition));
  }

  #upkeepLogs(): UpkeepLogs {
    return {
      partitions: () => Array.from(this.#known.values(), ({ topicPartition }) => topicPartition),
      get: (topicPartition) => this.get(topicPartition),
      open: (topicPartition, isWanted) => this.#openKnown(topicPartition, isWanted),
      directoryOf: (topicPartition) => this.#directory.pathOf(topicPartition),
      configOf: (topicPartition) => this.#configOf(topicPartition),
      gapsBelowOf: (topicPartition) => this.#checkpoints.gapsBelowOf(keyOf(topicPartition)),
      firstDirtyOf: (topicPartition) => this.#checkpoints.cleanOffsetOf(keyOf(topicPartition)),
      noteClean: (topicPartition, offset) => this.#checkpoints.saveCleanOffset(keyOf(topicPartition), offset),
    };
  }

  async #recoverAll(): Promise<void> {
    if (this.#known.size === 0) return;
    const { recoveryConcurrency: concurrency, sabotage } = this.#options;
    const { producerExpirationMs } = this.#logDeps.limits;
    const recovered = await recoverPartitions(
      [...this.#known.entries()].map(([key, { topicPartition }]) => ({
        key,
        directory: this.#directory.pathOf(topicPartition),
        config: this.#configOf(topicPartition),
        logStartOffset: this.#checkpoints.logStartOf(key) ?? ZERO,
        recoveryPoint: this.#checkpoints.recoveryPointOf(key),
        gapsBelow: this.#checkpoints.gapsBelowOf(key),
      })),
      { concurrency, producerExpirationMs, sabotage },
      this.#deps,
    );
    for (const [key, closed] of recovered) {
      const known = this.#known.get(key);
      if (known === undefined) continue;
      known.closed = { ...closed, recoveryPoint: closed.logEndOffset, isClean: true };
      this.#checkpoints.setRecoveryPoint(key, closed.logEndOffset);
    }
    await this.#checkpoints.saveRecoveryPoints();
  }

  #configOf(topicPartition: TopicPartition): LogConfig {
    return this.#deps.configOf?.(topicPartition.topic) ?? this.#options.defaultConfig;
  }

  #start(deleted: readonly string[]): void {
    const { checkpointIntervalMs, defaultConfig } = this.#options;
    for (const path of deleted) this.#removeDirLater(path, defaultConfig.fileDeleteDelayMs);
    this.#tasks.every(checkpointIntervalMs, "writing recovery points", () => this.checkpoint());
    this.#upkeep.start();
  }

  #removeDirLater(path: string, delayMs: number): void {
    this.#tasks.after(delayMs, `removing ${path}`, () => this.#deps.disk.removeDir(path));
  }

  #makeHost(): LogHost {
    return {
      persistLogStart: (topicPartition, logStartOffset) =>
        this.#checkpoints.saveLogStart(keyOf(topicPartition), logStartOffset),
      lowerRecoveryPoint: (topicPartition, endOffset) =>
        this.#checkpoints.lowerEnd(keyOf(topicPartition), endOffset),
      saveGapsBelow: (topicPartition, gapsBelow) =>
        this.#checkpoints.saveGapsBelow(keyOf(topicPartition), gapsBelow),
      onDirty: (log, withinMs) => this.#flushTimer.add(log, withinMs),
      onOffline: (_topicPartition, error) => {
        this.#isOffline = true;
        this.#deps.onDirectoryOffline?.(error);
      },
      onDiskFull: () => this.#deps.onDiskFull?.(),
      removeLater: (paths, delayMs) =>
        this.#tasks.after(delayMs, "removing deleted segments", async () => {
          for (const path of paths) await this.#deps.disk.remove(path);
        }),
    };
  }

  async #close(brokerEpoch: number | undefined): Promise<void> {
    const { logger } = this.#deps;
    this.#flushTimer.close();
    this.#upkeep.stop(closedError(this.#directory.path));
    await this.#tasks.close();
    await Promise.allSettled([...this.#opening.values(), ...this.#deleting.values()]);
    const ends = new Map<TopicPartitionKey, ClosedLog>();
    for (const [key, { closed }] of this.#known) if (closed?.isClean === true) ends.set(key, closed);
    let isClean = !this.#isOffline;
    await forEachOf([...this.#logs], PARALLEL, async ([key, log]) => {
      const wasDamaged = log.state === "offline";
      try {
        await log.close();
      } catch (error: unknown) {
        logger.error("a log could not be closed in order", { ...log.topicPartition, err: error });
        isClean = false;
      }
      ends.delete(key);
      if (wasDamaged || !log.hasDirectory) return;
      const { logStartOffset, logEndOffset, sizeBytes } = log;
      ends.set(key, { logStartOffset, logEndOffset, sizeBytes });
      this.#checkpoints.setRecoveryPoint(key, log.logEndOffset);
    });
    this.#logs.clear();
    try {
      if (isClean && !this.#isOffline) {
        await this.#checkpoints.saveRecoveryPoints();
        await this.#directory.saveMarker({ brokerEpoch, logs: ends });
      }
    } catch (error: unknown) {
      logger.error("the clean stop could not be noted; the next start recovers", {
        err: error,
      });
    }
    await this.#logDeps.files.close();
    await this.#lock.release();
  }
}

function keyOf({ topic, partition }: TopicPartition): TopicPartitionKey {
  return topicPartitionKey(topic, partition);
}

function ignore(): undefined {
  return undefined;
}
