/** What the process of a group's member is started with, as JSON in its first argument. */
export interface MemberProgram {
  /** Its number in the history, and the file of its lines. */
  readonly process: number;
  readonly historyPath: string;
  readonly group: string;
  readonly topics: readonly string[];
  /** "host:port" of every broker. */
  readonly brokers: readonly string[];
  /** The way to a broker, where it is not the address that the broker tells. */
  readonly ways: readonly (readonly [address: string, way: string])[];
}

/** What it tells: the keys that it has, whenever they changed, and once when it has joined. */
export interface MemberNews {
  readonly held: readonly string[];
}

/** What it is told: finish, leave the group, and end. */
export interface MemberCommand {
  readonly leaveWithinMs: number;
}

/** Whether a message of a member's process is news. */
export function isMemberNews(message: unknown): message is MemberNews {
  return isObject(message) && Array.isArray(message["held"]);
}

/** Whether a message of the parent is a command. */
export function isMemberCommand(message: unknown): message is MemberCommand {
  return isObject(message) && typeof message["leaveWithinMs"] === "number";
}

function isObject(message: unknown): message is Readonly<Record<string, unknown>> {
  return typeof message === "object" && message !== null;
}
