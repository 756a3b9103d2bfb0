import { describe, expect, test } from "vitest";

import {
  dumpBatches,
  dumpOffsetIndex,
  dumpProducerSnapshot,
  dumpTimeIndex,
  dumpTransactionIndex,
  formatDumpedBatch,
} from "../../src/log/dump.ts";
import type { ScanVerdict } from "../../src/log/record-scan.ts";
import { batch } from "./batches.ts";
import { corpusDump, corpusPartitions } from "./corpus.ts";
import { corpusDirectory, DIRECTORY, diskWith } from "./partition-directory.ts";

const NAME = "00000000000000000000";

async function collect<T>(items: AsyncIterable<T>): Promise<T[]> {
  const all: T[] = [];
  for await (const item of items) all.push(item);
  return all;
}

describe("dumpBatches", () => {
  test("prints every batch of Kafka's segments as Kafka's own dump does", async () => {
    for (const partition of corpusPartitions) {
      const disk = await diskWith(corpusDirectory(partition));
      const batches = await collect(dumpBatches(disk, `${DIRECTORY}/${NAME}.log`));
      expect(batches.map(formatDumpedBatch), partition).toEqual(corpusDump("batches.txt").get(partition));
    }
  });

  test("shows a batch with a wrong checksum, goes on behind it, and returns how it ended", async () => {
    const bytes = Buffer.concat([
      batch(),
      batch({ baseOffset: 1 }),
      batch({ baseOffset: 2, attributes: 0x40 }),
      Buffer.alloc(5),
    ]);
    bytes[70] = 0;
    const disk = await diskWith(new Map([[`${NAME}.log`, bytes]]));
    const dump = dumpBatches(disk, `${DIRECTORY}/${NAME}.log`, { fromPosition: 0 });
    const lines: string[] = [];
    let verdict: ScanVerdict | undefined;
    while (verdict === undefined) {
      const step = await dump.next();
      if (step.done === true) verdict = step.value;
      else lines.push(formatDumpedBatch(step.value));
    }
    expect(lines.map((line) => /isvalid: (\w+)/.exec(line)?.[1])).toEqual(["false", "true", "true"]);
    expect(lines[2]).toContain("deleteHorizonMs: OptionalLong[1700000000000]");
    expect(verdict).toMatchObject({ validEnd: bytes.length - 5, problem: { reason: "torn" } });
  });

  test("begins at the position it is given", async () => {
    const disk = await diskWith(corpusDirectory("txn-0"));
    const batches = await collect(dumpBatches(disk, `${DIRECTORY}/${NAME}.log`, { fromPosition: 3431 }));
    expect(batches.map((each) => each.baseOffset)).toEqual([63, 68]);
  });
});

describe("dumps of the other files", () => {
  test("show the entries that Kafka's dump shows", async () => {
    const indexed = await diskWith(corpusDirectory("indexed-0"));
    const positions = await collect(dumpOffsetIndex(indexed, `${DIRECTORY}/${NAME}.index`));
    expect(positions.map((entry) => `offset: ${entry.offset} position: ${entry.position}`)).toEqual(
      corpusDump("indexes.txt").get(`indexed-0/${NAME}.index`),
    );
    const times = await collect(dumpTimeIndex(indexed, `${DIRECTORY}/${NAME}.timeindex`));
    expect(times.map((entry) => `timestamp: ${entry.timestamp} offset: ${entry.offset}`)).toEqual(
      corpusDump("indexes.txt").get(`indexed-0/${NAME}.timeindex`),
    );
    const transactional = await diskWith(corpusDirectory("txn-0"));
    const aborted = await collect(dumpTransactionIndex(transactional, `${DIRECTORY}/${NAME}.txnindex`));
    expect(aborted.map((each) => [each.firstOffset, each.lastOffset])).toEqual([
      [31, 51],
      [63, 68],
    ]);
    const producers = await dumpProducerSnapshot(transactional, `${DIRECTORY}/00000000000000000069.snapshot`);
    expect(producers).toMatchObject([{ producerId: 2, lastSequence: 64, lastOffset: 67 }]);
  });

  test("show what stands in a damaged index, and leave half an entry out", async () => {
    const files = new Map([[`${NAME}.index`, Buffer.alloc(20)]]);
    const entries = await collect(dumpOffsetIndex(await diskWith(files), `${DIRECTORY}/${NAME}.index`));
    expect(entries).toEqual([
      { offset: 0, position: 0 },
      { offset: 0, position: 0 },
    ]);
  });

  test("say when a file is damaged, missing, or of another kind", async () => {
    const disk = await diskWith(new Map([[`${NAME}.snapshot`, Buffer.alloc(30)]]));
    await expect(dumpProducerSnapshot(disk, `${DIRECTORY}/${NAME}.snapshot`)).rejects.toMatchObject({
      code: "LOG_CORRUPT",
    });
    await expect(collect(dumpTimeIndex(disk, `${DIRECTORY}/${NAME}.timeindex`))).rejects.toMatchObject({
      code: "DISK_READ_FAILED",
    });
    await expect(collect(dumpTimeIndex(disk, `${DIRECTORY}/${NAME}.snapshot`))).rejects.toMatchObject({
      code: "INVALID_ARGUMENT",
    });
  });
});
