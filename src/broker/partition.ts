import { assert } from "../base/assert.ts";
import { errorMessage, LograftError, operationError } from "../base/errors.ts";
import type { Logger } from "../base/logger.ts";
import { settledReplicas } from "../metadata/image.ts";
import type { PartitionImage } from "../metadata/image.ts";
import { NO_NODE } from "../model/ids.ts";
import type { NodeId, TopicId } from "../model/ids.ts";
import { requiredInSync } from "../model/insync.ts";
import { offset } from "../model/offsets.ts";
import type { Offset } from "../model/offsets.ts";
import type { Clock } from "../platform/clock.ts";
import type { BrokerSabotage } from "./broker-options.ts";
import { CommittedLog } from "./committed-log.ts";
import type { CommitSource } from "./committed-log.ts";
import { FollowerRole } from "./follower-role.ts";
import { LeaderRole } from "./leader-role.ts";
import type { RateLimit } from "../replication/rate-limit.ts";
import type { PartitionStore, ReplicaStore } from "./log-store.ts";
import { isLograftError } from "./lograft-error.ts";
import { TopicTraffic } from "./topic-traffic.ts";

/** What a wait for a log ends with. */
export type Opened =
  | { readonly ok: true; readonly log: PartitionStore }
  | { readonly ok: false; readonly error: LograftError };

export interface PartitionOptions {
  readonly topic: string;
  readonly partition: number;
  readonly topicId: TopicId;
  readonly image: PartitionImage;
  /** This broker. */
  readonly nodeId: NodeId;
  /** Known from before the start of this process; a hint. */
  readonly highWatermark: Offset;
  /** Time within which a follower must have reached the leader's end to stay in the ISR, in ms. */
  readonly lagTimeMs: number;
  /** Callers that may wait for the log to open; beyond it they are refused. */
  readonly maxWaiting: number;
  readonly sabotage?: BrokerSabotage | undefined;
}

export interface PartitionDeps {
  readonly openLog: () => Promise<ReplicaStore>;
  readonly clock: Clock;
  readonly logger: Logger;
  /** The topic's setting. */
  readonly minInsyncReplicas: () => number;
  /** See `LeaderRoleDeps.pace`. */
  readonly pace: () => RateLimit | undefined;
  /** As the topic is set: an unclean leader may lack what is committed. */
  readonly mayLoseCommitted: () => boolean;
  /** Others have it too, and its log here is damaged. Must only take note; called again and again. */
  readonly onDamage: (partition: Partition) => void;
  /** There may be a change of the ISR to ask for. Must only take note. */
  readonly onIsrNews: (role: LeaderRole) => void;
  /** The controller has been silent for a session: it may have made another broker the leader (H31). */
  readonly isContactLost: () => boolean;
  /** Counts for the whole topic. Left out: for this partition alone. */
  readonly traffic?: TopicTraffic;
}

/**
 * A partition that somebody uses: its place in the cluster, its log once it is open, and the role that this broker has
 * in it. Partitions that nobody has touched since the start have no such object.
 */
export class Partition implements CommitSource {
  readonly topic: string;
  readonly partition: number;
  readonly topicId: TopicId;
  readonly traffic: TopicTraffic;
  readonly #options: PartitionOptions;
  readonly #deps: PartitionDeps;
  readonly #watchers = new Set<() => void>();
  readonly #commitListeners = new Set<() => void>();
  #image: PartitionImage;
  /** What clients are served from. */
  #log: PartitionStore | undefined;
  #store: ReplicaStore | undefined;
  #leader: LeaderRole | undefined;
  #follower: FollowerRole | undefined;
  #highWatermark: Offset;
  /** Of a role that has ended. */
  #cutting: Promise<void> | undefined;
  #opening: Promise<void> | undefined;
  #waiting: ((opened: Opened) => void)[] = [];
  #isRemoved = false;

  constructor(options: PartitionOptions, deps: PartitionDeps) {
    this.topic = options.topic;
    this.partition = options.partition;
    this.topicId = options.topicId;
    this.traffic = deps.traffic ?? new TopicTraffic();
    this.#options = options;
    this.#deps = deps;
    this.#image = options.image;
    this.#highWatermark = options.highWatermark;
  }

  get image(): PartitionImage {
    return this.#image;
  }

  /** Several brokers are to have it; otherwise its own disk is all that counts. */
  get isReplicated(): boolean {
    return this.#image.replicas.length > 1;
  }

  /**
   * Others have it too and the controller has been silent for a session: another one may lead it by now, and it may have
   * gone on there. A partition that nobody else has cannot have gone anywhere.
   */
  get isDoubtful(): boolean {
    return this.isReplicated && this.#deps.isContactLost();
  }

  /** Its log has lost something in the middle, as far as is known. */
  get isDamaged(): boolean {
    return this.#store?.damage !== undefined;
  }

  /** A replica that counts for nothing: another one leads, and this one is neither in sync nor eligible to lead. */
  get isSpare(): boolean {
    const { replicas, leader, isr, elr } = this.#image;
    const { nodeId } = this.#options;
    return replicas.includes(nodeId) && leader !== nodeId && !isr.includes(nodeId) && !elr.includes(nodeId);
  }

  /** While this broker leads it, several have it, and its log is open. */
  get leaderRole(): LeaderRole | undefined {
    return this.#leader;
  }

  /** Records below it are committed: every in-sync replica has them. Never goes back while this process lives. */
  get highWatermark(): Offset {
    const role = this.#leader ?? this.#follower;
    if (role !== undefined && role.highWatermark > this.#highWatermark)
      this.#highWatermark = role.highWatermark;
    return this.#highWatermark;
  }

  /** Where clients stop reading here (exclusive): at the high watermark, as a leader; as a follower at what it was told of it. */
  get readableEnd(): Offset {
    if (this.#image.leader === this.#options.nodeId) return this.highWatermark;
    return this.#follower?.readableEnd ?? this.#store?.logStartOffset ?? offset(0);
  }

  onCommit(listener: () => void): () => void {
    this.#commitListeners.add(listener);
    return () => this.#commitListeners.delete(listener);
  }

  /**
   * The role of a follower in the present epoch, with the log opened; undefined when this broker is none.
   * @throws LograftError of the opening.
   */
  async follow(): Promise<FollowerRole | undefined> {
    await this.openedLog();
    // A position may only be told when the log has lost what is being cut: else it is reported as stored, and then gone.
    while (this.#cutting !== undefined) await this.#cutting;
    // Asked behind the wait: the roles may have changed.
    const { leader, replicas, leaderEpoch } = this.#image;
    const { nodeId } = this.#options;
    const { logger, mayLoseCommitted } = this.#deps;
    const store = this.#store;
    // A damaged one is mended first: what it has behind the damage counts for nothing (H42).
    if (this.isDamaged) return undefined;
    const isFollower = leader !== NO_NODE && leader !== nodeId && replicas.includes(nodeId);
    if (!isFollower || this.#isRemoved || store === undefined) return undefined;
    if (this.#follower?.leaderEpoch === leaderEpoch && !this.#follower.isEnded) return this.#follower;
    this.#follower = new FollowerRole(
      {
        topicId: this.topicId,
        topic: this.topic,
        partition: this.partition,
        leaderEpoch,
        highWatermark: this.highWatermark,
      },
      { log: store, logger, mayLoseCommitted, onCommit: () => this.#notifyCommit() },
    );
    const role = this.#follower;
    if (this.#options.sabotage === "truncateToHighWatermark" && role.highWatermark < role.logEndOffset)
      await role.truncateTo(role.highWatermark);
    return role;
  }

  /** Cuts its log where the damage begins, after which it can be followed. For a spare only. @throws LograftError KAFKA_STORAGE_ERROR. */
  async cutDamage(): Promise<void> {
    const store = this.#store;
    assert(this.isSpare && store !== undefined, "a replica that counts is cut", { topic: this.topic });
    this.#endRoles();
    const cut = store.cutDamage();
    this.#awaitCut(
      cut.then(
        () => undefined,
        () => undefined,
      ),
    );
    await cut;
  }

  /** Its topic was deleted, or this broker is none of its replicas any more; nothing more is read or written. */
  get isRemoved(): boolean {
    return this.#isRemoved;
  }

  /** The open log, unless calls that came before still wait for it: those go first. */
  get log(): PartitionStore | undefined {
    return this.#waiting.length === 0 ? this.#log : undefined;
  }

  /** The log if it is open, whoever waits: for what is told of it, not for appends. */
  get openLog(): PartitionStore | undefined {
    return this.#log;
  }

  /** It has a log, or is about to. */
  get hasLog(): boolean {
    return this.#store !== undefined || this.#opening !== undefined;
  }

  /** Resolves when an opening that has begun is over, either way. */
  get settled(): Promise<void> {
    return this.#opening ?? Promise.resolve();
  }

  /**
   * Calls back with the log, at once when it is open. Calls are answered in the order they came, in one turn, so appends
   * keep the order of their calls. A failed opening answers all who wait; the next call tries again.
   */
  withLog(callback: (opened: Opened) => void): void {
    const { log } = this;
    if (log !== undefined) {
      callback({ ok: true, log });
      return;
    }
    if (this.#waiting.length >= this.#options.maxWaiting) {
      const context = { topic: this.topic, partition: this.partition, waiting: this.#waiting.length };
      const text = `${this.#waiting.length} calls wait for the log of ${this.topic}-${this.partition} to open; try again`;
      callback({ ok: false, error: operationError("BUFFER_EXHAUSTED", text, { context, retriable: true }) });
      return;
    }
    this.#waiting.push(callback);
    if (this.#log === undefined) this.#opening ??= this.#open();
  }

  /** The same as a promise. @throws LograftError of the opening. */
  openedLog(): Promise<PartitionStore> {
    return new Promise((resolve, reject) => {
      this.withLog((opened) => {
        if (opened.ok) resolve(opened.log);
        else reject(opened.error);
      });
    });
  }

  /**
   * Calls `watcher` after each change of the image, the removal included, when the log opened, and when the leadership has
   * become doubtful; must not throw.
   */
  watch(watcher: () => void): () => void {
    this.#watchers.add(watcher);
    return () => this.#watchers.delete(watcher);
  }

  /** Takes the image that was committed. */
  update(image: PartitionImage): void {
    if (image === this.#image) return;
    assert(image.leaderEpoch >= this.#image.leaderEpoch, "a leader epoch went back", {
      image,
      before: this.#image,
    });
    this.#image = image;
    if (this.#store !== undefined) this.#serve(this.#store);
    this.#updateRoles(image);
    this.#notify();
  }

  /** The controller has been silent for a session: who reads here must not wait any longer. */
  contactLost(): void {
    if (this.isDoubtful) this.#notify();
  }

  /** The topic's settings have changed. */
  configChanged(): void {
    this.#leader?.minInsyncChanged(this.#minInsyncReplicas);
    this.#leader?.paceChanged();
  }

  /** Ends the role of the leader without another epoch: this broker goes, and its replicas do not answer. */
  stopLeading(): void {
    this.#highWatermark = this.highWatermark;
    this.#leader?.end();
    this.#leader = undefined;
  }

  /** The data goes, by a committed record: who waits is told, who watches too. */
  remove(): void {
    this.#isRemoved = true;
    this.#endRoles();
    this.#notify();
  }

  async #open(): Promise<void> {
    let opened: Opened;
    try {
      const store = await this.#deps.openLog();
      this.#store = store;
      const log = this.#serve(store);
      this.#updateRoles(this.#image);
      opened = { ok: true, log };
    } catch (error: unknown) {
      opened = { ok: false, error: openError(this, error) };
    }
    if (this.#isRemoved) opened = { ok: false, error: removedError(this) };
    this.#opening = undefined;
    // One after another, those included that are added while this runs; `log` stays hidden until all had their turn.
    for (let next = 0; next < this.#waiting.length; next++) this.#waiting[next]?.(opened);
    this.#waiting = [];
    if (opened.ok) this.#notify();
  }

  /**
   * What clients are served from. Once several brokers have it, a commit takes its leader's role, also when one of them
   * is left in the end: what was not committed before that is not by that alone.
   */
  #serve(store: ReplicaStore): PartitionStore {
    if (this.#log instanceof CommittedLog) return this.#log;
    if (this.isReplicated) {
      this.#log = new CommittedLog(store, this);
      store.onAdvance(() => this.#onStoreAdvance(store));
    } else {
      this.#log = store;
    }
    return this.#log;
  }

  get #minInsyncReplicas(): number {
    return requiredInSync(this.#deps.minInsyncReplicas(), settledReplicas(this.#image));
  }

  /** Ends the roles of other epochs, and begins the leader's of this one. */
  #updateRoles(image: PartitionImage): void {
    const { leader, leaderEpoch } = image;
    const isLeader = leader === this.#options.nodeId;
    const role = this.#leader;
    if (role !== undefined && isLeader && role.leaderEpoch === leaderEpoch) {
      role.committed(image);
      return;
    }
    if (role !== undefined || this.#follower?.leaderEpoch !== leaderEpoch) this.#endRoles();
    const isCommitting = this.#log instanceof CommittedLog;
    if (isLeader && isCommitting && this.#store !== undefined && !this.#isRemoved) this.#lead(this.#store);
    if (this.isDamaged && this.isReplicated) this.#deps.onDamage(this);
  }

  #lead(log: ReplicaStore): void {
    // Where this epoch begins is known when the log has lost what the leader before it had cut.
    if (this.#cutting !== undefined) return;
    const { nodeId, lagTimeMs, sabotage } = this.#options;
    const { clock, onIsrNews, pace } = this.#deps;
    // Only an unclean election leaves less than was committed; what is gone cannot be counted any more.
    if (this.#highWatermark > log.logEndOffset) this.#highWatermark = log.logEndOffset;
    this.#leader = new LeaderRole(
      {
        self: nodeId,
        topicId: this.topicId,
        topic: this.topic,
        partition: this.partition,
        image: this.#image,
        highWatermark: this.highWatermark,
        minInsyncReplicas: this.#minInsyncReplicas,
        lagTimeMs,
        sabotage,
      },
      { log, clock, onIsrNews, pace },
    );
    this.#leader.watch(() => this.#notifyCommit());
    this.#notifyCommit();
  }

  #endRoles(): void {
    // What it has come to is kept for the next role.
    this.#highWatermark = this.highWatermark;
    this.#leader?.end();
    this.#leader = undefined;
    this.#follower?.end();
    this.#awaitCut(this.#follower?.cutting);
    this.#follower = undefined;
  }

  #awaitCut(cutting: Promise<void> | undefined): void {
    if (cutting === undefined) return;
    this.#cutting = cutting;
    // Never rejects.
    void cutting.then(() => {
      if (this.#cutting !== cutting) return;
      this.#cutting = undefined;
      if (!this.#isRemoved) this.#updateRoles(this.#image);
    });
  }

  #onStoreAdvance({ damage }: ReplicaStore): void {
    if (damage !== undefined) this.#deps.onDamage(this);
    // The leader's role watches the log itself and tells of it.
    if (this.#leader === undefined) this.#notifyCommit();
  }

  #notifyCommit(): void {
    for (const listener of this.#commitListeners) listener();
  }

  #notify(): void {
    for (const watcher of this.#watchers) watcher();
  }
}

function openError({ topic, partition }: Partition, cause: unknown): LograftError {
  if (isLograftError(cause)) return cause;
  return operationError(
    "LOG_OFFLINE",
    `cannot open the log of ${topic}-${partition}: ${errorMessage(cause)}`,
    {
      context: { topic, partition },
      cause,
    },
  );
}

function removedError({ topic, partition }: Partition): LograftError {
  return new LograftError("UNKNOWN_TOPIC_OR_PARTITION", `topic ${topic} was deleted`, {
    context: { topic, partition },
  });
}
