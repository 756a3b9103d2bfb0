import type { Command } from "commander";
import { errorMessage, operationError } from "../../base/errors.ts";
import { isLograftError } from "../../client/errors.ts";
import type { Admin } from "../../client/index.ts";
import { collect } from "../arguments.ts";
import type { CliContext, CliEnvironment } from "../context.ts";
import { EXIT, exitCodeOfAll } from "../exit-codes.ts";
import { runKafkaCommand } from "../kafka-client-config.ts";
import { kafkaCommand, kafkaTable, oneAction, required } from "../kafka-flags.ts";
import {
  printGroupMembers,
  printGroupOffsets,
  printGroupStates,
  printResetPlan,
} from "../kafka-group-tables.ts";
import type { PlannedOffset } from "../kafka-group-tables.ts";
import type { ResetScope } from "../kafka-reset-plan.ts";
import { resetScope } from "../kafka-reset-plan.ts";
import type { ResetTargetOptions } from "../reset-target.ts";
import { parseTopicList } from "../topic-list.ts";

interface GroupsOptions extends ResetTargetOptions {
  readonly list?: boolean;
  readonly describe?: boolean;
  readonly delete?: boolean;
  readonly resetOffsets?: boolean;
  readonly deleteOffsets?: boolean;
  readonly group: readonly string[];
  readonly allGroups?: boolean;
  readonly topic: readonly string[];
  readonly allTopics?: boolean;
  readonly members?: boolean;
  readonly offsets?: boolean;
  /** True without a value. */
  readonly state?: string | true;
  readonly type?: string;
  readonly verbose?: boolean;
  readonly execute?: boolean;
  readonly dryRun?: boolean;
  readonly export?: boolean;
  readonly fromFile?: string;
}

const ACTIONS = ["list", "describe", "delete", "resetOffsets", "deleteOffsets"] as const;

/** `lograft kafka-consumer-groups`: Kafka's flags, and its output. */
export function addKafkaConsumerGroupsCommand(program: Command, environment: CliEnvironment): void {
  kafkaCommand(program, "kafka-consumer-groups")
    .description(
      "groups by the flags of Kafka's tool: --list, --describe, --reset-offsets, --delete or --delete-offsets",
    )
    .option("--list", "the group ids")
    .option("--describe", "how far a group is; --members or --state for that instead")
    .option("--reset-offsets", "choose where a group goes on: the plan; --execute commits it")
    .option("--delete", "delete groups without members, without a question")
    .option("--delete-offsets", "forget what a group committed for --topic")
    .option("--group <group>", "the group; repeat for more", collect, [])
    .option("--all-groups", "all groups")
    .option("--topic <topic:partitions>", "a topic, or t:0,1 for some of it; repeat for more", collect, [])
    .option("--all-topics", "all partitions that the group has committed")
    .option("--members", "describe the members")
    .option("--offsets", "describe the offsets, as without it")
    .option("--state [states]", "describe the state; with --list show it, and only these")
    .option("--type <types>", "with --list: only these: classic, consumer")
    .option("--verbose", "with --members: what each has")
    .option("--to-earliest", "to the first record that is left")
    .option("--to-latest", "behind the last record")
    .option("--to-current", "to what is committed, where it is in the log")
    .option("--to-datetime <time>", "to the first record not older than this (ISO 8601)")
    .option("--by-duration <duration>", "to the first record not older than this before now (P7D, PT1H)")
    .option("--shift-by <n>", "so many records on, or back when negative")
    .option("--to-offset <offset>", "to this offset, or the nearest in the log")
    .option("--from-file <path>", "to the offsets of a CSV file: topic,partition,offset")
    .option("--execute", "commit the plan of --reset-offsets")
    .option("--dry-run", "only the plan, as without it")
    .option("--export", "the plan of --reset-offsets as CSV")
    .action(async (options: GroupsOptions, command: Command) => {
      await runKafkaCommand(command, environment, [], (context) => run(context, options));
    });
}

async function run(context: CliContext, options: GroupsOptions): Promise<void> {
  const admin = context.client.admin();
  const action = oneAction(options, ACTIONS);
  switch (action) {
    case "list":
      await list(context, admin, options);
      return;
    case "describe":
      await describe(context, admin, options);
      return;
    case "delete":
      await deleteGroups(context, admin, options);
      return;
    case "resetOffsets":
      await resetOffsets(context, admin, options);
      return;
    case "deleteOffsets":
      await deleteOffsets(context, admin, options);
  }
}

async function list(context: CliContext, admin: Admin, { state, type }: GroupsOptions): Promise<void> {
  const { output, signal } = context;
  const { groups, missing } = await admin.listGroups({ signal });
  const isWanted = (value: string, wanted: string | true | undefined): boolean =>
    typeof wanted !== "string" ||
    wanted
      .toLowerCase()
      .split(/\s*,\s*/)
      .includes(value.toLowerCase());
  const wanted = groups.filter((group) => isWanted(group.state, state) && isWanted(group.type, type));
  if (state === undefined) for (const { groupId } of wanted) output.line(groupId);
  else {
    const columns = [
      { title: "GROUP", minWidth: 25, cell: (row: { readonly groupId: string }) => row.groupId },
      { title: "STATE", minWidth: 0, cell: (row: { readonly state: string }) => row.state },
    ];
    output.line(kafkaTable<{ readonly groupId: string; readonly state: string }>(columns, wanted));
  }
  for (const { nodeId, error } of missing) {
    output.note(`lograft: the groups of broker ${nodeId} are missing: ${errorMessage(error)}`);
  }
  if (missing.length > 0) context.environment.exit(EXIT.PARTLY_FAILED);
}

/** The groups that the flags name. @throws LograftError INVALID_ARGUMENT. */
async function groupIdsOf(
  context: CliContext,
  admin: Admin,
  options: GroupsOptions,
): Promise<readonly string[]> {
  const { group, allGroups = false } = options;
  if (allGroups === group.length > 0) {
    throw operationError(
      "INVALID_ARGUMENT",
      "say which groups: --group GROUP, repeated for more, or --all-groups",
    );
  }
  if (!allGroups) return group;
  return (await admin.listGroups({ signal: context.signal })).groups.map(({ groupId }) => groupId);
}

async function describe(context: CliContext, admin: Admin, options: GroupsOptions): Promise<void> {
  const { output, signal } = context;
  const views = [options.members === true, options.offsets === true, options.state !== undefined];
  if (views.filter(Boolean).length > 1) {
    throw operationError(
      "INVALID_ARGUMENT",
      "--members, --offsets and --state show one thing each; give one",
    );
  }
  const groupIds = await groupIdsOf(context, admin, options);
  const bounds = { signal, throwOnError: false };
  const groups = await admin.describeGroups(groupIds, bounds);
  const failures = groups.flatMap(({ error }) => (error === undefined ? [] : [error]));
  const [failure] = failures;
  if (groups.length === 1 && failure !== undefined) throw failure;
  const found = groups.filter(({ error }) => error === undefined);
  const foundIds = found.map(({ groupId }) => groupId);
  if (options.members === true) {
    for (const group of found) printGroupMembers(output, group, options.verbose === true);
  } else if (options.state !== undefined) {
    printGroupStates(output, found, await admin.findCoordinators(foundIds, { signal }));
  } else {
    for (const lag of await admin.groupLags(foundIds, bounds)) printGroupOffsets(output, lag);
  }
  for (const { message } of failures) output.note(`lograft: ${message}`);
  context.environment.exit(exitCodeOfAll(failures, groups.length));
}

async function deleteGroups(context: CliContext, admin: Admin, options: GroupsOptions): Promise<void> {
  const { output, signal, environment } = context;
  const groupIds = await groupIdsOf(context, admin, options);
  const deleted = await admin.deleteGroups(groupIds, { signal, throwOnError: false });
  const failures = deleted.flatMap(({ error }) => (error === undefined ? [] : [error]));
  const [failure] = failures;
  if (deleted.length === 1 && failure !== undefined) throw failure;
  const done = deleted.flatMap(({ groupId, error }) => (error === undefined ? [`'${groupId}'`] : []));
  if (done.length > 0) {
    output.line(`Deletion of requested consumer groups (${done.join(", ")}) was successful.`);
  }
  for (const { message } of failures) output.note(`lograft: ${message}`);
  environment.exit(exitCodeOfAll(failures, deleted.length));
}

async function resetOffsets(context: CliContext, admin: Admin, options: GroupsOptions): Promise<void> {
  const { output, signal } = context;
  const isExecuted = options.execute === true;
  if (isExecuted && options.dryRun === true) {
    throw operationError("INVALID_ARGUMENT", "--execute and --dry-run say two things; give one of them");
  }
  const scopeOf = await resetScope(options);
  const groupIds = await groupIdsOf(context, admin, options);
  const plans: PlannedOffset[] = [];
  const failures: Error[] = [];
  let failedGroups = 0;
  for (const groupId of groupIds) {
    const scope = scopeOf(groupId, groupIds.length);
    if (scope === undefined) continue;
    try {
      const rows = await resetGroup(admin, groupId, scope, { dryRun: !isExecuted, signal });
      failures.push(...rows.flatMap(({ error }) => (error === undefined ? [] : [error])));
      plans.push(...rows.map((row) => ({ groupId, ...row })));
    } catch (error: unknown) {
      // What was done for the groups before is told all the same.
      if (groupIds.length === 1 || !isLograftError(error) || signal.aborted) throw error;
      failures.push(error);
      failedGroups += 1;
    }
  }
  printResetPlan(output, plans, { isExport: options.export === true, hasGroups: groupIds.length > 1 });
  for (const { message } of failures) output.note(`lograft: ${message}`);
  const attempts = plans.filter(({ next }) => next >= 0).length + failedGroups;
  context.environment.exit(exitCodeOfAll(failures, attempts));
  if (!isExecuted) output.note("nothing was changed; add --execute to commit it");
}

function resetGroup(
  admin: Admin,
  groupId: string,
  scope: ResetScope,
  options: { readonly dryRun: boolean; readonly signal: AbortSignal },
): ReturnType<Admin["resetGroupOffsets"]> {
  // As Kafka's tool: what is out of the log goes to its nearest end, and a new group may begin anywhere.
  return admin.resetGroupOffsets({ groupId, ...scope, outOfRange: "clamp", allowNewGroup: true, ...options });
}

async function deleteOffsets(context: CliContext, admin: Admin, options: GroupsOptions): Promise<void> {
  const { output, signal, environment } = context;
  const [groupId, second] = options.group;
  if (groupId === undefined || second !== undefined) {
    throw operationError("INVALID_ARGUMENT", "--delete-offsets needs one --group");
  }
  required(options.topic[0], "--topic", "--delete-offsets");
  const { topics, partitions } = parseTopicList(options.topic, "--topic");
  const committed = await admin.fetchGroupOffsets(groupId, { signal });
  const wanted = committed.filter(
    (one) =>
      topics.includes(one.topic) ||
      partitions.some(({ topic, partition }) => topic === one.topic && partition === one.partition),
  );
  const deleted = await admin.deleteGroupOffsets(
    groupId,
    wanted.map(({ topic, partition }) => ({ topic, partition })),
    { signal, throwOnError: false },
  );
  const failures = deleted.flatMap(({ error }) => (error === undefined ? [] : [error]));
  const columns = [
    { title: "TOPIC", minWidth: 30, cell: (row: (typeof deleted)[number]) => row.topic },
    { title: "PARTITION", minWidth: 15, cell: (row: (typeof deleted)[number]) => row.partition },
    {
      title: "STATUS",
      minWidth: 15,
      cell: (row: (typeof deleted)[number]) =>
        row.error === undefined ? "Successful" : `Error: ${row.error.message}`,
    },
  ];
  if (failures.length === 0) {
    output.line(
      `Request succeed for deleting offsets with topic ${options.topic.join(", ")} group ${groupId}`,
    );
  }
  output.line(`\n${kafkaTable(columns, deleted)}`);
  environment.exit(exitCodeOfAll(failures, deleted.length));
}
