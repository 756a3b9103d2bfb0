import { crc32c } from "../base/crc32c.ts";

/** What the body of a record of a checked workload says. */
export interface RecordBody {
  /** Unique in the run: "run.process.counter". */
  readonly value: string;
  /** The key that it was meant for. */
  readonly key: string;
  /** Producer instance, and the number of the record among those it sent to this key. */
  readonly session: number;
  readonly sequence: number;
  /** When it was sent; nanoseconds, monotonic. */
  readonly sentAt: number;
}

/** A body, or why it is none. */
export type DecodedBody =
  | { readonly ok: true; readonly body: RecordBody }
  | { readonly ok: false; readonly reason: string };

const SEPARATOR = "|";
const FIELD_COUNT = 5;
const text = new TextDecoder("utf-8", { fatal: true });
const bytes = new TextEncoder();

/** "value|key|session|sequence|sentAt|padding|crc": the CRC-32C (8 hex digits) is that of all before the last separator. */
export function encodeBody(body: RecordBody, padding = ""): string {
  const { value, key, session, sequence, sentAt } = body;
  const content = [value, key, session, sequence, sentAt, padding].join(SEPARATOR);
  return `${content}${SEPARATOR}${checksum(content)}`;
}

/** What a record read back says. Bytes that are no text, lack fields or have another CRC are refused with the reason. */
export function decodeBody(data: Uint8Array | null): DecodedBody {
  if (data === null) return refused("no value");
  let whole: string;
  try {
    whole = text.decode(data);
  } catch {
    // Only that it is no UTF-8; the reason says so.
    return refused("not UTF-8");
  }
  const end = whole.lastIndexOf(SEPARATOR);
  const content = whole.slice(0, Math.max(0, end));
  const found = whole.slice(end + 1);
  if (checksum(content) !== found) return refused(`CRC ${found.slice(0, 8)}, not ${checksum(content)}`);
  const fields = content.split(SEPARATOR);
  const [value, key, session, sequence, sentAt] = fields;
  if (fields.length <= FIELD_COUNT || value === undefined || key === undefined) {
    return refused(`${fields.length} fields`);
  }
  return {
    ok: true,
    body: { value, key, session: Number(session), sequence: Number(sequence), sentAt: Number(sentAt) },
  };
}

function refused(reason: string): DecodedBody {
  return { ok: false, reason };
}

function checksum(content: string): string {
  return crc32c(bytes.encode(content)).toString(16).padStart(8, "0");
}
