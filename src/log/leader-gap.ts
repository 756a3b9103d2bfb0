import type { LeaderGap, LogCore } from "./log-core.ts";

/**
 * A leader has sent batches with a gap, and the settings of the topic tell of none: it may be a frame that was lost (H42),
 * or the topic was compacted once and is not any more, which a new replica cannot know. So the gap is refused, upon which
 * the follower asks again from where it stands. A leader that then leaves out the same offsets has none there (it reads
 * them from its files, where a hole is damage to it), and from the next time on gaps are taken. Answers why not yet.
 */
export function doubtGap(core: LogCore, gap: LeaderGap): string {
  const { doubtedGap } = core;
  const text = `the batch begins at offset ${gap.end} where ${gap.start} is expected`;
  if (doubtedGap?.start !== gap.start || doubtedGap.end !== gap.end) {
    core.doubtedGap = gap;
    return text;
  }
  core.doubtedGap = undefined;
  noteGaps(core);
  return `${text}; the leader has no other, so the log was compacted once, and what has gaps is taken from now on`;
}

/**
 * Gaps come into the log, whose topic's settings may be new: a crash that recovers before it knows of them must not take
 * the gaps for damage. Costs nothing when it was noted before.
 */
export function noteGaps({ deps, options }: LogCore): void {
  const { topicPartition } = options;
  deps.host.noteGaps(topicPartition).catch((error: unknown) => {
    deps.logger.warn("that a log has gaps could not be noted; a crash may take them for damage", {
      ...topicPartition,
      err: error,
    });
  });
}
