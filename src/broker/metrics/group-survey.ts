import { throwIfAborted } from "../../base/abort.ts";
import type { MetadataImage } from "../../metadata/image.ts";
import type { NodeId } from "../../model/ids.ts";
import type { LogManager } from "../../log/log-manager.ts";
import type { GroupCoordinator, GroupListing } from "../group-coordinator.ts";
import type { PartitionTable } from "../partition-table.ts";

/** A position that a group has committed. */
export interface SurveyedOffset {
  readonly topic: string;
  readonly partition: number;
  /** The next record to be processed. */
  readonly offset: number;
  /** Committed records behind it; undefined: this broker cannot know. Never below 0. */
  readonly lag: number | undefined;
}

/** A group of this coordinator, as it is told to those who watch. */
export interface SurveyedGroup {
  readonly groupId: string;
  readonly state: string;
  readonly members: number;
  /** Generation of a classic group, group epoch of another. */
  readonly epoch: number;
  readonly offsets: readonly SurveyedOffset[];
}

/** What was found. */
export interface GroupSurvey {
  /** All of them, also those that were not asked. */
  readonly listings: readonly GroupListing[];
  readonly groups: readonly SurveyedGroup[];
}

export interface GroupSurveyDeps {
  readonly nodeId: NodeId;
  readonly groups: Pick<GroupCoordinator, "listGroups" | "describeGroups" | "fetchOffsets">;
  readonly table: PartitionTable;
  readonly logs: Pick<LogManager, "ends">;
  readonly image: MetadataImage;
}

/** Groups that are described in one survey; more are only counted. */
const MAX_GROUPS = 5000;
/** Asked at the same time, so that the requests of members get their turns in between. */
const ASKED_TOGETHER = 50;

/**
 * Asks the coordinator here for its groups. One that moves away meanwhile is left out. @throws the reason of `signal`.
 */
export async function surveyGroups(deps: GroupSurveyDeps, signal: AbortSignal): Promise<GroupSurvey> {
  const { groups: listings } = await deps.groups.listGroups(signal);
  const groups: SurveyedGroup[] = [];
  const asked = listings.slice(0, MAX_GROUPS);
  for (let at = 0; at < asked.length; at += ASKED_TOGETHER) {
    throwIfAborted(signal);
    const some = asked.slice(at, at + ASKED_TOGETHER);
    const found = await Promise.all(some.map(({ groupId }) => surveyGroup(deps, groupId, signal)));
    for (const group of found) if (group !== undefined) groups.push(group);
  }
  return { listings, groups };
}

async function surveyGroup(
  deps: GroupSurveyDeps,
  groupId: string,
  signal: AbortSignal,
): Promise<SurveyedGroup | undefined> {
  const [[description], fetched] = await Promise.all([
    deps.groups.describeGroups([groupId], signal),
    deps.groups.fetchOffsets({ groupId, partitions: undefined, requireStable: false }, signal),
  ]);
  if (description?.error !== "NONE" || fetched.error !== "NONE") return undefined;
  const offsets = fetched.partitions
    .filter(({ error, offset }) => error === "NONE" && offset >= 0)
    .map(({ topic, partition, offset }) => ({
      topic,
      partition,
      offset,
      lag: lagOf(deps, topic, partition, offset),
    }));
  const { state, epoch, members } = description;
  return { groupId, state, epoch, members: members.length, offsets };
}

/** A replica that is not in sync knows an old end, and would tell of a lag that is too small. */
function lagOf(
  { image, nodeId, table, logs }: GroupSurveyDeps,
  topic: string,
  partition: number,
  offset: number,
): number | undefined {
  const state = image.topic(topic)?.partitions[partition];
  if (state?.isr.includes(nodeId) !== true) return undefined;
  const end = committedEnd({ table, logs }, topic, partition);
  return Math.max(0, end - offset);
}

/** Up to where a partition is committed here; 0 for one that was never written. */
export function committedEnd(
  { table, logs }: Pick<GroupSurveyDeps, "table" | "logs">,
  topic: string,
  partition: number,
): number {
  const at = { topic, partition };
  return table.committedEndOf(at) ?? logs.ends(at)?.logEndOffset ?? 0;
}
