import type { CliContext } from "./context.ts";
import type { PrintableRecord } from "./record-format.ts";

/** Text that is gathered before it is written: few large writes, and little memory when the reader is slow. */
const WRITE_CHARS = 64 * 1024;

/** Prints the records below `end`, at most `limit`; answers how many. */
export async function printBatch(
  context: CliContext,
  batch: Iterable<PrintableRecord>,
  end: number,
  limit: number,
  print: (record: PrintableRecord) => string,
): Promise<number> {
  let count = 0;
  let text = "";
  for (const record of batch) {
    if (count >= limit || record.offset >= end) break;
    text += print(record);
    count++;
    if (text.length < WRITE_CHARS) continue;
    context.output.write(text);
    text = "";
    await context.output.drained(context.signal);
  }
  if (text !== "") context.output.write(text);
  await context.output.drained(context.signal);
  return count;
}
