#!/usr/bin/env node
import { spawn } from "node:child_process";
import { codePaths, inProject, lintOptions } from "./lib/project.mjs";

/*
 * `npm run check`: what has to hold before a change goes in, and what the continuous integration runs. One line for each
 * step; what a step printed is shown only when it failed. `--no-tests` leaves the tests out for a caller that has just
 * run them.
 */

const withTests = !process.argv.includes("--no-tests");
const format = step("format", "oxfmt/bin/oxfmt", ["--check", ...codePaths()]);
const lint = step("lint", "oxlint/bin/oxlint", [...lintOptions, ...codePaths()]);
const types = step("types", "typescript/bin/tsc", ["-p", "tsconfig.json"]);
const tests = step("tests", "vitest/vitest.mjs", ["run"]);

// Two lanes for two cores: the tests take most of the time, the other tools share the second lane.
const lanes = withTests ? [[format, lint, types], [tests]] : [[format, types], [lint]];
const started = performance.now();
const results = (await Promise.all(lanes.map(runLane))).flat();
const failed = results.filter((ok) => !ok).length;
const verdict = failed === 0 ? "check passed" : `check failed: ${failed} of ${results.length} steps`;
console.log(`${verdict} in ${secondsSince(started)} s`);
process.exitCode = failed === 0 ? 0 : 1;

function step(name, tool, args) {
  return { name, args: [inProject("node_modules", tool), ...args] };
}

async function runLane(steps) {
  const outcomes = [];
  for (const one of steps) outcomes.push(await runStep(one));
  return outcomes;
}

/** Runs one tool on this very Node; answers whether it succeeded. */
function runStep({ name, args }) {
  return new Promise((resolve) => {
    const begun = performance.now();
    const printed = [];
    const child = spawn(process.execPath, args, { cwd: inProject(), stdio: ["ignore", "pipe", "pipe"] });
    child.stdout.on("data", (chunk) => printed.push(chunk));
    child.stderr.on("data", (chunk) => printed.push(chunk));
    child.once("error", (error) => printed.push(Buffer.from(`${error.message}\n`)));
    child.once("close", (exit) => {
      const ok = exit === 0;
      console.log(`${name.padEnd(8)}${ok ? "ok    " : "FAILED"} ${secondsSince(begun).padStart(6)} s`);
      if (!ok) process.stdout.write(Buffer.concat(printed));
      resolve(ok);
    });
  });
}

function secondsSince(moment) {
  return ((performance.now() - moment) / 1000).toFixed(1);
}
