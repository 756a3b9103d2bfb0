import { expect, test } from "vitest";
import { Exposition } from "../../../src/model/exposition.ts";
import { METRICS } from "../../../src/model/metric-table.ts";
import { NodeProcessStats } from "../../../src/platform/node/node-process-stats.ts";
import { addProcessMetrics } from "../../../src/server/http/process-metrics.ts";
import { samplesOf } from "../../broker/metrics/samples.ts";

test("every metric of a process has a sample that is a number", () => {
  const stats = new NodeProcessStats();
  const to = new Exposition(METRICS);
  addProcessMetrics(to, stats.read());
  stats.close();
  const samples = samplesOf(to.toString());
  expect([...samples.values()].filter((value) => Number.isNaN(value))).toEqual([]);
  // Open files are told where the system tells them, pauses once there were some.
  const names = Object.keys(METRICS).filter((name) => /^(?:process|nodejs)_/.test(name));
  const sometimes = new Set(["process_open_fds", "nodejs_gc_duration_seconds", "nodejs_version_info"]);
  const missing = names.filter((name) => !sometimes.has(name) && !samples.has(name));
  expect(missing).toEqual([]);
});
