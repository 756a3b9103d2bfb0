import { setTimeout as sleep } from "node:timers/promises";
import type { Command } from "commander";
import { isLograftError } from "../../client/errors.ts";
import type { GroupLag } from "../../client/index.ts";
import { parseInteger } from "../arguments.ts";
import type { CliEnvironment } from "../context.ts";
import { CliContext, withGlobalOptions } from "../context.ts";
import { EXIT } from "../exit-codes.ts";
import { counted, formatCount } from "../output.ts";

const INTERVAL_MS = 500;
/** A look that is not answered is bounded by this, so that a broker that comes up is seen soon. */
const LOOK_TIMEOUT_MS = 5000;

/** `lograft group wait-for-lag`: for scripts that go on when a group has caught up. */
export function addWaitForLagCommand(group: Command, environment: CliEnvironment): void {
  withGlobalOptions(group.command("wait-for-lag <name>"))
    .description(
      "wait, as long as --timeout says, until a group is less than so far behind in all partitions together; exit code 8 when it is not",
    )
    .requiredOption("--below <records>", "the lag that is small enough, exclusive")
    .action(async (name: string, options: { readonly below: string }, command: Command) => {
      await CliContext.run(command, environment, (context) => {
        return waitForLag(context, name, parseInteger(options.below, "--below", 1));
      });
    });
}

async function waitForLag(context: CliContext, name: string, below: number): Promise<void> {
  const { output, signal } = context;
  const startedMs = performance.now();
  const deadlineMs = startedMs + context.options.timeoutMs;
  let seen: GroupLag | undefined;
  for (;;) {
    seen = (await look(context, name, deadlineMs)) ?? seen;
    const isReached = seen !== undefined && seen.uncommitted === 0 && seen.totalLag < below;
    if (isReached || performance.now() + INTERVAL_MS >= deadlineMs) {
      const seconds = (performance.now() - startedMs) / 1000;
      output.result(`${statusOf(name, seen)} after ${seconds.toFixed(1)} s`, {
        groupId: name,
        isReached,
        totalLag: seen === undefined ? null : String(seen.totalLag),
        uncommittedPartitions: seen?.uncommitted ?? null,
        seconds: Number(seconds.toFixed(3)),
      });
      if (!isReached) context.environment.exit(EXIT.CHECK_FAILED);
      return;
    }
    await sleep(INTERVAL_MS, undefined, { signal });
  }
}

/** Undefined: nobody could tell just now. @throws what another look cannot heal, GROUP_ID_NOT_FOUND mostly. */
async function look(
  { client, signal }: CliContext,
  name: string,
  deadlineMs: number,
): Promise<GroupLag | undefined> {
  const leftMs = Math.max(1, Math.ceil(deadlineMs - performance.now()));
  const timeoutMs = Math.min(LOOK_TIMEOUT_MS, leftMs);
  try {
    const [lag] = await client.admin().groupLags([name], { timeoutMs, signal });
    return lag;
  } catch (error: unknown) {
    const isWorthAnotherLook = isLograftError(error) && (error.retriable || error.code === "TIMEOUT");
    if (!isWorthAnotherLook || signal.aborted) throw error;
    return undefined;
  }
}

function statusOf(name: string, lag: GroupLag | undefined): string {
  if (lag === undefined) return `group ${name}: nobody could tell how far it is,`;
  const { totalLag, uncommitted } = lag;
  const rest =
    uncommitted === 0
      ? ""
      : `, and has committed nothing in ${counted(uncommitted, "partition")} with records`;
  return `group ${name} is ${formatCount(totalLag)} ${totalLag === 1 ? "record" : "records"} behind${rest},`;
}
