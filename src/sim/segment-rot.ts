import { partitionDirName } from "../log/file-names.ts";
import type { NodeId } from "../model/ids.ts";
import { BATCH_HEADER_BYTES, batchSizeOf, lastOffsetOf } from "../model/record-batch.ts";
import type { TopicPartition } from "../model/topic-partition.ts";
import type { Random } from "../platform/random.ts";
import { SECTOR_BYTES } from "./crash-policy.ts";
import type { MarkerCounts } from "./markers.ts";
import type { SimMachine } from "./sim-machine.ts";
import { DATA_DIRECTORY } from "./sim-program.ts";

/** One bit has turned, or a sector holds what was meant for another place (the harm that a misdirected write does). */
export type RotKind = "flip" | "misplace";

/** Batches of a segment, some of which may rot. */
interface Extent {
  readonly path: string;
  readonly bytes: Buffer;
  /** Where the batches begin that have another committed one behind them; the last entry is where those end. */
  readonly positions: readonly number[];
}

/**
 * Lets stored batches rot, of one replica of each partition at most: a majority still has what that one has lost. Only
 * batches that are committed and stored, with a committed one behind them, also stored: at the very end of a log a torn
 * write looks the same, and no broker could tell.
 */
export class SegmentRot {
  readonly #random: Random;
  readonly #markers: MarkerCounts;
  /** By partition. */
  readonly #victims = new Map<string, NodeId>();

  constructor(deps: { readonly random: Random; readonly markers: MarkerCounts }) {
    this.#random = deps.random;
    this.#markers = deps.markers;
  }

  /** Something has rotted. */
  get hasStruck(): boolean {
    return this.#victims.size > 0;
  }

  /** This replica may have lost something. */
  isVictim(topicPartition: TopicPartition, nodeId: NodeId): boolean {
    return this.#victims.get(partitionDirName(topicPartition)) === nodeId;
  }

  /** One batch of some partition on this machine, if one may. */
  strike({ broker, platform, nodeId }: SimMachine, how: RotKind): void {
    if (broker?.state !== "running") return;
    const files = platform.disk.snapshotFiles("durable");
    const extents: [string, Extent][] = [];
    for (const partition of broker.partitions) {
      const name = partitionDirName(partition);
      const victim = this.#victims.get(name) ?? nodeId;
      if (!partition.isReplicated || partition.isRemoved || victim !== nodeId) continue;
      for (const [path, bytes] of files) {
        if (!path.startsWith(`${DATA_DIRECTORY}/${name}/`) || !isSegment(path)) continue;
        const extent = extentOf(path, Buffer.from(bytes), partition.highWatermark);
        if (extent.positions.length > 1) extents.push([name, extent]);
      }
    }
    const [name, extent] = extents[this.#random.below(Math.max(extents.length, 1))] ?? [];
    if (name === undefined || extent === undefined) return;
    const isDone = how === "flip" ? this.#flip(platform.disk, extent) : this.#misplace(platform.disk, extent);
    if (!isDone) return;
    this.#victims.set(name, nodeId);
    this.#markers.hit("segmentRotted");
  }

  #flip(disk: SimMachine["platform"]["disk"], { path, positions }: Extent): boolean {
    const at = this.#random.below(positions.length - 1);
    const [from = 0, to = 0] = [positions[at], positions[at + 1]];
    disk.flipBit(path, from * 8 + this.#random.below((to - from) * 8));
    return true;
  }

  #misplace(disk: SimMachine["platform"]["disk"], { path, bytes, positions }: Extent): boolean {
    const first = Math.ceil((positions[0] ?? 0) / SECTOR_BYTES);
    const count = Math.floor((positions.at(-1) ?? 0) / SECTOR_BYTES) - first;
    if (count < 2) return false;
    const target = first + this.#random.below(count);
    const source = first + this.#random.below(count);
    if (target === source) return false;
    const misplaced = bytes.subarray(source * SECTOR_BYTES, (source + 1) * SECTOR_BYTES);
    disk.overwrite(path, target * SECTOR_BYTES, misplaced);
    return true;
  }
}

/** Whether records are in this file. */
export function isSegment(path: string): boolean {
  return path.endsWith(".log");
}

function extentOf(path: string, bytes: Buffer, highWatermark: number): Extent {
  const positions: number[] = [];
  let at = 0;
  while (at + BATCH_HEADER_BYTES <= bytes.length) {
    const size = batchSizeOf(bytes, at);
    // It has rotted here before.
    if (size < BATCH_HEADER_BYTES || at + size > bytes.length || lastOffsetOf(bytes, at) >= highWatermark)
      break;
    positions.push(at);
    at += size;
  }
  return { path, bytes, positions };
}
