import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { formatHistoryLine } from "../../../src/history/parse-line.ts";
import { Story } from "../../history/story.ts";
import { cli } from "../harness.ts";

let directory = "";

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), "lograft-chaos-"));
});

afterEach(async () => {
  await rm(directory, { recursive: true, force: true });
});

async function saved(name: string, story: Story): Promise<string> {
  const path = join(directory, name);
  await writeFile(path, story.lines.map(formatHistoryLine).join(""));
  return path;
}

const written = (): Story => new Story().send(1, "k", [["a", 0]]);
const clean = (): Story => written().pass(9, "k", 1, [[0, "a"]]);
const lossy = (): Story => written().pass(9, "k", 1, []);

describe("chaos check", () => {
  test("a clean history is ok, code 0", async () => {
    const { code, stdout, stderr } = await cli(["chaos", "check", await saved("run.ndjson", clean())]);
    expect({ code, stderr }).toEqual({ code: 0, stderr: "no anomalies\n" });
    expect(stdout).toContain("verdict: ok (idempotent)");
  });

  test("a violation is told with an example, and the code is 8", async () => {
    const { code, stdout } = await cli(["chaos", "check", await saved("run.ndjson", lossy())]);
    expect(code).toBe(8);
    expect(stdout).toMatch(/lost-write +1 +1 +violation/);
    expect(stdout).toContain("lost-write: a, acknowledged at k@0, is not in the final pass up to 1");
    expect(stdout).toContain("verdict: 1 VIOLATIONS (idempotent)");
  });

  test("a run that shows too little is void, code 1", async () => {
    const story = clean();
    story.lines[0] = { type: "run", run: "r", profile: "idempotent" };
    const { code, stdout } = await cli(["chaos", "check", await saved("run.ndjson", story)]);
    expect(code).toBe(1);
    expect(stdout).toContain("verdict: void");
  });

  test("--json writes the figures to a file, or to stdout alone", async () => {
    const history = await saved("run.ndjson", lossy());
    const file = join(directory, "result.json");
    await cli(["chaos", "check", history, "--json", file]);
    const expected = {
      verdict: "violation",
      acknowledged: 1,
      anomalies: { "lost-write": 1 },
      faults: {},
      produceGapMs: { p50: 0, p99: 0, max: 0 },
      successRate: 1,
    };
    expect(JSON.parse(await readFile(file, "utf8"))).toMatchObject(expected);
    const { code, stdout } = await cli(["chaos", "check", history, "--json", "-"]);
    expect(code).toBe(8);
    expect(JSON.parse(stdout)).toMatchObject(expected);
  });

  test("a directory stands for its files, which are one history", async () => {
    const story = clean();
    await writeFile(join(directory, "b.ndjson"), story.lines.slice(0, 3).map(formatHistoryLine).join(""));
    await writeFile(join(directory, "a.ndjson"), story.lines.slice(3).map(formatHistoryLine).join(""));
    expect((await cli(["chaos", "check", directory])).code).toBe(0);
  });

  test("a torn last line is passed over, a damaged one before it is not", async () => {
    const path = await saved("run.ndjson", clean());
    const text = await readFile(path, "utf8");
    await writeFile(path, `${text}{"type":"inv`);
    const torn = await cli(["chaos", "check", path]);
    expect(torn.code).toBe(0);
    expect(torn.stderr).toContain("the last line is cut off");
    await writeFile(path, `{"type":"inv\n${text}`);
    const damaged = await cli(["chaos", "check", path]);
    expect(damaged.code).toBe(2);
    expect(damaged.stderr).toContain("run.ndjson:1: not JSON");
  });

  test.each([
    [["missing.ndjson"], 3, "missing.ndjson: cannot be read"],
    [["."], 3, "holds no .ndjson file"],
    [[".", "--profile", "best"], 2, "--profile best: there is idempotent, plain, plain-acks-1"],
    [[".", "--max-examples", "x"], 2, "--max-examples x: a number from 0 on"],
  ])("%j is refused", async (args, code, problem) => {
    const [path = "", ...options] = args;
    const run = await cli(["chaos", "check", join(directory, path), ...options]);
    expect(run.code).toBe(code);
    expect(run.stderr).toContain(problem);
  });
});
