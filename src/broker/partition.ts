import { assert } from "../base/assert.ts";
import { errorMessage, LograftError, operationError } from "../base/errors.ts";
import type { PartitionImage } from "../metadata/image.ts";
import type { TopicId } from "../model/ids.ts";
import type { PartitionStore } from "./log-store.ts";
import { isLograftError } from "./lograft-error.ts";

/** What a wait for a log ends with. */
export type Opened =
  | { readonly ok: true; readonly log: PartitionStore }
  | { readonly ok: false; readonly error: LograftError };

export interface PartitionOptions {
  readonly topic: string;
  readonly partition: number;
  readonly topicId: TopicId;
  readonly image: PartitionImage;
  /** Callers that may wait for the log to open; beyond it they are refused. */
  readonly maxWaiting: number;
}

/**
 * A partition that somebody uses: its place in the cluster, and its log once it is open. Partitions that nobody has
 * touched since the start have no such object.
 */
export class Partition {
  readonly topic: string;
  readonly partition: number;
  readonly topicId: TopicId;
  readonly #maxWaiting: number;
  readonly #openLog: () => Promise<PartitionStore>;
  readonly #watchers = new Set<() => void>();
  #image: PartitionImage;
  #log: PartitionStore | undefined;
  #opening: Promise<void> | undefined;
  #waiting: ((opened: Opened) => void)[] = [];
  #isRemoved = false;

  constructor(options: PartitionOptions, deps: { readonly openLog: () => Promise<PartitionStore> }) {
    this.topic = options.topic;
    this.partition = options.partition;
    this.topicId = options.topicId;
    this.#image = options.image;
    this.#maxWaiting = options.maxWaiting;
    this.#openLog = deps.openLog;
  }

  get image(): PartitionImage {
    return this.#image;
  }

  /** Its topic was deleted; nothing more is read or written. */
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
    if (this.#waiting.length >= this.#maxWaiting) {
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

  /** Calls `watcher` after each change of the image, the removal included, and when the log opened; must not throw. */
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
    this.#notify();
  }

  /** The topic was deleted: who waits is told, who watches too. */
  remove(): void {
    this.#isRemoved = true;
    this.#notify();
  }

  async #open(): Promise<void> {
    let opened: Opened;
    try {
      const log = await this.#openLog();
      this.#log = log;
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
