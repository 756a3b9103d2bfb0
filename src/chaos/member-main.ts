import { openSync, writeSync } from "node:fs";
import { errorMessage } from "../base/errors.ts";
import { HistoryWriter } from "../history/history-writer.ts";
import { ChaosMember } from "./chaos-member.ts";
import { isMemberCommand } from "./member-messages.ts";
import type { MemberNews, MemberProgram } from "./member-messages.ts";
import { nowNs } from "./monotonic-time.ts";

/*
 * The process of one member of a consumer group. Each line of its history is in the file before anything follows from it,
 * so that kill -9 takes no line away. It ends with its parent.
 */

const program = JSON.parse(process.argv[2] ?? "") as MemberProgram;
const file = openSync(program.historyPath, "a");
const write = (line: string): void => void writeSync(file, line);
const writer = new HistoryWriter({ process: program.process }, { write, nowNs });
const onHeld = (held: readonly string[]): void => {
  const news: MemberNews = { held };
  if (process.connected) process.send?.(news, undefined, undefined, () => undefined);
};
const member = new ChaosMember(program, { writer, onHeld });

process.once("disconnect", () => process.exit(1));
process.on("message", (message: unknown) => {
  if (!isMemberCommand(message)) return;
  member.leave(message.leaveWithinMs).then(() => process.exit(0), fail);
});
member.run().catch(fail);

function fail(error: unknown): void {
  writer.line({ type: "broken", t: nowNs(), what: `member ${program.process}: ${errorMessage(error)}` });
  process.stderr.write(`${error instanceof Error ? (error.stack ?? error.message) : String(error)}\n`);
  process.exit(1);
}
