import { operationError } from "../base/errors.ts";
import { errorNameOf, isRetriable, ProtocolError } from "../model/error-code.ts";
import { checkedInt64OrMinusOne } from "../rpc/convert.ts";
import type { ListOffsetsResult } from "../rpc/messages.ts";
import type { ClientContext } from "./client-context.ts";
import type { StartPosition, TopicPartitionRef } from "./consumer-types.ts";

/** What a position is on a partition now. */
export interface FoundOffset extends TopicPartitionRef {
  /** -1: no record is that young. */
  readonly offset: number;
  /** Of the record found by time; -1 for the ends. */
  readonly timestamp: number;
  readonly leaderEpoch: number;
}

/** Special times of the ListOffsets call. */
const END_TIMESTAMP = -1;
const BEGINNING_TIMESTAMP = -2;
const LATEST_TIMESTAMP = -3;

/** The time by which a position is asked for. @throws LograftError INVALID_ARGUMENT. */
export function lookupTimestamp(position: StartPosition | "latest-timestamp"): number {
  if (position === "beginning") return BEGINNING_TIMESTAMP;
  if (position === "end") return END_TIMESTAMP;
  if (position === "latest-timestamp") return LATEST_TIMESTAMP;
  let timestamp = -1;
  if (typeof position === "object" && "getTime" in position) timestamp = position.getTime();
  if (typeof position === "object" && "timestamp" in position) timestamp = position.timestamp;
  if (Number.isSafeInteger(timestamp) && timestamp >= 0) return timestamp;
  throw operationError("INVALID_ARGUMENT", `${String(timestamp)} is not a time in milliseconds since 1970`);
}

/** One ListOffsets call to one broker; the results are in the order of `wanted`, each an offset or its error. */
export async function listOffsetsAt(
  context: ClientContext,
  address: string,
  wanted: readonly (TopicPartitionRef & { readonly timestampMs: number })[],
  options: { readonly timeoutMs: number; readonly signal?: AbortSignal | undefined },
): Promise<(FoundOffset | ProtocolError)[]> {
  const { results } = await context.transport.call(
    address,
    "ListOffsets",
    { partitions: wanted },
    { timeoutMs: options.timeoutMs, ...(options.signal === undefined ? {} : { signal: options.signal }) },
  );
  return wanted.map(({ topic, partition }, index) => {
    const matches = (result: ListOffsetsResult | undefined): boolean =>
      result?.topic === topic && result.partition === partition;
    const result = matches(results[index]) ? results[index] : results.find(matches);
    if (result === undefined) {
      return new ProtocolError(
        "UNKNOWN_SERVER_ERROR",
        `${address} left ${topic}-${partition} out of its answer`,
        {
          retriable: true,
        },
      );
    }
    if (result.errorCode === 0) {
      return {
        topic,
        partition,
        offset: checkedInt64OrMinusOne(result.offset, "offset"),
        timestamp: result.timestampMs,
        leaderEpoch: result.leaderEpoch,
      };
    }
    const name = errorNameOf(result.errorCode);
    const text = result.errorMessage === "" ? name : result.errorMessage;
    return new ProtocolError(name, `offset of ${topic}-${partition}: ${text}`, {
      retriable: isRetriable(name),
      context: { topic, partition },
    });
  });
}
