import { assert } from "../base/assert.ts";
import { offset } from "../model/offsets.ts";
import type { Offset } from "../model/offsets.ts";
import { validateTopicName } from "../model/topic-partition.ts";
import type { TopicPartition } from "../model/topic-partition.ts";

/** The files of a segment, and the producer snapshot, which is named after the log end it stands for. */
export const SEGMENT_FILE_KINDS = ["log", "index", "timeindex", "txnindex", "snapshot"] as const;
export type SegmentFileKind = (typeof SEGMENT_FILE_KINDS)[number];

/** Where a partition keeps its leader epochs and their first offsets. */
export const LEADER_EPOCH_FILE = "leader-epoch-checkpoint";
/** Where a partition directory says which topic it belongs to. */
export const PARTITION_METADATA_FILE = "partition.metadata";

/** What follows the name of a segment's file that is to be removed. */
export const DELETED_SUFFIX = ".deleted";
/** What follows the name of a compacted copy's file until it is whole. */
export const CLEANED_SUFFIX = ".cleaned";
/** What follows the name of a compacted copy's log that is being put in the place of its originals. */
export const SWAP_SUFFIX = ".swap";

const OFFSET_DIGITS = 20;
const MAX_NAME_BYTES = 255;
const DELETED_DIR_SUFFIX = "-delete";
const SEGMENT_FILE = /^(\d{20})\.(log|index|timeindex|txnindex|snapshot)$/;
const PARTITION_DIR = /^(.+)-(0|[1-9]\d{0,9})$/;
const DELETED_DIR = /^.+-\d+\.[0-9a-f]+-delete$/;
const HEX = /^[0-9a-f]{1,64}$/;
const MAX_PARTITION = 0x7fffffff;

/** `<20 digits>.<kind>`: names sort as offsets do. */
export function segmentFileName(baseOffset: Offset, kind: SegmentFileKind): string {
  return `${String(baseOffset).padStart(OFFSET_DIGITS, "0")}.${kind}`;
}

/** Undefined when it is not the name of a segment's file, or its number is past 2^53 - 1. */
export function parseSegmentFileName(
  name: string,
): { readonly baseOffset: Offset; readonly kind: SegmentFileKind } | undefined {
  const match = SEGMENT_FILE.exec(name);
  const baseOffset = Number(match?.[1]);
  const kind = SEGMENT_FILE_KINDS.find((known) => known === match?.[2]);
  if (kind === undefined || !Number.isSafeInteger(baseOffset)) return undefined;
  return { baseOffset: offset(baseOffset), kind };
}

/** `<topic>-<partition>`. */
export function partitionDirName(topicPartition: TopicPartition): string {
  return `${topicPartition.topic}-${topicPartition.partition}`;
}

/** Undefined when it is not the name of a partition's directory. The topic may hold '-': the last one separates. */
export function parsePartitionDirName(name: string): TopicPartition | undefined {
  const match = PARTITION_DIR.exec(name);
  const topic = match?.[1];
  const partition = Number(match?.[2]);
  if (topic === undefined || !validateTopicName(topic).ok || partition > MAX_PARTITION) return undefined;
  return { topic, partition };
}

/**
 * The name under which a deleted partition waits for its removal: `<topic>-<partition>.<hex>-delete`, with the topic cut
 * so that the whole has at most 255 bytes. `uniqueHex`: 1 to 64 lower-case hex digits that tell it from earlier ones.
 */
export function deletedDirName(topicPartition: TopicPartition, uniqueHex: string): string {
  assert(HEX.test(uniqueHex), "not a hex suffix", { uniqueHex });
  const end = `-${topicPartition.partition}.${uniqueHex}${DELETED_DIR_SUFFIX}`;
  return topicPartition.topic.slice(0, MAX_NAME_BYTES - end.length) + end;
}

/** Whether a directory is one that `deletedDirName` named; it holds no partition any more. */
export function isDeletedDirName(name: string): boolean {
  return name.length <= MAX_NAME_BYTES && DELETED_DIR.test(name);
}
