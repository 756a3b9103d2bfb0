import type { Offset } from "../model/offsets.ts";
import { topicPartitionKey } from "../model/topic-partition.ts";
import type { TopicPartitionKey } from "../model/topic-partition.ts";
import { parsePartitionDirName } from "./file-names.ts";
import { formatCheckpointLines, parseCheckpointLines, parseCount } from "./text-lines.ts";

const MAX_PARTITION = 0x7fffffff;

/** Text of an offset checkpoint (recovery points, log starts, high watermarks): "topic partition offset" lines, by name. */
export function formatOffsetCheckpoint(offsets: ReadonlyMap<TopicPartitionKey, Offset>): string {
  const lines: string[] = [];
  for (const [key, offset] of offsets) {
    const separator = key.lastIndexOf("-");
    lines.push(`${key.slice(0, separator)} ${key.slice(separator + 1)} ${offset}`);
  }
  return formatCheckpointLines(lines.sort());
}

/** The offsets, or undefined when the text is cut or damaged: go by the log instead, never stop for it (H40). */
export function parseOffsetCheckpoint(text: string): Map<TopicPartitionKey, Offset> | undefined {
  const lines = parseCheckpointLines(text);
  if (lines === undefined) return undefined;
  const offsets = new Map<TopicPartitionKey, Offset>();
  for (const line of lines) {
    const fields = line.split(" ");
    const partition = parseCount(fields[1], MAX_PARTITION);
    const offset = parseCount(fields[2]);
    if (fields.length !== 3 || partition === undefined || offset === undefined) return undefined;
    const key = topicPartitionKey(fields[0] ?? "", partition);
    if (parsePartitionDirName(key) === undefined || offsets.has(key)) return undefined;
    offsets.set(key, offset as Offset);
  }
  return offsets;
}
