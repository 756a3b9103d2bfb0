/** What a broker with the preloaded module is told. */
export interface ChaosCommand {
  /** Each sync that begins from now on takes so much longer, in milliseconds; 0: as long as the disk needs. */
  readonly syncDelayMs: number;
}

/** What it tells, after each sync that had to wait. */
export interface ChaosReport {
  /** Since the start of its process. */
  readonly slowSyncs: number;
}

/** Whether a message of another process is a command. */
export function isChaosCommand(message: unknown): message is ChaosCommand {
  return hasNumber(message, "syncDelayMs");
}

/** Whether a message of a broker's process is a report. */
export function isChaosReport(message: unknown): message is ChaosReport {
  return hasNumber(message, "slowSyncs");
}

function hasNumber(message: unknown, name: string): boolean {
  if (typeof message !== "object" || message === null) return false;
  return typeof (message as Readonly<Record<string, unknown>>)[name] === "number";
}
