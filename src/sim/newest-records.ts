import { BatchIterator } from "../model/batch-iterator.ts";
import { DEFAULT_MAX_INFLATED_BYTES, RecordReader } from "../model/record-reader.ts";

/**
 * What a compacted log says of each key: offset and value of its newest record, by the key in hex. Keys whose newest record
 * takes them away are left out, as compaction may have taken that record too. `batches` are whole batches, in order.
 */
export function newestRecords(batches: Buffer): ReadonlyMap<string, string> {
  const newest = new Map<string, string>();
  const walk = new BatchIterator(batches, { maxBatchBytes: batches.length, verifyCrc: true });
  while (walk.next()) {
    const records = new RecordReader(batches, walk.at, { maxInflatedBytes: DEFAULT_MAX_INFLATED_BYTES });
    if (records.isControl) continue;
    for (let record = records.next(); record !== undefined; record = records.next()) {
      const { key, value, offset } = record;
      if (key === null) continue;
      if (value === null) newest.delete(key.toString("hex"));
      else newest.set(key.toString("hex"), `${offset} ${value.toString("hex")}`);
    }
  }
  return newest;
}
