import { deadlineSignal } from "../base/abort.ts";
import { Backoff } from "../base/backoff.ts";
import { operationError } from "../base/errors.ts";
import { ProtocolError, refreshesMetadata } from "../model/error-code.ts";
import { MAX_ROUNDS } from "./admin-calls.ts";
import type { AdminCalls } from "./admin-calls.ts";
import type { AdminOptions, DeletedRecords } from "./admin-types.ts";
import type { ClientContext } from "./client-context.ts";
import type { PointInTime, TopicPartitionRef } from "./consumer-types.ts";
import { listOffsetsAt, lookupTimestamp, type FoundOffset } from "./offset-lookup.ts";

/** Where in a partition to look. */
export type LookupPosition =
  | "beginning"
  | "end"
  | "latest-timestamp"
  | PointInTime
  | { readonly timestamp: number };

/** Calls about partitions, of which each goes to the partition's leader. */
export class LeaderCalls {
  readonly #context: ClientContext;
  readonly #calls: AdminCalls;

  constructor(deps: { readonly context: ClientContext; readonly calls: AdminCalls }) {
    this.#context = deps.context;
    this.#calls = deps.calls;
  }

  /** Offsets of a position in each partition, or why one has none, in the order asked. */
  listOffsets(
    partitions: readonly TopicPartitionRef[],
    position: LookupPosition,
    options: AdminOptions,
  ): Promise<(FoundOffset | ProtocolError)[]> {
    const timestampMs = lookupTimestamp(position);
    return this.atLeaders(partitions, options, (address, group, signal, timeoutMs) => {
      const wanted = group.map(({ topic, partition }) => ({ topic, partition, timestampMs }));
      return listOffsetsAt(this.#context, address, wanted, { timeoutMs, signal });
    });
  }

  /**
   * Splits the items by leader, asks each leader, and answers in the order of the items; old leaders are asked again.
   * @throws LograftError TIMEOUT when a partition has no leader until then, INVALID_ARGUMENT for one that does not exist.
   */
  async atLeaders<I extends TopicPartitionRef, R extends DeletedRecords | FoundOffset | ProtocolError>(
    items: readonly I[],
    options: AdminOptions,
    call: (
      address: string,
      group: readonly I[],
      signal: AbortSignal,
      timeoutMs: number,
    ) => Promise<readonly R[]>,
  ): Promise<R[]> {
    const { timeoutMs } = this.#calls.bounds(options);
    const { metadata, clock } = this.#context;
    const backoff = new Backoff(this.#context.retry, this.#context);
    using deadline = deadlineSignal(clock, timeoutMs, options.signal);
    const results = new Map<I, R>();
    const { signal } = deadline;
    for (const topic of new Set(items.map((item) => item.topic))) {
      await metadata.waitForTopic(topic, { timeoutMs, allowAutoCreate: false, signal });
    }
    // Partitions may have been added since.
    const isKnown = (item: I): boolean =>
      metadata.topic(item.topic)?.partitions[item.partition] !== undefined;
    if (!items.every(isKnown)) await metadata.refresh({ timeoutMs, signal });
    for (let round = 0; results.size < items.length; round++) {
      const groups = new Map<string, I[]>();
      for (const item of items) {
        if (results.has(item)) continue;
        const leaderId = this.#leaderOf(item);
        const address = leaderId < 0 ? undefined : metadata.addressOf(leaderId);
        if (address !== undefined) groups.set(address, [...(groups.get(address) ?? []), item]);
      }
      for (const [address, group] of groups) {
        const isLast = round + 1 >= MAX_ROUNDS;
        const answers = await call(address, group, signal, timeoutMs);
        for (const [index, item] of group.entries()) {
          const answer = answers[index];
          const error = answer === undefined ? undefined : errorOfItem(answer);
          const isStale = error !== undefined && refreshesMetadata(error.code) && !isLast;
          if (answer !== undefined && !isStale) results.set(item, answer);
        }
      }
      if (results.size === items.length) break;
      await clock.sleep(backoff.nextMs(), signal);
      await metadata.refresh({ timeoutMs, signal });
    }
    return items.map((item) => results.get(item)).filter((result) => result !== undefined);
  }

  #leaderOf({ topic, partition }: TopicPartitionRef): number {
    const info = this.#context.metadata.topic(topic);
    const found = info?.partitions[partition];
    if (info === undefined || found !== undefined) return found?.leaderId ?? -1;
    throw operationError(
      "INVALID_ARGUMENT",
      `topic ${topic} has partitions 0 to ${info.partitions.length - 1}, not ${partition}`,
    );
  }
}

function errorOfItem(item: DeletedRecords | FoundOffset | ProtocolError): ProtocolError | undefined {
  if (item instanceof ProtocolError) return item;
  return "error" in item ? item.error : undefined;
}
