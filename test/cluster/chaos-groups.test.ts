import { mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import { existsSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { checkHistory } from "../../src/history/checker.ts";
import { History } from "../../src/history/history.ts";
import type { HistoryLine, MicroOperation } from "../../src/history/history-line.ts";
import { parseHistoryLine } from "../../src/history/parse-line.ts";
import { ChaosProcess } from "./chaos-process.ts";
import type { Ended } from "./chaos-process.ts";
import { gone } from "./dev-process.ts";

/** A small group under little load: everything but the size is as in a long run. */
const SMALL = ["--members", "3", "--partitions", "6", "--rate", "48", "--min-sends", "100"];
const SHORT = ["--minutes", "0.05", "--quiet", "1s"];

let directory = "";

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), "lograft-chaos-groups-"));
});

afterEach(async () => {
  await rm(directory, { recursive: true, force: true });
});

async function chaos(...args: readonly string[]): Promise<Ended> {
  return new ChaosProcess(directory, args).ended();
}

/** All lines of a run, file by file. */
async function linesOf(history: string): Promise<HistoryLine[]> {
  const lines: HistoryLine[] = [];
  for (const name of await readdir(history)) {
    const text = await readFile(join(history, name), "utf8");
    for (const line of text.trimEnd().split("\n"))
      lines.push(parseHistoryLine(line, { file: name, line: 0 }));
  }
  return lines;
}

/** The kinds of anomalies in a history. */
function anomaliesIn(lines: readonly HistoryLine[]): string[] {
  const history = new History();
  for (const line of lines) history.add(line);
  return checkHistory(history).anomalies.map(({ kind }) => kind);
}

/** What was committed at the end is what some member had committed much earlier. */
function withOldCommits(lines: readonly HistoryLine[]): HistoryLine[] {
  const first = new Map<string, MicroOperation>();
  let last = 0;
  for (const line of lines) {
    if (line.type === "ok" && line.f === "fetchOffset") last = Math.max(last, line.t);
    if (line.type !== "invoke" || line.f !== "commit") continue;
    for (const mop of line.mops ?? []) {
      if (mop[0] !== "commit" || first.has(mop[2])) continue;
      first.set(mop[2], ["committed", mop[1], mop[2], mop[3], mop[4]]);
    }
  }
  return lines.map((line) => {
    if (line.type !== "ok" || line.f !== "fetchOffset" || line.t !== last) return line;
    const mops = line.mops?.map((mop) => (mop[0] === "committed" ? (first.get(mop[2]) ?? mop) : mop));
    return { ...line, ...(mops === undefined ? {} : { mops }) };
  });
}

test("a group outlives a member and its coordinator; a loss, a commit gone back, a generation with two owners would be told", async () => {
  const kept = join(directory, "kept");
  const json = join(directory, "result.json");
  const args = ["run", "--faults", "kill-member,kill-coordinator", ...SMALL, ...SHORT, "--seed", "5"];
  let ended = await chaos(...args, "--dir", kept, "--json", json);
  // A machine that stands still makes a run void: it says nothing, and is repeated.
  if (ended.code === 1 && ended.text.includes("verdict: void")) {
    await rm(kept, { recursive: true });
    ended = await chaos(...args, "--dir", kept, "--json", json);
  }
  expect(ended.code, ended.text).toBe(0);
  expect(ended.text).toContain("verdict: ok (idempotent)");
  expect(ended.text).toContain("the group is 0 records behind");
  const result = JSON.parse(await readFile(json, "utf8")) as {
    readonly perFault: readonly { readonly kind: string; readonly takeoverMs: { readonly p50: number } }[];
  };
  const takeovers = new Map(result.perFault.map(({ kind, takeoverMs }) => [kind, takeoverMs.p50]));
  expect(takeovers.get("kill-member")).toBeGreaterThan(0);
  expect(takeovers.get("kill-coordinator")).toBeGreaterThan(0);

  const lines = await linesOf(join(kept, "history"));
  expect(anomaliesIn(lines)).toEqual([]);
  const isFirstRecord = (line: HistoryLine): boolean =>
    line.type === "handled" && line.k === "chaos-0-0" && line.from === 0;
  expect(anomaliesIn(lines.filter((line) => !isFirstRecord(line)))).toEqual(["lost-processing"]);
  const inOneGeneration = lines.map((line) => (line.type === "member" ? { ...line, gen: 1 } : line));
  expect(anomaliesIn(inOneGeneration)).toEqual(["double-assignment"]);
  expect(anomaliesIn(withOldCommits(lines))).toEqual(["commit-regress"]);
}, 240_000);

test("members end by themselves when who started them is killed", async () => {
  if (!existsSync("/proc/self/task")) return;
  const run = new ChaosProcess(directory, ["run", "none", "--groups", ...SMALL, "--minutes", "5"]);
  const ended = run.ended();
  await expect.poll(async () => (await run.children()).length, { timeout: 100_000 }).toBe(6);
  const started = await run.children();
  run.child.kill("SIGKILL");
  await ended;
  await gone(started);
}, 180_000);
