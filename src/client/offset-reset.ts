import { operationError } from "../base/errors.ts";
import { ProtocolError } from "../model/error-code.ts";
import { topicPartitionKey, type TopicPartitionKey } from "../model/topic-partition.ts";
import type { AdminCalls } from "./admin-calls.ts";
import type { TopicPartitionRef } from "./consumer-types.ts";
import type { GroupOffset, ResetOptions, ResetRow, ResetTarget } from "./group-admin-types.ts";
import { offsetsAt } from "./group-lag.ts";
import type { LeaderCalls } from "./leader-calls.ts";
import { topicLeaders } from "./topic-leaders.ts";

/** What is known of a partition when its reset is planned; undefined: not known. */
export interface ResetBounds extends TopicPartitionRef {
  /** -1: nothing. */
  readonly committed: number;
  readonly start: number;
  /** Exclusive. */
  readonly end: number;
  /** The first offset not older than the time asked for; undefined: all are older. */
  readonly atTime: number | undefined;
}

/**
 * The plan of a reset: one row for each partition asked for, by topic and partition. Changes nothing.
 * @throws ProtocolError UNKNOWN_TOPIC_OR_PARTITION, OFFSET_OUT_OF_RANGE, what a leader answers; LograftError
 * INVALID_ARGUMENT when no partition is named.
 */
export async function planReset(
  reset: ResetOptions,
  committed: readonly GroupOffset[],
  deps: { readonly calls: AdminCalls; readonly leaders: LeaderCalls },
): Promise<ResetRow[]> {
  checkTarget(reset);
  const { partitions, gone } = await partitionsOf(reset, committed, deps.calls);
  const { to } = reset;
  const time = isTime(to) ? to : undefined;
  const [starts, ends, times] = await Promise.all([
    offsetsAt(deps.leaders, partitions, "beginning", reset),
    offsetsAt(deps.leaders, partitions, "end", reset),
    time === undefined ? undefined : offsetsAt(deps.leaders, partitions, time, reset),
  ]);
  const commits = new Map(committed.map((one) => [keyOf(one), one.offset]));
  const rows = partitions.map((one): ResetRow => {
    const key = keyOf(one);
    const start = starts.get(key);
    const end = ends.get(key);
    if (start === undefined || end === undefined) throw unknownBounds(one);
    const bounds = { ...one, committed: commits.get(key) ?? -1, start, end, atTime: times?.get(key) };
    return rowOf(reset, bounds);
  });
  const kept = gone.map((one): ResetRow => {
    const current = commits.get(keyOf(one)) ?? -1;
    return {
      ...one,
      current,
      next: current,
      reason: "the partition does not exist any more",
      error: undefined,
    };
  });
  return [...rows, ...kept].sort((a, b) =>
    a.topic === b.topic ? a.partition - b.partition : a.topic < b.topic ? -1 : 1,
  );
}

/** Where one partition goes. @throws ProtocolError OFFSET_OUT_OF_RANGE. */
export function rowOf(reset: Pick<ResetOptions, "to" | "outOfRange">, bounds: ResetBounds): ResetRow {
  const { topic, partition, committed: current, start, end } = bounds;
  const row = (next: number, reason = ""): ResetRow => ({
    topic,
    partition,
    current,
    next,
    reason,
    error: undefined,
  });
  const inside = (wanted: number): ResetRow => {
    if (wanted < start) return row(start, `offset ${wanted} is before the start of the log`);
    return wanted > end ? row(end, `offset ${wanted} is past the end of the log`) : row(wanted);
  };
  const { to } = reset;
  if (to === "earliest") return row(start);
  if (to === "latest") return row(end);
  if (isTime(to)) {
    return bounds.atTime === undefined
      ? row(end, "all records are older: the end of the log")
      : row(bounds.atTime);
  }
  if (to === "current") {
    return current < 0 ? row(-1, "nothing is committed") : inside(current);
  }
  if ("shiftBy" in to) {
    return current < 0 ? row(-1, "nothing is committed that could be shifted") : inside(current + to.shiftBy);
  }
  const wanted =
    "offset" in to ? to.offset : (to.offsets.find((one) => keyOf(one) === keyOf(bounds))?.offset ?? -1);
  if (reset.outOfRange !== "clamp" && (wanted < start || wanted > end)) {
    throw new ProtocolError(
      "OFFSET_OUT_OF_RANGE",
      `offset ${wanted} is not in ${topic}-${partition}, which holds ${start} to ${end} (exclusive); ` +
        "choose one from there, or reset to earliest or latest",
      { context: { topic, partition, offset: wanted, start, end } },
    );
  }
  return inside(wanted);
}

/** @throws LograftError INVALID_ARGUMENT. */
function checkTarget({ to }: ResetOptions): void {
  if (typeof to === "string" || isTime(to)) return;
  const numbers = "offsets" in to ? to.offsets.map(({ offset }) => offset) : [];
  if ("offset" in to) numbers.push(to.offset);
  const bad = numbers.find((offset) => !Number.isSafeInteger(offset) || offset < 0);
  if (bad !== undefined)
    throw operationError("INVALID_ARGUMENT", `${bad} is not an offset; the first one is 0`);
  if ("shiftBy" in to && !Number.isSafeInteger(to.shiftBy)) {
    throw operationError("INVALID_ARGUMENT", `shiftBy ${to.shiftBy}: a whole number of records is needed`);
  }
}

/** The partitions that a reset is about; those of them that were deleted apart. */
async function partitionsOf(
  reset: ResetOptions,
  committed: readonly GroupOffset[],
  calls: AdminCalls,
): Promise<{ readonly partitions: TopicPartitionRef[]; readonly gone: TopicPartitionRef[] }> {
  const { to, topics = [], all = false } = reset;
  const isMapped = typeof to === "object" && "offsets" in to;
  const named = isMapped ? to.offsets : (reset.partitions ?? []);
  if (named.length === 0 && topics.length === 0 && !all) {
    throw operationError("INVALID_ARGUMENT", "a reset needs partitions: name topics, partitions, or all");
  }
  const ownTopics = all ? committed.map(({ topic }) => topic) : [];
  const known = await topicLeaders(
    calls,
    [...named.map(({ topic }) => topic), ...topics, ...ownTopics],
    reset,
  );
  const isThere = ({ topic, partition }: TopicPartitionRef): boolean =>
    known.get(topic)?.leaderIds[partition] !== undefined;
  const wanted = new Map<TopicPartitionKey, TopicPartitionRef>();
  const add = ({ topic, partition }: TopicPartitionRef): void => {
    wanted.set(topicPartitionKey(topic, partition), { topic, partition });
  };
  for (const one of named) {
    if (!isThere(one)) throw unknownPartition(one, known.get(one.topic)?.leaderIds.length);
    add(one);
  }
  for (const topic of topics) {
    const found = known.get(topic);
    if (found === undefined) throw unknownPartition({ topic, partition: 0 }, undefined);
    for (const partition of found.leaderIds.keys()) add({ topic, partition });
  }
  const gone: TopicPartitionRef[] = [];
  for (const { topic, partition } of all ? committed : []) {
    if (isThere({ topic, partition })) add({ topic, partition });
    else gone.push({ topic, partition });
  }
  return { partitions: [...wanted.values()], gone };
}

function unknownPartition({ topic, partition }: TopicPartitionRef, count: number | undefined): ProtocolError {
  return new ProtocolError(
    "UNKNOWN_TOPIC_OR_PARTITION",
    count === undefined
      ? `there is no topic ${JSON.stringify(topic)}; see: lograft topic list`
      : `topic ${topic} has partitions 0 to ${count - 1}, not ${partition}`,
    { retriable: false },
  );
}

function unknownBounds({ topic, partition }: TopicPartitionRef): ProtocolError {
  return new ProtocolError(
    "LEADER_NOT_AVAILABLE",
    `${topic}-${partition}: its leader does not say where the log begins and ends; try again, or leave it out`,
  );
}

function isTime(
  to: ResetTarget,
): to is Exclude<ResetTarget, string | { offset: number } | { shiftBy: number } | { offsets: unknown }> {
  return typeof to === "object" && ("getTime" in to || "timestamp" in to);
}

function keyOf({ topic, partition }: TopicPartitionRef): TopicPartitionKey {
  return topicPartitionKey(topic, partition);
}
