import type { Command } from "commander";
import { errorMessage } from "../../base/errors.ts";
import type { GroupLag, GroupSummary } from "../../client/index.ts";
import { ProtocolError } from "../../model/error-code.ts";
import { parseInteger } from "../arguments.ts";
import { confirm } from "../confirm.ts";
import type { CliEnvironment } from "../context.ts";
import { CliContext, withGlobalOptions } from "../context.ts";
import { EXIT, exitCodeOfAll } from "../exit-codes.ts";
import type { Column } from "../output.ts";
import { counted, formatCount } from "../output.ts";
import { addGroupDescribeCommand } from "./group-describe.ts";
import { addGroupResetCommand } from "./group-reset.ts";
import { addWaitForLagCommand } from "./group-wait.ts";

/** `lograft group ...`: list, describe, reset-offsets, delete, remove-member, wait-for-lag. */
export function addGroupCommands(program: Command, environment: CliEnvironment): void {
  const group = program
    .command("group")
    .description("consumer groups: who reads what, how far they are, and where they go on");
  addList(group, environment);
  addGroupDescribeCommand(group, environment);
  addGroupResetCommand(group, environment);
  addDelete(group, environment);
  addRemoveMember(group, environment);
  addWaitForLagCommand(group, environment);
}

interface ListOptions {
  readonly state?: string;
  readonly lagAbove?: string;
}

/** A group with its lag, where that was asked for. */
interface ListRow extends GroupSummary {
  readonly progress: GroupLag | undefined;
}

function addList(group: Command, environment: CliEnvironment): void {
  withGlobalOptions(group.command("list"))
    .description("the groups of all brokers")
    .option("--state <state>", "only those in this state, such as Stable or Empty")
    .option("--lag-above <n>", "only those that are more than so many records behind, with their lag")
    .action(async (options: ListOptions, command: Command) => {
      await CliContext.run(command, environment, (context) => list(context, options));
    });
}

async function list(context: CliContext, { state, lagAbove }: ListOptions): Promise<void> {
  const { client, output, signal } = context;
  const limit = lagAbove === undefined ? undefined : parseInteger(lagAbove, "--lag-above", 0);
  const admin = client.admin();
  const { groups, missing } = await admin.listGroups({ signal });
  const wanted = groups.filter((one) => state === undefined || isSame(one.state, state));
  let rows = wanted.map((one): ListRow => ({ ...one, progress: undefined }));
  if (limit !== undefined) {
    const ids = wanted.map(({ groupId }) => groupId);
    const lags = await admin.groupLags(ids, { signal, throwOnError: false });
    rows = wanted
      .map((one, index): ListRow => ({ ...one, progress: lags[index] }))
      .filter(({ progress }) => progress !== undefined && progress.totalLag > limit);
  }
  const columns: Column<ListRow>[] = [
    { title: "GROUP", cell: (row) => row.groupId },
    { title: "TYPE", cell: (row) => row.type },
    { title: "STATE", cell: (row) => row.state },
  ];
  if (limit !== undefined) {
    columns.push({ title: "LAG", cell: (row) => formatCount(row.progress?.totalLag ?? 0), align: "right" });
  }
  output.rows(columns, rows, {
    empty:
      groups.length === 0
        ? "no groups yet; consume with one: lograft consume TOPIC -g NAME"
        : "no such group",
    toJson: ({ groupId, type, state: found, protocolType, progress }) => ({
      groupId,
      type,
      state: found,
      protocolType,
      ...(progress === undefined ? {} : { totalLag: String(progress.totalLag) }),
    }),
  });
  for (const { nodeId, error } of missing) {
    output.note(`lograft: the groups of broker ${nodeId} are missing: ${errorMessage(error)}`);
  }
  if (missing.length > 0) context.environment.exit(EXIT.PARTLY_FAILED);
}

/** "stable", "Stable" and "preparing-rebalance" are the states of those names. */
function isSame(state: string, wanted: string): boolean {
  return state.toLowerCase() === wanted.toLowerCase().replaceAll(/[-_]/g, "");
}

function addDelete(group: Command, environment: CliEnvironment): void {
  withGlobalOptions(group.command("delete <names...>"))
    .description("delete groups without members, with all that they have committed")
    .option("--yes", "do not ask")
    .action(async (names: string[], options: { readonly yes?: boolean }, command: Command) => {
      await CliContext.run(command, environment, (context) =>
        deleteGroups(context, names, options.yes === true),
      );
    });
}

async function deleteGroups(context: CliContext, names: readonly string[], isAgreed: boolean): Promise<void> {
  const { client, output, signal } = context;
  const what = `delete ${names.length === 1 ? "group" : "the groups"} ${names.join(", ")} and all committed offsets`;
  await confirm(context, { isAgreed, what, typed: names.join(" ") });
  const deleted = await client.admin().deleteGroups(names, { signal, throwOnError: false });
  const failures = deleted.flatMap(({ error }) => (error === undefined ? [] : [error]));
  const [failure] = failures;
  if (deleted.length === 1 && failure !== undefined) throw failure;
  if (output.format === "json") {
    output.json(deleted.map(({ groupId, error }) => ({ groupId, error: error?.code ?? null })));
  } else {
    for (const { groupId, error } of deleted) if (error === undefined) output.note(`${groupId} deleted`);
  }
  for (const { message } of failures) output.note(`lograft: ${message}`);
  context.environment.exit(exitCodeOfAll(failures, deleted.length));
}

function addRemoveMember(group: Command, environment: CliEnvironment): void {
  withGlobalOptions(group.command("remove-member <name> <member>"))
    .description("take a member (its id, or a static member's name) out of a group; a live one joins again")
    .action(async (name: string, member: string, _options: object, command: Command) => {
      await CliContext.run(command, environment, (context) => removeMember(context, name, member));
    });
}

async function removeMember(
  { client, output, signal }: CliContext,
  groupId: string,
  name: string,
): Promise<void> {
  const admin = client.admin();
  const [group] = await admin.describeGroups([groupId], { signal });
  const members = group?.members ?? [];
  const member = members.find((one) => one.memberId === name || one.groupInstanceId === name);
  if (member === undefined) {
    throw new ProtocolError(
      "UNKNOWN_MEMBER_ID",
      `group ${groupId} has no member ${name} among its ${counted(members.length, "member")}; ` +
        `see: lograft group describe ${groupId} --members`,
    );
  }
  const { memberId, groupInstanceId } = member;
  await admin.removeMembers(groupId, [{ memberId }], { signal });
  output.result(`${name} is out of group ${groupId}; what it had goes to the others`, {
    groupId,
    memberId,
    groupInstanceId: groupInstanceId ?? null,
  });
}
