import { mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { existsSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { ChaosProcess } from "./chaos-process.ts";
import type { Ended } from "./chaos-process.ts";
import { gone } from "./dev-process.ts";

/** Everything of a run but its length: one key, one kill, so that the key's leader is the one that is killed. */
const SHORT = ["--minutes", "0.05", "--quiet", "1s", "--topics", "1", "--partitions", "1", "--rate", "200"];

let directory = "";

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), "lograft-chaos-test-"));
});

afterEach(async () => {
  await rm(directory, { recursive: true, force: true });
});

async function chaos(...args: readonly string[]): Promise<Ended> {
  return new ChaosProcess(directory, args).ended();
}

/** Takes an acknowledged value out of everything that was ever read, as if the cluster had lost it. */
async function forget(historyDirectory: string): Promise<void> {
  let lost: string | undefined;
  for (const name of (await readdir(historyDirectory)).toSorted()) {
    const path = join(historyDirectory, name);
    const lines = (await readFile(path, "utf8")).trimEnd().split("\n");
    lost ??= lines.map(acknowledgedValue).find((value) => value !== undefined);
  }
  if (lost === undefined) throw new Error("nothing was acknowledged");
  const record = new RegExp(`\\[\\d+,"${lost.replaceAll(".", "\\.")}"[^\\]]*\\],?`, "g");
  for (const name of await readdir(historyDirectory)) {
    const path = join(historyDirectory, name);
    const text = await readFile(path, "utf8");
    await writeFile(path, text.replaceAll(record, "").replaceAll(",]", "]"));
  }
}

function acknowledgedValue(line: string): string | undefined {
  const { type, f, mops } = JSON.parse(line) as { type: string; f?: string; mops?: unknown[][] };
  const value = type === "ok" && f === "send" ? mops?.[0]?.[3] : undefined;
  return typeof value === "string" ? value : undefined;
}

test("a run kills a leader, judges itself ok, and its history is judged again: the same, or a violation once it is forged", async () => {
  const kept = join(directory, "kept");
  const json = join(directory, "result.json");
  const args = ["run", "kill-leader", ...SHORT, "--min-sends", "200", "--seed", "5"];
  let ended = await chaos(...args, "--dir", kept, "--json", json);
  // A machine that stands still makes a run void: it says nothing, and is repeated.
  if (ended.code === 1 && ended.text.includes("verdict: void")) {
    await rm(kept, { recursive: true });
    ended = await chaos(...args, "--dir", kept, "--json", json);
  }
  expect(ended.code, ended.text).toBe(0);
  expect(ended.text).toContain("verdict: ok (idempotent)");
  expect(ended.text).toMatch(/kill-leader +1 +1 +\d+\/\d+\/\d+/);
  const result = JSON.parse(await readFile(json, "utf8")) as Record<string, unknown>;
  expect(result).toMatchObject({
    verdict: "ok",
    anomalies: {},
    faults: { "kill-leader": 1 },
    seed: 5,
    skipped: {},
  });
  expect(result["acknowledged"]).toBeGreaterThanOrEqual(200);
  expect(result["successRate"]).toBeGreaterThan(0.9);
  const gap = result["produceGapMs"] as Readonly<Record<string, number>>;
  expect(Object.keys(gap).toSorted()).toEqual(["max", "p50", "p99"]);
  expect(gap["p50"]).toBeGreaterThan(0);
  // The history and the brokers' logs stay; the data are no evidence where nothing is wrong.
  expect((await readdir(kept)).toSorted()).toEqual(["history", "logs"]);

  const history = join(kept, "history");
  expect(await chaos("check", history)).toMatchObject({ code: 0 });
  await forget(history);
  const forged = await chaos("check", history);
  expect(forged.code, forged.text).toBe(8);
  expect(forged.text).toContain("lost-write");
}, 120_000);

test("Ctrl-C ends a run with 130, its brokers and its directory included", async () => {
  if (!existsSync("/proc/self/task")) return;
  const run = new ChaosProcess(directory, ["run", "none", ...SHORT, "--minutes", "5"]);
  const ended = run.ended();
  await expect.poll(async () => (await run.children()).length, { timeout: 20_000 }).toBe(3);
  const brokers = await run.children();
  run.child.kill("SIGINT");
  expect(await ended).toMatchObject({ code: 130 });
  await gone(brokers);
  const left = (await readdir(directory)).filter((name) => name.startsWith("lograft-chaos-"));
  expect(left).toEqual([]);
}, 60_000);

test("a fault that does not exist is refused, with the names of those that do", async () => {
  const { code, text } = await chaos("run", "earthquake");
  expect(code).toBe(2);
  expect(text).toMatch(/no fault earthquake; there is all, none, kill-leader, .*corrupt-segment/);
}, 30_000);
