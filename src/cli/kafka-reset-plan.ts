import { readFile } from "node:fs/promises";
import { operationError } from "../base/errors.ts";
import type { PartitionOffset, ResetTarget, TopicPartitionRef } from "../client/index.ts";
import { parseInteger } from "./arguments.ts";
import { parseResetTarget } from "./reset-target.ts";
import type { ResetTargetOptions } from "./reset-target.ts";
import { parseTopicList } from "./topic-list.ts";

/** Where a reset of one group leads to, and what of. */
export interface ResetScope {
  readonly to: ResetTarget;
  readonly topics?: readonly string[];
  readonly partitions?: readonly TopicPartitionRef[];
  readonly all?: boolean;
}

/** The scope for a group out of so many; undefined where the file has nothing for it. @throws INVALID_ARGUMENT. */
export type ResetScopes = (groupId: string, groups: number) => ResetScope | undefined;

/** The flags of `--reset-offsets` that say where to and what of. */
export interface ResetScopeOptions extends ResetTargetOptions {
  readonly fromFile?: string;
  readonly topic: readonly string[];
  readonly allTopics?: boolean;
}

/** @throws LograftError INVALID_ARGUMENT for flags that do not go together, and for a file that cannot be read. */
export async function resetScope(options: ResetScopeOptions): Promise<ResetScopes> {
  const { fromFile, topic, allTopics = false } = options;
  if (fromFile !== undefined) {
    const lines = parseOffsets(await textOf(fromFile), fromFile);
    return (groupId, groups) => scopeOfFile(lines, groupId, groups, fromFile);
  }
  const { toDatetime } = options;
  const target = toDatetime === undefined ? options : { ...options, toDatetime: inUtc(toDatetime) };
  const to = parseResetTarget(target, Date.now());
  if (allTopics === topic.length > 0) {
    throw operationError(
      "INVALID_ARGUMENT",
      "say of what: --topic TOPIC, repeated for more, or --all-topics",
    );
  }
  const scope = { to, ...parseTopicList(topic, "--topic"), all: allTopics };
  return () => scope;
}

/** Kafka's tool takes a time without a zone for UTC, and not for the time where it runs. */
function inUtc(text: string): string {
  return /^[\d-]+T[\d:.]+$/.test(text) ? `${text}Z` : text;
}

async function textOf(path: string): Promise<string> {
  try {
    return await readFile(path, "utf8");
  } catch (cause) {
    throw operationError("INVALID_ARGUMENT", `--from-file ${path}: cannot be read; check the path`, {
      cause,
    });
  }
}

interface FileLine extends PartitionOffset {
  /** Undefined: the line is about the one group of the command. */
  readonly groupId: string | undefined;
}

/** The lines of `--export`. @throws LograftError INVALID_ARGUMENT naming the line. */
function parseOffsets(text: string, path: string): FileLine[] {
  const lines = text.split(/\r?\n/).map((line) => line.trim());
  return lines.flatMap((line, index) => {
    if (line === "") return [];
    const where = `${path}:${index + 1}`;
    const cells = line.split(",").map((cell) => cell.replaceAll('"', "").trim());
    const groupId = cells.length === 4 ? cells.shift() : undefined;
    const [topic = "", partition = "", offset = "", ...more] = cells;
    if (topic === "" || groupId === "" || more.length > 0) {
      throw operationError(
        "INVALID_ARGUMENT",
        `${where}: write it as topic,partition,offset, or with the group in front`,
      );
    }
    const numbers = {
      partition: parseInteger(partition, where, 0),
      offset: parseInteger(offset, where, 0),
    };
    return [{ groupId, topic, ...numbers }];
  });
}

function scopeOfFile(
  lines: readonly FileLine[],
  groupId: string,
  groups: number,
  path: string,
): ResetScope | undefined {
  if (groups > 1 && lines.some((line) => line.groupId === undefined)) {
    throw operationError(
      "INVALID_ARGUMENT",
      `--from-file ${path}: for several groups each line is group,topic,partition,offset`,
    );
  }
  const own = lines.filter((line) => line.groupId === undefined || line.groupId === groupId);
  const offsets = own.map(({ topic, partition, offset }) => ({ topic, partition, offset }));
  return offsets.length === 0 && groups > 1 ? undefined : { to: { offsets } };
}
