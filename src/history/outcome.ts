import type { CompleteLine, Outcome } from "./history-line.ts";

/**
 * Errors after which nothing was done and nothing will be: validation, authorisation, unknown names, answers of a node
 * that checks its role before it appends, and what never left the client. Everything else is indefinite.
 */
const DEFINITE: ReadonlySet<string> = new Set([
  "BUFFER_EXHAUSTED",
  "CLUSTER_AUTHORIZATION_FAILED",
  "CORRUPT_MESSAGE",
  "FENCED_INSTANCE_ID",
  "FENCED_LEADER_EPOCH",
  "FENCED_MEMBER_EPOCH",
  "ILLEGAL_GENERATION",
  "INVALID_ARGUMENT",
  "INVALID_CONFIG",
  "INVALID_PARTITIONS",
  "INVALID_RECORD",
  "INVALID_REPLICATION_FACTOR",
  "INVALID_REQUEST",
  "INVALID_REQUIRED_ACKS",
  "INVALID_TIMESTAMP",
  "INVALID_TOPIC_EXCEPTION",
  "MESSAGE_TOO_LARGE",
  "NOT_ENOUGH_REPLICAS",
  "NOT_LEADER_OR_FOLLOWER",
  "RECORD_LIST_TOO_LARGE",
  "SERIALIZATION_FAILED",
  "STALE_MEMBER_EPOCH",
  "TOPIC_ALREADY_EXISTS",
  "TOPIC_AUTHORIZATION_FAILED",
  "UNKNOWN_LEADER_EPOCH",
  "UNKNOWN_MEMBER_ID",
  "UNKNOWN_TOPIC_ID",
  "UNKNOWN_TOPIC_OR_PARTITION",
]);

/** True when an attempt that ended with this error had no effect and never will. */
export function isDefiniteError(error: string): boolean {
  return DEFINITE.has(error);
}

/**
 * The outcome that a completion may claim. A failure counts as one only when every attempt was refused definitely, or
 * none left the process: one indefinite attempt may still take effect, whatever later attempts say.
 */
export function outcomeOf(line: Pick<CompleteLine, "type" | "attempts" | "err">): Outcome {
  if (line.type !== "fail") return line.type;
  const { attempts, err } = line;
  if (attempts === undefined) return err !== undefined && isDefiniteError(err) ? "fail" : "info";
  return attempts.every(([, , , error]) => error !== null && isDefiniteError(error)) ? "fail" : "info";
}
