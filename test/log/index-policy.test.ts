import { describe, expect, test } from "vitest";

import type { Offset, Timestamp } from "../../src/model/offsets.ts";
import { batchSizeOf, lastOffsetOf, maxTimestampOf } from "../../src/model/record-batch.ts";
import { IndexBuilder } from "../../src/log/index-policy.ts";
import { OffsetIndex } from "../../src/log/offset-index.ts";
import { TimeIndex } from "../../src/log/time-index.ts";
import { corpusFile, corpusPartitions } from "./corpus.ts";

const BASE = 0 as Offset;
const NAME = "00000000000000000000";

function rebuild(
  log: Buffer,
  intervalBytes: number,
  maxBytes?: number,
): { offsetIndex: OffsetIndex; timeIndex: TimeIndex; builder: IndexBuilder } {
  const offsetIndex = new OffsetIndex(BASE, maxBytes);
  const timeIndex = new TimeIndex(BASE, maxBytes);
  const builder = new IndexBuilder(intervalBytes, { offsetIndex, timeIndex });
  for (let at = 0; at < log.length; at += batchSizeOf(log, at)) {
    builder.onBatch(lastOffsetOf(log, at), maxTimestampOf(log, at), at, batchSizeOf(log, at));
  }
  builder.finish();
  return { offsetIndex, timeIndex, builder };
}

describe("IndexBuilder", () => {
  test("makes the very index files that Kafka made, at index.interval.bytes 256 and 4096", () => {
    for (const partition of corpusPartitions) {
      const intervalBytes = partition === "indexed-0" ? 256 : 4096;
      const made = rebuild(corpusFile(`${partition}/${NAME}.log`), intervalBytes);
      expect(made.offsetIndex.bytes(), partition).toEqual(corpusFile(`${partition}/${NAME}.index`));
      expect(made.timeIndex.bytes(), partition).toEqual(corpusFile(`${partition}/${NAME}.timeindex`));
    }
  });

  test("goes on from the state of a segment as if it had seen all of it", () => {
    const indexes = { offsetIndex: new OffsetIndex(BASE), timeIndex: new TimeIndex(BASE) };
    const maxTimestamp = { timestamp: 9000 as Timestamp, offset: 3 as Offset };
    const builder = new IndexBuilder(100, indexes, { bytesSinceEntry: 101, maxTimestamp });
    builder.onBatch(7 as Offset, 5000 as Timestamp, 400, 80);
    expect(indexes.offsetIndex.entry(0)).toEqual({ offset: 7, position: 400 });
    expect(indexes.timeIndex.entry(0)).toEqual(maxTimestamp);
    expect(builder.maxTimestamp).toEqual(maxTimestamp);
  });

  test("full indexes take no more entries, but the greatest timestamp at the end", () => {
    const log = corpusFile(`indexed-0/${NAME}.log`);
    const { offsetIndex, timeIndex, builder } = rebuild(log, 256, 96);
    expect(offsetIndex.entryCount).toBe(12);
    expect(timeIndex.entryCount).toBe(9);
    expect(timeIndex.lastEntry).toEqual(builder.maxTimestamp);
  });
});
