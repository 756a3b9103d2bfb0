import type { Logger } from "../base/logger.ts";
import { formatOffsetCheckpoint, parseOffsetCheckpoint } from "../log/checkpoint-file.ts";
import { offset } from "../model/offsets.ts";
import type { Offset } from "../model/offsets.ts";
import { topicPartitionKey } from "../model/topic-partition.ts";
import type { TopicPartition, TopicPartitionKey } from "../model/topic-partition.ts";
import { readIfPresent, writeAtomically } from "../platform/atomic-file.ts";
import type { Clock, Timer } from "../platform/clock.ts";
import type { Disk } from "../platform/disk.ts";

/** Kafka's name and format. */
const FILE = "replication-offset-checkpoint";
/** Between two writes while high watermarks move. */
const SAVE_INTERVAL_MS = 5000;
const NOWHERE = offset(0);

export interface WatermarkCheckpointDeps {
  readonly disk: Disk;
  readonly clock: Clock;
  readonly logger: Logger;
  /** Those that are known now. */
  readonly current: () => Iterable<readonly [TopicPartition, Offset]>;
}

/**
 * The high watermarks of replicated partitions on disk: a hint, so that after a restart what was committed can be read
 * before followers have reported. A lost or damaged file only means that it begins lower (H40).
 */
export class WatermarkCheckpoint {
  readonly #path: string;
  readonly #deps: WatermarkCheckpointDeps;
  readonly #known: Map<TopicPartitionKey, Offset>;
  #saved = "";
  #timer: Timer | undefined;
  #saving: Promise<void> = Promise.resolve();
  #isClosed = false;

  private constructor(path: string, known: Map<TopicPartitionKey, Offset>, deps: WatermarkCheckpointDeps) {
    this.#path = path;
    this.#known = known;
    this.#deps = deps;
  }

  /** @throws LograftError DISK_READ_FAILED. */
  static async open(
    options: { readonly directory: string },
    deps: WatermarkCheckpointDeps,
  ): Promise<WatermarkCheckpoint> {
    const path = `${options.directory}/${FILE}`;
    const text = (await readIfPresent(deps.disk, path))?.toString();
    const known = text === undefined ? undefined : parseOffsetCheckpoint(text);
    if (text !== undefined && known === undefined) {
      deps.logger.warn("the checkpoint of high watermarks is damaged; they begin at the log starts", {
        path,
      });
    }
    return new WatermarkCheckpoint(path, known ?? new Map<TopicPartitionKey, Offset>(), deps);
  }

  /** As it was saved before; 0 when nothing is known. */
  of({ topic, partition }: TopicPartition): Offset {
    return this.#known.get(topicPartitionKey(topic, partition)) ?? NOWHERE;
  }

  /** High watermarks may have moved: they are saved within some seconds. */
  note(): void {
    if (this.#timer !== undefined || this.#isClosed) return;
    this.#timer = this.#deps.clock.setTimer(SAVE_INTERVAL_MS, () => {
      this.#timer = undefined;
      this.#saving = this.#save();
    });
  }

  /** Saves once more. Idempotent. Never rejects. */
  async close(): Promise<void> {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#timer?.cancel();
    await this.#saving;
    await this.#save();
  }

  async #save(): Promise<void> {
    for (const [{ topic, partition }, highWatermark] of this.#deps.current()) {
      this.#known.set(topicPartitionKey(topic, partition), highWatermark);
    }
    const text = formatOffsetCheckpoint(this.#known);
    if (text === this.#saved || this.#known.size === 0) return;
    try {
      await writeAtomically(this.#deps.disk, this.#path, Buffer.from(text));
      this.#saved = text;
    } catch (error: unknown) {
      // Only a hint: the next save tries again.
      this.#deps.logger.warn("the high watermarks could not be saved", { err: error });
    }
  }
}
