import type {
  GroupCoordinator,
  GroupDetails,
  GroupLag,
  GroupMemberDetails,
  ResetRow,
} from "../client/index.ts";
import { kafkaTable } from "./kafka-flags.ts";
import type { KafkaColumn } from "./kafka-flags.ts";
import type { Output } from "./output.ts";

const NONE = "-";

/** `--describe --offsets`: one line for each partition that the group has committed or a member has. */
export function printGroupOffsets(output: Output, { group, partitions }: GroupLag): void {
  noteIdle(output, group);
  const rows = partitions.filter(({ committedOffset, owner }) => committedOffset >= 0 || owner !== undefined);
  if (rows.length === 0) return;
  const columns: KafkaColumn<(typeof rows)[number]>[] = [
    { title: "GROUP", minWidth: 15, cell: () => group.groupId },
    { title: "TOPIC", minWidth: 15, cell: (row) => row.topic },
    { title: "PARTITION", minWidth: 10, cell: (row) => row.partition },
    { title: "CURRENT-OFFSET", minWidth: 15, cell: (row) => known(row.committedOffset) },
    { title: "LOG-END-OFFSET", minWidth: 15, cell: (row) => known(row.logEndOffset) },
    { title: "LAG", minWidth: 15, cell: (row) => known(row.lag) },
    { title: "CONSUMER-ID", minWidth: 15, cell: (row) => row.owner?.memberId ?? NONE },
    { title: "HOST", minWidth: 15, cell: (row) => hostOf(row.owner) },
    { title: "CLIENT-ID", minWidth: 0, cell: (row) => row.owner?.clientId ?? NONE },
  ];
  output.line(`\n${kafkaTable(columns, rows)}`);
}

/** `--describe --members`, with what each has under `--verbose`. */
export function printGroupMembers(output: Output, group: GroupDetails, isVerbose: boolean): void {
  noteIdle(output, group);
  const { groupId, members } = group;
  if (members.length === 0) return;
  const isStatic = members.some(({ groupInstanceId }) => groupInstanceId !== undefined);
  const columns: KafkaColumn<GroupMemberDetails>[] = [
    { title: "GROUP", minWidth: 15, cell: () => groupId },
    { title: "CONSUMER-ID", minWidth: 15, cell: (row) => row.memberId },
  ];
  if (isStatic) {
    columns.push({ title: "GROUP-INSTANCE-ID", minWidth: 15, cell: (row) => row.groupInstanceId ?? NONE });
  }
  columns.push(
    { title: "HOST", minWidth: 15, cell: hostOf },
    { title: "CLIENT-ID", minWidth: 15, cell: (row) => row.clientId },
    {
      title: "#PARTITIONS",
      minWidth: 15,
      cell: (row) => row.assignment.reduce((sum, { partitions }) => sum + partitions.length, 0),
    },
  );
  if (isVerbose) columns.push({ title: "ASSIGNMENT", minWidth: 0, cell: assignmentOf });
  output.line(`\n${kafkaTable(columns, members)}`);
}

/** `--describe --state`: one line for each group. */
export function printGroupStates(
  output: Output,
  groups: readonly GroupDetails[],
  coordinators: readonly GroupCoordinator[],
): void {
  for (const group of groups) noteIdle(output, group);
  const byGroup = new Map(coordinators.map((coordinator) => [coordinator.groupId, coordinator]));
  const columns: KafkaColumn<GroupDetails>[] = [
    { title: "GROUP", minWidth: 25, cell: (row) => row.groupId },
    { title: "COORDINATOR (ID)", minWidth: 25, cell: (row) => coordinatorOf(byGroup.get(row.groupId)) },
    { title: "ASSIGNMENT-STRATEGY", minWidth: 20, cell: (row) => row.protocol },
    { title: "STATE", minWidth: 20, cell: (row) => row.state },
    { title: "#MEMBERS", minWidth: 0, cell: (row) => row.members.length },
  ];
  if (groups.length > 0) output.line(`\n${kafkaTable(columns, groups)}`);
}

/** A line of the plan of a reset, with its group. */
export interface PlannedOffset extends ResetRow {
  readonly groupId: string;
}

/**
 * The plan of `--reset-offsets`: as a table, or as the lines that `--from-file` reads. `hasGroups`: with the group in each
 * of these.
 */
export function printResetPlan(
  output: Output,
  plans: readonly PlannedOffset[],
  { isExport, hasGroups }: { readonly isExport: boolean; readonly hasGroups: boolean },
): void {
  const rows = plans.filter(({ next }) => next >= 0);
  if (isExport) {
    for (const { groupId, topic, partition, next } of rows) {
      output.line(`${hasGroups ? `${groupId},` : ""}${topic},${partition},${next}`);
    }
    return;
  }
  const columns: KafkaColumn<PlannedOffset>[] = [
    { title: "GROUP", minWidth: 30, cell: (row) => row.groupId },
    { title: "TOPIC", minWidth: 30, cell: (row) => row.topic },
    { title: "PARTITION", minWidth: 10, cell: (row) => row.partition },
    { title: "NEW-OFFSET", minWidth: 15, cell: (row) => row.next },
  ];
  output.line(`\n${kafkaTable(columns, rows)}`);
}

function noteIdle(output: Output, { groupId, members }: GroupDetails): void {
  if (members.length === 0) output.note(`\nConsumer group '${groupId}' has no active members.`);
}

function known(offset: number): string {
  return offset < 0 ? NONE : String(offset);
}

/** Kafka's tool shows a host with a slash before it. */
function hostOf(member: GroupMemberDetails | undefined): string {
  if (member === undefined) return NONE;
  return member.clientHost.startsWith("/") ? member.clientHost : `/${member.clientHost}`;
}

function assignmentOf({ assignment }: GroupMemberDetails): string {
  if (assignment.length === 0) return NONE;
  return assignment.map(({ topic, partitions }) => `${topic}(${partitions.join(",")})`).join(", ");
}

function coordinatorOf(coordinator: GroupCoordinator | undefined): string {
  if (coordinator === undefined) return NONE;
  return `${coordinator.host}:${coordinator.port} (${coordinator.nodeId})`;
}
