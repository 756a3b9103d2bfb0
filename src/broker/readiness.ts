/** What a broker knows of itself, for those who ask whether it is well. */
export interface ReadinessFacts {
  readonly nodeId: number;
  readonly state: "starting" | "running" | "closing" | "closed";
  /** -1: no controller is known. */
  readonly controllerId: number;
  /** The controller has not been heard for a session's length. */
  readonly isContactLost: boolean;
  /** As its own image has it; true also while it is not registered. */
  readonly isFenced: boolean;
  readonly isDiskFull: boolean;
  /** A log of its data directory has failed. */
  readonly isDiskFailed: boolean;
}

/** One thing that was looked at. */
export interface ReadinessCheck {
  readonly name: "recovery" | "membership" | "controller" | "stopping" | "disk";
  readonly isOk: boolean;
  /** Clients should go elsewhere while it fails. */
  readonly isNeeded: boolean;
  /** What was found, in one line; what to do when it failed. */
  readonly detail: string;
}

/**
 * Ready: it has joined its cluster with its metadata caught up (which is when it is unfenced), hears the controller, and is
 * not on its way out. A drained broker is ready: it serves what it has, and a rolling restart waits for that before it gives
 * the broker back to use. A full disk is reported and not counted: reads go on, and the controller knows.
 */
export function readinessChecks(facts: ReadinessFacts): readonly ReadinessCheck[] {
  return [
    check("recovery", true, "the logs are recovered and the metadata quorum has started"),
    membershipCheck(facts),
    controllerCheck(facts),
    stoppingCheck(facts.state === "closing" || facts.state === "closed"),
    diskCheck(facts),
  ];
}

/** Of a broker that is still opening its data directory. */
export function recoveringChecks(isStopping: boolean): readonly ReadinessCheck[] {
  return [
    check("recovery", false, "the data directory is being opened and checked"),
    stoppingCheck(isStopping),
  ];
}

/** @param isStopping from the signal to stop on. */
export function stoppingCheck(isStopping: boolean): ReadinessCheck {
  return check("stopping", !isStopping, isStopping ? "the broker is stopping" : "no stop was asked for");
}

/** True when nothing that is needed fails. */
export function isReady(checks: readonly ReadinessCheck[]): boolean {
  return checks.every(({ isOk, isNeeded }) => isOk || !isNeeded);
}

function membershipCheck({ nodeId, state, isFenced }: ReadinessFacts): ReadinessCheck {
  if (state === "starting") {
    const text = `broker ${nodeId} has not joined its cluster yet; it waits for a majority of the voters`;
    return check("membership", false, text);
  }
  if (!isFenced) return check("membership", true, `broker ${nodeId} takes part in its cluster`);
  return check(
    "membership",
    false,
    `broker ${nodeId} is fenced: the controller has not heard of it for a session, or its metadata is behind`,
  );
}

function controllerCheck({ controllerId, isContactLost }: ReadinessFacts): ReadinessCheck {
  if (!isContactLost) return check("controller", true, `the controller is broker ${controllerId}`);
  const who =
    controllerId < 0 ? "no controller is known" : `broker ${controllerId}, the controller, is silent`;
  return check("controller", false, `${who}; see who is missing with: lograft cluster quorum`);
}

function diskCheck({ isDiskFailed, isDiskFull }: ReadinessFacts): ReadinessCheck {
  const name = "disk";
  if (isDiskFailed) {
    const detail = "a log on the data disk has failed; see the broker's log, mend the disk, restart";
    return { name, isOk: false, isNeeded: false, detail };
  }
  const detail = isDiskFull
    ? "the data disk is full: others lead what they can; free space there"
    : "the data disk takes what it is given";
  return { name, isOk: !isDiskFull, isNeeded: false, detail };
}

function check(name: ReadinessCheck["name"], isOk: boolean, detail: string): ReadinessCheck {
  return { name, isOk, isNeeded: true, detail };
}
