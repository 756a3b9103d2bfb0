import { errorNameOf, isRetriable, ProtocolError } from "../model/error-code.ts";
import { topicPartitionKey } from "../model/topic-partition.ts";
import { checkedInt64OrMinusOne } from "../rpc/convert.ts";
import type { TopicPartitionRef } from "./consumer-types.ts";
import type { CoordinatorCallOptions, CoordinatorCalls } from "./coordinator-calls.ts";

/** What a group has committed for a partition. */
export interface CommittedPosition extends TopicPartitionRef {
  /** Of the next record to be processed; undefined: nothing was ever committed. */
  readonly offset: number | undefined;
  /** Of the last record processed; -1: not known. */
  readonly leaderEpoch: number;
  readonly metadata: string;
}

/**
 * Asks the coordinator once for what is committed, in the order of `partitions`. That nothing is committed is an answer;
 * anything else that is not an offset is an error, never "nothing" (H63). @throws LograftError, ProtocolError.
 */
export async function fetchCommitted(
  calls: CoordinatorCalls,
  partitions: readonly TopicPartitionRef[],
  options: CoordinatorCallOptions,
): Promise<CommittedPosition[]> {
  const request = {
    groupId: calls.groupId,
    allPartitions: false,
    partitions: partitions.map(({ topic, partition }) => ({ topic, partition })),
  };
  const response = await calls.call("FetchOffsets", request, options);
  check(response, `committed offsets of group ${calls.groupId}`);
  const byKey = new Map(
    response.offsets.map((item) => [topicPartitionKey(item.topic, item.partition), item]),
  );
  return partitions.map(({ topic, partition }) => {
    const key = topicPartitionKey(topic, partition);
    const found = byKey.get(key);
    const what = `committed offset of ${key} in group ${calls.groupId}`;
    if (found === undefined) {
      const text = `${what}: the coordinator left it out of its answer`;
      throw new ProtocolError("UNKNOWN_SERVER_ERROR", text, { retriable: true });
    }
    check(found, what);
    const offset = checkedInt64OrMinusOne(found.offset, "offset");
    const { leaderEpoch, metadata } = found;
    return { topic, partition, offset: offset < 0 ? undefined : offset, leaderEpoch, metadata };
  });
}

function check(answer: { readonly errorCode: number; readonly errorMessage: string }, what: string): void {
  if (answer.errorCode === 0) return;
  const name = errorNameOf(answer.errorCode);
  const text = answer.errorMessage === "" ? name : answer.errorMessage;
  throw new ProtocolError(name, `${what}: ${text}`, { retriable: isRetriable(name) });
}
