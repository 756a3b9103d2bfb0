import type { ConsumerOptions } from "../client/index.ts";
import type { CliContext } from "./context.ts";
import { printBatch } from "./print-batch.ts";
import type { PrintableRecord } from "./record-format.ts";

/** What a member of a group prints. */
export interface GroupReading {
  readonly groupId: string;
  /** Names, which must exist, and at most one pattern. */
  readonly topics: readonly (string | RegExp)[];
  /** Where the group begins in a partition of which it has committed nothing. */
  readonly reset: "earliest" | "latest";
  /** What else the member is to be; `commit: "manual"` for one that commits nothing. */
  readonly consumer?: ConsumerOptions;
  /** Records after which to end. */
  readonly limit: number;
  readonly print: (record: PrintableRecord) => string;
  /** Ends the reading beside the signal of the context. */
  readonly signal?: AbortSignal;
  /** After each batch, with the records printed of it. */
  readonly onPrinted?: (count: number) => void;
}

/**
 * Reads as a member of a group until the limit or the signal; what was printed is committed, also at the end, when the
 * member leaves. @throws UNKNOWN_TOPIC_OR_PARTITION; what the group refuses.
 */
export async function readGroup(context: CliContext, reading: GroupReading): Promise<void> {
  const { groupId, topics, reset, limit, print, onPrinted } = reading;
  const signal = AbortSignal.any(
    reading.signal === undefined ? [context.signal] : [context.signal, reading.signal],
  );
  const options = { ...reading.consumer, groupId, topics, autoOffsetReset: reset };
  await using consumer = context.client.consumer(options);
  // A group waits for topics that are to come, without a word; here it is a name that was misspelt.
  const names = topics.filter((topic) => typeof topic === "string");
  if (names.length > 0) await context.client.admin().describeTopics(names, { signal });
  let lastNote = "";
  consumer.on("error", ({ message }) => {
    if (message !== lastNote) context.output.note(`lograft: ${message}`);
    lastNote = message;
  });
  let printed = 0;
  let nextOffset = 0;
  const printNext = (record: PrintableRecord): string => {
    nextOffset = record.offset + 1;
    return print(record);
  };
  for await (const batch of consumer.batches({ signal })) {
    const count = await printBatch(context, batch, Number.POSITIVE_INFINITY, limit - printed, printNext);
    printed += count;
    onPrinted?.(count);
    if (printed < limit) continue;
    // Asking for the next batch commits one as a whole; of the last one only a part may be printed.
    if (options.commit !== "manual") await batch.committer?.(nextOffset);
    return;
  }
  signal.throwIfAborted();
}
