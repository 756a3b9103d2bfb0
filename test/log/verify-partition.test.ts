import { describe, expect, test } from "vitest";

import { verifyPartition } from "../../src/log/verify-partition.ts";
import type { VerificationReport } from "../../src/log/verify-partition.ts";
import { batch, marker, reseal } from "./batches.ts";
import { corpusPartitions } from "./corpus.ts";
import { corpusDirectory, DIRECTORY, diskWith } from "./partition-directory.ts";

const NAME = "00000000000000000000";
const LOG = `${NAME}.log`;

function file(files: Map<string, Buffer>, name: string): Buffer {
  const content = files.get(name);
  if (content === undefined) throw new Error(`no ${name}`);
  return content;
}

/** The report on a copy of one of Kafka's partitions with a change. */
async function verifyChanged(
  partition: string,
  change: (files: Map<string, Buffer>) => void,
): Promise<VerificationReport> {
  const files = corpusDirectory(partition);
  change(files);
  return verifyPartition(await diskWith(files), DIRECTORY);
}

/** "severity file: problem" of each finding. */
function told(report: VerificationReport): string[] {
  return report.findings.map((finding) => `${finding.severity} ${finding.file}: ${finding.problem}`);
}

describe("verifyPartition", () => {
  test("finds nothing wrong with Kafka's own directories", async () => {
    for (const partition of corpusPartitions) {
      const report = await verifyChanged(partition, () => undefined);
      expect(told(report), partition).toEqual([]);
      expect(report.errorCount + report.warningCount).toBe(0);
    }
    const report = await verifyChanged("txn-0", () => undefined);
    expect(report).toMatchObject({
      segmentCount: 1,
      batchCount: 10,
      recordCount: 69,
      logBytes: 3870,
      endOffset: 69,
      gapCount: 0,
    });
  });

  test("a flipped byte in a batch is an error, in the very last batch a warning", async () => {
    const middle = await verifyChanged("indexed-0", (files) => file(files, LOG).fill(0, 400, 401));
    expect(told(middle)).toEqual([`error ${LOG}: the batch at offset 9 does not match its checksum`]);
    expect(middle.findings[0]).toMatchObject({ position: 366, offset: 9 });
    const last = await verifyChanged("indexed-0", (files) => file(files, LOG).fill(0xff, 25_790));
    expect(told(last)).toEqual([expect.stringMatching(/^warning .*does not match its checksum/)]);
  });

  test("a torn end is a warning, a hole with batches behind it an error (H46)", async () => {
    const torn = await verifyChanged("txn-0", (files) => files.set(LOG, file(files, LOG).subarray(0, 3800)));
    expect(torn.findings[0]).toMatchObject({ severity: "warning", position: 3792, file: LOG });
    const hole = await verifyChanged("indexed-0", (files) => file(files, LOG).fill(0, 288, 400));
    const [first] = told(hole);
    expect(first).toMatch(/^error .*\(length\); 177 bytes to the next batch at position 465 hold no batch/);
    expect(hole.gapCount).toBe(1);
    expect(told(hole)).toContain(
      `warning ${NAME}.index: entry 0 points to position 288, where no batch begins`,
    );
  });

  test("garbage at the end is told with its size", async () => {
    const report = await verifyChanged("txn-0", (files) =>
      files.set(LOG, Buffer.concat([file(files, LOG), Buffer.alloc(1000, 0x2e)])),
    );
    expect(told(report)).toEqual([expect.stringMatching(/1000 bytes to the end hold no batch/)]);
  });

  test("wrong index entries are told one by one (H48)", async () => {
    const offsets = await verifyChanged("indexed-0", (files) => {
      const index = file(files, `${NAME}.index`);
      index.writeInt32BE(289, 4);
      index.writeInt32BE(13, 8);
    });
    expect(told(offsets)).toEqual([
      `warning ${NAME}.index: entry 0 points to position 289, where no batch begins`,
      `warning ${NAME}.index: entry 1 names offset 13 where a batch ends at offset 14`,
    ]);
    const times = await verifyChanged("indexed-0", (files) => {
      const index = file(files, `${NAME}.timeindex`);
      index.writeUInt32BE(index.readUInt32BE(4) + 1, 4);
    });
    expect(told(times)).toEqual([
      expect.stringMatching(/timeindex: entry 0 says 1795228771424 for offset 8; the greatest/),
    ]);
    const beyond = await verifyChanged("indexed-0", (files) => {
      const index = file(files, `${NAME}.timeindex`);
      index.writeInt32BE(500, index.length - 4);
    });
    expect(told(beyond)).toEqual([expect.stringMatching(/entry 74 names offset 500, which no batch holds/)]);
  });

  test("damaged, missing and stray files are told", async () => {
    const report = await verifyChanged("txn-0", (files) => {
      files.set(`${NAME}.index`, Buffer.alloc(16));
      files.delete(`${NAME}.timeindex`);
      files.set("00000000000000000099.index", Buffer.alloc(0));
      file(files, "00000000000000000069.snapshot")[20] = 9;
      files.set("leader-epoch-checkpoint", Buffer.from("0\n1\n"));
      files.set("partition.metadata", Buffer.from("version: 0\n"));
      files.set("unknown", Buffer.from("?"));
    });
    expect(told(report).map((line) => line.slice(0, 70))).toEqual([
      "error partition.metadata: damaged: the topic id cannot be read",
      "warning leader-epoch-checkpoint: damaged: cut, or epochs that do not g",
      `warning ${NAME}.index: damaged: entries are cut, do not g`,
      `warning ${NAME}.timeindex: the file is missing`,
      "warning 00000000000000000069.snapshot: damaged: its size or checksum i",
      "warning 00000000000000000099.index: belongs to no segment",
    ]);
    const empty = await verifyPartition(await diskWith(new Map()), DIRECTORY);
    expect(empty).toMatchObject({ errorCount: 1, warningCount: 2, segmentCount: 0, endOffset: undefined });
  });

  test("aborted transactions without entry, and entries without abort, are errors (H67)", async () => {
    const lacking = await verifyChanged("txn-0", (files) => files.delete(`${NAME}.txnindex`));
    expect(told(lacking)).toEqual([
      `error ${NAME}.txnindex: lacks the abort marker at offset 51`,
      `error ${NAME}.txnindex: lacks the abort marker at offset 68`,
    ]);
    const wrong = await verifyChanged("txn-0", (files) => {
      const index = file(files, `${NAME}.txnindex`);
      index.writeInt32BE(32, 14);
      index.writeInt32BE(67, 34 + 22);
      index.writeInt32BE(68, 34 + 30);
    });
    expect(told(wrong)).toEqual([
      expect.stringMatching(/says producer 2 from offset 32 where producer 2 from offset 31 ended/),
      `error ${NAME}.txnindex: has an entry without an abort marker at offset 67`,
      `error ${NAME}.txnindex: lacks the abort marker at offset 68`,
    ]);
  });

  test("offsets and epochs that go back are errors, epochs that differ from the cache a warning (H40)", async () => {
    const content = [
      batch({ baseOffset: 0, leaderEpoch: 1 }),
      batch({ baseOffset: 1, leaderEpoch: 3, count: 2 }),
      batch({ baseOffset: 2, leaderEpoch: 2 }),
      batch({ baseOffset: 9, leaderEpoch: 3 }),
    ];
    const files = new Map([
      [LOG, Buffer.concat(content)],
      [`${NAME}.index`, Buffer.alloc(0)],
      [`${NAME}.timeindex`, Buffer.alloc(0)],
      ["leader-epoch-checkpoint", Buffer.from("0\n3\n1 0\n3 2\n4 50\n")],
      ["partition.metadata", Buffer.from("version: 0\ntopic_id: AAAAAAAAAAAAAAAAAAAAAQ")],
    ]);
    const report = await verifyPartition(await diskWith(files), DIRECTORY);
    expect(told(report)).toEqual([
      "warning leader-epoch-checkpoint: offset 1 belongs to leader epoch 3, not 1",
      `error ${LOG}: base offset 2 goes back; 3 or more is expected`,
      `error ${LOG}: leader epoch 2 follows 3`,
      "warning leader-epoch-checkpoint: offset 2 belongs to leader epoch 2, not 3",
      "warning leader-epoch-checkpoint: leader epoch 4 begins at offset 50, behind the log's end 10",
    ]);
    expect(report.gapCount).toBe(1);
  });

  test("segments are read in order, each against its own files and the end of the one before", async () => {
    const second = "00000000000000000003";
    const files = new Map([
      [LOG, Buffer.concat([batch({ baseOffset: 0, count: 3 }), Buffer.alloc(3)])],
      [`${second}.log`, Buffer.concat([batch({ baseOffset: 2 }), batch({ baseOffset: 3 })])],
      ["leader-epoch-checkpoint", Buffer.from("0\n1\n0 0\n")],
      ["partition.metadata", Buffer.from("version: 0\ntopic_id: AAAAAAAAAAAAAAAAAAAAAQ")],
    ]);
    for (const base of [NAME, second])
      for (const kind of ["index", "timeindex"]) files.set(`${base}.${kind}`, Buffer.alloc(0));
    const report = await verifyPartition(await diskWith(files), DIRECTORY);
    expect(told(report)).toEqual([
      expect.stringMatching(/^error 0{20}\.log: 3 bytes are left/),
      `error ${second}.log: base offset 2 goes back; 3 or more is expected`,
    ]);
    expect(report).toMatchObject({ segmentCount: 2, endOffset: 4, batchCount: 3 });
  });

  test("a control batch without a control record is told, and does not stop it", async () => {
    const control = marker({ baseOffset: 0, producerId: 4, outcome: "abort" });
    control.writeInt8(2, 61 + 4);
    const report = await verifyChanged("txn-0", (files) =>
      files.set(LOG, Buffer.concat([reseal(control), batch({ baseOffset: 1 })])),
    );
    expect(told(report)).toContain(`error ${LOG}: a control batch without a control record`);
    expect(report.batchCount).toBe(2);
  });

  test("keeps no more findings than asked, and counts all", async () => {
    const files = corpusDirectory("indexed-0");
    file(files, `${NAME}.index`).fill(0xff, 4, 8);
    for (let at = 4; at < 592; at += 8) file(files, `${NAME}.index`).writeInt32BE(100_000 + at, at);
    const report = await verifyPartition(await diskWith(files), DIRECTORY, { maxFindings: 3 });
    expect(report.findings.length).toBe(3);
    expect(report.warningCount).toBe(74);
  });
});
