import { errorMessage, LograftError } from "../base/errors.ts";
import type { Logger } from "../base/logger.ts";
import type { ErrorName } from "../model/error-code.ts";
import type { TopicId } from "../model/ids.ts";
import { maxOffset, NO_LEADER_EPOCH } from "../model/offsets.ts";
import type { LeaderEpoch, Offset } from "../model/offsets.ts";
import type { TopicPartition } from "../model/topic-partition.ts";
import type { Clock } from "../platform/clock.ts";
import type { Disk } from "../platform/disk.ts";
import { AppendQueue } from "./append-queue.ts";
import type { FileHandleCache } from "./file-handle-cache.ts";
import type { SyncScheduler } from "./flusher.ts";
import type { IndexCache } from "./index-cache.ts";
import type { LeaderEpochCache } from "./leader-epoch-cache.ts";
import type { LogConfig } from "./log-config.ts";
import type { ProducerState } from "./producer-state.ts";
import type { LogSabotage } from "./log-sabotage.ts";
import type { Segment } from "./segment.ts";
import { damageMessage } from "./segment-damage.ts";
import type { ReplicaDamage, SegmentDamage } from "./segment-damage.ts";
import { SegmentList } from "./segment-list.ts";
import type { PartitionTail, TailCache } from "./tail-cache.ts";

/** "offline": its disk failed it, for good until a restart; "closed": let go in order. */
export type LogState = "open" | "offline" | "closed";

/** A log, as far as the shared flush timer is concerned. */
export interface Flushable {
  /** @throws LograftError KAFKA_STORAGE_ERROR; the log is offline then and has said so. */
  flush(): Promise<void>;
}

/** What a log asks of whoever manages the directory it is in. */
export interface LogHost {
  /** Resolves when the log start is durable (H50: before anything below it is deleted). */
  persistLogStart(topicPartition: TopicPartition, logStartOffset: Offset): Promise<void>;
  /** Resolves when no checkpoint claims more than this to be durable: the log is about to be cut there. */
  lowerRecoveryPoint(topicPartition: TopicPartition, endOffset: Offset): Promise<void>;
  /** Resolves when it is durable that offsets below `gapsBelow`, and only those, may be missing from the log. */
  saveGapsBelow(topicPartition: TopicPartition, gapsBelow: Offset): Promise<void>;
  /** Something was written that has to be synced within `withinMs`. Called again for each write; cheap. */
  onDirty(log: Flushable, withinMs: number): void;
  /** A failed sync or repair: the directory is not to be trusted any more (H45). Must not throw. */
  onOffline(topicPartition: TopicPartition, error: LograftError): void;
  /** An append found the disk full; nothing of it was kept. Called for each. Must only take note. */
  onDiskFull(): void;
  /** These renamed files are to be removed after the delay. */
  removeLater(paths: readonly string[], delayMs: number): void;
}

/** Limits of one log, the same for all logs of a broker. */
export interface LogLimits {
  /** Bytes appended that are not yet durable; beyond, appends are refused. */
  readonly maxPendingBytes: number;
  /** Bytes of one gathered write. */
  readonly maxWriteBytes: number;
  /** How long appends are refused after the disk was full, before one is let through to try again. */
  readonly diskFullRetryMs: number;
  /** See `ProducerState`. */
  readonly producerExpirationMs: number;
}

/** Kafka's producer.id.expiration.ms; 64 MiB in flight. */
export const DEFAULT_LOG_LIMITS: LogLimits = {
  maxPendingBytes: 64 * 1024 * 1024,
  maxWriteBytes: 8 * 1024 * 1024,
  diskFullRetryMs: 1000,
  producerExpirationMs: 86_400_000,
};

/** Collaborators shared by all logs of a broker. */
export interface PartitionLogDeps {
  readonly clock: Clock;
  readonly disk: Disk;
  readonly logger: Logger;
  readonly files: FileHandleCache;
  readonly tail: TailCache;
  readonly syncs: SyncScheduler;
  readonly indexes: IndexCache;
  readonly host: LogHost;
  readonly limits: LogLimits;
  readonly sabotage?: LogSabotage | undefined;
}

/** Which log, where, and its topic's settings as they are now. */
export interface PartitionLogOptions {
  readonly topicPartition: TopicPartition;
  readonly topicId: TopicId;
  readonly directory: string;
  readonly config: () => LogConfig;
}

/** The segment that the next append goes to, counting what is queued. */
export interface AppendPlan {
  readonly baseOffset: Offset;
  readonly createdMs: number;
  sizeBytes: number;
}

/** A refusal as a protocol outcome. */
export interface Refusal {
  readonly ok: false;
  readonly error: ErrorName;
  readonly message: string;
}

/**
 * The state of one log that its writer, reader and trimmer share. Fields are plain so that an idle partition costs next
 * to nothing (a broker holds tens of thousands); what an idle one does not need is undefined until it is.
 */
export class LogCore {
  readonly options: PartitionLogOptions;
  readonly deps: PartitionLogDeps;
  readonly segments: SegmentList;
  /** What was read of the log is there from here on. */
  logStartOffset: Offset;
  /** Written to the file, exclusive. */
  logEndOffset: Offset;
  durableEndOffset: Offset;
  /** The offset of the next append: behind `logEndOffset` by what is queued. */
  nextOffset: Offset;
  /** Survives a power cut. */
  syncedEndOffset: Offset;
  state: LogState = "open";
  /** Why it is offline. */
  failure: LograftError | undefined;
  /** Offline because of damage in the middle: what lies below is whole and still served. */
  isReadable = true;
  /** Why appends are refused at the moment: offsets are changing their meaning. */
  barrier: string | undefined;
  /** A failed write is being undone. */
  isRepairing = false;
  /**
   * Offsets below may be missing, because the log was compacted there or copied from one that was. Elsewhere a gap is
   * damage: a stretch that was lost, or a base offset that has rotted, which no checksum covers.
   */
  gapsBelow: Offset;
  /** As `gapsBelow` has to be before what is queued is written; undefined: as it is. */
  wantedGapsBelow: Offset | undefined;
  /** Where the next append will go in the files, counting what is queued; undefined: behind what is written. */
  appendPlan: AppendPlan | undefined;
  /** Monotonic time until which appends are refused because the disk was full. */
  fullUntilMs = 0;
  /** Goes up when offsets get another meaning: reads look at it again after waiting for the disk (H50). */
  generation = 0;
  producers: ProducerState | undefined;
  epochs: LeaderEpochCache | undefined;
  areEpochsDirty = false;
  queue: AppendQueue | undefined;
  tail: PartitionTail | undefined;
  /** Of the first damaged segment. */
  damage: ReplicaDamage | undefined;
  /** Set while a segment is read whole to find where its damage begins; a log looks for one at a time. */
  locating: Promise<void> | undefined;
  /** The partition directory with its metadata file is there, durably. */
  hasDirectory = false;
  /** Set by the writer: resolves when no sync is running. */
  syncing: Promise<void> | undefined;
  /** Set while a compacted segment's files take the place of others: reads from the disk wait for it. */
  swapping: Promise<void> | undefined;
  /** The last in line to change the files of sealed segments; see `reshape`. */
  reshaping: Promise<void> | undefined;
  #listeners: (() => void)[] | undefined;
  #lock: Promise<void> | undefined;
  #barred: Promise<void> | undefined;

  constructor(
    options: PartitionLogOptions,
    deps: PartitionLogDeps,
    segments: Segment[],
    bounds: { readonly start: Offset; readonly end: Offset; readonly gapsBelow: Offset },
  ) {
    const { start, end, gapsBelow } = bounds;
    this.options = options;
    this.deps = deps;
    this.segments = new SegmentList(segments);
    this.logStartOffset = start;
    this.gapsBelow = gapsBelow;
    this.logEndOffset = end;
    this.durableEndOffset = end;
    this.nextOffset = end;
    this.syncedEndOffset = end;
  }

  get config(): LogConfig {
    return this.options.config();
  }

  get directory(): string {
    return this.options.directory;
  }

  get latestEpoch(): LeaderEpoch {
    return this.epochs?.latestEpoch ?? NO_LEADER_EPOCH;
  }

  /** Everything below is on the disk with its indexes: recovery after a crash begins in the segment that holds it. */
  get recoveryPoint(): Offset {
    for (const segment of this.segments.all()) {
      if (segment.areIndexesDirty && segment !== this.segments.active) return segment.baseOffset;
    }
    return this.syncedEndOffset;
  }

  /** Of what is queued offsets below may be missing: to be durable before it is written. */
  wantGaps(gapsBelow: Offset): void {
    this.wantedGapsBelow = maxOffset(gapsBelow, this.wantedGapsBelow ?? gapsBelow);
  }

  /** Resolves when offsets below may be missing, also after a crash. Under the log's lock. */
  async raiseGaps(gapsBelow: Offset): Promise<void> {
    if (gapsBelow <= this.gapsBelow) return;
    await this.deps.host.saveGapsBelow(this.options.topicPartition, gapsBelow);
    this.gapsBelow = gapsBelow;
  }

  /** The log was cut: of what comes in the place of what was there nothing may be missing. Under the log's lock. */
  async lowerGaps(): Promise<void> {
    if (this.gapsBelow <= this.logEndOffset) return;
    this.gapsBelow = this.logEndOffset;
    await this.deps.host.saveGapsBelow(this.options.topicPartition, this.gapsBelow);
  }

  pendingQueue(): AppendQueue {
    this.queue ??= new AppendQueue();
    return this.queue;
  }

  /** Reads are answered: it is open, or only damaged. */
  get isServing(): boolean {
    return this.state === "open" || (this.state === "offline" && this.isReadable);
  }

  /** Why nothing can be done with this log, if so. */
  unavailable(): Refusal | undefined {
    if (this.state === "open") return undefined;
    const message =
      this.state === "closed" ? `the log ${this.directory} is closed` : this.offlineError().message;
    return { ok: false, error: "KAFKA_STORAGE_ERROR", message };
  }

  offlineError(): LograftError {
    return this.failure ?? this.closedError();
  }

  closedError(): LograftError {
    return new LograftError("KAFKA_STORAGE_ERROR", `the log ${this.directory} is closed`, {
      context: { directory: this.directory },
      retriable: true,
    });
  }

  /** @throws LograftError KAFKA_STORAGE_ERROR when offline or closed. */
  assertOpen(): void {
    if (this.state !== "open") throw this.offlineError();
  }

  /** Runs `task` when every earlier one has ended: changes of the segment list and of the active file do not overlap. */
  exclusive(task: () => Promise<void>): Promise<void> {
    const running = this.#lock === undefined ? task() : this.#lock.then(task);
    const ended = running.then(ignore, ignore).then(() => {
      if (this.#lock === ended) this.#lock = undefined;
    });
    this.#lock = ended;
    return running;
  }

  /** Runs `task`, alone of its kind, while appends are refused for `reason`. */
  barred(reason: string, task: () => Promise<void>): Promise<void> {
    const running = this.#barred === undefined ? Promise.resolve() : this.#barred;
    this.barrier = reason;
    const done = running.then(async () => {
      this.assertOpen();
      this.barrier = reason;
      await task();
    });
    const ended = done.then(ignore, ignore).then(() => {
      if (this.#barred !== ended) return;
      this.#barred = undefined;
      this.barrier = undefined;
    });
    this.#barred = ended;
    return done;
  }

  /** Moves the promise of this replica forward and answers those who waited for it. */
  advanceDurable(endOffset: Offset): void {
    if (endOffset > this.durableEndOffset) this.durableEndOffset = endOffset;
    this.queue?.resolveUpTo(this.durableEndOffset);
    this.notify();
  }

  onAdvance(listener: () => void): () => void {
    this.#listeners = [...(this.#listeners ?? []), listener];
    return () => {
      const rest = this.#listeners?.filter((other) => other !== listener);
      this.#listeners = rest === undefined || rest.length === 0 ? undefined : rest;
    };
  }

  notify(): void {
    if (this.#listeners === undefined) return;
    for (const listener of this.#listeners) listener();
  }

  /** For good: nothing is written any more, nobody is told again that something was kept (H45). */
  goOffline(cause: unknown, what: string): void {
    if (this.state !== "open") return;
    this.state = "offline";
    this.isReadable = false;
    const { directory, topicPartition } = this.options;
    const error = storageError(directory, `${what}: ${errorMessage(cause)}`, cause);
    this.failure = error;
    this.deps.logger.error("a partition log is offline", {
      topic: topicPartition.topic,
      partition: topicPartition.partition,
      directory,
      err: cause,
    });
    this.queue?.rejectBehind(this.durableEndOffset, error);
    if (this.tail !== undefined) this.deps.tail.clear(this.tail);
    this.deps.host.onOffline(topicPartition, error);
    this.notify();
  }

  /** Nothing is appended behind its damage, until that is cut off; what lies below is served. */
  stopAtDamage({ offset, message }: ReplicaDamage): void {
    this.state = "offline";
    this.isReadable = true;
    this.damage = { offset, message };
    this.failure = new LograftError<ErrorName>("KAFKA_STORAGE_ERROR", message, {
      context: { directory: this.directory, offset },
      retriable: true,
    });
    this.notify();
  }

  /** What a scan of a file that began under `generation` found may have been about to be cut, or deleted, then. */
  isConclusive(segment: Segment, generation: number): boolean {
    const isUnchanged = this.generation === generation && this.barrier === undefined;
    return isUnchanged && this.isServing && !segment.isRemoved;
  }

  /** H42, H46: named and never served from now on; what lies above stays where it is. Told to all who follow the log. */
  noteDamage(segment: Segment, found: SegmentDamage): void {
    if (segment.damage !== undefined && segment.damage.position <= found.position) return;
    segment.damage = found;
    const { position, offset, reason } = found;
    const { topic, partition } = this.options.topicPartition;
    this.deps.logger.error("a segment is damaged; nothing from there on is served", {
      topic,
      partition,
      path: segment.logPath,
      position,
      offset,
      reason,
    });
    this.#updateDamage();
  }

  /** Segments went, or were cut: what is left may be whole. */
  forgetDamage(): void {
    if (this.damage !== undefined) this.#updateDamage();
  }

  #updateDamage(): void {
    const first = this.segments.all().find(({ damage }) => damage !== undefined);
    const damage = first?.damage;
    const isNews = damage?.offset !== this.damage?.offset;
    this.damage =
      first === undefined || damage === undefined
        ? undefined
        : { offset: damage.offset, message: damageMessage(first.logPath, damage) };
    if (isNews) this.notify();
  }

  /** Adds a whole written append to the cached tail. */
  cacheTail(records: Buffer, baseOffset: Offset, endOffset: Offset): void {
    this.tail ??= this.deps.tail.create();
    this.deps.tail.append(this.tail, records, baseOffset, endOffset);
  }

  dropTail(): void {
    if (this.tail !== undefined) this.deps.tail.clear(this.tail);
  }
}

function ignore(): void {
  // Who ran the task has its failure; the next in line only waits for its end.
}

/** The one form of "this directory has failed": names it, the cause and the next step. */
export function storageError(directory: string, what: string, cause: unknown): LograftError<ErrorName> {
  return new LograftError<ErrorName>(
    "KAFKA_STORAGE_ERROR",
    `${directory}: ${what}; take the disk out of use or repair it, then restart this broker`,
    { context: { directory }, cause, retriable: true },
  );
}
