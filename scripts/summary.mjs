#!/usr/bin/env node
import { relative } from "node:path";
import { inProject, readJson, say } from "./lib/project.mjs";

/*
 * The last line of the continuous integration: `N passed, N failed`, counted from vitest's JSON report. A file that could
 * not be loaded holds no test that failed, and counts as one. No report or no test is a failure too.
 */

const report = readJson(process.argv[2]);
const counts = report === undefined ? { passed: 0, failed: 1 } : count(report);
if (report === undefined) say(`vitest left no report at ${process.argv[2]}`);
console.log(`${counts.passed} passed, ${counts.failed} failed`);
process.exitCode = counts.failed > 0 || counts.passed === 0 ? 1 : 0;

function count({ testResults, numPassedTests, numFailedTests }) {
  const broken = testResults.filter(
    (file) => file.status === "failed" && !file.assertionResults.some((one) => one.status === "failed"),
  );
  for (const file of broken) say(`not loaded: ${file.name}`);
  const slowest = testResults.toSorted((a, b) => durationMs(b) - durationMs(a)).slice(0, 5);
  for (const file of slowest) {
    say(`${(durationMs(file) / 1000).toFixed(1)} s in ${relative(inProject(), file.name)}`);
  }
  return { passed: numPassedTests, failed: numFailedTests + broken.length };
}

function durationMs(file) {
  return file.endTime - file.startTime;
}
