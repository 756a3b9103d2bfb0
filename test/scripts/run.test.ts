import { spawn } from "node:child_process";
import { cp, mkdir, mkdtemp, readFile, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";

/* The launcher in a project of its own without dependencies, whose `check` is a stub that tells how it was started. */

const scripts = join(import.meta.dirname, "..", "..", "scripts");
const stub = `
process.on("SIGTERM", () => {
  console.log("terminated");
  process.exitCode = 7;
  clearInterval(waiting);
});
const waiting = setInterval(() => undefined, 1000);
console.log(JSON.stringify(process.argv.slice(2)));
if (process.argv[2] !== "wait") process.exit(Number(process.argv[2]));
`;

interface Outcome {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

let project: string;

beforeEach(async () => {
  project = await mkdtemp(join(tmpdir(), "lograft-run-"));
  await cp(scripts, join(project, "scripts"), { recursive: true });
  await writeFile(join(project, "scripts", "check.mjs"), stub);
  const manifest = { name: "empty", version: "1.0.0" };
  await writeFile(join(project, "package.json"), JSON.stringify(manifest));
  const lock = { ...manifest, lockfileVersion: 3, packages: { "": manifest } };
  await writeFile(join(project, "package-lock.json"), JSON.stringify(lock));
});

afterEach(async () => {
  await rm(project, { recursive: true, force: true });
});

/** Marks the dependencies, none, as installed by hand. */
async function installByHand(): Promise<void> {
  await mkdir(join(project, "node_modules"));
  await writeFile(join(project, "node_modules", ".package-lock.json"), JSON.stringify({ packages: {} }));
}

/** Gives the project something to install that needs no network. */
async function dependOnLocalPackage(): Promise<void> {
  const local = { name: "local", version: "1.0.0" };
  await mkdir(join(project, "local"));
  await writeFile(join(project, "local", "package.json"), JSON.stringify(local));
  const manifest = { name: "empty", version: "1.0.0", dependencies: { local: "file:local" } };
  await writeFile(join(project, "package.json"), JSON.stringify(manifest));
  const packages = { "": manifest, local, "node_modules/local": { resolved: "local", link: true } };
  const lock = { name: "empty", version: "1.0.0", lockfileVersion: 3, packages };
  await writeFile(join(project, "package-lock.json"), JSON.stringify(lock));
}

function launch(
  args: readonly string[],
  onLine?: (kill: (signal: NodeJS.Signals) => void) => void,
): Promise<Outcome> {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [join(project, "scripts", "run.mjs"), ...args], {
      stdio: ["ignore", "pipe", "pipe"],
    });
    const read = { stdout: "", stderr: "" };
    child.stdout.setEncoding("utf8").on("data", (text: string) => {
      if (read.stdout === "") onLine?.((signal) => child.kill(signal));
      read.stdout += text;
    });
    child.stderr.setEncoding("utf8").on("data", (text: string) => (read.stderr += text));
    child.once("error", reject);
    child.once("close", (code) => {
      resolve({ code, ...read });
    });
  });
}

test("two launchers at once install once, and both run their target", async () => {
  await dependOnLocalPackage();
  const outcomes = await Promise.all([launch(["check", "0", "a"]), launch(["check", "0", "b c"])]);
  expect(outcomes.map((one) => one.stdout)).toEqual(['["0","a"]\n', '["0","b c"]\n']);
  const installs = outcomes.filter((one) => one.stderr.includes("installing the dependencies"));
  expect(installs).toHaveLength(1);
});

test("with everything installed it says nothing and ends with the target's exit code", async () => {
  await installByHand();
  await launch(["check", "0"]);
  const outcome = await launch(["check", "3"]);
  expect(outcome).toEqual({ code: 3, stdout: '["3"]\n', stderr: "" });
});

test("dependencies that were installed by hand are not installed again", async () => {
  await installByHand();
  const outcome = await launch(["check", "0"]);
  expect(outcome.stderr).not.toContain("installing");
});

test("a change of the lock file is noticed", async () => {
  await installByHand();
  await launch(["check", "0"]);
  const path = join(project, "package-lock.json");
  const lock = JSON.parse(await readFile(path, "utf8")) as { packages: Record<string, unknown> };
  lock.packages["node_modules/new"] = { version: "1.0.0" };
  await writeFile(path, JSON.stringify(lock));
  const outcome = await launch(["check", "0"]);
  expect(outcome.stderr).toContain("installing the dependencies");
});

test("the lock of a dead launcher is taken over", async () => {
  await installByHand();
  await mkdir(join(project, ".lograft"));
  // Linux and macOS give no process a number above 2^22.
  await writeFile(join(project, ".lograft", "setup.lock"), "99999999 0 0");
  expect((await launch(["check", "0"])).code).toBe(0);
});

test("a signal sent twice in a row reaches the target once, and its exit code comes back", async () => {
  await installByHand();
  const outcome = await launch(["check", "wait"], (kill) => {
    kill("SIGTERM");
    kill("SIGTERM");
  });
  expect(outcome).toMatchObject({ code: 7, stdout: '["wait"]\nterminated\n' });
});

test("an unknown command shows what there is", async () => {
  const outcome = await launch(["strat"]);
  expect(outcome.code).toBe(2);
  expect(outcome.stderr).toContain("start [options]");
});

test("what is compiled anew can be run by its name, as npx does", async () => {
  await installByHand();
  const compiler = join(project, "node_modules", "typescript", "bin", "tsc");
  await mkdir(join(compiler, ".."), { recursive: true });
  await writeFile(
    compiler,
    'const { mkdirSync, writeFileSync } = require("node:fs"); mkdirSync("dist/cli"); writeFileSync("dist/cli/main.js", "");',
  );
  await mkdir(join(project, "src"));
  await mkdir(join(project, "proto"));
  for (const name of ["tsconfig.json", "tsconfig.build.json"]) await writeFile(join(project, name), "{}");
  const outcome = await launch(["build"]);
  expect(outcome).toMatchObject({ code: 0 });
  const { mode } = await stat(join(project, "dist", "cli", "main.js"));
  expect(mode & 0o111).toBe(0o111);
});
