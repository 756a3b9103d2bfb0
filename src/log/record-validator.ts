import { ProtocolError } from "../model/error-code.ts";
import type { ErrorName } from "../model/error-code.ts";
import { NO_TIMESTAMP } from "../model/offsets.ts";
import { baseOffsetOf } from "../model/record-batch.ts";
import { DEFAULT_MAX_INFLATED_BYTES, RecordReader } from "../model/record-reader.ts";

/** What is asked of the records inside a batch. */
export interface RecordRules {
  readonly needsKeys: boolean;
  readonly timestampType: "CreateTime" | "LogAppendTime";
  readonly beforeMaxMs: number;
  readonly afterMaxMs: number;
  readonly nowMs: number;
  /** Bound of the decompressed records: a small batch may claim gigabytes. Default 64 MiB. */
  readonly maxInflatedBytes?: number;
}

export type RecordsCheck =
  | { readonly ok: true }
  | { readonly ok: false; readonly error: ErrorName; readonly message: string };

/**
 * Decompresses a producer's batch, whose header and CRC have been checked, and looks at every record: its bounds, offset
 * deltas 0, 1, 2 .. count - 1, a key where one is needed, its own time. Costs a pass over the records, so only where the
 * topic needs it. Errors: INVALID_RECORD, CORRUPT_MESSAGE, MESSAGE_TOO_LARGE, INVALID_TIMESTAMP,
 * UNSUPPORTED_COMPRESSION_TYPE.
 */
export function validateRecordsInside(batch: Buffer, rules: RecordRules): RecordsCheck {
  try {
    return checkRecords(batch, rules);
  } catch (error: unknown) {
    // What the reader throws is about the data; anything else is a bug.
    if (!(error instanceof ProtocolError)) throw error;
    return refuse(error.code, `the records cannot be read: ${error.message}`);
  }
}

function checkRecords(batch: Buffer, rules: RecordRules): RecordsCheck {
  const maxInflatedBytes = rules.maxInflatedBytes ?? DEFAULT_MAX_INFLATED_BYTES;
  const reader = new RecordReader(batch, 0, { maxInflatedBytes });
  const baseOffset = baseOffsetOf(batch);
  let index = 0;
  for (let record = reader.next(); record !== undefined; record = reader.next()) {
    const delta = record.offset - baseOffset;
    if (delta !== index) return refuse("INVALID_RECORD", `record ${index} has offset delta ${delta}`);
    if (rules.needsKeys && record.key === null) {
      return refuse("INVALID_RECORD", `record ${index} has no key; a compacted topic needs one`);
    }
    if (!isTimeAllowed(record.timestamp, rules)) {
      return refuse("INVALID_TIMESTAMP", `record ${index} has timestamp ${record.timestamp}, out of bounds`);
    }
    index++;
  }
  return { ok: true };
}

function isTimeAllowed(time: number, rules: RecordRules): boolean {
  if (rules.timestampType === "LogAppendTime" || time === NO_TIMESTAMP) return true;
  return time >= rules.nowMs - rules.beforeMaxMs && time <= rules.nowMs + rules.afterMaxMs;
}

function refuse(error: ErrorName, message: string): RecordsCheck {
  return { ok: false, error, message };
}
