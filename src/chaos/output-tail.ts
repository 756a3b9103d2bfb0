import type { ChildProcess } from "node:child_process";
import { createWriteStream } from "node:fs";
import type { WriteStream } from "node:fs";

const MAX_CHARACTERS = 1024 * 1024;

/** The newest megabyte of what a process writes to its stderr; all of it goes to the file, if there is one. */
export class OutputTail {
  text = "";

  constructor(child: ChildProcess, logPath: string | undefined) {
    const file: WriteStream | undefined =
      logPath === undefined ? undefined : createWriteStream(logPath, { flags: "a" });
    // The log is evidence, not more: a full disk must not end who does the harm.
    file?.on("error", () => undefined);
    child.stderr?.setEncoding("utf8").on("data", (piece: string) => {
      this.text = (this.text + piece).slice(-MAX_CHARACTERS);
      file?.write(piece);
    });
    child.once("close", () => file?.end());
  }
}
