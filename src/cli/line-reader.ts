import { operationError } from "../base/errors.ts";

/** Where the lines go. */
export interface LineSink {
  /** The view is valid during the call only. Answering false pauses the reading until `ready` resolves. */
  onLine(line: Uint8Array): boolean;
  ready(): Promise<void>;
  /** After each piece of the source, with its size. */
  onBytes?(count: number): void;
}

const NEWLINE = 0x0a;
const CARRIAGE_RETURN = 0x0d;

/**
 * Splits a byte stream into lines without a string or a promise for each. A final line without a newline counts; "\r"
 * before "\n" is dropped. Memory: one piece of the source and one line.
 * @throws LograftError INVALID_ARGUMENT naming the number of a line that is longer than `maxLineBytes`.
 */
export async function readLines(
  source: AsyncIterable<Uint8Array | string>,
  maxLineBytes: number,
  sink: LineSink,
): Promise<void> {
  // A long line arrives in many pieces: they are joined once, not at each arrival.
  let begun: Uint8Array[] = [];
  let begunBytes = 0;
  let number = 1;
  for await (const piece of source) {
    const data: Uint8Array = typeof piece === "string" ? Buffer.from(piece) : piece;
    let start = 0;
    for (let end = data.indexOf(NEWLINE); end !== -1; end = data.indexOf(NEWLINE, start)) {
      const tail = data.subarray(start, end);
      const line = begunBytes === 0 ? tail : Buffer.concat([...begun, tail]);
      if (begunBytes > 0) begun = [];
      begunBytes = 0;
      if (!sink.onLine(checked(withoutReturn(line), maxLineBytes, number))) await sink.ready();
      number++;
      start = end + 1;
    }
    if (start < data.byteLength) {
      begunBytes += data.byteLength - start;
      // One more than allowed may still be a line whose last byte is "\r".
      if (begunBytes > maxLineBytes + 1) throw tooLong(maxLineBytes, number);
      begun.push(data.subarray(start));
    }
    sink.onBytes?.(data.byteLength);
  }
  if (begunBytes === 0) return;
  if (!sink.onLine(checked(Buffer.concat(begun), maxLineBytes, number))) await sink.ready();
}

function withoutReturn(line: Uint8Array): Uint8Array {
  return line.at(-1) === CARRIAGE_RETURN ? line.subarray(0, -1) : line;
}

function checked(line: Uint8Array, maxLineBytes: number, number: number): Uint8Array {
  if (line.byteLength > maxLineBytes) throw tooLong(maxLineBytes, number);
  return line;
}

function tooLong(maxLineBytes: number, number: number): Error {
  return operationError(
    "INVALID_ARGUMENT",
    `line ${number} is longer than ${maxLineBytes} bytes; raise --max-line, and max.message.bytes of the topic with it`,
    { context: { number, maxLineBytes } },
  );
}
