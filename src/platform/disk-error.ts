import { LograftError, operationError } from "../base/errors.ts";
import type { OperationErrorCode } from "../base/errors.ts";

/** What was attempted, which decides the error's code. */
export type DiskAction = "read" | "write" | "sync";

/** Where a disk operation failed. */
export interface DiskFailure {
  readonly path: string;
  /** The system call or its simulated twin. */
  readonly syscall: string;
  /** The symbolic error number: "ENOSPC", "EIO". */
  readonly errno: string;
  readonly cause?: unknown;
  /** What to do about it, where more is known than the error number says. */
  readonly next?: string;
}

/**
 * The error of a failed disk operation, the same from the real and the simulated disk. A full disk is DISK_FULL (it may
 * pass), except when a sync reports it: whatever the reason, after a failed sync the data must not be trusted (H45).
 */
export function diskError(action: DiskAction, failure: DiskFailure): LograftError<OperationErrorCode> {
  const { path, syscall, errno } = failure;
  const isFull = errno === "ENOSPC" || errno === "EDQUOT";
  const code = isFull && action !== "sync" ? "DISK_FULL" : FAILURE_CODES[action];
  return operationError(
    code,
    `cannot ${action} ${path}: ${errno} (${syscall}); ${failure.next ?? nextStep(action, errno)}`,
    {
      context: { path, syscall, errno },
      retriable: code === "DISK_FULL",
      ...(failure.cause === undefined ? {} : { cause: failure.cause }),
    },
  );
}

/** True for a disk error whose cause was this error number, such as "ENOENT". */
export function hasErrno(error: unknown, errno: string): boolean {
  return error instanceof LograftError && error.context["errno"] === errno;
}

const FAILURE_CODES = {
  read: "DISK_READ_FAILED",
  write: "DISK_WRITE_FAILED",
  sync: "DISK_SYNC_FAILED",
} as const;

function nextStep(action: DiskAction, errno: string): string {
  if (action === "sync")
    return "take this directory out of use and restart, which verifies what is on the disk";
  switch (errno) {
    case "ENOSPC":
    case "EDQUOT":
      return "free space or raise the quota";
    case "EACCES":
    case "EPERM":
      return "give the process's user access to the data directory";
    case "EROFS":
      return "mount the file system writable; the kernel log says why it is not";
    case "EMFILE":
    case "ENFILE":
      return "raise the limit of open files (ulimit -n)";
    case "ENOENT":
    case "ENOTDIR":
      return "check that the data directory is mounted and nothing else removes files from it";
    case "EEXIST":
      return "find out what else writes to the data directory";
    default:
      return "check the device and the kernel log";
  }
}
