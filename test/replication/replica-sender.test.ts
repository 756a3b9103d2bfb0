import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { LograftError } from "../../src/base/errors.ts";
import { nodeId } from "../../src/model/ids.ts";
import type { LeaderEpoch, Offset } from "../../src/model/offsets.ts";
import { item, recordBytes, Stream } from "./sender-stream.ts";

describe("turns", () => {
  test("a busy partition does not keep others waiting", async () => {
    const stream = new Stream(3, { maxFrameBytes: 100_000 });
    await stream.begin(0);
    stream.replica(0).grow(10_000);
    await stream.idle();
    stream.take();
    stream.replica(1).grow(1);
    stream.replica(2).grow(1);
    stream.say({ type: "credit", bytes: 1_000_000 });
    await stream.idle();
    const order = stream.take().flatMap((part) => (part.type === "records" ? [part.id] : []));
    expect(order.slice(0, 4)).toEqual([1, 2, 3, 1]);
  });

  test("busy partitions get the same share of the credit", async () => {
    const stream = new Stream(4, { maxFrameBytes: 64_000 });
    await stream.begin(0);
    for (const replica of stream.replicas) replica.grow(5000);
    stream.say({ type: "credit", bytes: 64_000 * 20 });
    await stream.idle();
    const parts = stream.take();
    const shares = [1, 2, 3, 4].map((id) => recordBytes(parts, id));
    expect(Math.max(...shares) - Math.min(...shares)).toBeLessThanOrEqual(64_000);
  });

  test("what many partitions have at the same time shares frames", async () => {
    const stream = new Stream(100);
    await stream.begin();
    stream.take();
    for (const replica of stream.replicas) {
      replica.batchBytes = 200;
      replica.grow(1);
    }
    await stream.idle();
    expect(stream.frames.length).toBe(1);
    expect(recordBytes(stream.take())).toBe(20_000);
  });

  test("frames stay within their bound, a larger batch comes alone", async () => {
    const stream = new Stream(3, { maxFrameBytes: 100_000, gatherBytes: 20_000 });
    await stream.begin();
    stream.take();
    stream.replica(0).grow(300);
    stream.replica(1).batchBytes = 150_000;
    stream.replica(1).grow(2);
    stream.replica(2).grow(70);
    await stream.idle();
    expect(recordBytes(stream.frames.flat())).toBe(300_000 + 300_000 + 70_000);
    for (const [index, frame] of stream.frames.entries()) {
      const bytes = recordBytes(frame);
      if (bytes <= 100_000) continue;
      expect([bytes, frame.filter(({ type }) => type === "records").length], `frame ${index}`).toEqual([
        150_000, 1,
      ]);
    }
  });

  test("partitions on the disk do not keep those in memory waiting, and no more is read than can be held", async () => {
    const stream = new Stream(20);
    await stream.begin();
    const landing = (): number => stream.replicas.reduce((sum, { landingCount }) => sum + landingCount, 0);
    const cold = stream.replicas.slice(1);
    for (const replica of cold) {
      replica.isCold = true;
      replica.grow(1);
    }
    await stream.idle();
    // Until they are known to be on the disk.
    expect(landing()).toBe(8);
    while (landing() > 0) {
      for (const replica of cold) replica.land();
      await stream.idle();
      expect(landing()).toBeLessThanOrEqual(8);
    }
    expect(recordBytes(stream.take())).toBe(19_000);
    for (const replica of cold) replica.grow(1);
    await stream.idle();
    expect(landing()).toBe(4);
    stream.replica(0).grow(5);
    await stream.idle();
    expect(recordBytes(stream.take())).toBe(5000);
    while (landing() > 0) {
      for (const replica of cold) replica.land();
      await stream.idle();
      expect(landing()).toBeLessThanOrEqual(4);
    }
    expect(recordBytes(stream.take())).toBe(19_000);
  });
});

describe("gaps", () => {
  test("are told of with what is read below the offset up to which the log is compacted, and only there", async () => {
    const stream = new Stream(1, { maxFrameBytes: 1000 });
    await stream.begin();
    stream.replica().gapsBelow = 2 as Offset;
    stream.replica().grow(4);
    await stream.idle();
    const sent = stream.take().filter((part) => part.type === "records");
    expect(sent.map(({ gaps }) => gaps)).toEqual([
      { from: 0, below: 2 },
      { from: 1, below: 2 },
      undefined,
      undefined,
    ]);
  });
});

describe("credit", () => {
  test("is not passed by more than one batch, and sending goes on where it stopped", async () => {
    const stream = new Stream(2);
    await stream.begin(2500);
    stream.replica(0).grow(10);
    await stream.idle();
    expect(recordBytes(stream.take())).toBe(3000);
    const reads = stream.replica(0).readCount;
    stream.replica(0).grow(1);
    await stream.idle();
    expect(stream.replica(0).readCount).toBe(reads);
    stream.say({ type: "credit", bytes: 500 });
    await stream.idle();
    expect(recordBytes(stream.take())).toBe(0);
    stream.say({ type: "credit", bytes: 1 });
    await stream.idle();
    expect(recordBytes(stream.take())).toBe(1000);
    stream.say({ type: "credit", bytes: 1_000_000 });
    await stream.idle();
    expect(recordBytes(stream.take())).toBe(7000);
  });

  test("is not needed for answers and watermarks", async () => {
    const stream = new Stream(2);
    stream.replica(1).answer = { type: "diverging", epoch: 2 as LeaderEpoch, endOffset: 4 as Offset };
    stream.replica(0).grow(5);
    await stream.begin(0);
    expect(stream.take()).toEqual([
      { type: "diverging", id: 2, epoch: 2, endOffset: 4 },
      { type: "watermarks", items: [{ id: 1, highWatermark: 0, logStartOffset: 0 }] },
    ]);
    stream.replica(0).highWatermark = 3 as Offset;
    stream.replica(0).notify();
    await stream.idle();
    expect(stream.take()).toEqual([
      { type: "watermarks", items: [{ id: 1, highWatermark: 3, logStartOffset: 0 }] },
    ]);
  });
});

describe("watermarks", () => {
  test("are told once for each turn, only when they moved, and not beside records that carry them", async () => {
    const stream = new Stream(3);
    await stream.begin();
    stream.take();
    for (const replica of stream.replicas) {
      for (let i = 1; i <= 5; i++) {
        replica.highWatermark = i as Offset;
        replica.notify();
      }
    }
    stream.replica(2).grow(6);
    await stream.idle();
    const marks = { highWatermark: 5, logStartOffset: 0 };
    expect(stream.frames.length).toBe(1);
    expect(stream.take()).toMatchObject([
      { type: "records", id: 3, ...marks },
      {
        type: "watermarks",
        items: [
          { id: 1, ...marks },
          { id: 2, ...marks },
        ],
      },
    ]);
    for (const replica of stream.replicas) replica.notify();
    await stream.idle();
    expect(stream.frames).toEqual([]);
  });

  test("wait a few ms for records to go with, and then go alone, those of that time in one frame", async () => {
    const stream = new Stream(2);
    await stream.begin();
    stream.take();
    for (let i = 1; i <= 4; i++) {
      for (const replica of stream.replicas) {
        replica.highWatermark = i as Offset;
        replica.notify();
      }
      await stream.scheduler.advance(1);
    }
    expect(stream.frames).toEqual([]);
    await stream.scheduler.advance(1);
    const marks = { highWatermark: 4, logStartOffset: 0 };
    expect(stream.take()).toEqual([
      {
        type: "watermarks",
        items: [
          { id: 1, ...marks },
          { id: 2, ...marks },
        ],
      },
    ]);
  });
});

describe("a full sink", () => {
  test("gets nothing more until it drains, and then everything", async () => {
    const stream = new Stream(3, { maxFrameBytes: 10_000, gatherBytes: 1 });
    await stream.begin();
    stream.take();
    stream.room = 2;
    for (const replica of stream.replicas) replica.grow(50);
    await stream.idle();
    expect(stream.frames.length).toBe(2);
    stream.replica(1).highWatermark = 7 as Offset;
    stream.replica(1).notify();
    stream.say({ type: "credit", bytes: 5 });
    await stream.idle();
    expect(stream.frames.length).toBe(2);
    stream.room = Number.POSITIVE_INFINITY;
    stream.sender.onDrain();
    await stream.idle();
    expect(recordBytes(stream.take())).toBe(150_000);
  });
});

describe("the end of a role, a question or the stream", () => {
  test("a role that ends is answered at once, also without credit, and lets go of the follower", async () => {
    const stream = new Stream();
    await stream.begin(0);
    stream.replica().grow(5);
    await stream.idle();
    stream.take();
    stream.replica().isEnded = true;
    stream.replica().notify();
    await stream.idle();
    expect(stream.take()).toMatchObject([
      { type: "refused", id: 1, error: "NOT_LEADER_OR_FOLLOWER", leaderEpoch: 3 },
    ]);
    expect([stream.replica().followers.length, stream.replica().listeners.size]).toEqual([0, 0]);
    expect(stream.sender.partitionCount).toBe(0);
  });

  test("nothing is sent of what was read while the role ended (H31)", async () => {
    const stream = new Stream();
    await stream.begin();
    stream.take();
    stream.replica().isCold = true;
    stream.replica().grow(5);
    await stream.idle();
    stream.replica().isEnded = true;
    stream.replica().land();
    await stream.idle();
    expect(stream.take()).toMatchObject([{ type: "refused" }]);
  });

  test("a follower that retention has overtaken is reset, other failures of a read are refused by name", async () => {
    const stream = new Stream(2);
    await stream.begin();
    stream.take();
    stream.replica(0).logStartOffset = 4 as Offset;
    stream.replica(0).failure = { ok: false, error: "OFFSET_OUT_OF_RANGE", message: "gone" };
    stream.replica(1).failure = { ok: false, error: "CORRUPT_MESSAGE", message: "damaged" };
    for (const replica of stream.replicas) replica.grow(5);
    await stream.idle();
    expect(stream.take()).toEqual([
      { type: "reset", id: 1, logStartOffset: 4 },
      { type: "refused", id: 2, error: "CORRUPT_MESSAGE", leaderEpoch: 3, message: "damaged" },
    ]);
    expect(stream.sender.partitionCount).toBe(0);
  });

  test("an unfollowed partition is sent no more, and a read under way for it is dropped", async () => {
    const stream = new Stream(2);
    await stream.begin();
    stream.take();
    stream.replica(0).isCold = true;
    stream.replica(0).grow(1);
    await stream.idle();
    stream.say({ type: "unfollow", ids: [1] });
    stream.replica(0).land();
    await stream.idle();
    expect(recordBytes(stream.take())).toBe(0);
    expect(stream.replica(0).followers).toEqual([]);
    stream.replica(1).grow(1);
    await stream.idle();
    expect(recordBytes(stream.take(), 2)).toBe(1000);
  });

  test("unfollowed partitions give back the room of what was read for them and had no credit", async () => {
    const stream = new Stream(12);
    await stream.begin(1);
    for (const replica of stream.replicas) {
      replica.isCold = true;
      replica.grow(1);
    }
    await stream.idle();
    const landing = (): number => stream.replicas.reduce((sum, { landingCount }) => sum + landingCount, 0);
    expect(landing()).toBe(8);
    for (const replica of stream.replicas) replica.land();
    await stream.idle();
    expect(recordBytes(stream.take())).toBe(1000);
    stream.say({ type: "unfollow", ids: [1, 2, 3, 4, 5, 6, 7, 8] }, { type: "credit", bytes: 10_000 });
    await stream.idle();
    expect(landing()).toBe(4);
    for (const replica of stream.replicas) replica.land();
    await stream.idle();
    expect(recordBytes(stream.take())).toBe(4000);
  });

  test("an unfollowed partition that is still being looked for is not followed", async () => {
    const stream = new Stream();
    stream.say({ type: "open", nodeId: nodeId(7), brokerEpoch: 11 });
    stream.follow(0);
    stream.say({ type: "unfollow", ids: [1] });
    await stream.idle();
    expect(stream.replica().followers).toEqual([]);
    expect(stream.frames).toEqual([]);
  });

  test("another question for a partition takes the place of the one before", async () => {
    const stream = new Stream();
    await stream.begin();
    stream.take();
    stream.say({ type: "follow", items: [item(0, 50)] });
    await stream.idle();
    stream.replica().grow(1);
    await stream.idle();
    expect(recordBytes(stream.frames.flat(), 1)).toBe(0);
    expect(recordBytes(stream.take(), 50)).toBe(1000);
    expect([stream.replica().followers.length, stream.replica().listeners.size]).toEqual([1, 1]);
  });

  test("thousands of questions open some logs at a time", async () => {
    const stream = new Stream(1000);
    await stream.begin();
    expect(stream.mostFinds).toBe(32);
    expect(stream.replicas.every(({ followers }) => followers.length === 1)).toBe(true);
  });

  test("progress reaches the replica with who reports it, unless the id is not known (any more)", async () => {
    const stream = new Stream();
    await stream.begin();
    stream.replica().grow(9);
    const items = [
      { id: 1, endOffset: 9 as Offset },
      { id: 99, endOffset: 1 as Offset },
    ];
    stream.say({ type: "progress", items });
    expect(stream.replica().reported).toEqual([9]);
    expect(stream.replica().followers).toEqual([{ nodeId: 7, brokerEpoch: 11 }]);
  });

  test("the end of the stream detaches the follower everywhere and leaves nothing behind", async () => {
    for (const end of [(s: Stream) => s.sender.onEnd(), (s: Stream) => s.sender.close()]) {
      const stream = new Stream(5);
      await stream.begin();
      for (const replica of stream.replicas) replica.grow(100);
      end(stream);
      stream.take();
      await stream.idle();
      expect(stream.frames).toEqual([]);
      for (const replica of stream.replicas) {
        expect([replica.followers.length, replica.listeners.size]).toEqual([0, 0]);
      }
    }
  });
});

describe("a follower that breaks the rules", () => {
  const rules: readonly (readonly [string, string, (stream: Stream) => void])[] = [
    ["begins without open", "INVALID_REQUEST", (stream) => stream.follow(0)],
    [
      "opens twice",
      "INVALID_REQUEST",
      (stream) => {
        stream.say({ type: "open", nodeId: nodeId(7), brokerEpoch: 11 });
        stream.say({ type: "open", nodeId: nodeId(7), brokerEpoch: 12 });
      },
    ],
    [
      "uses an id twice",
      "INVALID_REQUEST",
      (stream) => {
        stream.say({ type: "open", nodeId: nodeId(7), brokerEpoch: 11 });
        stream.say({ type: "follow", items: [item(0, 1), item(1, 1)] });
      },
    ],
    ["sends what is no frame", "CORRUPT_MESSAGE", (stream) => stream.sender.onFrame(Buffer.of(1, 77))],
  ];
  test.each(rules)("%s: only its stream ends", (_what, code, act) => {
    expect(() => act(new Stream(2))).toThrow(expect.objectContaining({ code }));
  });

  test("reports more than the leader has: its stream ends, the replica hears nothing of it", async () => {
    const stream = new Stream();
    await stream.begin();
    const items = [{ id: 1, endOffset: 1 as Offset }];
    expect(() => stream.say({ type: "progress", items })).toThrow(LograftError);
    expect(stream.replica().reported).toEqual([]);
    expect(stream.replica().followers).toEqual([]);
  });

  test("sends anything at all: the stream ends with an error, or goes on", async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(fc.uint8Array({ maxLength: 60 }), { maxLength: 20 }), async (frames) => {
        const stream = new Stream(3);
        await stream.begin(5000);
        for (const bytes of frames) {
          try {
            stream.sender.onFrame(Buffer.of(1, ...bytes));
          } catch (error: unknown) {
            expect(error).toBeInstanceOf(LograftError);
            expect(stream.replicas.every(({ followers }) => followers.length === 0)).toBe(true);
          }
        }
        for (const replica of stream.replicas) replica.grow(3);
        await stream.idle();
      }),
      { numRuns: 60 },
    );
  });
});
