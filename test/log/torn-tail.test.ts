import { describe, expect, test } from "vitest";
import { judgeTail } from "../../src/log/torn-tail.ts";
import type { TailVerdict } from "../../src/log/torn-tail.ts";

import { at, SimMachine } from "./engine.ts";
import { batch } from "./batches.ts";

const SECTOR = 512;

/** Three batches of which the second ends `beyond` bytes behind a boundary between sectors, and where each ends. */
function threeBatches(beyond: number): { readonly bytes: Buffer; readonly ends: readonly number[] } {
  const first = batch({ count: 6, valueBytes: 40 });
  const second = batchThatEnds(beyond, first.length);
  const next = 6 + second.readInt32BE(57);
  const third = batch({ baseOffset: next, count: 30, valueBytes: 40 });
  const fourth = batch({ baseOffset: next + 30, count: 6, valueBytes: 40 });
  const ends = [first, second, third, fourth].map(
    (_, index, all) => Buffer.concat(all.slice(0, index + 1)).length,
  );
  return { bytes: Buffer.concat([first, second, third, fourth]), ends };
}

/** A batch at offset 6 and that position which ends so many bytes behind a boundary, and is longer than a sector. */
function batchThatEnds(beyond: number, position: number): Buffer {
  for (let valueBytes = 20; valueBytes < 50; valueBytes++) {
    for (let count = 20; count < 200; count++) {
      const bytes = batch({ baseOffset: 6, count, valueBytes });
      if ((position + bytes.length) % SECTOR === beyond) return bytes;
    }
  }
  throw new Error(`no batch ends ${beyond} bytes behind a boundary`);
}

async function judged(bytes: Buffer, position: number, offset: number): Promise<TailVerdict> {
  const m = new SimMachine();
  await m.prepare();
  const file = await m.run(m.disk.open("/f.log", "create"));
  await m.run(file.write([bytes], 0));
  const verdict = await m.run(
    judgeTail(file, {
      problem: { position, reason: "crc", message: "another checksum" },
      offset: at(offset),
      sizeBytes: bytes.length,
      recoveryPoint: at(0),
      hasNewerSegment: false,
    }),
  );
  await m.run(file.close());
  return verdict;
}

describe("a bad batch with whole ones behind it", () => {
  test.each([1, 3, 4, 16, 100])(
    "was torn when a sector was lost that begins %i bytes before its end and goes on in the next",
    async (beyond) => {
      const { bytes, ends } = threeBatches(beyond);
      const [first = 0, second = 0, third = 0] = ends;
      // As a disk leaves it that wrote what is before and behind.
      bytes.fill(0, second - beyond, Math.min(second - beyond + SECTOR, third));
      expect(await judged(bytes, first, 6)).toEqual({ kind: "cut", hasLaterBatches: true });
    },
  );

  test("is damaged when a few zeros end it and the next one is whole: that is how records and offsets look", async () => {
    const { bytes, ends } = threeBatches(3);
    const [first = 0, second = 0] = ends;
    bytes.fill(0, second - 3, second);
    bytes[first + 70]! ^= 1;
    expect(await judged(bytes, first, 6)).toMatchObject({ kind: "damage" });
  });

  test("is damaged when a sector was misdirected to it that has the zeros of an offset and an id in it", async () => {
    const { bytes, ends } = threeBatches(8);
    const [first = 0, second = 0] = ends;
    const boundary = second - 8;
    bytes.fill(0, boundary, second);
    bytes[first + 70]! ^= 1;
    expect(await judged(bytes, first, 6)).toMatchObject({ kind: "damage" });
  });

  test("is damaged when a bit has flipped", async () => {
    const { bytes, ends } = threeBatches(3);
    bytes[ends[0]! + 70]! ^= 1;
    expect(await judged(bytes, ends[0]!, 6)).toEqual({
      kind: "damage",
      reason: `whole batches follow at byte ${ends[1]}`,
    });
  });
});
