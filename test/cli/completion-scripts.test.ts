import { execFile } from "node:child_process";
import { chmod, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, expect, test } from "vitest";
import { CLI_ENTRY } from "../../src/chaos/broker-process.ts";
import { COMPLETION_SCRIPTS, SHELLS } from "../../src/cli/completion-scripts.ts";
import { FakeBrokers } from "./fake-brokers.ts";
import { cli } from "./harness.ts";

/* bash itself, with the script as `lograft completion bash` prints it, and the program as it asks it. */

const run = promisify(execFile);

let fake: FakeBrokers;
let directory = "";

beforeAll(async () => {
  fake = await FakeBrokers.start(1);
  directory = await mkdtemp(join(tmpdir(), "lograft-completion-"));
  const program = join(directory, "lograft");
  await writeFile(program, `#!/bin/sh\nexec '${process.execPath}' '${CLI_ENTRY}' "$@"\n`);
  await chmod(program, 0o755);
});

afterAll(async () => {
  await rm(directory, { recursive: true, force: true });
  await fake[Symbol.asyncDispose]();
});

/** What bash offers with the cursor at the end of `line`. */
async function offered(line: string): Promise<string[]> {
  const script = [
    'eval "$(lograft completion bash)"',
    // As bash does at Tab, by what `complete -p` says of the program.
    "fn=$(complete -p lograft | sed 's/.*-F \\([^ ]*\\) .*/\\1/')",
    'COMP_LINE="$1" COMP_POINT=${#1}',
    '"$fn" lograft "" ""',
    'printf "%s\\n" "${COMPREPLY[@]}"',
  ];
  const { PATH = "" } = process.env;
  const env = { PATH: `${directory}:${PATH}`, LOGRAFT_BROKERS: fake.address(1) };
  const { stdout, stderr } = await run(
    "bash",
    ["--norc", "--noprofile", "-c", script.join("\n"), "bash", line],
    { env },
  );
  expect(stderr).toBe("");
  return stdout.split("\n").filter((one) => one !== "");
}

test("bash completes commands, options, settings, and the names of a cluster's topics", async () => {
  expect(await offered("lograft topic de")).toEqual(["describe", "delete"]);
  expect(await offered(`lograft -b ${fake.address(1)} topic describe o`)).toEqual(["orders"]);
  expect(await offered("lograft start --set log.retention.b")).toEqual(["log.retention.bytes="]);
  expect(await offered("lograft fly ")).toEqual([]);
}, 120_000);

test.each(SHELLS)("the script of %s is printed as it is; another shell is wrong usage", async (shell) => {
  expect(await cli(["completion", shell])).toEqual({
    code: 0,
    stdout: COMPLETION_SCRIPTS[shell],
    stderr: "",
  });
  expect(await cli(["completion", "tcsh"])).toMatchObject({ code: 2, stdout: "" });
});
