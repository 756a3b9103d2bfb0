import { describe, expect, test } from "vitest";
import { RateLimit } from "../../src/replication/rate-limit.ts";
import { recordBytes, Stream } from "./sender-stream.ts";

const MIB = 1024 * 1024;

/** A stream whose first partition is copied at `rate` and has more than is sent in a test. */
async function paced(
  rate: number,
  replicas = 2,
): Promise<{ readonly stream: Stream; readonly pace: RateLimit }> {
  const stream = new Stream(replicas);
  const pace = new RateLimit(rate, stream.clock.monotonicMs());
  stream.replica(0).pace = pace;
  await stream.begin();
  stream.take();
  return { stream, pace };
}

/** Bytes per second of the partition with this id in so many seconds. */
async function rateOf(stream: Stream, id: number, seconds: number): Promise<number> {
  stream.take();
  await stream.scheduler.advance(seconds * 1000);
  return recordBytes(stream.take(), id) / seconds;
}

describe("a partition with a pace", () => {
  test.each([
    ["in memory", false, 1000],
    ["in memory, in batches larger than the bucket", false, 700_000],
    ["on the disk", true, 1000],
  ])("gets its rate, within a tenth, %s", async (_where, isCold, batchBytes) => {
    const { stream } = await paced(MIB);
    const replica = stream.replica(0);
    replica.isCold = isCold;
    replica.batchBytes = batchBytes;
    replica.grow(Math.ceil((30 * MIB) / batchBytes));
    let bytes = 0;
    for (let ms = 0; ms < 10_000; ms += 5) {
      await stream.scheduler.advance(5);
      replica.land();
      bytes += recordBytes(stream.take(), 1);
    }
    expect(bytes / 10).toBeGreaterThan(0.9 * MIB);
    expect(bytes / 10).toBeLessThan(1.1 * MIB);
  });

  test("shares its rate with the others of its topic", async () => {
    const { stream, pace } = await paced(MIB, 3);
    for (const replica of stream.replicas) {
      replica.pace = pace;
      replica.grow(30_000);
    }
    await stream.scheduler.advance(1000);
    stream.take();
    await stream.scheduler.advance(6000);
    const parts = stream.take();
    const shares = [1, 2, 3].map((id) => recordBytes(parts, id) / 6);
    const sum = shares.reduce((total, share) => total + share, 0);
    expect(sum).toBeGreaterThan(0.9 * MIB);
    expect(sum).toBeLessThan(1.1 * MIB);
    for (const share of shares) expect(share).toBeGreaterThan(MIB / 4);
  });

  test("keeps nobody else of the stream waiting, and holds none of its credit", async () => {
    const { stream } = await paced(10_000);
    stream.replica(0).grow(100_000);
    await stream.scheduler.advance(1000);
    stream.take();
    const startMs = stream.clock.monotonicMs();
    stream.replica(1).grow(5000);
    while (recordBytes(stream.frames.flat(), 2) < 5_000_000) await stream.scheduler.advance(1);
    expect(stream.clock.monotonicMs() - startMs).toBeLessThanOrEqual(2);
    expect(recordBytes(stream.frames.flat(), 1)).toBeLessThan(3000);
  });

  test("takes another rate while it runs, up and down", async () => {
    const { stream, pace } = await paced(MIB);
    stream.replica(0).grow(100_000);
    await stream.scheduler.advance(1000);
    for (const rate of [10_000, 5 * MIB, MIB / 2]) {
      pace.change(rate, stream.clock.monotonicMs());
      stream.replica(0).notify();
      await stream.scheduler.advance(1000);
      const measured = await rateOf(stream, 1, 4);
      expect(measured / rate, `${rate} bytes per second`).toBeGreaterThan(0.9);
      expect(measured / rate, `${rate} bytes per second`).toBeLessThan(1.1);
    }
  });

  test("goes on at once, and all at once, when its pace ends", async () => {
    const { stream } = await paced(1);
    const replica = stream.replica(0);
    replica.grow(5000);
    await stream.scheduler.advance(10_000);
    expect(recordBytes(stream.take(), 1)).toBeLessThanOrEqual(1000);
    replica.pace = undefined;
    replica.notify();
    await stream.scheduler.advance(2);
    expect(recordBytes(stream.take(), 1)).toBeGreaterThanOrEqual(4_999_000);
  });

  test("falls behind further while more is written than its rate", async () => {
    const { stream } = await paced(10_000);
    const replica = stream.replica(0);
    let sent = 0;
    const lags: number[] = [];
    for (let second = 0; second < 5; second++) {
      for (let n = 0; n < 20; n++) {
        replica.grow(1);
        await stream.scheduler.advance(50);
      }
      sent += recordBytes(stream.take(), 1);
      lags.push(replica.logEndOffset * replica.batchBytes - sent);
    }
    expect(lags).toEqual(lags.toSorted((a, b) => a - b));
    expect(sent / 5).toBeLessThan(11_000);
  });

  test("leaves no timer behind when the stream or its id ends, and has none when nothing is to be sent", async () => {
    const { stream } = await paced(1000);
    await stream.idle();
    expect(stream.scheduler.pendingCount).toBe(0);
    stream.replica(0).grow(100);
    await stream.scheduler.advance(100);
    expect(stream.scheduler.pendingCount).toBe(1);
    stream.sender.close();
    expect(stream.scheduler.pendingCount).toBe(0);
  });
});
