import { readFileSync, readdirSync } from "node:fs";
import { hostname, totalmem } from "node:os";
import { performance } from "node:perf_hooks";
import { getHeapStatistics } from "node:v8";
import type { HostFacts, HostReading } from "../host-facts.ts";
import { packageVersion } from "./package-version.ts";

/** This process on this machine. */
export class NodeHostFacts implements HostFacts {
  readonly #version = packageVersion();

  read(): HostReading {
    const { rss, heapUsed } = process.memoryUsage();
    const constrainedBytes = process.constrainedMemory();
    const totalBytes = totalmem();
    return {
      version: this.#version,
      nodeVersion: process.version,
      processId: process.pid,
      userId: process.geteuid?.(),
      hostName: hostname(),
      startedMs: Math.floor(performance.timeOrigin),
      residentBytes: rss,
      heapUsedBytes: heapUsed,
      heapLimitBytes: getHeapStatistics().heap_size_limit,
      // Without a limit Node says 0, or more than there is.
      memoryBytes: constrainedBytes > 0 ? Math.min(constrainedBytes, totalBytes) : totalBytes,
      openFiles: countOpenFiles(),
      openFilesLimit: readOpenFilesLimit(),
    };
  }
}

/** The look itself opens a file. */
function countOpenFiles(): number | undefined {
  try {
    return readdirSync("/proc/self/fd").length - 1;
  } catch {
    return undefined; // Not Linux.
  }
}

/** The soft limit, which Node raises to the hard one as it starts. */
function readOpenFilesLimit(): number | undefined {
  try {
    const limit = /^Max open files\s+(\d+)/m.exec(readFileSync("/proc/self/limits", "latin1"))?.[1];
    return limit === undefined ? undefined : Number(limit);
  } catch {
    return undefined; // Not Linux.
  }
}
