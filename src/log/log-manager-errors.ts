import { LograftError, operationError } from "../base/errors.ts";
import type { TopicId } from "../model/ids.ts";

/** A directory holds another topic of the name that was asked for (H24). */
export function inconsistentTopic(directory: string, found: TopicId, wanted: TopicId): LograftError {
  return new LograftError(
    "INCONSISTENT_TOPIC_ID",
    `${directory} holds topic id ${found}, not ${wanted}; it is left as it is, move it away if it is not needed`,
    { context: { directory, found, wanted } },
  );
}

/** Nothing is opened any more. */
export function closedError(directory: string): LograftError {
  return operationError("CLOSED", `the log manager of ${directory} is closed`);
}
