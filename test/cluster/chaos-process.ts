import type { ChildProcess } from "node:child_process";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { readFile } from "node:fs/promises";
import { CLI_ENTRY } from "../../src/chaos/broker-process.ts";

/** How a command ended, and all that it said. */
export interface Ended {
  readonly code: number | null;
  readonly text: string;
}

/** `lograft chaos ...` as a process of its own, as a user runs it; its temporary files go to a directory. */
export class ChaosProcess {
  readonly child: ChildProcess;
  text = "";

  constructor(directory: string, args: readonly string[]) {
    this.child = spawn(process.execPath, [CLI_ENTRY, "chaos", ...args], {
      stdio: ["ignore", "pipe", "pipe"],
      env: { ...process.env, TMPDIR: directory },
    });
    for (const stream of [this.child.stdout, this.child.stderr]) {
      stream?.setEncoding("utf8").on("data", (piece: string) => {
        this.text += piece;
      });
    }
  }

  async ended(): Promise<Ended> {
    const [code] = (await once(this.child, "close")) as [number | null];
    return { code, text: this.text };
  }

  /** The processes that it started and that have not ended. Linux only. */
  async children(): Promise<number[]> {
    const { pid = 0 } = this.child;
    const text = await readFile(`/proc/${pid}/task/${pid}/children`, "utf8");
    return text.split(" ").filter(Boolean).map(Number);
  }
}
