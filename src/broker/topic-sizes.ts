import type { TopicImage } from "../metadata/image.ts";
import type { MetadataDelta } from "../metadata/metadata-delta.ts";
import type { TopicId } from "../model/ids.ts";

/** Tells changes of which topics there are, and how large, from the many others: leaders and ISRs move all the time. */
export class TopicSizes {
  readonly #sizes = new Map<TopicId, number>();

  /** Begins with these. */
  reset(topics: Iterable<TopicImage>): void {
    this.#sizes.clear();
    for (const { topicId, partitions } of topics) this.#sizes.set(topicId, partitions.length);
  }

  /** Whether topics came, went or grew. */
  apply({ changed, removed }: Pick<MetadataDelta, "changed" | "removed">): boolean {
    let isNews = false;
    for (const { topicId } of removed) isNews = this.#sizes.delete(topicId) || isNews;
    for (const { topicId, partitions } of changed) {
      if (this.#sizes.get(topicId) === partitions.length) continue;
      this.#sizes.set(topicId, partitions.length);
      isNews = true;
    }
    return isNews;
  }
}
