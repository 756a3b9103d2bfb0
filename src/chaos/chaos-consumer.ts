import type { Isolation, MicroOperation, ReadRecord } from "../history/history-line.ts";
import type { HistoryWriter } from "../history/history-writer.ts";
import { decodeBody } from "../history/record-body.ts";
import type { ConsumedBatch, Consumer, LograftClient } from "../client/index.ts";
import { isLograftError } from "../client/index.ts";
import type { Key } from "./keys.ts";
import { keyName } from "./keys.ts";

/** What a process of reading needs. */
export interface ReadingOptions {
  readonly keys: readonly Key[];
  readonly isolation: Isolation;
  /** Where to begin, by key; keys without one begin at their first record. Kept up to date. */
  readonly positions: Map<string, number>;
}

/** How a process of reading ended: closed from outside, at the ends it was given, or by an error. */
export type ReadingEnd = "closed" | "done" | { readonly code: string };

/**
 * One process that reads keys by assignment and logs each poll. `isDone` is asked after each poll and before the first.
 * Owns neither client nor positions.
 */
export async function readAndLog(
  options: ReadingOptions,
  deps: { readonly client: LograftClient; readonly writer: HistoryWriter },
  control: { readonly signal: AbortSignal; readonly isDone?: () => boolean },
): Promise<ReadingEnd> {
  const { positions, isolation } = options;
  const { writer } = deps;
  const assign = writer.invoke("assign");
  await using consumer = deps.client.consumer({
    assign: options.keys.map(({ topic, partition, name }) => {
      const offset = positions.get(name);
      return { topic, partition, from: offset === undefined ? ("beginning" as const) : { offset } };
    }),
    isolation,
    autoOffsetReset: "none",
  });
  writer.complete(assign, "ok", { mops: options.keys.map(({ name }) => ["assign", name] as const) });
  const batches = consumer.batches({ signal: control.signal });
  for (;;) {
    if (control.isDone?.() === true) return "done";
    const open = writer.invoke("poll", [["poll"]]);
    try {
      const next = await batches.next();
      if (next.done === true) return "closed";
      writer.complete(open, "ok", { mops: microOperationsOf(next.value), iso: isolation });
      rememberPosition(positions, consumer, next.value);
    } catch (error: unknown) {
      const code = isLograftError(error) ? error.code : "UNKNOWN";
      writer.complete(open, "info", { err: code, iso: isolation });
      if (control.signal.aborted) return "closed";
      // The position is outside the log: only from the beginning can be found out what has become of the rest.
      if (code === "OFFSET_OUT_OF_RANGE") positions.clear();
      return { code };
    }
  }
}

function rememberPosition(positions: Map<string, number>, consumer: Consumer, batch: ConsumedBatch): void {
  positions.set(keyName(batch), consumer.position(batch) ?? batch.lastOffset + 1);
}

/** Records whose body is not what was sent are told apart: they have no value that could be believed. */
function microOperationsOf(batch: ConsumedBatch): MicroOperation[] {
  const key = keyName(batch);
  const records: ReadRecord[] = [];
  const mops: MicroOperation[] = [["poll", { [key]: records }]];
  for (const { offset, value } of batch) {
    const decoded = decodeBody(value);
    if (!decoded.ok) mops.push(["damaged", key, offset, "corrupt", decoded.reason]);
    else if (decoded.body.key !== key) {
      mops.push([
        "damaged",
        key,
        offset,
        "misrouted",
        `${decoded.body.value} was meant for ${decoded.body.key}`,
      ]);
    } else records.push([offset, decoded.body.value, batch.leaderEpoch]);
  }
  return mops;
}
