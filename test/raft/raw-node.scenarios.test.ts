import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { replay } from "./scenario.ts";

/*
 * Each file of test/scenarios/raft is a schedule from the literature with what every replica does in it; test/raft/scenario.ts
 * tells the language. REWRITE_SCENARIOS=1 writes what happens now into the files, to be read before it is kept.
 */

const folder = join(import.meta.dirname, "..", "scenarios", "raft");
const isRewriting = process.env["REWRITE_SCENARIOS"] === "1";

for (const name of readdirSync(folder).sort()) {
  test(`scenario ${name} goes as written`, () => {
    const path = join(folder, name);
    const expected = readFileSync(path, "utf8");
    const actual = replay(expected);
    if (isRewriting) writeFileSync(path, actual);
    else expect(actual).toBe(expected);
    // Only the deliberate bugs may break anything.
    if (!name.startsWith("sabotage-")) expect(actual).not.toContain("FAILED");
    else expect(actual).toContain("FAILED");
    expect(actual, "a scenario tells where it comes from").toMatch(/^# .*(?:§|Fig\.)/m);
  });
}
