import type { TopicImage } from "../metadata/image.ts";
import type { NodeId } from "../model/ids.ts";

/** Counts the changes of ISRs of the partitions that this broker leads, whoever asked for them. */
export class IsrChanges {
  readonly #nodeId: NodeId;
  #shrinks = 0;
  #expands = 0;

  constructor(nodeId: NodeId) {
    this.#nodeId = nodeId;
  }

  get shrinks(): number {
    return this.#shrinks;
  }

  get expands(): number {
    return this.#expands;
  }

  /** A topic of the same id before and after a change. */
  note(before: TopicImage, after: TopicImage): void {
    for (const [number, partition] of after.partitions.entries()) {
      const old = before.partitions[number];
      if (old === undefined || old === partition || partition.leader !== this.#nodeId) continue;
      const difference = partition.isr.length - old.isr.length;
      if (difference < 0) this.#shrinks++;
      else if (difference > 0) this.#expands++;
    }
  }
}
