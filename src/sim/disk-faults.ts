/** The operations of a simulated disk that can fail or be slow. */
export type DiskOperation =
  | "open"
  | "create"
  | "read"
  | "write"
  | "truncate"
  | "sync"
  | "stat"
  | "list"
  | "makeDir"
  | "rename"
  | "remove"
  | "syncDir";

interface FaultTarget {
  /** Which files or directories; of a rename, its source. Default: all. */
  readonly path?: (path: string) => boolean;
  /** How many times it strikes. Default 1; Infinity is a sticky fault. */
  readonly times?: number;
  /** Matching operations let through first. Default 0. */
  readonly skip?: number;
}

/** A fault to arm. */
export type DiskFault =
  /** The operation fails with this error number. A failed sync also loses the data (see `FileNode.loseUnsynced`). */
  | (FaultTarget & {
      readonly kind: "error";
      readonly operations: readonly DiskOperation[];
      readonly errno: string;
    })
  /** Writes to matching files fit until `afterBytes` in all, the one that crosses it is cut short, the next ones ENOSPC. */
  | (Pick<FaultTarget, "path"> & { readonly kind: "full"; readonly afterBytes: number })
  /** A write takes at most `maxBytes` (>= 1). */
  | (FaultTarget & { readonly kind: "short"; readonly maxBytes: number })
  /** The operation takes `delayMs` longer. */
  | (FaultTarget & {
      readonly kind: "slow";
      readonly operations: readonly DiskOperation[];
      readonly delayMs: number;
    })
  /** A write lands `byBytes` away on the medium, while the page cache has it in its place: seen after a crash only. */
  | (FaultTarget & { readonly kind: "misdirect"; readonly byBytes: number });

/** A fault that is armed. */
export interface ArmedFault {
  /** How often it struck: a test that expects a fault asserts that it happened. */
  readonly hits: number;
  disarm(): void;
}

interface Armed {
  readonly fault: DiskFault;
  skipsLeft: number;
  timesLeft: number;
  bytesLeft: number;
  hits: number;
}

/** The faults of one simulated disk, armed and disarmed by a test; they belong to the hardware and outlive a crash. */
export class DiskFaults {
  readonly #armed = new Set<Armed>();

  arm(fault: DiskFault): ArmedFault {
    const isCounted = fault.kind !== "full";
    const armed: Armed = {
      fault,
      skipsLeft: isCounted ? (fault.skip ?? 0) : 0,
      timesLeft: isCounted ? (fault.times ?? 1) : Number.POSITIVE_INFINITY,
      bytesLeft: fault.kind === "full" ? fault.afterBytes : 0,
      hits: 0,
    };
    this.#armed.add(armed);
    return {
      get hits() {
        return armed.hits;
      },
      disarm: () => this.#armed.delete(armed),
    };
  }

  clear(): void {
    this.#armed.clear();
  }

  /** The error number this operation fails with, if any. */
  errnoFor(operation: DiskOperation, path: string): string | undefined {
    for (const armed of this.#armed) {
      const { fault } = armed;
      if (fault.kind !== "error" || !fault.operations.includes(operation)) continue;
      if (strikes(armed, path)) return fault.errno;
    }
    return undefined;
  }

  /** How much longer this operation takes. */
  delayFor(operation: DiskOperation, path: string): number {
    let delayMs = 0;
    for (const armed of this.#armed) {
      const { fault } = armed;
      if (fault.kind !== "slow" || !fault.operations.includes(operation)) continue;
      if (strikes(armed, path)) delayMs += fault.delayMs;
    }
    return delayMs;
  }

  /** How many of `wantedBytes` (> 0) a write may take; 0 when the disk is full for this file. */
  writableBytes(path: string, wantedBytes: number): number {
    let allowed = wantedBytes;
    for (const armed of this.#armed) {
      const { fault } = armed;
      if (fault.kind === "short" && allowed > fault.maxBytes && strikes(armed, path))
        allowed = fault.maxBytes;
      if (fault.kind === "full" && armed.bytesLeft < allowed && strikes(armed, path))
        allowed = armed.bytesLeft;
    }
    for (const armed of this.#armed) {
      if (armed.fault.kind === "full" && isTarget(armed.fault, path)) armed.bytesLeft -= allowed;
    }
    return allowed;
  }

  /** How far from its place a write lands on the medium. */
  displacementFor(path: string): number {
    for (const armed of this.#armed) {
      if (armed.fault.kind === "misdirect" && strikes(armed, path)) return armed.fault.byBytes;
    }
    return 0;
  }
}

function isTarget(fault: DiskFault, path: string): boolean {
  return fault.path === undefined || fault.path(path);
}

function strikes(armed: Armed, path: string): boolean {
  if (armed.timesLeft === 0 || !isTarget(armed.fault, path)) return false;
  if (armed.skipsLeft > 0) {
    armed.skipsLeft -= 1;
    return false;
  }
  armed.timesLeft -= 1;
  armed.hits += 1;
  return true;
}
