import { setTimeout as sleep } from "node:timers/promises";
import type { Command } from "commander";
import { operationError } from "../../base/errors.ts";
import type { GroupLag, GroupMemberDetails, GroupPartitionLag, GroupTopic } from "../../client/index.ts";
import { parseDuration } from "../arguments.ts";
import type { CliEnvironment } from "../context.ts";
import { CliContext, withGlobalOptions } from "../context.ts";
import type { Output } from "../output.ts";
import { counted, formatCount } from "../output.ts";

interface DescribeOptions {
  readonly watch?: boolean;
  readonly interval: string;
  readonly members?: boolean;
  readonly offsets?: boolean;
}

/** Which parts people see; JSON has all. */
interface Parts {
  readonly members: boolean;
  readonly offsets: boolean;
}

/** Each look asks the coordinator and the leaders. */
const MIN_INTERVAL_MS = 50;

/** `lograft group describe`. */
export function addGroupDescribeCommand(group: Command, environment: CliEnvironment): void {
  withGlobalOptions(group.command("describe <name>"))
    .description("state, members with what they have, and how far the group is in each partition")
    .option("--members", "only the members")
    .option("--offsets", "only the offsets")
    .option("--watch", "look again and again, and print each look")
    .option("--interval <duration>", "between looks", "2s")
    .action(async (name: string, options: DescribeOptions, command: Command) => {
      await CliContext.run(command, environment, (context) => describe(context, name, options));
    });
}

async function describe(context: CliContext, name: string, options: DescribeOptions): Promise<void> {
  const { client, output, signal } = context;
  const intervalMs = parseDuration(options.interval, "--interval");
  if (intervalMs < MIN_INTERVAL_MS) {
    throw operationError("INVALID_ARGUMENT", `--interval ${options.interval}: at least ${MIN_INTERVAL_MS}ms`);
  }
  const isWhole = (options.members === true) === (options.offsets === true);
  const parts = {
    members: isWhole || options.members === true,
    offsets: isWhole || options.offsets === true,
  };
  const admin = client.admin();
  for (;;) {
    const [lag] = await admin.groupLags([name], { signal });
    if (lag !== undefined && output.format === "json") {
      // One line for each look, so that a reader of the stream knows where it ends.
      if (options.watch === true) output.line(JSON.stringify(groupAsJson(lag)));
      else output.json(groupAsJson(lag));
    } else if (lag !== undefined) print(output, lag, parts);
    if (options.watch !== true) return;
    if (output.format === "table") output.line("");
    await sleep(intervalMs, undefined, { signal });
  }
}

function print(output: Output, lag: GroupLag, parts: Parts): void {
  const { group, partitions, totalLag, uncommitted } = lag;
  const { groupId, type, state, protocol, epoch, members } = group;
  const behind = `${counted(totalLag, "record")} behind`;
  const rest =
    uncommitted === 0 ? "" : `, nothing committed in ${counted(uncommitted, "partition")} with records`;
  const how = [type, state, protocol, `epoch ${epoch}`].filter((part) => part !== "").join("  ");
  output.line(`${groupId}  ${how}  ${counted(members.length, "member")}, ${behind}${rest}`);
  if (parts.members && members.length > 0) printMembers(output, members);
  if (parts.offsets && partitions.length > 0) printOffsets(output, partitions);
}

function printMembers(output: Output, members: readonly GroupMemberDetails[]): void {
  const isMoving = members.some(({ assignment, target }) => listed(assignment) !== listed(target));
  output.rows(
    [
      { title: "MEMBER", cell: (row) => row.memberId },
      { title: "STATIC NAME", cell: (row) => row.groupInstanceId ?? "-" },
      { title: "CLIENT", cell: (row) => row.clientId },
      { title: "HOST", cell: (row) => row.clientHost },
      { title: "PARTITIONS", cell: (row) => listed(row.assignment) },
      ...(isMoving ? [{ title: "TO HAVE", cell: (row: GroupMemberDetails) => listed(row.target) }] : []),
    ],
    members,
    { empty: "no members", toJson: memberAsJson },
  );
}

function printOffsets(output: Output, partitions: readonly GroupPartitionLag[]): void {
  output.rows(
    [
      { title: "TOPIC", cell: (row) => row.topic },
      { title: "PARTITION", cell: (row) => row.partition, align: "right" },
      { title: "COMMITTED", cell: (row) => cellOf(row.committedOffset), align: "right" },
      { title: "START", cell: (row) => cellOf(row.logStartOffset), align: "right" },
      { title: "END", cell: (row) => cellOf(row.logEndOffset), align: "right" },
      { title: "LAG", cell: (row) => cellOf(row.lag), align: "right" },
      { title: "MEMBER", cell: (row) => row.owner?.memberId ?? "-" },
    ],
    partitions,
    { empty: "nothing committed", toJson: (row) => row },
  );
}

function cellOf(offset: number): string {
  return offset < 0 ? "-" : formatCount(offset);
}

function listed(topics: readonly GroupTopic[]): string {
  return topics.length === 0
    ? "-"
    : topics.map(({ topic, partitions }) => `${topic}:${partitions.join(",")}`).join(" ");
}

/** The documented shape: 64-bit values are decimal strings, what is not known or not there is null. */
function groupAsJson({ group, partitions, totalLag, uncommitted }: GroupLag): unknown {
  const { groupId, type, state, protocolType, protocol, epoch, members } = group;
  return {
    groupId,
    type,
    state,
    protocolType,
    protocol,
    epoch,
    totalLag: String(totalLag),
    uncommittedPartitions: uncommitted,
    members: members.map(memberAsJson),
    partitions: partitions.map((one) => ({
      topic: one.topic,
      partition: one.partition,
      committedOffset: textOrNull(one.committedOffset),
      metadata: one.metadata,
      logStartOffset: textOrNull(one.logStartOffset),
      logEndOffset: textOrNull(one.logEndOffset),
      lag: textOrNull(one.lag),
      memberId: one.owner?.memberId ?? null,
    })),
  };
}

function memberAsJson(member: GroupMemberDetails): unknown {
  return {
    memberId: member.memberId,
    groupInstanceId: member.groupInstanceId ?? null,
    clientId: member.clientId,
    clientHost: member.clientHost,
    rackId: member.rackId ?? null,
    memberEpoch: member.memberEpoch,
    topics: member.topics,
    topicRegex: member.topicRegex ?? null,
    assignment: member.assignment,
    target: member.target,
  };
}

function textOrNull(offset: number): string | null {
  return offset < 0 ? null : String(offset);
}
