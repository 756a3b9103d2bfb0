import * as fc from "fast-check";
import { describe, expect, test } from "vitest";

import type { Offset } from "../../src/model/offsets.ts";
import { scanBatches } from "../../src/log/record-scan.ts";
import type { ScanOptions, ScanVerdict } from "../../src/log/record-scan.ts";
import { findValidBatch } from "../../src/log/record-resync.ts";
import { batch } from "./batches.ts";
import { corpusDump, corpusFile, corpusPartitions } from "./corpus.ts";
import { memoryFile } from "./memory-file.ts";

interface Scanned {
  readonly verdict: ScanVerdict;
  readonly positions: readonly number[];
  readonly copies: readonly Buffer[];
}

async function scan(
  content: Buffer,
  options: ScanOptions = {},
  from = 0,
  maxReadBytes?: number,
): Promise<Scanned> {
  const positions: number[] = [];
  const copies: Buffer[] = [];
  const file = memoryFile(content, maxReadBytes);
  const verdict = await scanBatches(file, from, content.length, options, ({ position, buffer, at, size }) => {
    positions.push(position);
    copies.push(Buffer.from(buffer.subarray(at, at + size)));
    return true;
  });
  return { verdict, positions, copies };
}

/** Three batches of offsets 0-1, 2, 3-5. */
function threeBatches(): readonly Buffer[] {
  return [
    batch({ baseOffset: 0, count: 2 }),
    batch({ baseOffset: 2, valueBytes: 40 }),
    batch({ baseOffset: 3, count: 3 }),
  ];
}

describe("scanBatches", () => {
  test("walks Kafka's segments to the positions in Kafka's dump", async () => {
    for (const partition of corpusPartitions) {
      const log = corpusFile(`${partition}/00000000000000000000.log`);
      const { verdict, positions, copies } = await scan(log, { minBaseOffset: 0 as Offset });
      const lines = corpusDump("batches.txt").get(partition) ?? [];
      expect(positions.map(String), partition).toEqual(
        lines.map((line) => /position: (\d+)/.exec(line)?.[1]),
      );
      expect(Buffer.concat(copies), partition).toEqual(log);
      expect(verdict.problem, partition).toBeUndefined();
      expect(verdict.validEnd, partition).toBe(log.length);
    }
  });

  test("gives the same batches whatever the size of buffer and reads", async () => {
    const log = corpusFile("indexed-0/00000000000000000000.log");
    const whole = await scan(log);
    for (const [bufferBytes, maxReadBytes] of [
      [61, 7],
      [100, 1000],
      [257, 64],
      [4096, 4096],
    ] as const) {
      const pieces = await scan(log, { bufferBytes }, 0, maxReadBytes);
      expect(pieces).toEqual(whole);
    }
  });

  test("begins and ends where it is told", async () => {
    const parts = threeBatches();
    const content = Buffer.concat(parts);
    const from = parts[0]?.length ?? 0;
    expect((await scan(content, {}, from)).positions).toEqual([from, from + (parts[1]?.length ?? 0)]);
    const { verdict } = await scan(content.subarray(0, from));
    expect(verdict).toEqual({ validEnd: from, batchCount: 1, nextOffset: 2, problem: undefined });
  });

  test("an empty range has no batch and no problem", async () => {
    const { verdict } = await scan(Buffer.alloc(0));
    expect(verdict).toEqual({ validEnd: 0, batchCount: 0, nextOffset: undefined, problem: undefined });
  });

  test("a visit that answers false ends the scan behind that batch", async () => {
    const content = Buffer.concat(threeBatches());
    const verdict = await scanBatches(memoryFile(content), 0, content.length, {}, () => false);
    expect(verdict.batchCount).toBe(1);
    expect(verdict.validEnd).toBe(threeBatches()[0]?.length);
  });

  test("every cut inside the last batch is torn, with the end of the one before it", async () => {
    const content = Buffer.concat(threeBatches());
    const last = threeBatches()[2]?.length ?? 0;
    for (let cut = 1; cut < last; cut++) {
      const { verdict } = await scan(content.subarray(0, content.length - cut));
      expect(verdict.problem?.reason, `cut ${cut}`).toBe("torn");
      expect(verdict.validEnd).toBe(content.length - last);
      expect(verdict.nextOffset).toBe(3);
    }
  });

  test("a file shorter than its range is torn at its end", async () => {
    const content = Buffer.concat(threeBatches());
    const file = memoryFile(content.subarray(0, content.length - 5));
    const verdict = await scanBatches(file, 0, content.length, {}, () => true);
    expect(verdict.problem?.reason).toBe("torn");
    expect(verdict.batchCount).toBe(2);
  });

  test("names what is wrong: zeros, length, magic, header, offset, CRC", async () => {
    const [first = Buffer.alloc(0), second = Buffer.alloc(0)] = threeBatches();
    const reasonOf = async (
      change: (bytes: Buffer) => void,
      options: ScanOptions = {},
    ): Promise<string | undefined> => {
      const damaged = Buffer.from(second);
      change(damaged);
      const { verdict } = await scan(Buffer.concat([first, damaged, first]), options);
      expect(verdict.validEnd).toBe(first.length);
      expect(verdict.problem?.position).toBe(first.length);
      return verdict.problem?.reason;
    };
    expect(await reasonOf((bytes) => bytes.fill(0))).toBe("length");
    expect(await reasonOf((bytes) => bytes.writeInt32BE(-1, 8))).toBe("length");
    expect(await reasonOf((bytes) => bytes.writeInt32BE(0x7fffffff, 8))).toBe("length");
    expect(await reasonOf(() => undefined, { maxBatchBytes: second.length - 1 })).toBe("length");
    expect(await reasonOf((bytes) => bytes.writeInt8(1, 16))).toBe("magic");
    expect(await reasonOf((bytes) => bytes.writeInt32BE(-5, 23))).toBe("header");
    expect(await reasonOf((bytes) => bytes.writeInt32BE(-5, 57))).toBe("header");
    expect(await reasonOf((bytes) => bytes.writeInt32BE(0x7fffffff, 0))).toBe("header");
    expect(await reasonOf((bytes) => bytes.fill(0x62, 70, 71))).toBe("crc");
    const offsets = { minBaseOffset: 0 as Offset };
    expect(await reasonOf((bytes) => bytes.writeInt32BE(1, 4), offsets)).toBe("offset");
  });

  test("without verifyCrc a wrong checksum passes", async () => {
    const content = Buffer.concat(threeBatches());
    content[content.length - 1] = 9;
    expect((await scan(content, { verifyCrc: false })).verdict.problem).toBeUndefined();
    expect((await scan(content)).verdict.problem?.reason).toBe("crc");
  });

  test("a huge length field allocates no more than the range it scans (H47)", async () => {
    const content = Buffer.concat(threeBatches());
    content.writeInt32BE(0x7ffffff0, 8);
    const reader = await scan(content, { bufferBytes: 61 });
    expect(reader.verdict.problem?.reason).toBe("torn");
  });

  test("an aborted signal ends it", async () => {
    const reason = new Error("stop");
    const content = Buffer.concat(threeBatches());
    const options = { signal: AbortSignal.abort(reason) };
    await expect(scanBatches(memoryFile(content), 0, content.length, options, () => true)).rejects.toBe(
      reason,
    );
  });

  test("flipped bytes never make it throw, and never pass a batch that was not written", async () => {
    const parts = threeBatches();
    const content = Buffer.concat(parts);
    const flip = fc.record({ at: fc.nat(content.length - 1), mask: fc.integer({ min: 1, max: 255 }) });
    await fc.assert(
      fc.asyncProperty(
        fc.array(flip, { minLength: 1, maxLength: 3 }),
        fc.integer({ min: 61, max: 200 }),
        async (flips, bufferBytes) => {
          const damaged = Buffer.from(content);
          for (const { at, mask } of flips) damaged[at] = (damaged[at] ?? 0) ^ mask;
          const { copies, verdict } = await scan(damaged, { bufferBytes });
          expect(verdict.validEnd).toBe(Buffer.concat(copies).length);
          // Base offset, length and leader epoch lie outside the CRC; the rest of a batch that passes is as written.
          copies.forEach((copy, i) => expect(copy.subarray(16)).toEqual(parts[i]?.subarray(16)));
        },
      ),
      { numRuns: 200 },
    );
  });
});

describe("findValidBatch", () => {
  const options = { maxBatchBytes: 1000 };

  test("finds the batch behind damage, and nothing behind a torn end (H46)", async () => {
    const [first = Buffer.alloc(0), second = Buffer.alloc(0), third = Buffer.alloc(0)] = threeBatches();
    const damaged = Buffer.from(second);
    damaged.fill(0, 0, 40);
    const content = Buffer.concat([first, damaged, third]);
    const behind = first.length + second.length;
    expect(await findValidBatch(memoryFile(content), first.length, content.length, options)).toBe(behind);
    const torn = content.subarray(0, content.length - 1);
    expect(await findValidBatch(memoryFile(torn), first.length, torn.length, options)).toBeUndefined();
    expect(
      await findValidBatch(memoryFile(content), content.length, content.length, options),
    ).toBeUndefined();
  });

  test("passes over batches below the wanted offset and above the wanted size", async () => {
    const content = Buffer.concat([Buffer.alloc(3, 2), ...threeBatches()]);
    const file = memoryFile(content);
    const third = content.length - (threeBatches()[2]?.length ?? 0);
    const found = await findValidBatch(file, 0, content.length, { ...options, minBaseOffset: 3 as Offset });
    expect(found).toBe(third);
    expect(await findValidBatch(file, 0, content.length, { maxBatchBytes: 61 })).toBeUndefined();
  });

  test("finds batches that lie across its read windows", async () => {
    for (const lead of [1024 * 1024 - 70, 1024 * 1024 - 30, 1024 * 1024, 3 * 1024 * 1024 + 5]) {
      const content = Buffer.concat([Buffer.alloc(lead, 2), batch({ baseOffset: 9 })]);
      expect(await findValidBatch(memoryFile(content), 0, content.length, options), String(lead)).toBe(lead);
    }
  });
});
