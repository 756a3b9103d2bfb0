import type { BrokerExposition } from "../../broker/metrics/broker-exposition.ts";
import type { ProcessReading } from "../../platform/process-stats.ts";

/** How the process is, by the names that dashboards for Node.js know. */
export function addProcessMetrics(to: BrokerExposition, reading: ProcessReading): void {
  const { cpuUserSeconds, cpuSystemSeconds, openFiles, eventLoopLag, gcPauses } = reading;
  to.add("process_cpu_user_seconds_total", {}, cpuUserSeconds);
  to.add("process_cpu_system_seconds_total", {}, cpuSystemSeconds);
  to.add("process_cpu_seconds_total", {}, cpuUserSeconds + cpuSystemSeconds);
  to.add("process_start_time_seconds", {}, reading.startTimeSeconds);
  to.add("process_resident_memory_bytes", {}, reading.residentBytes);
  if (openFiles !== undefined) to.add("process_open_fds", {}, openFiles);
  to.add("nodejs_version_info", { version: reading.nodeVersion }, 1);
  to.add("nodejs_heap_size_total_bytes", {}, reading.heapTotalBytes);
  to.add("nodejs_heap_size_used_bytes", {}, reading.heapUsedBytes);
  to.add("nodejs_external_memory_bytes", {}, reading.externalBytes);
  to.add("nodejs_eventloop_lag_mean_seconds", {}, eventLoopLag.mean);
  to.add("nodejs_eventloop_lag_p50_seconds", {}, eventLoopLag.p50);
  to.add("nodejs_eventloop_lag_p99_seconds", {}, eventLoopLag.p99);
  to.add("nodejs_eventloop_lag_max_seconds", {}, eventLoopLag.max);
  for (const [kind, pauses] of gcPauses) to.addHistogram("nodejs_gc_duration_seconds", { kind }, pauses);
}
