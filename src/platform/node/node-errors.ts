import type { LograftError } from "../../base/errors.ts";
import { diskError } from "../disk-error.ts";
import type { DiskAction } from "../disk-error.ts";
import { accessAdvice } from "./path-owner.ts";

/** Wraps what a `node:fs` call failed with. */
export function wrapDiskError(
  action: DiskAction,
  path: string,
  syscall: string,
  cause: unknown,
): LograftError {
  const errno = errnoOf(cause) ?? "UNKNOWN";
  const isRefused = action !== "sync" && (errno === "EACCES" || errno === "EPERM");
  const next = isRefused ? accessAdvice(path, syscall) : undefined;
  return diskError(action, { path, syscall, errno, cause, ...(next === undefined ? {} : { next }) });
}

/** The symbolic error number ("ENOENT") of a failed system call; undefined for any other error. */
export function errnoOf(error: unknown): string | undefined {
  if (!(error instanceof Error) || !("code" in error)) return undefined;
  return typeof error.code === "string" ? error.code : undefined;
}
