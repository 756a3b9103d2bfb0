import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import type { ReadRecord } from "../history/history-line.ts";
import type { HistoryWriter } from "../history/history-writer.ts";
import { decodeBody } from "../history/record-body.ts";
import { parseSegmentFileName, partitionDirName } from "../log/file-names.ts";
import {
  BATCH_HEADER_BYTES,
  baseOffsetOf,
  baseSequenceOf,
  batchSizeOf,
  isControlBatch,
  leaderEpochOf,
  producerEpochOf,
  producerIdOf,
} from "../model/record-batch.ts";
import { RecordReader } from "../model/record-reader.ts";
import type { Key } from "./keys.ts";
import { nowNs } from "./monotonic-time.ts";

const MAX_INFLATED_BYTES = 64 * 1024 * 1024;

/**
 * One more pass of the final phase, over the files of a stopped broker: what no client is shown, the producer's id,
 * epoch and sequence of each record, stands there. Logged as polls of one batch each.
 */
export async function readFromDisk(
  options: { readonly dataDirectory: string; readonly key: Key; readonly end: number },
  deps: { readonly writer: HistoryWriter },
): Promise<void> {
  const { dataDirectory, key, end } = options;
  const { writer } = deps;
  const since = nowNs();
  const directory = join(dataDirectory, partitionDirName(key));
  const segments = (await readdir(directory)).filter((name) => parseSegmentFileName(name)?.kind === "log");
  let reached = 0;
  for (const name of segments.toSorted()) {
    const bytes = await readFile(join(directory, name));
    for (let at = 0; at + BATCH_HEADER_BYTES <= bytes.length && baseOffsetOf(bytes, at) < end;) {
      const open = writer.invoke("poll", [["poll"]]);
      const records = recordsOf(bytes, at, key);
      reached = baseOffsetOf(bytes, at) + 1;
      for (const [offset] of records) reached = offset + 1;
      writer.complete(open, "ok", { mops: [["poll", { [key.name]: records }]], iso: "read_uncommitted" });
      at += Math.max(BATCH_HEADER_BYTES, batchSizeOf(bytes, at));
    }
  }
  writer.line({
    type: "final",
    t: nowNs(),
    p: writer.process,
    k: key.name,
    start: 0,
    end,
    since,
    reached: Math.max(reached, end),
  });
}

/** Those of a damaged batch are left out: this replica then differs from the others, which its digest tells. */
function recordsOf(bytes: Buffer, at: number, key: Key): ReadRecord[] {
  try {
    return decodedRecords(bytes, at, key);
  } catch {
    // Not to be read: neither its header nor its records can be believed.
    return [];
  }
}

/** Records whose body is damaged are left out: the clients' passes have told of them. */
function decodedRecords(bytes: Buffer, at: number, key: Key): ReadRecord[] {
  if (isControlBatch(bytes, at)) return [];
  const leaderEpoch = leaderEpochOf(bytes, at);
  const producerId = producerIdOf(bytes, at);
  const producerEpoch = producerEpochOf(bytes, at);
  const baseOffset = baseOffsetOf(bytes, at);
  const baseSequence = baseSequenceOf(bytes, at);
  const records: ReadRecord[] = [];
  const reader = new RecordReader(bytes, at, { maxInflatedBytes: MAX_INFLATED_BYTES });
  for (let record = reader.next(); record !== undefined; record = reader.next()) {
    const decoded = decodeBody(record.value);
    if (!decoded.ok || decoded.body.key !== key.name) continue;
    const { offset } = record;
    const sequence = baseSequence < 0 ? -1 : baseSequence + (offset - baseOffset);
    records.push([offset, decoded.body.value, leaderEpoch, producerId, producerEpoch, sequence]);
  }
  return records;
}
