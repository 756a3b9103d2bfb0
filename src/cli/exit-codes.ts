import { isLograftError } from "../client/errors.ts";
import { isErrorName, isRetriable } from "../model/error-code.ts";

/** What a command's end means to a script; the table in docs/cli.md is made from this. */
export const EXIT = {
  DONE: 0,
  FAILED: 1,
  USAGE: 2,
  NOT_FOUND: 3,
  CONFLICT: 4,
  NOT_ALLOWED: 5,
  UNAVAILABLE: 6,
  PARTLY_FAILED: 7,
  CHECK_FAILED: 8,
  STORAGE_VERSION: 78,
  INTERRUPTED: 130,
  TERMINATED: 143,
} as const;

export type ExitCode = (typeof EXIT)[keyof typeof EXIT];

/** One line of documentation for each code. */
export const EXIT_MEANINGS: Readonly<Record<ExitCode, string>> = {
  0: "done",
  1: "failed",
  2: "wrong usage: an option, a name or a setting is not valid; the same call fails again",
  3: "not found: no such topic, partition, group, member, broker or file",
  4: "exists already, or in conflict: the topic or the vote is there, the group has members, the data directory or the port is in use",
  5: "not authenticated or not allowed",
  6: "unavailable: no connection, no leader or no time left; worth retrying",
  7: "partly failed: of several things some were done",
  8: "a check failed: `cluster health` or `doctor` found trouble, `log verify` or `log dump` found damage, `chaos run` or `chaos check` a violation, `group wait-for-lag` a lag that did not shrink in time",
  78: "the data directory is of another version of lograft",
  130: "interrupted by SIGINT (Ctrl-C)",
  143: "interrupted by SIGTERM",
};

const BY_CODE: Readonly<Record<string, ExitCode>> = {
  CONFIG_INVALID: EXIT.USAGE,
  INVALID_ARGUMENT: EXIT.USAGE,
  INVALID_CONFIG: EXIT.USAGE,
  INVALID_GROUP_ID: EXIT.USAGE,
  INVALID_PARTITIONS: EXIT.USAGE,
  INVALID_REGULAR_EXPRESSION: EXIT.USAGE,
  INVALID_REPLICA_ASSIGNMENT: EXIT.USAGE,
  INVALID_REPLICATION_FACTOR: EXIT.USAGE,
  INVALID_REQUEST: EXIT.USAGE,
  INVALID_TOPIC_EXCEPTION: EXIT.USAGE,
  OFFSET_OUT_OF_RANGE: EXIT.USAGE,
  INVALID_UPDATE_VERSION: EXIT.USAGE,
  UNSUPPORTED_ASSIGNOR: EXIT.USAGE,
  BROKER_ID_NOT_REGISTERED: EXIT.NOT_FOUND,
  GROUP_ID_NOT_FOUND: EXIT.NOT_FOUND,
  UNKNOWN_MEMBER_ID: EXIT.NOT_FOUND,
  UNKNOWN_TOPIC_OR_PARTITION: EXIT.NOT_FOUND,
  UNKNOWN_TOPIC_ID: EXIT.NOT_FOUND,
  RESOURCE_NOT_FOUND: EXIT.NOT_FOUND,
  VOTER_NOT_FOUND: EXIT.NOT_FOUND,
  ADDRESS_IN_USE: EXIT.CONFLICT,
  DATA_DIR_LOCKED: EXIT.CONFLICT,
  DUPLICATE_VOTER: EXIT.CONFLICT,
  FENCED_INSTANCE_ID: EXIT.CONFLICT,
  GROUP_MAX_SIZE_REACHED: EXIT.CONFLICT,
  GROUP_SUBSCRIBED_TO_TOPIC: EXIT.CONFLICT,
  INCONSISTENT_GROUP_PROTOCOL: EXIT.CONFLICT,
  NON_EMPTY_GROUP: EXIT.CONFLICT,
  TOPIC_ALREADY_EXISTS: EXIT.CONFLICT,
  UNRELEASED_INSTANCE_ID: EXIT.CONFLICT,
  CLUSTER_AUTHORIZATION_FAILED: EXIT.NOT_ALLOWED,
  GROUP_AUTHORIZATION_FAILED: EXIT.NOT_ALLOWED,
  SASL_AUTHENTICATION_FAILED: EXIT.NOT_ALLOWED,
  TOPIC_AUTHORIZATION_FAILED: EXIT.NOT_ALLOWED,
  CONNECTION_FAILED: EXIT.UNAVAILABLE,
  DELIVERY_TIMEOUT: EXIT.UNAVAILABLE,
  NO_QUORUM: EXIT.UNAVAILABLE,
  TIMEOUT: EXIT.UNAVAILABLE,
  LOG_CORRUPT: EXIT.CHECK_FAILED,
  DATA_DIR_VERSION: EXIT.STORAGE_VERSION,
};

/** The cluster's state is against it. Where the broker calls that passing (retriable), it is worth another try. */
const CONFLICT_UNLESS_RETRIABLE: ReadonlySet<string> = new Set([
  "FEATURE_UPDATE_FAILED",
  "INCONSISTENT_VOTER_SET",
  "INVALID_VOTER_KEY",
  "REASSIGNMENT_IN_PROGRESS",
]);

/** The exit code for something thrown. */
export function exitCodeOf(error: unknown): ExitCode {
  if (!isLograftError(error)) return EXIT.FAILED;
  const { code } = error;
  // The producer reports a verdict, which is not retriable itself, under the name of the last answer.
  const isWorthRetrying = error.retriable || (isErrorName(code) && isRetriable(code));
  const known = BY_CODE[code];
  if (known !== undefined) return known;
  if (isWorthRetrying) return EXIT.UNAVAILABLE;
  return CONFLICT_UNLESS_RETRIABLE.has(code) ? EXIT.CONFLICT : EXIT.FAILED;
}

/** The exit code when `failures` of `total` things failed: PARTLY_FAILED, or what all of them have in common. */
export function exitCodeOfAll(failures: readonly unknown[], total: number): ExitCode {
  if (failures.length === 0) return EXIT.DONE;
  if (failures.length < total) return EXIT.PARTLY_FAILED;
  const [code = EXIT.FAILED, second] = new Set(failures.map(exitCodeOf));
  return second === undefined ? code : EXIT.FAILED;
}
